import { type ArgsDef, defineCommand } from "citty";
import { adminArgs, readAdminTarget } from "./admin-flags.ts";

const args = {
  url: {
    type: "string",
    valueHint: "URL",
    description: "Of the request: http://host/path?query, or /path?query",
  },
  method: { type: "string", valueHint: "METHOD", description: "GET unless given" },
  header: {
    type: "string",
    valueHint: "'NAME: VALUE'",
    description: "A header field of the request; may be repeated",
  },
  client: {
    type: "string",
    valueHint: "ADDRESS",
    description: "The client's IP address, 127.0.0.1 unless given; empty for one of a unix socket",
  },
  pool: {
    type: "string",
    valueHint: "POOL",
    description: "The pool that is asked, instead of the one that the routes say",
  },
  drain: {
    type: "string",
    valueHint: "BACKEND",
    description: "What would change if it were drained; may be repeated",
  },
  weight: {
    type: "string",
    valueHint: "BACKEND=N",
    description: "What would change if it had this weight; may be repeated",
  },
  strategy: {
    type: "string",
    valueHint: "NAME|FILE",
    description: "What would change with another strategy, which is run here and not there",
  },
  options: {
    type: "string",
    valueHint: "JSON",
    description: "The other strategy's options; the pool's, for the pool's own file, unless given",
  },
  trace: {
    type: "string",
    valueHint: "ID",
    description: "Instead of a URL: the decisions of a request that was traced",
  },
  "as-test": {
    type: "boolean",
    description: "With --trace: write them as tests of the strategy, into this folder",
  },
  ...adminArgs,
  json: { type: "boolean", description: "Print everything as JSON" },
} as const satisfies ArgsDef;

export default defineCommand({
  meta: { name: "explain", description: "Say who would get a request and why" },
  args,
  async run({ args: flags, rawArgs }) {
    const [{ readQuestion }, { readArguments }] = await Promise.all([
      import("./explain/question.ts"),
      import("./arguments.ts"),
    ]);
    const { values } = readArguments(rawArgs, args, ["header", "drain", "weight"]);
    const question = readQuestion(values);
    const target = await readAdminTarget(flags);
    const { json = false } = flags;
    if (question.kind === "decision") {
      const { showDecisions, writeTests } = await import("./explain/recorded.ts");
      const show = question.asTest ? writeTests : showDecisions;
      process.stdout.write(await show(target, question.traceId, json));
      return;
    }
    const { explainRequest } = await import("./explain/request.ts");
    process.stdout.write(await explainRequest(target, question, json));
  },
});
