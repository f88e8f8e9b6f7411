import fc from "fast-check";
import { expect, test } from "vitest";
import { editSplit } from "../../../daemon/spec/edit-split.ts";
import { loadSpec } from "../../../daemon/spec/load.ts";

type Weights = Readonly<Record<string, number>>;

function edit(text: string, weights: Weights, service = "payment"): string {
  const edited = editSplit(text, { service, weights });
  if (edited.kind === "invalid")
    throw new Error(edited.diagnostics.map(({ code, message }) => `${code} ${message}`).join("\n"));
  return edited.text;
}

const rows: readonly (readonly [string, string, Weights, string])[] = [
  [
    "flow style, comments and odd spacing",
    "# shop\nservices:\n  payment:   # the bank\n    versions: {v1: {}, v2: {}}\n    split: {  v1: 90,v2:   10 }   # canary\n\n\n",
    { v2: 20 },
    "# shop\nservices:\n  payment:   # the bank\n    versions: {v1: {}, v2: {}}\n    split: {  v1: 80,v2:   20 }   # canary\n\n\n",
  ],
  [
    "block style with comments between",
    'services:\n  payment:\n    split:\n      # old\n      v1: 90 # most\n      "v2": 10\n    versions:\n      v1:\n      v2:\n',
    { v1: 0 },
    'services:\n  payment:\n    split:\n      # old\n      v1: 0 # most\n      "v2": 100\n    versions:\n      v1:\n      v2:\n',
  ],
  [
    "three versions, the others in their proportions",
    "services: { payment: { versions: { a: {}, b: {}, c: {} }, split: { a: 60, b: 30, c: 10 } } }",
    { c: 25 },
    "services: { payment: { versions: { a: {}, b: {}, c: {} }, split: { a: 50, b: 25, c: 25 } } }",
  ],
  [
    "thirds that do not come out even",
    "services: { payment: { versions: { a: {}, b: {}, c: {} }, split: { a: 1, b: 1, c: 1 } } }",
    { c: 33 },
    "services: { payment: { versions: { a: {}, b: {}, c: {} }, split: { a: 34, b: 33, c: 33 } } }",
  ],
  [
    "others that were all 0 share evenly",
    "services: { payment: { versions: { a: {}, b: {}, c: {} }, split: { a: 0, b: 0, c: 1 } } }",
    { c: 50 },
    "services: { payment: { versions: { a: {}, b: {}, c: {} }, split: { a: 25, b: 25, c: 50 } } }",
  ],
  [
    "all versions given are taken as they are",
    "services: { payment: { versions: { a: {}, b: {} }, split: { a: 50, b: 50 } } }",
    { a: 3, b: 1 },
    "services: { payment: { versions: { a: {}, b: {} }, split: { a: 3, b: 1 } } }",
  ],
  [
    "a split that is added behind block versions",
    "services:\n  payment:\n    versions:\n      v1: {}\n      v2: { container: x }   # new\n      # to come: v3\n    timeout: 2s\n",
    { v2: 20 },
    "services:\n  payment:\n    versions:\n      v1: {}\n      v2: { container: x }   # new\n    split: { v1: 80, v2: 20 }\n      # to come: v3\n    timeout: 2s\n",
  ],
  [
    "a split that is added to flow style",
    "services: { payment: { versions: { v1: {}, v2: {} }, port: 80 } }",
    { v2: 1 },
    "services: { payment: { versions: { v1: {}, v2: {} }, split: { v1: 99, v2: 1 }, port: 80 } }",
  ],
  [
    "a split that is added at the end of a file without a last newline",
    "services:\n  payment:\n    versions:\n      v1:\n      v2:",
    { v2: 5 },
    "services:\n  payment:\n    versions:\n      v1:\n      v2:\n    split: { v1: 95, v2: 5 }",
  ],
  [
    "a version that the split did not mention, flow",
    "services: { payment: { versions: { v1: {}, v2: {} }, split: { v1: 100 } } }",
    { v2: 10 },
    "services: { payment: { versions: { v1: {}, v2: {} }, split: { v1: 90, v2: 10 } } }",
  ],
  [
    "versions that the split did not mention, block",
    "services:\n  payment:\n    versions: { a: {}, b: {}, c: {} }\n    split:\n      a: 100  # all\n    port: 80\n",
    { b: 10 },
    "services:\n  payment:\n    versions: { a: {}, b: {}, c: {} }\n    split:\n      a: 90  # all\n      b: 10\n      c: 0\n    port: 80\n",
  ],
  [
    "CRLF and a byte order mark",
    "\uFEFFservices:\r\n  payment:\r\n    versions:\r\n      v1: {}\r\n      v2: {}\r\n    port: 80\r\n",
    { v2: 20 },
    "\uFEFFservices:\r\n  payment:\r\n    versions:\r\n      v1: {}\r\n      v2: {}\r\n    split: { v1: 80, v2: 20 }\r\n    port: 80\r\n",
  ],
  [
    "the catch-all route of a VirtualService",
    "---\nname: shop\n---\napiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: { name: p }\nspec:\n  hosts: [payment.shop.svc.cluster.local]\n  http:\n  - match: [{ uri: { prefix: /x } }]\n    route: [{ destination: { host: payment, subset: v1 }, weight: 5 }, { destination: { host: payment, subset: v2 }, weight: 5 }]\n  - route:\n    - destination: # one\n        host: payment\n        subset: v1\n      weight: 90 # much\n    - destination: { host: payment, subset: v2 }\n      weight: 10\n",
    { v2: 50 },
    "---\nname: shop\n---\napiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: { name: p }\nspec:\n  hosts: [payment.shop.svc.cluster.local]\n  http:\n  - match: [{ uri: { prefix: /x } }]\n    route: [{ destination: { host: payment, subset: v1 }, weight: 5 }, { destination: { host: payment, subset: v2 }, weight: 5 }]\n  - route:\n    - destination: # one\n        host: payment\n        subset: v1\n      weight: 50 # much\n    - destination: { host: payment, subset: v2 }\n      weight: 50\n",
  ],
  [
    "a VirtualService in which a weight is missing, and hosts instead of subsets",
    "apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: { name: p }\nspec:\n  hosts: [payment]\n  http:\n  - route:\n    - destination:\n        host: payment-v1\n      weight: 100\n    - destination:\n        host: payment-v2   # new\n",
    { "payment-v2": 1 },
    "apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: { name: p }\nspec:\n  hosts: [payment]\n  http:\n  - route:\n    - destination:\n        host: payment-v1\n      weight: 99\n    - destination:\n        host: payment-v2   # new\n      weight: 1\n",
  ],
];

test.each(rows)("a split is changed in place: %s", (_, text, weights, expected) => {
  const edited = edit(text, weights);
  expect(edited).toBe(expected);
  expect(edit(edited, weights)).toBe(expected);
});

const two = "services: { payment: { versions: { v1: {}, v2: {} }, split: { v1: 90, v2: 10 } } }";
const refused: readonly (readonly [string, string, Weights, string])[] = [
  ["a service that is not there", "services: { cart: {} }", { v2: 1 }, "DM1301"],
  ["a service without versions", "services: { payment: {} }", { v2: 1 }, "DM1301"],
  ["a version that is not there", two, { v3: 1 }, "DM1103"],
  ["more than 100", two, { v2: 101 }, "DM1113"],
  ["less than 0", two, { v2: -1 }, "DM1113"],
  ["half a percent", two, { v2: 0.5 }, "DM1113"],
  ["nothing at all", two, {}, "DM1113"],
  ["all 0", two, { v1: 0, v2: 0 }, "DM1113"],
  ["a file with errors", `${two}\nfoo: 1\n`, { v2: 1 }, "DM1101"],
  [
    "a split behind an alias",
    "services: { a: { versions: { v1: {} }, split: &s { v1: 1 } }, payment: { versions: { v1: {} }, split: *s } }",
    { v1: 2 },
    "DM1302",
  ],
  [
    "a weight with an anchor",
    "services: { payment: { versions: { v1: {}, v2: {} }, split: { v1: &w 1, v2: *w } } }",
    { v1: 2 },
    "DM1302",
  ],
  [
    "a VirtualService with one destination",
    "apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: { name: p }\nspec: { hosts: [payment], http: [{ route: [{ destination: { host: payment, subset: v1 } }] }] }",
    { v1: 50 },
    "DM1301",
  ],
  [
    "a VirtualService without a catch-all route",
    "apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: { name: p }\nspec: { hosts: [payment], http: [{ match: [{ uri: { exact: /a } }], route: [{ destination: { host: payment, subset: v1 } }] }] }",
    { v1: 50 },
    "DM1302",
  ],
];

test.each(refused)("a split is not changed: %s", (_, text, weights, code) => {
  const edited = editSplit(text, { service: "payment", weights });
  expect(edited.kind === "invalid" ? edited.diagnostics.map((one) => one.code) : edited.text).toContain(code);
});

const names = ["v1", "v2", "v3", "blue"];
const space = fc.constantFrom("", " ", "  ");
const comment = fc.constantFrom("", " # keep me", '   # v1: 5, { } "');

/** A file with comments, quotes and odd spacing; `%` marks where weights stand. */
const file = fc
  .record({
    weights: fc
      .array(fc.integer({ min: 0, max: 500 }), { minLength: 2, maxLength: 4 })
      .filter((all) => all.some((one) => one > 0)),
    isFlow: fc.boolean(),
    gap: space,
    remark: comment,
    quote: fc.constantFrom("", '"', "'"),
    before: fc.constantFrom("", "name: shop # mine\n", "mtls: 'strict'\n\n"),
    after: fc.constantFrom("", "gateway: [{listen: 1, to: payment}]\n", "\n# the end"),
  })
  .map(({ weights, isFlow, gap, remark, quote, before, after }) => {
    const key = (index: number) => `${quote}${names[index]}${quote}`;
    const versions = weights.map((_, index) => `${names[index]}: {}`).join(", ");
    const split = isFlow
      ? `    split: {${gap}${weights.map((weight, index) => `${key(index)}: ${gap}${weight}`).join(`${gap}, `)}${gap} }${remark}\n`
      : `    split:${remark}\n${weights.map((weight, index) => `      ${key(index)}: ${gap}${weight}${remark}\n`).join("")}`;
    return {
      text: `${before}services:\n  payment:\n    versions: { ${versions} }\n${split}${after}`,
      versions: weights.length,
    };
  });

test("an edit changes digits of weights and nothing else, adds up to 100, and is the same when repeated", () => {
  fc.assert(
    fc.property(file, fc.integer({ min: 0, max: 100 }), ({ text, versions }, weight) => {
      fc.pre(loadSpec(text, { file: "mesh.yaml" }).kind === "ok");
      const edited = edit(text, { v2: weight });
      const blank = (one: string) => one.replace(/(["']?(?:v\d|blue)["']?: +)\d+/g, "$1%");
      expect(blank(edited)).toBe(blank(text));
      expect(edit(edited, { v2: weight })).toBe(edited);
      const loaded = loadSpec(edited, { file: "mesh.yaml" });
      const split = loaded.kind === "ok" ? (loaded.spec.services[0]?.split ?? []) : [];
      expect(split).toHaveLength(versions);
      expect(split.find(({ version }) => version === "v2")?.weight).toBe(weight);
      expect(split.reduce((sum, one) => sum + one.weight, 0)).toBe(100);
    }),
    { numRuns: 400 },
  );
});
