/** A value in a few characters, for messages. Never throws, whatever a strategy made. */
export function describeValue(value: unknown): string {
  try {
    if (typeof value === "string") return shorten(JSON.stringify(value));
    if (typeof value === "function") return "a function";
    if (isThenable(value)) return "a Promise";
    if (typeof value !== "object" || value === null) return shorten(String(value));
    return shorten(JSON.stringify(value) ?? "an object");
  } catch {
    return "an object";
  }
}

/** What was thrown, in one line: `boom`, `TypeError: x is not a function`. Never throws, whatever was thrown. */
export function describeThrown(thrown: unknown): string {
  try {
    // "Error: " would say nothing that "threw" has not said.
    const plain = thrown instanceof Error && thrown.name === "Error" && thrown.message !== "";
    const text = plain ? thrown.message : thrown instanceof Error ? thrown : describeValue(thrown);
    return shorten(String(text).replaceAll(/\s+/g, " ").trim());
  } catch {
    return "something that cannot be shown";
  }
}

/** Never throws, unlike reading `then` of something that a strategy made. */
export function isThenable(value: unknown): value is PromiseLike<unknown> {
  if ((typeof value !== "object" || value === null) && typeof value !== "function") return false;
  try {
    return "then" in value && typeof value.then === "function";
  } catch {
    return false;
  }
}

const LONGEST = 200;

function shorten(text: string): string {
  return text.length > LONGEST ? `${text.slice(0, LONGEST)}…` : text;
}
