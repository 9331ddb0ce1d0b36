// Connects with every descriptor of the process taken, and again when they are free; says the error codes.
import { closeSync, openSync } from "node:fs";
import { devNull } from "node:os";

const port = Number(process.argv[2]);

async function connect(): Promise<string | null> {
  try {
    const socket = await Bun.connect({ hostname: "127.0.0.1", port, socket: { data() {} } });
    socket.terminate();
    return null;
  } catch (error) {
    return error instanceof Error && "code" in error ? String(error.code) : String(error);
  }
}

const taken: number[] = [];
try {
  for (;;) taken.push(openSync(devNull, "r"));
} catch {
  // All of them.
}
const without = await connect();
for (const descriptor of taken) closeSync(descriptor);
console.log(JSON.stringify({ without, after: await connect() }));
process.exit();
