import { dlopen, read } from "bun:ffi";
import { endianness } from "node:os";

/** What waits on a socket, or that the other side has closed it. */
export type Waiting = "nothing" | "data" | "end";

export interface Endpoints {
  /** Port of our side; 0 on a unix socket. */
  readonly localPort: number;
  /** IP address of the other side, IPv4-mapped IPv6 written as IPv4; empty on a unix socket. */
  readonly peerAddress: string;
  readonly peerPort: number;
}

/**
 * What the C library can tell about an open socket and Bun (1.4.5) cannot. Each is one system call,
 * about half a microsecond. Descriptors must be open ones of this process.
 */
export interface SocketCalls {
  /** Looks without reading, so that Bun still gets what is there. A broken connection is at its end. */
  peek(descriptor: number): Waiting;
  /** Null: no socket, or not a connected one. */
  endpoints(descriptor: number): Endpoints | null;
  /** Both directions; Bun sees the end of the connection and closes it. */
  shutdown(descriptor: number): void;
}

const AF_UNIX = 1;
const AF_INET = 2;
const AF_INET6 = 10;
const EAGAIN = 11;
const MSG_PEEK = 2;
const MSG_DONTWAIT = 0x40;
const SHUT_RDWR = 2;

/** Null: not on this platform (the constants are those of Linux). */
export function openSocketCalls(): SocketCalls | null {
  if (process.platform !== "linux" || endianness() !== "LE") return null;
  const library = openLibrary();
  return library === null ? null : new LinuxSocketCalls(library);
}

type Library = NonNullable<ReturnType<typeof openLibrary>>;

/** Of glibc, then of musl. */
function openLibrary() {
  const musl = process.arch === "arm64" ? "aarch64" : "x86_64";
  for (const name of ["libc.so.6", `libc.musl-${musl}.so.1`]) {
    try {
      return dlopen(name, {
        recv: { args: ["i32", "ptr", "u64", "i32"], returns: "i32" },
        getsockname: { args: ["i32", "ptr", "ptr"], returns: "i32" },
        getpeername: { args: ["i32", "ptr", "ptr"], returns: "i32" },
        shutdown: { args: ["i32", "i32"], returns: "i32" },
        __errno_location: { args: [], returns: "ptr" },
      } as const).symbols;
    } catch {
      // The other C library.
    }
  }
  return null;
}

class LinuxSocketCalls implements SocketCalls {
  readonly #library: Library;
  readonly #byte = new Uint8Array(1);
  /** As long as `struct sockaddr_un`, the longest of the three. */
  readonly #address = new Uint8Array(112);
  readonly #view = new DataView(this.#address.buffer);
  readonly #length = new Uint32Array(1);

  constructor(library: Library) {
    this.#library = library;
  }

  peek(descriptor: number): Waiting {
    const got = this.#library.recv(descriptor, this.#byte, 1, MSG_PEEK | MSG_DONTWAIT);
    if (got > 0) return "data";
    return got < 0 && this.#errno() === EAGAIN ? "nothing" : "end";
  }

  endpoints(descriptor: number): Endpoints | null {
    const { getsockname, getpeername } = this.#library;
    if (!this.#ask(getsockname, descriptor)) return null;
    const localPort = this.#port;
    if (!this.#ask(getpeername, descriptor)) return null;
    return { localPort, peerAddress: this.#ipAddress, peerPort: this.#port };
  }

  shutdown(descriptor: number): void {
    this.#library.shutdown(descriptor, SHUT_RDWR);
  }

  /** Whether `#address` holds an answer that we can read. */
  #ask(call: Library["getsockname"], descriptor: number): boolean {
    this.#length[0] = this.#address.length;
    return (
      call(descriptor, this.#address, this.#length) === 0 &&
      [AF_UNIX, AF_INET, AF_INET6].includes(this.#family)
    );
  }

  get #family(): number {
    return this.#view.getUint16(0, true);
  }

  get #port(): number {
    return this.#family === AF_UNIX ? 0 : this.#view.getUint16(2);
  }

  /** Of `struct sockaddr_in` or `sockaddr_in6`. */
  get #ipAddress(): string {
    if (this.#family === AF_UNIX) return "";
    if (this.#family === AF_INET) return this.#address.subarray(4, 8).join(".");
    const groups = Array.from({ length: 8 }, (_, i) =>
      this.#view.getUint16(8 + 2 * i).toString(16),
    );
    if (groups.slice(0, 6).join() === "0,0,0,0,0,ffff") {
      return this.#address.subarray(20, 24).join(".");
    }
    // Shortened as RFC 5952 has it.
    return new URL(`http://[${groups.join(":")}]`).hostname.slice(1, -1);
  }

  #errno(): number {
    const location = this.#library.__errno_location();
    return location === null ? 0 : read.i32(location);
  }
}
