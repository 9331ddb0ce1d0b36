import { expect, test } from "bun:test";
import type { SpanExporter } from "@opentelemetry/sdk-trace";
import { BoundedExporter, MAX_AT_ONCE, SUCCESS } from "../../src/telemetry/bounded-exporter.ts";
import { ExportWatch } from "../../src/telemetry/export-watch.ts";
import type { RecordedSpan } from "../../src/telemetry/recorded-span.ts";

/** An exporter whose exports end when the test says so. */
class HeldExporter implements SpanExporter {
  readonly ends: (() => void)[] = [];
  isShutDown = false;

  export(_spans: unknown, done: Parameters<SpanExporter["export"]>[1]): void {
    this.ends.push(() => done(SUCCESS));
  }

  shutdown(): Promise<void> {
    this.isShutDown = true;
    return Promise.resolve();
  }
}

const BATCH = [{ heldBytes: 100 } as RecordedSpan];
const nothing = (): void => {};

test("an exporter is shut down after all that was given before has been sent, not only what is being sent", async () => {
  const held = new HeldExporter();
  const bounded = new BoundedExporter(held, new ExportWatch("traces", nothing));
  let ended = 0;
  for (let i = 0; i < MAX_AT_ONCE + 2; i++) bounded.export(BATCH, nothing, () => ended++);
  const stopped = bounded.shutdown();
  while (held.ends.length > 0) {
    expect(held.isShutDown).toBe(false);
    held.ends.shift()?.();
    await Promise.resolve();
  }
  await stopped;
  expect(ended).toBe(MAX_AT_ONCE + 2);
  expect(held.isShutDown).toBe(true);
});

test("an exporter with nothing to send is shut down at once", async () => {
  const held = new HeldExporter();
  await new BoundedExporter(held, new ExportWatch("traces", nothing)).shutdown();
  expect(held.isShutDown).toBe(true);
});
