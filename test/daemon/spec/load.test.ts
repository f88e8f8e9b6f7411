import fc from "fast-check";
import { expect, test } from "vitest";
import { diagnosticsMax } from "../../../daemon/spec/findings.ts";
import { loadSpec } from "../../../daemon/spec/load.ts";
import type { MatchSpec, RouteSpec, Spec } from "../../../daemon/spec/spec.ts";

const load = (text: string, knownServices: readonly string[] | null = null) =>
  loadSpec(text, { file: "mesh.yaml", knownServices });

function specOf(text: string): Spec {
  const loaded = load(text);
  if (loaded.kind === "invalid") throw new Error(loaded.diagnostics.map(({ message }) => message).join("\n"));
  return loaded.spec;
}

function codesOf(text: string): readonly string[] {
  const loaded = load(text);
  return (loaded.kind === "ok" ? loaded.warnings : loaded.diagnostics).map(({ code }) => code);
}

const route = (yaml: string): RouteSpec => {
  const [first] = specOf(
    `services: { payment: { versions: { v1: {}, v2: {} }, routes: [${yaml}] }, cart: {} }`,
  ).services;
  const [built] = first?.routes ?? [];
  if (built === undefined) throw new Error("no route");
  return built;
};

const matches: readonly (readonly [string, string, readonly MatchSpec[]])[] = [
  ["an exact path", "{ path: /charge }", [{ path: { kind: "exact", value: "/charge" } }]],
  ["a star at the end is a prefix", "{ path: /api/* }", [{ path: { kind: "prefix", value: "/api/" } }]],
  ["everything below the root", "{ path: /* }", [{ path: { kind: "prefix", value: "/" } }]],
  ["a prefix as Istio has it", "{ path: { prefix: /api } }", [{ path: { kind: "prefix", value: "/api" } }]],
  ["a regex", '{ path: { regex: "/v[12]" } }', [{ path: { kind: "regex", value: "/v[12]" } }]],
  ["one method", "{ method: POST }", [{ method: { kind: "exact", value: "POST" } }]],
  [
    "several methods, each once",
    "{ methods: [GET, PUT, GET], path: /a }",
    [
      { path: { kind: "exact", value: "/a" }, method: { kind: "exact", value: "GET" } },
      { path: { kind: "exact", value: "/a" }, method: { kind: "exact", value: "PUT" } },
    ],
  ],
  [
    "a header in lower case",
    '{ headers: { X-Beta: "true" } }',
    [{ headers: { "x-beta": { kind: "exact", value: "true" } } }],
  ],
  ["a header's presence", "{ headers: { a: { present: true } } }", [{ headers: { a: { kind: "present" } } }]],
  ["a query key as written", '{ query: { Q: "" } }', [{ query: { Q: { kind: "exact", value: "" } } }]],
  [
    "a list is OR",
    "[{ method: GET }, { path: /b }]",
    [{ method: { kind: "exact", value: "GET" } }, { path: { kind: "exact", value: "/b" } }],
  ],
];

test.each(matches)("match reads %s", (_, yaml, expected) => {
  expect(route(`{ match: ${yaml}, to: v1 }`).match).toEqual(expected);
});

const destinations: readonly (readonly [string, string, RouteSpec["to"]])[] = [
  ["a version", "v2", [{ service: "payment", version: "v2", weight: 1 }]],
  ["a service", "cart", [{ service: "cart", version: null, weight: 1 }]],
  ["both", "payment/v1", [{ service: "payment", version: "v1", weight: 1 }]],
  [
    "weights",
    "{ v1: 3, cart: 1 }",
    [
      { service: "payment", version: "v1", weight: 3 },
      { service: "cart", version: null, weight: 1 },
    ],
  ],
];

test.each(destinations)("to reads %s", (_, yaml, expected) => {
  expect(route(`{ to: ${yaml} }`).to).toEqual(expected);
});

const weightCases: readonly (readonly [string, string, readonly string[]])[] = [
  ["any whole numbers", "{ v1: 3, v2: 4 }", []],
  ["a sum that is not 100", "{ v1: 1, v2: 1 }", []],
  ["0 beside another", "{ v1: 0, v2: 1 }", []],
  ["10,000 in sum", "{ v1: 9999, v2: 1 }", []],
  ["more whose common divisor brings them below", "{ v1: 900000, v2: 100000 }", []],
  ["10,001 in sum", "{ v1: 10000, v2: 1 }", ["DM1113"]],
  ["all 0", "{ v1: 0, v2: 0 }", ["DM1113"]],
  ["nothing", "{}", ["DM1113"]],
  ["a fraction", "{ v1: 0.5, v2: 1 }", ["DM1113"]],
  ["a negative one", "{ v1: -1, v2: 1 }", ["DM1113"]],
  ["infinity", "{ v1: .inf, v2: 1 }", ["DM1102"]],
];

test.each(weightCases)("split with %s gives the right codes", (_, split, expected) => {
  expect(codesOf(`services: { payment: { versions: { v1: {}, v2: {} }, split: ${split} } }`)).toEqual(expected);
});

test("an unknown service is an error only when the services are known", () => {
  const text = "services: { cart: { allow: [{ from: website }] } }";
  expect(load(text).kind).toBe("ok");
  expect(load(text, ["cart"]).kind).toBe("invalid");
});

test("a version by its implied container makes its service known", () => {
  expect(load("services: { payment: { versions: { v1: {}, v2: {} } } }", ["payment-v1", "payment-v2"])).toMatchObject({
    kind: "ok",
    warnings: [],
  });
});

test("a file larger than the limit is refused before it is parsed", () => {
  expect(codesOf(`a: "${"x".repeat(1_048_577)}"`)).toEqual(["DM1004"]);
});

test("YAML 1.1 is read as 1.2, so that on stays a word", () => {
  const { services } = specOf("%YAML 1.1\n---\nservices: { a: { retries: { on: [reset] } } }");
  expect(services[0]?.retry.on).toEqual(["reset"]);
});

test("at most a hundred problems are listed, and the last line says how many more there are", () => {
  const text = Array.from({ length: 300 }, (_, index) => `key${index}: 1`).join("\n");
  const loaded = load(text);
  const diagnostics = loaded.kind === "invalid" ? loaded.diagnostics : [];
  expect(diagnostics).toHaveLength(diagnosticsMax + 1);
  expect(diagnostics.at(-1)?.message).toBe("200 more problems are not shown");
});

const hostile: readonly (readonly [string, () => string])[] = [
  ["a hundred thousand keys", () => `services:\n${Array.from({ length: 60_000 }, (_, i) => `  s${i}: {}`).join("\n")}`],
  ["unknown keys by the ten thousand", () => Array.from({ length: 60_000 }, (_, i) => `k${i}: 1`).join("\n")],
  ["brackets without end", () => "[".repeat(100_000)],
  ["braces without end", () => "{a: ".repeat(50_000)],
  ["documents by the thousand", () => "--- {}\n".repeat(20_000)],
  [
    "aliases of aliases in many documents",
    () => "---\na: &a [1,2,3,4,5,6,7,8]\nb: &b [*a,*a,*a,*a,*a,*a]\nc: [*b,*b,*b,*b,*b,*b]\n".repeat(1_000),
  ],
  [
    "the same container claimed again and again",
    () =>
      `services:\n  a:\n    versions:\n${Array.from({ length: 5_000 }, (_, i) => `      v${i}: { container: x }`).join("\n")}`,
  ],
];

test.each(hostile)("%s end in an answer within seconds", (_, make) => {
  const text = make();
  const start = performance.now();
  load(text);
  expect(performance.now() - start).toBeLessThan(15_000);
});

test("__proto__ as a key is refused and pollutes nothing", () => {
  expect(codesOf("services: { __proto__: { port: 80 } }")).toContain("DM1011");
  expect(({} as Record<string, unknown>).port).toBeUndefined();
});

// Fragments of real files, so that random text gets past the parser often enough to be worth something.
const fragment = fc.constantFrom(
  ..."services: |payment: |  |    |\n|\n  |\n    |{|}|[|]|, |- |v1|v2|split|routes|match|to: |: |90|-1|0.5|&a |*a|<<: |---\n|kind: VirtualService\n|apiVersion: networking.istio.io/v1\n|metadata: |spec: |hosts: |http: |\"|'|#|!x |\t|true|null|~|__proto__|constructor|\u0000|\uFEFF|gateway: |listen: 80|allow: |from: |retries: |% |? |> |".split(
    "|",
  ),
);

test("no text makes loadSpec throw", () => {
  const text = fc.oneof(
    fc.string({ unit: "binary", maxLength: 200 }),
    fc.array(fragment, { maxLength: 60 }).map((parts) => parts.join("")),
  );
  fc.assert(
    fc.property(text, (yaml) => {
      const loaded = load(yaml, ["payment"]);
      const all = loaded.kind === "ok" ? loaded.warnings : loaded.diagnostics;
      for (const { line, column } of all)
        expect(line === 0 ? column : Math.min(line, column)).toBeGreaterThanOrEqual(line === 0 ? 0 : 1);
      if (loaded.kind === "invalid") expect(all.some(({ severity }) => severity === "error")).toBe(true);
    }),
    { numRuns: 2_000 },
  );
});

test("no value of any shape makes loadSpec throw", () => {
  const key = fc.constantFrom(
    "services",
    "payment",
    "versions",
    "split",
    "routes",
    "match",
    "headers",
    "to",
    "allow",
    "from",
    "gateway",
    "listen",
    "spec",
    "http",
    "route",
    "destination",
    "host",
    "retries",
    "on",
    "v1",
    "kind",
    "apiVersion",
    "hosts",
    "metadata",
    "name",
    "weight",
    "uri",
  );
  const leaf = fc.oneof(
    fc.constantFrom("VirtualService", "DestinationRule", "networking.istio.io/v1", "v1", "/a", "*"),
    fc.string({ maxLength: 5 }),
    fc.integer(),
    fc.boolean(),
    fc.constant(null),
  );
  const { tree } = fc.letrec((tie) => ({
    tree: fc.oneof(
      { maxDepth: 7 },
      leaf,
      fc.array(tie("tree"), { maxLength: 3 }),
      fc.dictionary(key, tie("tree"), { maxKeys: 5 }),
    ),
  }));
  fc.assert(
    fc.property(tree, (value) => {
      // JSON is YAML.
      load(JSON.stringify(value), ["payment"]);
    }),
    { numRuns: 1_000 },
  );
});
