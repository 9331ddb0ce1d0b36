import { dlopen, ptr } from "bun:ffi";

const AF_INET = 2;
const SOCK_STREAM = 1;
const MSG_DONTWAIT = 0x40;
const MSG_NOSIGNAL = 0x4000;

export interface SlowReader {
  /** Takes at most this many bytes from the kernel; how many there were. Null: the connection is at its end. */
  take(maxBytes: number): number | null;
  close(): void;
}

/**
 * A client of this port that sends a request and reads exactly as little as it is told. Bun's own sockets read up to
 * 512 KiB at once, and a pause after so much is no steady reader. Linux only.
 */
export function connectSlowReader(port: number, request: string): SlowReader {
  const libc = openLibc();
  const fd = libc.socket(AF_INET, SOCK_STREAM, 0);
  const address = Buffer.alloc(16);
  address.writeUInt16LE(AF_INET);
  address.writeUInt16BE(port, 2);
  address.set([127, 0, 0, 1], 4);
  if (libc.connect(fd, ptr(address), 16) !== 0) throw new Error("connect failed");
  const bytes = Buffer.from(request, "latin1");
  if (Number(libc.send(fd, ptr(bytes), bytes.length, MSG_NOSIGNAL)) !== bytes.length) {
    throw new Error("send failed");
  }
  const room = Buffer.alloc(1 << 20);
  return {
    take(maxBytes) {
      const taken = Number(libc.recv(fd, ptr(room), Math.min(maxBytes, room.length), MSG_DONTWAIT));
      // Below zero there is nothing yet, or a reset; after a reset the next read says 0.
      return taken === 0 ? null : Math.max(0, taken);
    },
    close: () => void libc.close(fd),
  };
}

function openLibc() {
  const musl = process.arch === "arm64" ? "aarch64" : "x86_64";
  for (const name of ["libc.so.6", `libc.musl-${musl}.so.1`]) {
    try {
      return dlopen(name, {
        socket: { args: ["i32", "i32", "i32"], returns: "i32" },
        connect: { args: ["i32", "ptr", "u32"], returns: "i32" },
        send: { args: ["i32", "ptr", "u64", "i32"], returns: "i64" },
        recv: { args: ["i32", "ptr", "u64", "i32"], returns: "i64" },
        close: { args: ["i32"], returns: "i32" },
      }).symbols;
    } catch {
      // The other C library.
    }
  }
  throw new Error("no libc found");
}
