import { bindSocket } from "./bound-socket.ts";

/**
 * A listening socket that never accepts and whose backlog is full: the kernel leaves further connects unanswered, as
 * a blackholed backend does. Bun cannot make one (its backlog is 512 and it accepts by itself), libc can.
 */
export async function fullBacklog(): Promise<{
  address: { hostname: string; port: number };
  stop(): void;
}> {
  const bound = bindSocket();
  const { port } = bound;
  bound.listen(0);
  const filler = await Bun.connect({ hostname: "127.0.0.1", port, socket: { data() {} } });
  return {
    address: { hostname: "127.0.0.1", port },
    stop: () => {
      filler.terminate();
      bound.close();
    },
  };
}
