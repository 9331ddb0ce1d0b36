import { expect, test } from "bun:test";
import type { FromWorker } from "../../src/process/messages.ts";
import { DecisionLog } from "../../src/process/decision-log.ts";
import { tellAnswer, type WorkerKnowledge } from "../../src/process/questions.ts";
import { RecordedLog } from "../_support/recorded-log.ts";

const QUERY = { pool: null, traceId: null, limit: 10 };

interface Asked {
  readonly told: FromWorker[];
  readonly log: RecordedLog;
}

function ask(about: "decisions" | "instance", change: Partial<WorkerKnowledge>): Asked {
  const told: FromWorker[] = [];
  const log = new RecordedLog();
  const question =
    about === "decisions" ? { about, query: QUERY } : ({ about, pool: "web" } as const);
  const message = { type: "ask", id: 3, question } as const;
  tellAnswer(message, {
    decisions: new DecisionLog({ worker: 0, wallClock: () => 0 }),
    serving: new Map(),
    now: () => 0,
    tell: (answer) => void told.push(answer),
    log,
    ...change,
  });
  return { told, log };
}

test("a question is answered by its number", () => {
  expect(ask("decisions", {}).told).toEqual([
    { type: "answer", id: 3, answer: { about: "decisions", decisions: [] } },
  ]);
  expect(ask("instance", {}).told).toEqual([
    { type: "answer", id: 3, answer: { about: "instance", instance: null } },
  ]);
});

test("an answer that cannot be given, or not sent, is logged and goes no further", () => {
  const breaks = (): never => {
    throw new Error("broken");
  };
  const serving = { get: breaks } as unknown as WorkerKnowledge["serving"];
  for (const { told, log } of [ask("instance", { serving }), ask("instance", { tell: breaks })]) {
    expect(told).toEqual([]);
    expect(log.lines).toEqual([
      {
        level: "error",
        message: "a question of the master cannot be answered",
        fields: { about: "instance", error: "broken" },
      },
    ]);
  }
});
