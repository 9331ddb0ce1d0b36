import * as z from "zod";
import { findAddressProblem } from "../config/ip-address.ts";
import { ConfigError, RuntimeError } from "../errors.ts";
import type { ExplainQuestion } from "./explanation.ts";
import type { AdminFacts } from "./facts.ts";
import { problem } from "./problem-answer.ts";

/** A request's header is far smaller. */
const MOST_BYTES = 256 * 1024;

const TOKEN = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;

/** Empty: whoever comes through a unix socket. */
const clientAddress = z.string().transform((text, { issues }) => {
  const message = text === "" ? null : findAddressProblem(text);
  if (message !== null) issues.push({ code: "custom", input: text, message });
  return text;
});

const weight = z.number().positive().finite();

/** No record of zod's, which leaves out `__proto__`: nobody would be told that there is no such backend. */
const weights = z
  .custom<Readonly<Record<string, number>>>(isRecord, "is no object")
  .transform((all, { issues }) => {
    for (const [id, input] of Object.entries(all)) {
      const { error } = weight.safeParse(input);
      for (const { message } of error?.issues ?? []) {
        issues.push({ code: "custom", input, message, path: [id] });
      }
    }
    return all;
  });

const question = z.strictObject({
  url: z.string(),
  method: z.string().regex(TOKEN, "is no method").default("GET"),
  headers: z.array(z.tuple([z.string().regex(TOKEN, "is no header name"), z.string()])).default([]),
  clientAddress: clientAddress.default("127.0.0.1"),
  pool: z.string().nullable().default(null),
  drain: z.array(z.string()).default([]),
  weights: weights.default({}),
  facts: z.boolean().default(false),
});

/** What `POST /api/v1/explain` takes. */
export type ExplainBody = z.input<typeof question>;

/** `POST /api/v1/explain`. */
export async function answerExplain(facts: AdminFacts, request: Request): Promise<Response> {
  const isLong = Number(request.headers.get("content-length")) > MOST_BYTES;
  const text = isLong ? "" : await request.text();
  if (isLong || text.length > MOST_BYTES) {
    return problem(413, `the question is longer than ${MOST_BYTES} bytes`);
  }
  let body: unknown;
  try {
    body = JSON.parse(text);
  } catch {
    return problem(400, 'the question is no JSON; it is like {"url":"http://api.example/v1/x"}');
  }
  const parsed = question.safeParse(body);
  if (!parsed.success) {
    const reasons = parsed.error.issues.map(({ path, message }) => `${path.join(".")}: ${message}`);
    return problem(400, reasons.join("; "));
  }
  const asked = readQuestion(parsed.data);
  if (asked === null) {
    const found = JSON.stringify(parsed.data.url);
    return problem(400, `url: found ${found}, allowed http://host/path?query or /path?query`);
  }
  try {
    return Response.json(await facts.explain(asked));
  } catch (error) {
    if (error instanceof ConfigError) {
      return problem(
        422,
        error.problems.map(({ path, message }) => `${path}: ${message}`).join("; "),
      );
    }
    if (error instanceof RuntimeError) return problem(422, error.message);
    throw error;
  }
}

function isRecord(value: unknown): boolean {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** Null: the URL is none. */
function readQuestion({
  url,
  headers,
  ...asked
}: z.output<typeof question>): ExplainQuestion | null {
  const isPath = url.startsWith("/");
  if (!isPath && !/^https?:\/\//i.test(url)) return null;
  const whole = isPath ? `http://localhost${url}` : url;
  if (!URL.canParse(whole)) return null;
  const { host, pathname, search } = new URL(whole);
  const fields = joined(headers);
  const { method, clientAddress, pool, drain, weights } = asked;
  const sentHost = fields["host"] ?? (isPath ? "" : host);
  return {
    request: {
      method,
      host: sentHost,
      path: pathname,
      query: search.slice(1),
      clientAddress,
      headers: { ...fields, ...(sentHost === "" ? {} : { host: sentHost }) },
    },
    pool,
    modifications: { drain, weights },
    facts: asked.facts,
  };
}

/** By lower-case name; cookies are joined by their own sign (RFC 6265, 4.2.1). */
function joined(headers: readonly (readonly [string, string])[]): Record<string, string> {
  const fields = new Map<string, string>();
  for (const [name, value] of headers) {
    const key = name.toLowerCase();
    const before = fields.get(key);
    const sign = key === "cookie" ? "; " : ", ";
    fields.set(key, before === undefined ? value.trim() : `${before}${sign}${value.trim()}`);
  }
  return Object.fromEntries(fields);
}
