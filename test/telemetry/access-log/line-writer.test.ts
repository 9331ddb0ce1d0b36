import { expect, test } from "bun:test";
import { LineWriter, WAITING_BYTES } from "../../../src/telemetry/access-log/line-writer.ts";
import type { LogSink } from "../../../src/telemetry/access-log/sink.ts";

type Answer = { readonly error?: string; readonly written?: number } | "never";

/** A sink that does what a test says, in the next turn; from then on it takes everything. */
class ScriptedSink implements LogSink {
  readonly target = "scripted";
  readonly isTerminal = false;
  readonly batchBytes: number;
  readonly longestLine = Number.POSITIVE_INFINITY;
  readonly tears: boolean;
  readonly writes: string[] = [];
  /** Everything that it took. */
  taken = "";
  closed = false;
  answers: Answer[] = [];
  #waiter: { check: () => boolean; resolve: () => void } | null = null;

  constructor({ batchBytes = 4096, tears = false } = {}) {
    this.batchBytes = batchBytes;
    this.tears = tears;
  }

  write(bytes: Uint8Array, done: (error: NodeJS.ErrnoException | null, written: number) => void) {
    const text = Buffer.from(bytes).toString("latin1");
    this.writes.push(text);
    const answer = this.answers.shift() ?? {};
    queueMicrotask(() => this.#changed());
    if (answer === "never") return;
    const { error, written = error === undefined ? text.length : 0 } = answer;
    this.taken += text.slice(0, written);
    setImmediate(() => {
      done(error === undefined ? null : Object.assign(new Error(error), { code: error }), written);
      this.#changed();
    });
  }

  close(): void {
    this.closed = true;
  }

  until(check: () => boolean): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#waiter = { check, resolve };
    this.#changed();
    return promise;
  }

  #changed(): void {
    if (this.#waiter?.check()) this.#waiter.resolve();
  }
}

/** Recovers after a moment without trouble, unless `calmMs` says later. */
function start(sink: ScriptedSink, calmMs = 5) {
  const told: string[] = [];
  let dropped = 0;
  const writer = new LineWriter({
    sink,
    onDropped: () => dropped++,
    onTrouble: (reason) => told.push(`trouble: ${reason}`),
    onRecovered: (lines) => told.push(`recovered: ${lines} dropped`),
    calmMs,
  });
  return { writer, told, dropped: () => dropped };
}

async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await Bun.sleep(1);
}

test("lines of one moment are one write, in their order", async () => {
  const sink = new ScriptedSink();
  const { writer, told } = start(sink);
  for (const line of ["one\n", "two\n", "three\n"]) writer.write(line);
  await sink.until(() => sink.taken !== "");
  expect(sink.writes).toEqual(["one\ntwo\nthree\n"]);
  expect(told).toEqual([]);
});

test("a write never cuts a line, and holds no more than may go out in one piece", async () => {
  const sink = new ScriptedSink({ batchBytes: 10 });
  const { writer } = start(sink);
  for (const line of ["12345\n", "123\n", "1\n", "longer than ten\n", "2\n"]) writer.write(line);
  await writer.flush(5000);
  expect(sink.writes).toEqual(["12345\n123\n", "1\n", "longer than ten\n", "2\n"]);
});

test("a pipe that is full is tried again, and that is no trouble", async () => {
  const sink = new ScriptedSink();
  sink.answers = [{ error: "EAGAIN" }, { error: "EAGAIN" }];
  const { writer, told } = start(sink);
  writer.write("one\n");
  await sink.until(() => sink.taken === "one\n");
  expect(sink.writes).toEqual(["one\n", "one\n", "one\n"]);
  expect(told).toEqual([]);
});

test("a pipe that takes a part of a line gets the rest of it", async () => {
  const sink = new ScriptedSink();
  sink.answers = [{ written: 2 }];
  const { writer } = start(sink);
  writer.write("one\ntwo\n");
  await writer.flush(5000);
  expect(sink.taken).toBe("one\ntwo\n");
});

test("a line that a full disk tore comes again on a line of its own", async () => {
  const sink = new ScriptedSink({ tears: true });
  // One line and two letters of the next, then nothing, then one letter.
  sink.answers = [{ written: 6 }, { error: "ENOSPC" }, { written: 3 }];
  const { writer, told } = start(sink);
  for (const line of ["one\n", "two\n", "three\n"]) writer.write(line);
  await sink.until(() => sink.writes.length === 2);
  await writer.flush(5000);
  expect(sink.taken).toBe("one\ntw\ntw\ntwo\nthree\n");
  await until(() => told.length === 2);
  expect(told).toEqual(["trouble: ENOSPC", "recovered: 0 dropped"]);
});

test("more than a mebibyte does not wait: what is dropped is counted, and told once at the begin and at the end", async () => {
  const sink = new ScriptedSink();
  sink.answers = ["never"];
  const { writer, told, dropped } = start(sink);
  const line = `${"x".repeat(1023)}\n`;
  const fits = WAITING_BYTES / line.length;
  for (let i = 0; i < fits + 7; i++) writer.write(line);
  await sink.until(() => sink.writes.length === 1);
  // What is being written still waits.
  for (let i = 0; i < 3; i++) writer.write(line);
  expect(dropped()).toBe(10);
  expect(told).toEqual(["trouble: lines come faster than they are taken"]);

  const other = new ScriptedSink();
  const second = start(other);
  for (let i = 0; i < fits + 5; i++) second.writer.write(line);
  await second.writer.flush(5000);
  expect(other.taken).toBe(line.repeat(fits));
  await until(() => second.told.length === 2);
  expect(second.told.at(-1)).toBe("recovered: 5 dropped");
  // The next time is told again.
  for (let i = 0; i < fits + 1; i++) second.writer.write(line);
  expect(second.told).toEqual([
    "trouble: lines come faster than they are taken",
    "recovered: 5 dropped",
    "trouble: lines come faster than they are taken",
  ]);
  await second.writer.flush(5000);
});

test("a sink that is just too slow is told of once, however often it catches up", async () => {
  const sink = new ScriptedSink();
  const { writer, told, dropped } = start(sink, 60_000);
  const line = `${"x".repeat(1023)}\n`;
  const fits = WAITING_BYTES / line.length;
  for (let overflow = 1; overflow <= 4; overflow++) {
    for (let i = 0; i < fits + 3; i++) writer.write(line);
    await writer.flush(5000);
    expect(dropped()).toBe(3 * overflow);
  }
  expect(sink.taken).toBe(line.repeat(4 * fits));
  expect(told).toEqual(["trouble: lines come faster than they are taken"]);
  // All is written after all, and that is said before the end.
  writer.close();
  expect(told.slice(1)).toEqual(["recovered: 12 dropped"]);
});

test("what fails again and again is over only when it has not failed for a while", async () => {
  const sink = new ScriptedSink();
  const { writer, told } = start(sink, 60_000);
  for (let i = 0; i < 3; i++) {
    sink.answers = [{ error: "ENOSPC" }];
    writer.write("one\n");
    await sink.until(() => sink.answers.length === 0);
    await writer.flush(5000);
  }
  expect(sink.taken).toBe("one\n".repeat(3));
  expect(told).toEqual(["trouble: ENOSPC"]);
});

test("what could not be written until the end is never told to be written again", async () => {
  const { writer, told } = start(new ScriptedSink(), 2);
  writer.fail("no such folder");
  await Bun.sleep(20);
  writer.close();
  expect(told).toEqual(["trouble: no such folder"]);
});

test("lines that wait at the end are lost, and counted", async () => {
  const sink = new ScriptedSink();
  sink.answers = [{ error: "ENOSPC" }];
  const { writer, told, dropped } = start(sink);
  for (const text of ["one\n", "two\n"]) writer.write(text);
  await sink.until(() => sink.writes.length === 1);
  await until(() => told.length === 1);
  writer.write("three\n");
  writer.close();
  expect(dropped()).toBe(3);
  expect(told).toEqual(["trouble: ENOSPC"]);
});

test("another sink gets what waits, whole, and the one before is closed", async () => {
  const sink = new ScriptedSink({ tears: true });
  sink.answers = [{ written: 6 }, { error: "ENOSPC" }];
  const { writer } = start(sink);
  for (const line of ["one\n", "two\n", "three\n"]) writer.write(line);
  await sink.until(() => sink.writes.length === 2);
  expect(sink.closed).toBe(false);
  const other = new ScriptedSink({ tears: true });
  writer.replaceSink(other);
  await writer.flush(5000);
  expect(sink.taken).toBe("one\ntw");
  expect(sink.closed).toBe(true);
  expect(other.taken).toBe("two\nthree\n");
});

test("a sink that takes nothing holds up nobody at the end", async () => {
  const sink = new ScriptedSink();
  sink.answers = ["never"];
  const { writer } = start(sink);
  writer.write("one\n");
  await writer.flush(10);
  writer.close();
  expect(sink.writes).toEqual(["one\n"]);
  // Its descriptor may not be used for anything else while a write is under way.
  expect(sink.closed).toBe(false);
});
