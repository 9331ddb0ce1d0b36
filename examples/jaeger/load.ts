// npx -y bun@1.4.5 examples/jaeger/load.ts http://127.0.0.1:8080
//
// Sends 20 requests a second as a shop's visitors would, and says every five seconds how they ended.
// The number and, in seconds, an end may follow.
export {};

const [url = "http://127.0.0.1:8080", perSecond = "20", seconds = "Infinity"] =
  process.argv.slice(2);

const endings = new Map<string, number>();

async function visit(): Promise<void> {
  const [path, method] =
    Math.random() < 0.2
      ? ["/orders", "POST"]
      : [`/products/${Math.ceil(Math.random() * 1000)}`, "GET"];
  const body = method === "POST" ? JSON.stringify({ items: 1 }) : null;
  const whim = Math.random();
  // The second is what the strategy cannot read.
  const headers = { ...(whim < 0.1 && { "x-avoid": whim < 0.05 ? '["slow"]' : "slow" }) };
  let ending: string;
  try {
    const response = await fetch(url + path, { method, body, headers });
    await response.arrayBuffer();
    ending = `${method} ${response.status}`;
  } catch {
    ending = `${method} without an answer`;
  }
  endings.set(ending, (endings.get(ending) ?? 0) + 1);
}

function report(): void {
  const counts = [...endings].toSorted().map(([ending, count]) => `${ending}: ${count}`);
  console.log(counts.join(", "));
}

/** Whether answers are slow or not, the next request is due. */
const endsAt = performance.now() + Number(seconds) * 1000;
const reporting = setInterval(report, 5000);
const visits = new Set<Promise<void>>();
while (performance.now() < endsAt) {
  const going = visit();
  visits.add(going);
  void going.then(() => visits.delete(going));
  await Bun.sleep(1000 / Number(perSecond));
}
clearInterval(reporting);
await Promise.all(visits);
report();
