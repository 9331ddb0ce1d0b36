import { dlopen, ptr } from "bun:ffi";

const AF_INET = 2;
const SOCK_STREAM = 1;
/** So that no process that is started keeps the port. */
const SOCK_CLOEXEC = process.platform === "linux" ? 0o2000000 : 0;

/** A socket on a port of its own of 127.0.0.1, which nobody else gets as long as it is open. */
export interface BoundSocket {
  readonly port: number;
  /** Before that, whoever connects is refused. */
  listen(backlog: number): void;
  close(): void;
}

/** Bun listens where it binds, libc does one after the other. */
export function bindSocket(): BoundSocket {
  const libc = openLibc();
  const fd = libc.socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  // struct sockaddr_in: family (macOS: length, family), port 0 = any, 127.0.0.1.
  const address = Buffer.alloc(16);
  if (process.platform === "darwin") address.set([16, AF_INET]);
  else address.writeUInt16LE(AF_INET);
  address.set([127, 0, 0, 1], 4);
  const length = Buffer.alloc(4);
  length.writeUInt32LE(16);
  if (libc.bind(fd, ptr(address), 16) !== 0) throw new Error("bind failed");
  libc.getsockname(fd, ptr(address), ptr(length));
  return {
    port: address.readUInt16BE(2),
    listen(backlog) {
      if (libc.listen(fd, backlog) !== 0) throw new Error("listen failed");
    },
    close: () => void libc.close(fd),
  };
}

function openLibc() {
  const candidates =
    process.platform === "darwin"
      ? ["libSystem.B.dylib"]
      : ["libc.so.6", `libc.musl-${process.arch === "arm64" ? "aarch64" : "x86_64"}.so.1`];
  const failures: unknown[] = [];
  for (const name of candidates) {
    try {
      return dlopen(name, {
        socket: { args: ["i32", "i32", "i32"], returns: "i32" },
        bind: { args: ["i32", "ptr", "u32"], returns: "i32" },
        listen: { args: ["i32", "i32"], returns: "i32" },
        getsockname: { args: ["i32", "ptr", "ptr"], returns: "i32" },
        close: { args: ["i32"], returns: "i32" },
      }).symbols;
    } catch (error) {
      failures.push(error);
    }
  }
  throw new AggregateError(failures, "no libc found");
}
