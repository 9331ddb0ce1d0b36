import { expect, test } from "bun:test";
import { configJsonSchema } from "../../src/config/json-schema.ts";

interface Node {
  readonly properties?: Readonly<Record<string, Node>>;
  readonly additionalProperties?: false | Node;
  readonly anyOf?: readonly Node[];
  readonly required?: readonly string[];
  readonly default?: unknown;
  readonly description?: string;
  readonly type?: string;
}

test("the schema tells what one writes and not what it becomes", () => {
  const schema = configJsonSchema() as Node;
  const pool = schema.properties?.["pools"]?.additionalProperties as Node;
  const health = pool.properties?.["health"]?.anyOf?.find(({ type }) => type === "object");
  expect(health?.properties?.["interval"]).toMatchObject({ type: "string", default: "5s" });
  expect(schema.required).toEqual(["pools"]);
  expect(pool.required).toEqual(["backends"]);
});

test("unknown keys are refused at every level", () => {
  const open: string[] = [];
  const visit = (node: Node, path: string): void => {
    if (node.properties && node.additionalProperties !== false) open.push(path);
    for (const [key, child] of Object.entries(node.properties ?? {}))
      visit(child, `${path}.${key}`);
    for (const child of node.anyOf ?? []) visit(child, path);
    if (node.additionalProperties) visit(node.additionalProperties, `${path}.*`);
  };
  visit(configJsonSchema() as Node, "config");
  expect(open).toEqual([]);
});

test("it is plain JSON with descriptions", () => {
  const schema = configJsonSchema();
  expect(JSON.parse(JSON.stringify(schema))).toEqual(schema);
  expect((schema as Node).properties?.["workers"]?.description).toContain("processors");
});
