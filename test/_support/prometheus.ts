/** A real Prometheus that scrapes what it is told, and its promtool; both are Debian's package `prometheus`. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

export const hasPrometheus = Bun.which("prometheus") !== null && Bun.which("promtool") !== null;

/** Behind the name of a test that needs them: says in the run's output why it was skipped. */
export const needsPrometheus = hasPrometheus
  ? ""
  : " (needs prometheus and promtool: apt-get install prometheus)";

export interface Sample {
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

export interface Prometheus {
  readonly url: string;
  /** What an instant query answers now; empty when nothing is known. Rejects when it is no expression. */
  query(expression: string): Promise<Sample[]>;
  /** Its HTTP API, from `/api/v1/` on. */
  api(path: string): Promise<unknown>;
  /** Resolves when every target of the job was scraped once more, after this call. */
  scraped(job: string): Promise<void>;
  /** Resolves with the answer once `holds` is true of it; rejects with the last one after 30 s. */
  until(expression: string, holds: (samples: Sample[]) => boolean): Promise<Sample[]>;
  stop(): Promise<void>;
}

/** Starts one on a free port with a folder of its own. `files` lie beside the config, by name. */
export async function startPrometheus(
  config: string,
  files: Readonly<Record<string, string>> = {},
): Promise<Prometheus> {
  const folder = mkdtempSync(join(tmpdir(), "leastwise-prometheus-"));
  for (const [name, text] of Object.entries({ ...files, "prometheus.yml": config })) {
    writeFileSync(join(folder, name), text);
  }
  const child = Bun.spawn(
    [
      "prometheus",
      `--config.file=${join(folder, "prometheus.yml")}`,
      `--storage.tsdb.path=${join(folder, "data")}`,
      "--web.listen-address=127.0.0.1:0",
      "--enable-feature=exemplar-storage",
    ],
    { stdin: "ignore", stdout: "ignore", stderr: "pipe" },
  );
  const listening = Promise.withResolvers<string>();
  let log = "";
  const reading = (async () => {
    const decoder = new TextDecoder();
    for await (const bytes of child.stderr) {
      log += decoder.decode(bytes, { stream: true });
      const address = /msg="Listening on" address=(\S+)/.exec(log)?.[1];
      if (address !== undefined && log.includes("ready to receive web requests")) {
        listening.resolve(address);
      }
    }
    listening.reject(new Error(`prometheus ended before it was ready:\n${log}`));
  })();
  const url = `http://${await listening.promise}`;

  async function api(path: string): Promise<unknown> {
    const answer = (await (await fetch(`${url}/api/v1/${path}`)).json()) as {
      status: string;
      error?: string;
      data: unknown;
    };
    if (answer.status !== "success") throw new Error(`${path}: ${answer.error}`);
    return answer.data;
  }

  async function query(expression: string): Promise<Sample[]> {
    const { resultType, result } = (await api(
      `query?query=${encodeURIComponent(expression)}`,
    )) as QueryData;
    if (resultType !== "vector") throw new Error(`${expression} gives a ${resultType}`);
    return result.map(({ metric, value }) => ({ labels: metric, value: Number(value[1]) }));
  }

  async function until(
    expression: string,
    holds: (samples: Sample[]) => boolean,
  ): Promise<Sample[]> {
    const deadline = Date.now() + 30_000;
    for (;;) {
      const samples = await query(expression);
      if (holds(samples)) return samples;
      if (Date.now() > deadline) {
        throw new Error(`${expression} stayed at ${JSON.stringify(samples)}\n${log}`);
      }
      await Bun.sleep(50);
    }
  }

  return {
    url,
    api,
    query,
    until,
    async scraped(job) {
      // A sample's time is when its scrape began, in milliseconds.
      const from = Date.now() / 1000;
      await until(
        `timestamp(up{job="${job}"})`,
        (samples) => samples.length > 0 && samples.every(({ value }) => value > from),
      );
    },
    async stop() {
      child.kill("SIGTERM");
      await child.exited;
      await reading;
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

type QueryData =
  | {
      readonly resultType: "vector";
      readonly result: readonly {
        readonly metric: Readonly<Record<string, string>>;
        readonly value: readonly [time: number, value: string];
      }[];
    }
  | { readonly resultType: "matrix" | "scalar" | "string"; readonly result: readonly never[] };

export interface Checked {
  readonly exitCode: number;
  /** Both outputs. */
  readonly said: string;
}

export async function promtool(args: readonly string[], input = ""): Promise<Checked> {
  const child = Bun.spawn(["promtool", ...args], {
    stdin: new Blob([input]),
    stdout: "pipe",
    stderr: "pipe",
  });
  const [stdout, stderr, exitCode] = await Promise.all([
    child.stdout.text(),
    child.stderr.text(),
    child.exited,
  ]);
  return { exitCode, said: stdout + stderr };
}
