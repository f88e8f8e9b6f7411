import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { knownComposeSubnets, readComposeSubnets } from "../../../daemon/spec/compose-subnets.ts";

const rows: readonly (readonly [string, string, readonly string[]])[] = [
  ["a network with a subnet", "networks: { a: { ipam: { config: [{ subnet: 10.5.0.0/16 }] } } }", ["10.5.0.0/16"]],
  [
    "several, one of IPv6",
    "networks: { a: { ipam: { config: [{ subnet: 10.5.0.0/16 }, { subnet: 'fd00::/64' }] } }, b: { ipam: { config: [{ subnet: 10.6.0.0/24 }] } } }",
    ["10.5.0.0/16", "fd00::/64", "10.6.0.0/24"],
  ],
  ["an anchor", "x-n: &n { ipam: { config: [{ subnet: 10.7.0.0/24 }] } }\nnetworks: { a: *n }", ["10.7.0.0/24"]],
  ["a variable", "networks: { a: { ipam: { config: [{ subnet: '${NET}' }] } } }", ["${NET}"]],
  ["networks without a word on addresses", "networks: { a: {}, b: null, c: { external: true } }", []],
  ["wrong types", "networks: { a: { ipam: { config: { subnet: 1 } } }, b: { ipam: [1] }, c: 7 }", []],
  ["no networks", "services: { web: {} }", []],
  ["no YAML", "networks: {", []],
  ["nothing", "", []],
];

test.each(rows)("compose files with %s name their subnets", (_, text, expected) => {
  expect(readComposeSubnets(text)).toEqual(expected);
});

test("an alias bomb is given up", () => {
  const lines = ["a: &a [x, x, x, x, x, x, x, x, x]"];
  for (let n = 1; n < 12; n++) {
    const [name, before] = [String.fromCharCode(97 + n), String.fromCharCode(96 + n)];
    lines.push(`${name}: &${name} [${Array.from({ length: 9 }, () => `*${before}`).join(", ")}]`);
  }
  expect(readComposeSubnets(lines.join("\n"))).toEqual([]);
});

test("files are read together, and one that is missing names nothing", () => {
  const folder = mkdtempSync(join(tmpdir(), "devmesh-compose-"));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const file = join(folder, "a.yaml");
  writeFileSync(file, "networks: { a: { ipam: { config: [{ subnet: 10.5.0.0/16 }] } } }");
  expect(knownComposeSubnets([join(folder, "none.yaml"), file])).toEqual(["10.5.0.0/16"]);
});
