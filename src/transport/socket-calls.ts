import { dlopen, read } from "bun:ffi";
import { endianness } from "node:os";
import type { Endpoint } from "./endpoint.ts";

/** What waits on a socket, or that the other side has closed it. */
export type Waiting = "nothing" | "data" | "end";

/**
 * What the C library can tell about an open socket and Bun (1.4.5) cannot. Each is one system call
 * of about half a microsecond, a new `Endpoint` two to five. Descriptors must be open ones of this process.
 */
export interface SocketCalls {
  /** Looks without reading, so that Bun still gets what is there. A broken connection is at its end. */
  peek(descriptor: number): Waiting;
  /** Our end. Null: no TCP socket. */
  local(descriptor: number): Endpoint | null;
  /** The other end; `before` itself if it is still that one. Null: no TCP connection. */
  peer(descriptor: number, before?: Endpoint): Endpoint | null;
  /** Whether it accepts connections. */
  isListening(descriptor: number): boolean;
  /** Bytes that may be kept though they cannot be on their way yet; for a listener, of each connection to come. */
  limitUnsent(descriptor: number, bytes: number): void;
  /** Both directions; Bun sees the end of the connection and closes it. */
  shutdown(descriptor: number): void;
}

const AF_INET = 2;
const AF_INET6 = 10;
const EAGAIN = 11;
const MSG_PEEK = 2;
const MSG_DONTWAIT = 0x40;
const SHUT_RDWR = 2;
const SOL_SOCKET = 1;
const SO_ACCEPTCONN = 30;
const IPPROTO_TCP = 6;
const TCP_NOTSENT_LOWAT = 25;

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
        getsockopt: { args: ["i32", "i32", "i32", "ptr", "ptr"], returns: "i32" },
        setsockopt: { args: ["i32", "i32", "i32", "ptr", "u32"], returns: "i32" },
        shutdown: { args: ["i32", "i32"], returns: "i32" },
        __errno_location: { args: [], returns: "ptr" },
      } as const).symbols;
    } catch {
      // The other C library.
    }
  }
  return null;
}

/** Knows the bytes that it was read from: comparing those is cheaper than reading them again. */
class RawEndpoint implements Endpoint {
  readonly address: string;
  readonly port: number;
  readonly #raw: Uint8Array;

  constructor(address: string, port: number, raw: Uint8Array) {
    this.address = address;
    this.port = port;
    this.#raw = raw;
  }

  isAt(raw: Uint8Array): boolean {
    if (raw.length !== this.#raw.length) return false;
    for (let i = 0; i < raw.length; i++) if (raw[i] !== this.#raw[i]) return false;
    return true;
  }
}

class LinuxSocketCalls implements SocketCalls {
  readonly #library: Library;
  readonly #byte = new Uint8Array(1);
  /** Longer than any address; the rest of one that does not fit is cut off. */
  readonly #address = new Uint8Array(128);
  readonly #view = new DataView(this.#address.buffer);
  readonly #length = new Uint32Array(1);
  readonly #option = new Int32Array(1);

  constructor(library: Library) {
    this.#library = library;
  }

  peek(descriptor: number): Waiting {
    const got = this.#library.recv(descriptor, this.#byte, 1, MSG_PEEK | MSG_DONTWAIT);
    if (got > 0) return "data";
    return got < 0 && this.#errno() === EAGAIN ? "nothing" : "end";
  }

  local(descriptor: number): Endpoint | null {
    return this.#ask(this.#library.getsockname, descriptor);
  }

  peer(descriptor: number, before?: Endpoint): Endpoint | null {
    return this.#ask(this.#library.getpeername, descriptor, before);
  }

  isListening(descriptor: number): boolean {
    this.#option[0] = 0;
    this.#length[0] = this.#option.byteLength;
    const { getsockopt } = this.#library;
    getsockopt(descriptor, SOL_SOCKET, SO_ACCEPTCONN, this.#option, this.#length);
    return this.#option[0] === 1;
  }

  limitUnsent(descriptor: number, bytes: number): void {
    this.#option[0] = bytes;
    const { byteLength } = this.#option;
    this.#library.setsockopt(descriptor, IPPROTO_TCP, TCP_NOTSENT_LOWAT, this.#option, byteLength);
  }

  shutdown(descriptor: number): void {
    this.#library.shutdown(descriptor, SHUT_RDWR);
  }

  /** Reads a `struct sockaddr_in` or `sockaddr_in6`. */
  #ask(call: Library["getsockname"], descriptor: number, before?: Endpoint): Endpoint | null {
    this.#length[0] = this.#address.length;
    if (call(descriptor, this.#address, this.#length) !== 0) return null;
    const family = this.#view.getUint16(0, true);
    if (family !== AF_INET && family !== AF_INET6) return null;
    const raw = this.#address.subarray(0, this.#length[0]);
    if (before instanceof RawEndpoint && before.isAt(raw)) return before;
    const address = family === AF_INET ? this.#address.subarray(4, 8).join(".") : this.#address6();
    return new RawEndpoint(address, this.#view.getUint16(2), raw.slice());
  }

  #address6(): string {
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
