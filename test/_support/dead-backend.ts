import { FakeBackend } from "./fake-backend.ts";
import { holdPort } from "./held-port.ts";

/** A backend's address where nobody listens, nor will before `start` or `stop`. */
export class DeadBackend extends FakeBackend {
  readonly #held: ReturnType<typeof holdPort>;

  constructor() {
    const held = holdPort();
    super({ port: held.port });
    this.#held = held;
  }

  override start(): void {
    this.#held.release();
    super.start();
  }

  override stop(): void {
    this.#held.release();
    super.stop();
  }
}
