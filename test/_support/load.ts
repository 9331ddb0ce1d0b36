/** Clients in numbers, and how each request of theirs ended: by its status, or by what the client's error says. */
export type Endings = Map<string, number>;

/** Keeps this many requests going until `until` settles. */
export async function load(
  url: string,
  concurrency: number,
  until: Promise<unknown>,
): Promise<Endings> {
  let over = false;
  void until.then(() => {
    over = true;
  });
  return keepSending(url, concurrency, () => !over);
}

/** Sends this many requests, `concurrency` at a time. */
export function sendMany(url: string, count: number, concurrency: number): Promise<Endings> {
  let left = count;
  return keepSending(url, concurrency, () => left-- > 0);
}

async function keepSending(
  url: string,
  concurrency: number,
  goesOn: () => boolean,
): Promise<Endings> {
  const endings: Endings = new Map();
  const one = async () => {
    while (goesOn()) {
      let ending: string;
      try {
        const response = await fetch(url);
        await response.arrayBuffer();
        ending = String(response.status);
      } catch (error) {
        ending = error instanceof Error ? error.message : String(error);
      }
      endings.set(ending, (endings.get(ending) ?? 0) + 1);
    }
  };
  await Promise.all(Array.from({ length: concurrency }, one));
  return endings;
}
