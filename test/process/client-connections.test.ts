/** When the connections are looked at, and whom a limit hits; the sockets are made up. */
import { beforeEach, describe, expect, test } from "bun:test";
import { censusLength, ConnectionCensus } from "../../src/pool/connection-census.ts";
import { ClientConnections } from "../../src/process/client-connections.ts";
import type { Endpoint } from "../../src/transport/endpoint.ts";
import { RecordedLog } from "../_support/recorded-log.ts";

/** The two listening sockets and what else a worker has open. */
const OTHERS = 20;
/** From here on descriptors are connections to backends. */
const TO_BACKENDS = 10_000;

let sockets: Map<number, Endpoint>;
let closed: number[];
let now: number;
let sweeps: number;
let log: RecordedLog;
let fails: boolean;

beforeEach(() => {
  sockets = new Map();
  closed = [];
  now = 1000;
  sweeps = 0;
  log = new RecordedLog();
  fails = false;
});

function watch(limit: number | null = 1000): ClientConnections {
  return new ClientConnections({
    calls: {
      peek: () => "nothing",
      local: (descriptor) => ({
        address: "10.0.0.1",
        port: descriptor < TO_BACKENDS ? 80 : descriptor,
      }),
      peer: (descriptor, before) => {
        const peer = sockets.get(descriptor) ?? null;
        return before !== undefined && peer?.port === before.port ? before : peer;
      },
      isListening: () => false,
      limitUnsent() {},
      shutdown(descriptor) {
        closed.push(descriptor);
        sockets.delete(descriptor);
      },
    },
    descriptors: {
      limit,
      count: () => {
        if (fails) throw new Error("EMFILE");
        return OTHERS + sockets.size;
      },
      list: () => {
        sweeps++;
        now += 2;
        return [...sockets.keys()];
      },
    },
    census: new ConnectionCensus(new Int32Array(censusLength(1)), 1, "key"),
    worker: 0,
    column: 0,
    isListener: ({ port }) => port === 80,
    underWay: () => [],
    now: () => now,
    log,
  });
}

let nextPort = 1;

function connect(count: number, address: string): void {
  for (let i = 0; i < count; i++) sockets.set(100 + nextPort, { address, port: nextPort++ });
}

/** That many times a tenth of a second. */
function tick(connections: ClientConnections, times: number): void {
  for (let i = 0; i < times; i++) {
    now += 100;
    connections.tick();
  }
}

describe("the connections are looked at", () => {
  test("never while there are few", () => {
    const connections = watch();
    connect(400, "10.1.1.1");
    tick(connections, 100);
    expect(sweeps).toBe(0);
  });

  test("seldom while there are many but not too many", () => {
    const connections = watch(2000);
    // 128 are kept back, and each client may need another one to a backend: there is room for 936.
    connect(930, "10.1.1.1");
    for (let i = 0; i < 900; i++) {
      sockets.set(TO_BACKENDS + i, { address: "10.9.9.9", port: 30_000 + i });
    }
    tick(connections, 100);
    expect(closed).toEqual([]);
    // Ten seconds, of which each look takes two milliseconds.
    expect(sweeps).toBeLessThanOrEqual(10_000 / 250);
  });

  test("at once when there may be too many of a sudden", () => {
    const connections = watch();
    connect(440, "10.1.1.1");
    tick(connections, 2);
    connect(100, "10.1.1.1");
    tick(connections, 1);
    expect(sockets.size).toBe(436);
  });
});

describe("a limit for each address", () => {
  test("does not hit a trusted proxy, nor is its neighbour in the same /64 trusted", () => {
    const connections = watch();
    const isTrusted = (address: string) => address === "2001:db8::10";
    connections.setLimits({ max: null, maxPerAddress: 10 }, isTrusted);
    connect(30, "2001:db8::10");
    connect(30, "2001:db8::bad");
    connect(30, "2001:db8::bad:2");
    tick(connections, 5);
    const left = [...sockets.values()].map(({ address }) => address);
    expect(left.filter((address) => address === "2001:db8::10")).toHaveLength(30);
    expect(left).toHaveLength(40);
  });

  test("that is lowered holds for connections that are there already", () => {
    const connections = watch();
    connections.setLimits({ max: null, maxPerAddress: 20 }, () => false);
    connect(20, "10.1.1.1");
    tick(connections, 5);
    expect(closed).toEqual([]);
    connections.setLimits({ max: null, maxPerAddress: 5 }, () => false);
    tick(connections, 5);
    expect(sockets.size).toBe(5);
  });
});

test("descriptors that cannot be read are said once, and nothing is closed", () => {
  const connections = watch();
  fails = true;
  connect(2000, "10.1.1.1");
  tick(connections, 10);
  expect(closed).toEqual([]);
  expect(log.lines.filter(({ level }) => level === "error")).toHaveLength(1);
});
