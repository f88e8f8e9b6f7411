import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import {
  composeServicesReader,
  knownComposeServices,
  readComposeServices,
} from "../../../daemon/spec/compose-services.ts";

const rows: readonly (readonly [string, readonly string[], readonly string[] | null])[] = [
  ["one file", ["services: { web: {}, api: { image: x } }"], ["api", "web"]],
  ["a file and its override", ["services: { web: {} }", "services: { web: {}, api: {} }"], ["api", "web"]],
  ["an old version line", ['version: "3.8"\nservices:\n  web:\n    image: x\n'], ["web"]],
  [
    "anchors and merge keys in services",
    ["x-a: &a { image: x }\nservices:\n  web:\n    <<: *a\n  api: *a\n"],
    ["api", "web"],
  ],
  [
    "a label with another service's name",
    ["services: { web: { labels: { devmesh.service: front } } }"],
    ["front", "web"],
  ],
  ["the same label in a list", ["services: { web: { labels: [devmesh.service=front, a=b] } }"], ["front", "web"]],
  ["no service", ["services: {}"], []],
  ["include", ["include: [other.yaml]\nservices: { web: {} }"], null],
  ["merged services", ["x-s: &s { a: {} }\nservices:\n  <<: *s\n  web: {}\n"], null],
  ["a service that is reset", ["services: { web: !reset null }"], null],
  ["all services overridden", ["services: !override { web: {} }"], null],
  ["no services at all (compose 1)", ["web:\n  image: x\n"], null],
  ["services of the wrong type", ["services: [web]"], null],
  ["no YAML", ["services: {"], null],
  ["an empty file", [""], null],
  ["an alias without anchor", ["services: { web: *x }"], ["web"]],
];

test.each(rows)("compose files with %s are read or given up", (_, texts, expected) => {
  expect(readComposeServices(texts)).toEqual(expected);
});

test("files are read together, and one that is missing means that nothing is known", () => {
  const folder = mkdtempSync(join(tmpdir(), "devmesh-compose-"));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const [one, two] = [join(folder, "a.yaml"), join(folder, "b.yaml")];
  writeFileSync(one, "services: { web: {} }");
  writeFileSync(two, "\uFEFFservices: { api: {} }");
  expect(knownComposeServices([one, two])).toEqual(["api", "web"]);
  expect(knownComposeServices([one, join(folder, "none.yaml")])).toBeNull();
});

test("a reader notices what is added, and gives the identical list while nothing is", () => {
  const folder = mkdtempSync(join(tmpdir(), "devmesh-compose-"));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const file = join(folder, "compose.yaml");
  writeFileSync(file, "services: { web: {} }");
  const read = composeServicesReader([file]);
  expect(read()).toEqual(["web"]);
  expect(read()).toBe(read());
  writeFileSync(file, "services: { web: {}, api: {} }");
  expect(read()).toEqual(["api", "web"]);
  rmSync(file);
  expect(read()).toBeNull();
});
