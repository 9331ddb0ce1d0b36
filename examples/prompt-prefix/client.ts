/** Text shorter than this is not worth finding again: servers keep whole blocks only. */
const SHORTEST = 200;

/**
 * The header of a request with these messages, the first one first: a name for each prefix that ends with
 * a message, the shortest prefix first. Conversations that begin alike share the first names, and the next
 * turn of one has all names of the turn before.
 */
export async function promptPrefix(messages: readonly string[]): Promise<string> {
  const names: string[] = [];
  for (let count = 1; count <= messages.length; count++) {
    // Not just joined: ["ab"] and ["a", "b"] are different prompts.
    const text = JSON.stringify(messages.slice(0, count));
    if (text.length < SHORTEST) continue;
    const digest = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(text));
    names.push(Buffer.from(digest).toString("hex").slice(0, 16));
  }
  return names.slice(0, 32).join(",");
}
