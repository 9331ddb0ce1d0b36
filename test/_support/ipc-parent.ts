// Starts a child with a channel, says its process id, and waits to be killed.
import { join } from "node:path";

const child = Bun.spawn([process.execPath, join(import.meta.dir, "ipc-child.ts")], {
  stdin: "ignore",
  stdout: "inherit",
  serialization: "advanced",
  ipc: () => console.log(child.pid),
});
await child.exited;
