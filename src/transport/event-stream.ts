/** Server-sent events: a body that may be silent for as long as it likes. */
export function isEventStream(
  headers: readonly (readonly [name: string, value: string])[],
): boolean {
  const type = headers.find(
    ([name]) => name.length === 12 && name.toLowerCase() === "content-type",
  );
  return type !== undefined && /^text\/event-stream(?:[ \t;]|$)/i.test(type[1]);
}
