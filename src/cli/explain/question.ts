import type { ExplainBody } from "../../admin/explain.ts";
import type { StrategyConfig } from "../../config/config.ts";
import { findAddressProblem } from "../../config/ip-address.ts";
import { findFileProblem, isStrategyFile } from "../../config/strategy-file.ts";
import { ConfigError, type Problem } from "../../errors.ts";
import { readSubject } from "../plugin/subject.ts";

export type ExplainFlags =
  | { readonly kind: "decision"; readonly traceId: string; readonly asTest: boolean }
  | {
      readonly kind: "request";
      readonly body: ExplainBody;
      /** Another strategy to compare with; null: only what runs. */
      readonly strategy: StrategyConfig | null;
    };

/** Flags as typed. Throws ConfigError with everything that is wrong with them. */
export function readQuestion(values: ReadonlyMap<string, readonly string[]>): ExplainFlags {
  const one = (name: string): string | undefined => values.get(name)?.at(-1);
  const problems: Problem[] = [];
  const complain = (path: string, message: string): void => void problems.push({ path, message });
  const trace = one("trace");
  if (trace !== undefined) {
    for (const name of values.keys()) {
      if (["trace", "as-test", "admin", "config", "json"].includes(name)) continue;
      complain(`--${name}`, "is about a request that nobody has sent, --trace about one that was");
    }
    if (!/^[0-9a-f]{32}$/i.test(trace)) {
      complain("--trace", `found ${JSON.stringify(trace)}, allowed a trace's id, 32 hex digits`);
    }
    refuse(problems);
    return { kind: "decision", traceId: trace.toLowerCase(), asTest: one("as-test") === "true" };
  }
  const url = one("url") ?? "";
  if (url === "") {
    complain("--url", "is missing, such as --url http://api.example.com/v1/users (or --trace ID)");
  } else if (!isUrl(url)) {
    complain(
      "--url",
      `found ${JSON.stringify(url)}, allowed http://host/path?query or /path?query`,
    );
  }
  if (values.has("as-test"))
    complain("--as-test", "needs --trace: only what was recorded is a test");
  if (values.has("options") && !values.has("strategy")) {
    complain("--options", "needs --strategy: the pool's own options are known");
  }
  const headers = (values.get("header") ?? []).map((text) => {
    const [, name, value] = /^([!#$%&'*+\-.^_`|~0-9A-Za-z]+):(.*)$/s.exec(text) ?? [];
    if (name === undefined || value === undefined || /[\r\n\0]/.test(value)) {
      complain("--header", `found ${JSON.stringify(text)}, allowed 'Name: value'`);
    }
    return [name ?? "", (value ?? "").trim()] as [string, string];
  });
  const weights = new Map<string, number>();
  for (const text of values.get("weight") ?? []) {
    const [, id, weight] = /^(.+)=([^=]+)$/.exec(text) ?? [];
    if (id === undefined || !(Number(weight) > 0 && Number.isFinite(Number(weight)))) {
      complain("--weight", `found ${JSON.stringify(text)}, allowed BACKEND=N with N above 0`);
    } else weights.set(id, Number(weight));
  }
  const [pool, method, clientAddress] = [one("pool"), one("method"), one("client")];
  // Empty: a client of a unix socket has none.
  const addressProblem =
    clientAddress === undefined || clientAddress === "" ? null : findAddressProblem(clientAddress);
  if (addressProblem !== null) complain("--client", addressProblem);
  const use = one("strategy");
  const fileProblem =
    use !== undefined && isStrategyFile(use) ? findFileProblem(use, process.cwd()) : null;
  if (fileProblem !== null) complain("--strategy", fileProblem);
  refuse(problems);
  const strategy = use === undefined ? null : readSubject(use, one("options"), "explain");
  return {
    kind: "request",
    body: {
      url,
      headers,
      drain: [...(values.get("drain") ?? [])],
      weights: Object.fromEntries(weights),
      facts: strategy !== null,
      ...(pool === undefined ? {} : { pool }),
      ...(method === undefined ? {} : { method: method.toUpperCase() }),
      ...(clientAddress === undefined ? {} : { clientAddress }),
    },
    strategy,
  };
}

function isUrl(text: string): boolean {
  if (text.startsWith("/")) return URL.canParse(text, "http://localhost");
  return /^https?:\/\//i.test(text) && URL.canParse(text);
}

function refuse(problems: readonly Problem[]): void {
  if (problems.length > 0) throw new ConfigError(problems);
}
