import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { rootCertificates } from "node:tls";
import { afterAll, expect, test } from "vitest";
import { buildNetwork } from "../../../cli/image/build-network.ts";

const folder = mkdtempSync(path.join(tmpdir(), "devmesh-network-"));
afterAll(() => rmSync(folder, { recursive: true }));
const [first = "", second = ""] = rootCertificates;
const own = path.join(folder, "own.pem");
const other = path.join(folder, "other.pem");
const empty = path.join(folder, "empty.pem");
writeFileSync(own, first);
writeFileSync(other, second);
writeFileSync(empty, "nothing\n");

const fileOf = (env: NodeJS.ProcessEnv, name: string, ca?: string) =>
  buildNetwork(env, ca)
    .files.find((file) => file.name === `network/${name}`)
    ?.content.toString() ?? "";

test.each<[string, NodeJS.ProcessEnv, readonly string[]]>([
  ["no proxy", {}, []],
  ["an empty one", { HTTP_PROXY: "" }, []],
  ["capitals", { HTTPS_PROXY: "http://p:3128" }, ["--build-arg", "https_proxy", "--build-arg", "HTTPS_PROXY"]],
  ["small letters", { http_proxy: "http://p:3128" }, ["--build-arg", "http_proxy", "--build-arg", "HTTP_PROXY"]],
  ["exceptions alone", { NO_PROXY: "localhost" }, ["--build-arg", "no_proxy", "--build-arg", "NO_PROXY"]],
])("%s: the names that docker build takes from its environment", (_why, env, args) => {
  expect(buildNetwork(env, undefined).args).toEqual(args);
});

test("both spellings have the value, the small one's where they differ, and it is in no argument", () => {
  const { env, args } = buildNetwork(
    { HTTP_PROXY: "http://user:secret@a", http_proxy: "http://user:secret@b" },
    undefined,
  );
  expect([env.HTTP_PROXY, env.http_proxy]).toEqual(["http://user:secret@b", "http://user:secret@b"]);
  expect(args.join(" ")).not.toContain("secret");
});

test.each<[string, boolean]>([
  ["http://127.0.0.1:3128", true],
  ["http://user:word@localhost:3128/", true],
  ["http://[::1]:3128", true],
  ["127.0.0.53:80", true],
  ["http://proxy.example.com:3128", false],
  ["http://localhost.example.com:3128", false],
  ["http://10.0.0.1:127", false],
])("a build behind %s is on the host's network: %s", (proxy, isHost) => {
  expect(buildNetwork({ HTTPS_PROXY: proxy }, undefined).args.includes("host")).toBe(isHost);
});

test.each<[string, NodeJS.ProcessEnv, string | undefined, string]>([
  ["--ca", { DEVMESH_CA: other, NODE_EXTRA_CA_CERTS: other }, own, first],
  ["DEVMESH_CA", { DEVMESH_CA: own, NODE_EXTRA_CA_CERTS: other }, undefined, first],
  ["NODE_EXTRA_CA_CERTS", { NODE_EXTRA_CA_CERTS: own }, undefined, first],
])("%s comes behind the usual authorities", (_why, env, ca, expected) => {
  expect(fileOf(env, "ca.crt", ca)).toBe(`${rootCertificates.join("\n")}\n${expected}`);
});

test("without certificates of somebody's there are none, unless the mirror needs the usual ones", () => {
  expect(fileOf({}, "ca.crt")).toBe("");
  expect(fileOf({ NODE_EXTRA_CA_CERTS: path.join(folder, "no") }, "ca.crt")).toBe("");
  expect(fileOf({ DEVMESH_DEBIAN_MIRROR: "http://m/debian" }, "ca.crt")).toBe("");
  expect(fileOf({ DEVMESH_DEBIAN_MIRROR: "https://m/debian" }, "ca.crt")).toContain(first);
  expect(fileOf({ DEVMESH_DEBIAN_MIRROR: "https://m/debian" }, "mirror")).toBe("https://m/debian");
});

test.each([
  ["is not there", path.join(folder, "no"), "cannot be read: ENOENT"],
  ["holds none", empty, "holds no certificates in PEM"],
])("a file of certificates that %s is a mistake", (_why, ca, message) => {
  expect(() => buildNetwork({}, ca)).toThrow(
    expect.objectContaining({ code: "DM0002", message: expect.stringContaining(message) }),
  );
});
