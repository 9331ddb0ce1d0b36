/** Where the lines of an access log go. Nothing here ever waits for a reader or a disk on the request path. */
import { close, constants, fstatSync, open, type Stats, statSync, write } from "node:fs";
import { promisify } from "node:util";
import { isatty } from "node:tty";

export interface LogSink {
  /** For people: a path, or `stderr`. */
  readonly target: string;
  readonly isTerminal: boolean;
  /** At most so much at once goes out in one piece, also while other processes write there. */
  readonly batchBytes: number;
  /** A longer line could be torn by what others write there. */
  readonly longestLine: number;
  /** What a write left over is worth nothing by itself: others may have written behind it. */
  readonly tears: boolean;
  /** One at a time. `done` is called later, and never when nobody takes anything any more. */
  write(
    bytes: Uint8Array,
    done: (error: NodeJS.ErrnoException | null, written: number) => void,
  ): void;
  close(): void;
}

/** Up to this size a write to a pipe is not mixed with those of others (PIPE_BUF of Linux, where there are several workers). */
const PIPE_BYTES = 4096;
const FILE_BYTES = 64 * 1024;
/** The lines name clients: not for everybody. */
const FILE_MODE = 0o640;
const STDOUT = 1;
const STDERR = 2;

const openFile = promisify(open);

/** Rejects with what the system says. */
export async function openFileSink(path: string): Promise<LogSink> {
  const append = constants.O_APPEND | constants.O_CREAT | constants.O_NONBLOCK;
  const descriptor = await openFile(path, append | constants.O_WRONLY, FILE_MODE).catch(
    (error: unknown) => {
      // A FIFO that nobody reads yet: open both ways it takes what fits until somebody does.
      const fifo = (error as NodeJS.ErrnoException).code === "ENXIO" && statSync(path).isFIFO();
      if (!fifo) throw error;
      return openFile(path, constants.O_RDWR | constants.O_NONBLOCK);
    },
  );
  const closeIt = (): void => close(descriptor, () => {});
  return descriptorSink(descriptor, fstatSync(descriptor), path, closeIt);
}

/** In place of a file that cannot be opened now. */
export function absentSink(path: string, error: unknown): LogSink {
  const failure = error instanceof Error ? error : new Error(String(error));
  return {
    target: path,
    isTerminal: false,
    // Whatever comes in its place gets the batch that was made for this one.
    batchBytes: PIPE_BYTES,
    longestLine: Number.POSITIVE_INFINITY,
    tears: false,
    write: (_bytes, done) => queueMicrotask(() => done(failure, 0)),
    close() {},
  };
}

/** Our own stderr, which the other processes of this program and the ordinary log share. */
export function stderrSink(): LogSink {
  return standardSink(STDERR, process.stderr, "stderr");
}

/** Our own stdout, which the other processes of this program share. */
export function stdoutSink(): LogSink {
  // That its reader is gone is told to whoever writes.
  process.stdout.on("error", () => {});
  return standardSink(STDOUT, process.stdout, "stdout");
}

function standardSink(descriptor: number, stream: NodeJS.WriteStream, target: string): LogSink {
  const stat = statOf(descriptor);
  if (stat !== null && !stat.isFIFO() && !stat.isSocket()) {
    return descriptorSink(descriptor, stat, target, () => {});
  }
  // Bun never waits for a pipe or socket, and a write of our own might: they are shared, and so is
  // the flag that says whether writes wait.
  return {
    target,
    isTerminal: false,
    batchBytes: PIPE_BYTES,
    longestLine: longestLine(stat),
    tears: false,
    write(bytes, done) {
      stream.write(bytes, (error) => done(error ?? null, error ? 0 : bytes.length));
    },
    close() {},
  };
}

/** Null: it is closed. */
function statOf(descriptor: number): Stats | null {
  try {
    return fstatSync(descriptor);
  } catch {
    return null;
  }
}

function longestLine(stat: Stats | null): number {
  return stat?.isFIFO() === true ? PIPE_BYTES : Number.POSITIVE_INFINITY;
}

function descriptorSink(
  descriptor: number,
  stat: Stats,
  target: string,
  closeIt: () => void,
): LogSink {
  const isFile = stat.isFile();
  return {
    target,
    isTerminal: isatty(descriptor),
    batchBytes: isFile ? FILE_BYTES : PIPE_BYTES,
    longestLine: longestLine(stat),
    tears: isFile,
    write(bytes, done) {
      write(descriptor, bytes, 0, bytes.length, null, (error, written) => done(error, written));
    },
    close: closeIt,
  };
}
