import { createHash } from "node:crypto";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { type Endpoint, findEndpoints, hostOf, parseEndpoint, variablesFor } from "../../../daemon/docker/endpoint.ts";
import { negotiateVersion } from "../../../daemon/docker/engine-problem.ts";
import { sshArguments } from "../../../daemon/docker/ssh-connection.ts";

let home = "";
beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), "dm-endpoint-"));
});
afterEach(() => rmSync(home, { recursive: true, force: true }));

function writeContext(name: string, docker: object, tls: Record<string, string> = {}): void {
  const hash = createHash("sha256").update(name).digest("hex");
  const meta = join(home, ".docker/contexts/meta", hash);
  mkdirSync(meta, { recursive: true });
  writeFileSync(join(meta, "meta.json"), JSON.stringify({ Name: name, Endpoints: { docker } }));
  const folder = join(home, ".docker/contexts/tls", hash, "docker");
  mkdirSync(folder, { recursive: true });
  for (const [file, text] of Object.entries(tls)) writeFileSync(join(folder, file), text);
}

describe("findEndpoints", () => {
  test("DOCKER_HOST wins over every context", async () => {
    writeContext("far", { Host: "tcp://far:2376" });
    const env = { HOME: home, DOCKER_HOST: "unix:///x.sock", DOCKER_CONTEXT: "far" };
    expect(await findEndpoints(env)).toEqual([
      { kind: "socket", source: "DOCKER_HOST", url: "unix:///x.sock", path: "/x.sock" },
    ]);
  });

  test("DOCKER_TLS_VERIFY takes certificates from DOCKER_CERT_PATH", async () => {
    for (const file of ["ca", "cert", "key"]) writeFileSync(join(home, `${file}.pem`), file);
    const env = { HOME: home, DOCKER_HOST: "tcp://far:2376", DOCKER_TLS_VERIFY: "1", DOCKER_CERT_PATH: home };
    const [endpoint] = await findEndpoints(env);
    const tls = { isVerified: true, ca: Buffer.from("ca"), cert: Buffer.from("cert"), key: Buffer.from("key") };
    expect(endpoint).toMatchObject({ kind: "tcp", host: "far", port: 2376, tls });
  });

  test("the current context is read from config.json, with its TLS files", async () => {
    writeContext("far", { Host: "tcp://far:2376", SkipTLSVerify: false }, { "ca.pem": "ca" });
    writeFileSync(join(home, ".docker/config.json"), JSON.stringify({ currentContext: "far" }));
    const [endpoint] = await findEndpoints({ HOME: home });
    expect(endpoint).toMatchObject({ source: "the Docker context far", host: "far" });
    expect(endpoint).toMatchObject({ tls: { isVerified: true, ca: Buffer.from("ca") } });
  });

  test("DOCKER_CONTEXT wins over config.json; default means the usual sockets", async () => {
    mkdirSync(join(home, ".docker"));
    writeFileSync(join(home, ".docker/config.json"), JSON.stringify({ currentContext: "far" }));
    const env = { HOME: home, XDG_RUNTIME_DIR: "/run/user/1000", DOCKER_CONTEXT: "default" };
    const paths = (await findEndpoints(env, "linux")).map((endpoint) =>
      endpoint.kind === "socket" ? endpoint.path : "",
    );
    expect(paths.slice(0, 3)).toEqual([
      "/var/run/docker.sock",
      "/run/user/1000/docker.sock",
      join(home, ".docker/run/docker.sock"),
    ]);
    expect(paths).toContain(join(home, ".colima/default/docker.sock"));
  });

  test.each([
    ["a context that does not exist", { DOCKER_CONTEXT: "gone" }, "does not exist"],
    ["an address without sense", { DOCKER_HOST: "unix//nope here" }, "is not an address"],
    ["a scheme that nobody speaks", { DOCKER_HOST: "ftp://x" }, "scheme"],
  ])("%s is a Problem that says so", async (_why, env, message) => {
    await expect(findEndpoints({ HOME: home, ...env })).rejects.toMatchObject({
      code: "DM0101",
      message: expect.stringContaining(message),
    });
  });

  test("a config.json that is not JSON is a Problem, not a silent default", async () => {
    mkdirSync(join(home, ".docker"));
    writeFileSync(join(home, ".docker/config.json"), "{");
    await expect(findEndpoints({ HOME: home })).rejects.toMatchObject({ code: "DM0101" });
  });
});

describe("parseEndpoint", () => {
  test.each([
    ["a host without a scheme is tcp", "far:2375", { kind: "tcp", host: "far", port: 2375, tls: null }],
    ["tcp's usual port", "tcp://far", { kind: "tcp", port: 2375 }],
    ["an IPv6 address", "tcp://[fd00::1]:99", { kind: "tcp", host: "fd00::1", port: 99 }],
    ["https is TLS", "https://far", { kind: "tcp", port: 2376, tls: { isVerified: true } }],
    ["ssh with a user and a port", "ssh://me@far:22022", { kind: "ssh", target: "me@far", port: "22022", path: "" }],
    ["ssh with a socket's path", "ssh://far/run/d.sock", { kind: "ssh", target: "far", path: "/run/d.sock" }],
    ["a Windows pipe", "npipe:////./pipe/docker_engine", { kind: "socket", path: "//./pipe/docker_engine" }],
  ])("%s", (_why, text, expected) => {
    expect(parseEndpoint(text, "test", null)).toMatchObject(expected);
  });

  test("a target that looks like an option stays a target", () => {
    const parts = sshArguments({ target: "-oProxyCommand=x", port: "", path: "" });
    expect(parts.indexOf("--")).toBe(parts.indexOf("-oProxyCommand=x") - 1);
  });
});

describe("what other clients and people need to know of it", () => {
  const tls = { folder: "/certs", isVerified: true };
  test.each<[string, Endpoint, Record<string, string>, string]>([
    ["a socket", parseEndpoint("unix:///run/d.sock", "", null), { DOCKER_HOST: "unix:///run/d.sock" }, ""],
    ["a pipe", parseEndpoint("npipe:////./pipe/d", "", null), { DOCKER_HOST: "npipe:////./pipe/d" }, ""],
    ["plain tcp", parseEndpoint("tcp://far:2375", "", null), { DOCKER_HOST: "tcp://far:2375" }, "far"],
    ["a forwarder here", parseEndpoint("tcp://127.0.0.1:2375", "", null), { DOCKER_HOST: "tcp://127.0.0.1:2375" }, ""],
    [
      "TLS",
      parseEndpoint("tcp://far:2376", "", tls),
      { DOCKER_HOST: "tcp://far:2376", DOCKER_TLS_VERIFY: "1", DOCKER_CERT_PATH: "/certs" },
      "far",
    ],
    [
      "TLS that is not verified",
      parseEndpoint("tcp://[fd00::1]:2376", "", { ...tls, isVerified: false }),
      { DOCKER_HOST: "tcp://[fd00::1]:2376", DOCKER_TLS: "1", DOCKER_CERT_PATH: "/certs" },
      "fd00::1",
    ],
    ["ssh", parseEndpoint("ssh://me@far:22022", "", null), { DOCKER_HOST: "ssh://me@far:22022" }, "far"],
  ])("%s", (_why, endpoint, variables, host) => {
    expect([variablesFor(endpoint), hostOf(endpoint)]).toEqual([variables, host]);
  });

  test("a context's certificates are named where they lie", async () => {
    writeContext("far", { Host: "tcp://far:2376", SkipTLSVerify: false }, { "ca.pem": "ca" });
    const [endpoint] = await findEndpoints({ HOME: home, DOCKER_CONTEXT: "far" });
    const { DOCKER_CERT_PATH = "" } = endpoint === undefined ? {} : variablesFor(endpoint);
    expect(readFileSync(join(DOCKER_CERT_PATH, "ca.pem"), "utf8")).toBe("ca");
  });
});

describe("negotiateVersion", () => {
  const endpoint = parseEndpoint("unix:///x.sock", "test", null);
  test.each([
    ["Docker 20.10 is asked in its own version", { ApiVersion: "1.41", MinAPIVersion: "1.12" }, "1.41"],
    ["Docker 29 is asked in ours", { ApiVersion: "1.52", MinAPIVersion: "1.44" }, "1.47"],
    ["Podman names no minimum", { ApiVersion: "1.41" }, "1.41"],
  ])("%s", (_why, answer, expected) => {
    expect(negotiateVersion(answer, endpoint)).toBe(expected);
  });

  test.each([
    ["an engine that is too old", { ApiVersion: "1.38" }, "DM0103"],
    ["an engine that no longer speaks ours", { ApiVersion: "1.70", MinAPIVersion: "1.60" }, "DM0103"],
    ["something that is not Docker", { hello: "world" }, "DM0101"],
  ])("%s is a Problem", (_why, answer, code) => {
    expect(() => negotiateVersion(answer, endpoint)).toThrow(expect.objectContaining({ code }));
  });
});
