import { bindSocket } from "./bound-socket.ts";
import { FakeBackend } from "./fake-backend.ts";

/**
 * A backend's address where nobody listens. Its port is held, though: one that was given up would be given out again,
 * also to the proxy that is to find nobody there.
 */
export function startDeadBackend(): FakeBackend {
  const bound = bindSocket();
  return new DeadBackend(bound.port, bound.close);
}

class DeadBackend extends FakeBackend {
  #release: (() => void) | null;

  constructor(port: number, release: () => void) {
    super({ port });
    this.#release = release;
  }

  override start(): void {
    this.stop();
    super.start();
  }

  override stop(): void {
    super.stop();
    this.#release?.();
    this.#release = null;
  }
}
