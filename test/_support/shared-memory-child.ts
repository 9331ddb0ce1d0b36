// Opens the memory named by its argument, says what it finds in word 0, adds 1 to word 1 many times.
import { openSharedMemory } from "../../src/pool/shared-memory.ts";

const view = openSharedMemory(process.argv[2] ?? "");
const found = Atomics.load(view, 0);
for (let i = 0; i < 100_000; i++) Atomics.add(view, 1, 1);
console.log(JSON.stringify({ found, words: view.length }));
