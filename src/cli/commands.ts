export interface CommandEntry {
  readonly description: string;
  /** Not in the help: started by this program itself. */
  readonly hidden?: true;
  /** Flags that may be given more than once. */
  readonly repeatable?: readonly string[];
  /** Shown in the command's help: what to type, and what it does. */
  readonly examples: readonly (readonly [command: string, effect: string])[];
  /** A module whose default export is a citty command. */
  readonly load: () => Promise<{ readonly default: unknown }>;
}

/** All sub-commands. What is here is enough for the help, so that no command is loaded for it. */
export const commands: Readonly<Record<string, CommandEntry>> = {
  serve: {
    description: "Balance HTTP traffic over backends",
    repeatable: ["listen", "backend"],
    examples: [
      [
        "leastwise serve --backend http://127.0.0.1:3001 --backend http://127.0.0.1:3002",
        "Two backends, everything else at its default",
      ],
      [
        "leastwise serve --backend 'http://10.0.0.1:3000;weight=3,http://10.0.0.2:3000'",
        "The first backend gets three times the share",
      ],
      ["leastwise serve --config leastwise.config.ts", "Everything from a file"],
      [
        "leastwise serve --backend http://127.0.0.1:3001 --strategy ./mine.ts --watch",
        "Backends are picked by your own code, which is reloaded when you save it",
      ],
    ],
    load: () => import("./serve.ts"),
  },
  check: {
    description: "Find every mistake in flags, config file and strategies; start nothing",
    repeatable: ["listen", "backend"],
    examples: [
      ["leastwise check", "The config file of this folder"],
      ["leastwise check --config /etc/leastwise/leastwise.config.yaml", "Another one"],
      ["leastwise check --json", "What would run, for programs"],
    ],
    load: () => import("./check.ts"),
  },
  status: {
    description: "Show a running leastwise: pools, backends, requests in flight",
    examples: [
      ["leastwise status", "Of the one that this folder's config or the default address names"],
      ["leastwise status --admin 127.0.0.1:9901 --json", "Of another one, for programs"],
      [
        "LEASTWISE_ADMIN_TOKEN=$TOKEN leastwise status --admin 10.0.0.1:9900",
        "Of one that wants a token: the config file's goes to the config file's address only",
      ],
    ],
    load: () => import("./status.ts"),
  },
  reload: {
    description: "Have a running leastwise load its config file and strategies anew",
    examples: [
      ["leastwise reload", "Exit 1 with the reasons when the configuration before goes on"],
      ["leastwise reload --admin 127.0.0.1:9901 --json", "Of another one, for programs"],
    ],
    load: () => import("./reload.ts"),
  },
  drain: {
    description: "Take a backend out: it finishes what it has and gets nothing new",
    examples: [
      ["leastwise drain 10.0.0.1:3000", "In every pool that has it, until undrain"],
      ["leastwise drain api-b --pool web", "In one pool, by the id that the config gives"],
    ],
    load: () => import("./drain.ts"),
  },
  undrain: {
    description: "Give a drained backend requests again",
    examples: [["leastwise undrain 10.0.0.1:3000", "In every pool that has it"]],
    load: () => import("./undrain.ts"),
  },
  recycle: {
    description: "Replace the workers of a running leastwise one by one, without a pause",
    examples: [
      ["leastwise recycle", "Each new one serves before its predecessor stops accepting"],
      ["leastwise recycle --admin 127.0.0.1:9901 --json", "Of another one, for programs"],
    ],
    load: () => import("./recycle.ts"),
  },
  explain: {
    description: "Say who would get a request and why, or why a recorded one went where it went",
    repeatable: ["header", "drain", "weight"],
    examples: [
      [
        "leastwise explain --url http://api.example.com/v1/users",
        "Route, pool, candidates, scores",
      ],
      [
        "leastwise explain --url /cart --header 'Cookie: id=7' --drain api-b --weight api-c=3",
        "And what would change",
      ],
      ["leastwise explain --url /cart --strategy ./mine.ts", "The same with another strategy"],
      [
        "leastwise explain --trace 4bf92f3577b34da6a3ce929d0e0e4736 --as-test",
        "A decision that was made, as a test of its strategy",
      ],
    ],
    load: () => import("./explain.ts"),
  },
  demo: {
    description: "Show what the strategy does in a launch spike, with real traffic on this machine",
    repeatable: ["strategy"],
    examples: [
      ["leastwise demo", "round-robin against least-connections, in under 100 s"],
      ["leastwise demo --strategy random --strategy ./mine.ts", "Your own against a built-in"],
    ],
    load: () => import("./demo.ts"),
  },
  "plugin init": {
    description: "Begin a strategy: its file, its test, and what an editor needs",
    examples: [["leastwise plugin init mine", "mine.ts, mine.test.ts, tsconfig.json, .leastwise/"]],
    load: () => import("./plugin/init.ts"),
  },
  "plugin check": {
    description: "Prove a strategy before it ships: types, options, every rule of the suite",
    examples: [
      ["leastwise plugin check mine.ts", "Each rule that is broken, with a test that shows it"],
      [
        `leastwise plugin check mine.ts --options '{"zone":"a"}' --json`,
        "With options, for programs",
      ],
    ],
    load: () => import("./plugin/check.ts"),
  },
  "plugin test": {
    description: "Run the tests of strategies, with nothing else installed",
    repeatable: ["files"],
    examples: [
      ["leastwise plugin test", "All *.test.ts of this folder and those below"],
      ["leastwise plugin test mine.test.ts -t failed", "One file, tests with a name like that"],
    ],
    load: () => import("./plugin/test.ts"),
  },
  "plugin bench": {
    description: "Measure how long a strategy takes to pick, beside the built-in ones",
    examples: [["leastwise plugin bench mine.ts", "At 3, 100, 1,000 and 10,000 candidates"]],
    load: () => import("./plugin/bench.ts"),
  },
  "plugin list": {
    description: "Show the strategies there are: built-in, configured, running",
    examples: [
      ["leastwise plugin list", "With state and faults, when a leastwise answers"],
      ["leastwise plugin list --config leastwise.config.ts --json", "For programs"],
    ],
    load: () => import("./plugin/list.ts"),
  },
  "plugin rollback": {
    description: "Return a pool's strategy to the version before, until the next reload",
    examples: [
      [
        "leastwise plugin rollback web",
        "No request is lost; leastwise reload takes the file again",
      ],
    ],
    load: () => import("./plugin/rollback.ts"),
  },
  schema: {
    description: "Print the JSON Schema of the config file",
    examples: [["leastwise schema > leastwise.schema.json", "For an editor"]],
    load: () => import("./schema.ts"),
  },
  version: {
    description: "Print the version",
    examples: [["leastwise version", "The same as leastwise --version"]],
    load: () => import("./version.ts"),
  },
  "__demo-backends": {
    description: "The demo's backends",
    hidden: true,
    examples: [],
    load: () => import("./demo/backends.ts"),
  },
};

/** Names that a person may type, `help` included. */
export const commandNames: readonly string[] = [
  ...Object.keys(commands).filter((name) => !commands[name]?.hidden),
  "help",
];
