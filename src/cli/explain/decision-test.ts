import type { RecordedCandidate } from "../../admin/recorded-decision.ts";
import { renderValue } from "../../strategy/history-test.ts";
import type { ProvenDecision } from "./decision-proof.ts";

/** The source of a test file, a test for each decision. */
export function renderDecisionTests(
  decisions: readonly ProvenDecision[],
  { traceId, specifier }: { readonly traceId: string; readonly specifier: string },
): string {
  return `${[
    `// Written by: leastwise explain --trace ${traceId} --as-test`,
    'import { expect, test } from "bun:test";',
    'import { fakeBackends, rehearse } from "leastwise/testing";',
    `import strategy from ${JSON.stringify(specifier)};`,
    ...decisions.flatMap((each) => ["", ...renderTest(each, traceId)]),
  ].join("\n")}\n`;
}

function renderTest({ decision, options, previous, seeds }: ProvenDecision, traceId: string) {
  const { chosen, attempt, at, candidates, failOpen, request } = decision;
  const became = chosen === null ? "is refused" : `goes to ${chosen}`;
  const title = `${request.method} ${request.path} ${became}: attempt ${attempt} of trace ${traceId}, ${at}`;
  const given = [
    "backends",
    ...(options === undefined ? [] : [`options: ${renderValue(options)}`]),
    ...(previous === undefined ? [] : [`previous: ${renderValue(previous)}`]),
  ];
  const how = [
    ...(attempt === 1 ? [] : [`attempt: ${attempt}`]),
    ...(failOpen ? ["failOpen: true"] : []),
  ];
  const pick = `pool.pick(request${how.length === 0 ? "" : `, { ${how.join(", ")} }`})`;
  const picked = chosen === null ? pick : `${pick}?.id`;
  return [
    `test(${JSON.stringify(title)}, () => {`,
    "  const backends = fakeBackends([",
    ...candidates.map((each) => `    ${renderValue(fakeOf(each))},`),
    "  ]);",
    `  const request = ${renderValue(requestOf(decision))};`,
    ...(seeds === null
      ? [
          `  const pool = rehearse(strategy, { ${given.join(", ")} });`,
          `  expect(${picked}).toBe(${JSON.stringify(chosen)});`,
        ]
      : [
          "  // Chance has a part in it.",
          `  const picks = Array.from({ length: ${seeds} }, (_, seed) => {`,
          `    const pool = rehearse(strategy, { ${[...given, "seed"].join(", ")} });`,
          `    return ${picked};`,
          "  });",
          `  expect(picks).toContain(${JSON.stringify(chosen)});`,
        ]),
    "});",
  ];
}

function fakeOf({ id, url, inFlight, weight, labels }: RecordedCandidate) {
  return {
    id,
    url,
    inFlight,
    ...(weight === 1 ? {} : { weight }),
    ...(Object.keys(labels).length === 0 ? {} : { labels }),
  };
}

function requestOf({ request }: ProvenDecision["decision"]) {
  const { method, host, path, query, clientAddress } = request;
  const sent = Object.entries(request.headers).filter(([, value]) => value !== null);
  return {
    ...(method === "GET" ? {} : { method }),
    host,
    path,
    ...(query === "" ? {} : { query }),
    clientAddress,
    ...(sent.length === 0 ? {} : { headers: Object.fromEntries(sent) }),
  };
}
