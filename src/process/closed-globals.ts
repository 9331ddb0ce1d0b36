/** What our code and Bun's takes from the global object. Not all there is: Bun makes most of it when it is asked for. */
const NAMES = [
  "AbortController",
  "AbortSignal",
  "Array",
  "ArrayBuffer",
  "Atomics",
  "BigInt",
  "Boolean",
  "Buffer",
  "Bun",
  "DataView",
  "Date",
  "Error",
  "Float64Array",
  "Headers",
  "Int32Array",
  "JSON",
  "Map",
  "Math",
  "Number",
  "Object",
  "Promise",
  "Proxy",
  "RangeError",
  "ReadableStream",
  "Reflect",
  "RegExp",
  "Request",
  "Response",
  "Set",
  "SharedArrayBuffer",
  "String",
  "Symbol",
  "SyntaxError",
  "TextDecoder",
  "TextEncoder",
  "TypeError",
  "URL",
  "URLSearchParams",
  "Uint8Array",
  "WeakMap",
  "WeakRef",
  "WeakSet",
  "clearImmediate",
  "clearInterval",
  "clearTimeout",
  "crypto",
  "fetch",
  "performance",
  "process",
  "queueMicrotask",
  "setImmediate",
  "setInterval",
  "setTimeout",
  "structuredClone",
] as const satisfies readonly (keyof typeof globalThis)[];

/**
 * Closes the globals of this process, as `closeObjectPrototype` does its object: without its timers or promises our
 * code would go on and answer nobody. Replacing one throws from then on, where the strategy does it.
 */
export function closeGlobals(): void {
  for (const name of NAMES) {
    Object.defineProperty(globalThis, name, { writable: false, configurable: false });
  }
}
