// devmesh as npm installs it, used by somebody who is not root and has no clone: image, mesh, files to carry, npx.
import { execFile } from "node:child_process";
import { readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import path from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { tarOf } from "../../cli/image/tar.ts";
import type { StatusView } from "../../daemon/api/view.ts";
import { InstalledPackage } from "../support/installed-package.ts";
import { InterceptingProxy } from "../support/intercepting-proxy.ts";
import { builtImages } from "../support/shop-project.ts";

const run = promisify(execFile);
const docker = async (...args: readonly string[]) => (await run("docker", args)).stdout.trim();

/** Megabytes: a package is fetched each time that somebody says npx. */
const packedMax = 2;
const completionBarMs = 100;
const project = `t${process.pid}inst`;
/** Stands for the image that a registry would give. A name of its own gives the proxy's image a tag of its own. */
const base = `${project}-base:1`;

const compose = `services:
  web:
    image: ${builtImages().shop}
    entrypoint: ["node", "-e", "require('http').createServer((q, r) => r.end('hello ' + q.url)).listen(8080)"]
    init: true
    expose: ["8080"]
  caller:
    image: ${builtImages().shop}
    entrypoint: ["node", "-e", "setInterval(() => {}, 1000)"]
    init: true
`;
const mesh = "mtls: strict\nservices:\n  web: { port: 8080 }\n  caller: {}\n";

const state: { installed: InstalledPackage | null; folder: string; tag: string } = {
  installed: null,
  folder: "",
  tag: "",
};
const installed = (): InstalledPackage => state.installed ?? expect.unreachable("nothing is installed");
const devmesh = (...args: readonly string[]) => installed().runIn(state.folder, "devmesh", ...args);

beforeAll(async () => {
  const started = performance.now();
  state.installed = await InstalledPackage.create();
  console.log(`packed and installed: ${Math.round(performance.now() - started)} ms`);
  state.folder = installed().makeFolder(project, { "compose.yaml": compose, "mesh.yaml": mesh });
  await docker("tag", builtImages().base, base);
  writeFileSync(path.join(installed().folder, "dist/images.json"), JSON.stringify({ base }));
});

afterAll(async () => {
  await devmesh("down", "--volumes");
  for (const image of [state.tag, base]) if (image !== "") await docker("image", "rm", image).catch(() => undefined);
  state.installed?.close();
});

describe("the package", () => {
  test("is small, and needs no other", () => {
    const megabytes = statSync(installed().tarball).size / 1e6;
    console.log(`the package: ${megabytes.toFixed(2)} MB (at most ${packedMax})`);
    expect(megabytes).toBeLessThan(packedMax);
    expect(readdirSync(path.join(installed().home, "prefix/lib/node_modules"))).toEqual(["devmesh"]);
    expect(readdirSync(installed().folder)).not.toContain("node_modules");
  });

  test("names the packages in its bundles, with their licences", () => {
    const notices = readFileSync(path.join(installed().folder, "dist/third-party.txt"), "utf8");
    for (const name of ["commander", "koffi", "zod", "yaml"]) expect(notices).toMatch(new RegExp(`^${name} \\d`, "m"));
    expect(notices).toContain("Permission is hereby granted");
  });

  test.each([
    ["x64", 62],
    ["arm64", 183],
  ])("holds the native part for %s, as its own header says", (arch, machine) => {
    const head = readFileSync(path.join(installed().folder, `dist/koffi/linux-${arch}/koffi.node`)).subarray(0, 20);
    expect([head.toString("latin1", 1, 4), head.readUInt16LE(18)]).toEqual(["ELF", machine]);
  });

  test("completes a line quickly", async () => {
    const times: number[] = [];
    for (let i = 0; i < 5; i++) {
      const { stdout, ms } = await devmesh("complete", "--", "logs", "");
      expect(stdout).toContain("web\t");
      times.push(ms);
    }
    const best = Math.min(...times);
    console.log(`a completion: ${Math.round(best)} ms (bar ${completionBarMs} ms)`);
    expect(best).toBeLessThan(6 * completionBarMs);
  });

  test("runs by npx where it is a project's dependency", async () => {
    const folder = installed().makeFolder("dependency", { "package.json": "{}" });
    const npm = await installed().runIn(folder, "npm", "install", "--offline", "--no-audit", installed().tarball);
    expect(npm.code, npm.stderr).toBe(0);
    const { code, stderr } = await installed().runIn(folder, "npx", "--offline", "devmesh", "status");
    expect([code, stderr]).toEqual([5, expect.stringContaining("hint: start it with: devmesh up")]);
  });
});

test("an image that cannot be had is told with the way out", async () => {
  const { code, stderr } = await devmesh("image", "build", "--base", "127.0.0.1:1/none");
  expect([code, stderr]).toEqual([1, expect.stringContaining("the engine cannot get the image 127.0.0.1:1/none")]);
  expect(stderr).toMatch(/hint: docker pull 127\.0\.0\.1:1\/none must work once; .*devmesh image load FILE/);
});

test("up builds the image that is missing, says so, and meshes the project", async () => {
  const { code, stderr, ms } = await devmesh("up", "-d");
  expect(stderr).toContain("2 sidecars ready and in sync");
  expect(code).toBe(0);
  state.tag = /^ok image (\S+) built \d+\.\d s$/m.exec(stderr)?.[1] ?? "";
  console.log(`up with the build of the image: ${Math.round(ms)} ms`);
  expect(await docker("image", "inspect", "--format", '{{index .Config.Labels "dev.devmesh.home"}}', state.tag)).toBe(
    installed().folder,
  );
  const caller = await docker(
    "ps",
    "-q",
    "--filter",
    `label=com.docker.compose.project=${project}`,
    "--filter",
    "label=com.docker.compose.service=caller",
  );
  const call = "fetch('http://web/x').then(async (r) => console.log(r.status, await r.text()))";
  expect(await docker("exec", caller, "node", "-e", call)).toBe("200 hello /x");
  const { code: health, stdout } = await devmesh("status", "--json");
  const view = JSON.parse(stdout) as StatusView;
  expect([health, view.health, view.services.length]).toEqual([0, "ok", 2]);
  expect(stderr).toMatch(/stop it: +devmesh down$/m);
});

test("images of its former builds go, unless a container has one", async () => {
  const [unused, used] = ["0", "1"].map(
    (digit) => `devmesh/proxy:${process.pid.toString(16).padStart(11, "0")}${digit}`,
  );
  for (const tag of [unused, used]) await loadOldImage(String(tag));
  const container = await docker("create", String(used), "true");
  onTestFinished(async () => {
    await docker("rm", container);
    await docker("image", "rm", String(used));
  });
  const { code, stderr } = await devmesh("image", "build");
  expect([code, stderr]).toEqual([0, expect.stringContaining("1 image of former builds removed")]);
  await expect(docker("image", "inspect", String(unused))).rejects.toThrow("No such image");
  expect(await docker("image", "inspect", "--format", "{{.RepoTags}}", String(used))).toBe(`[${used}]`);
});

/** Of this installation, from 2020, with nothing in it. */
async function loadOldImage(tag: string): Promise<void> {
  const config = {
    created: "2020-01-01T00:00:00Z",
    architecture: "amd64",
    os: "linux",
    config: { Labels: { "dev.devmesh.home": installed().folder, tag } },
    rootfs: { type: "layers", diff_ids: [] },
  };
  const files = { "config.json": config, "manifest.json": [{ Config: "config.json", RepoTags: [tag], Layers: [] }] };
  const archive = path.join(installed().home, "old.tar");
  const entries = Object.entries(files).map(([name, value]) => ({
    name,
    mode: 0o644,
    content: Buffer.from(JSON.stringify(value)),
  }));
  writeFileSync(archive, tarOf(entries));
  await docker("load", "-q", "-i", archive);
}

test("the image travels as a file, and a file of another version changes nothing", async () => {
  expect((await devmesh("down")).code).toBe(0);
  const saved = await devmesh("image", "save", "proxy.tar");
  expect([saved.code, saved.stderr]).toEqual([0, expect.stringContaining(`${state.tag} saved to`)]);
  await docker("image", "rm", state.tag);
  const loaded = await devmesh("image", "load", "proxy.tar");
  expect([loaded.code, loaded.stderr]).toEqual([0, expect.stringContaining(`${state.tag} loaded`)]);
  expect(await docker("image", "inspect", "--format", "{{.RepoTags}}", state.tag)).toContain(state.tag);
  await docker("image", "rm", state.tag);
  // Another base is another image.
  writeFileSync(path.join(installed().folder, "dist/images.json"), JSON.stringify({ base: "other:1" }));
  const other = await devmesh("image", "load", "proxy.tar");
  expect(other.code).toBe(1);
  expect(other.stderr).toMatch(/holds devmesh\/proxy:\w+ of devmesh [\d.]+; devmesh [\d.]+ needs devmesh\/proxy:\w+/);
  await expect(docker("image", "inspect", state.tag)).rejects.toThrow("No such image");
  rmSync(path.join(state.folder, "proxy.tar"));
  writeFileSync(path.join(installed().folder, "dist/images.json"), JSON.stringify({ base }));
});

test("a build behind a proxy that intercepts TLS trusts what it is told to, and keeps none of it", async () => {
  const sources = await docker(
    "run",
    "--rm",
    "--entrypoint",
    "sh",
    base,
    "-c",
    "cat /etc/apt/sources.list* /etc/apt/sources.list.d/* 2>/dev/null || true",
  );
  const upstream = /https?:\/\/[^/\s]+/.exec(sources)?.[0] ?? expect.unreachable(`no mirror in ${sources}`);
  // Nobody but the proxy knows this host.
  const proxy = await InterceptingProxy.listen({ host: "mirror.test", upstream });
  onTestFinished(() => proxy.close());
  const folder = installed().makeFolder("certificates", { "ca.pem": proxy.authority });
  Object.assign(installed().env, { HTTPS_PROXY: proxy.url, DEVMESH_DEBIAN_MIRROR: "https://mirror.test/debian" });
  const { code, stderr, ms } = await devmesh("image", "build", "--ca", path.join(folder, "ca.pem"));
  expect(code, stderr).toBe(0);
  console.log(`a build through the proxy: ${Math.round(ms)} ms, ${proxy.paths.length} requests`);
  expect(stderr).toContain(`image ${state.tag} built`);
  expect(proxy.paths.some((asked) => /\/pool\/.*nftables.*\.deb$/.test(asked))).toBe(true);
  const history = await docker("history", "--no-trunc", "--format", "{{.CreatedBy}}", state.tag);
  expect(history).not.toContain(proxy.url);
  const left = "ls -d /build /var/lib/apt/lists/* 2>/dev/null; grep -rl mirror.test /etc/apt; env";
  const found = await docker("run", "--rm", "--entrypoint", "sh", state.tag, "-c", left).catch(String);
  expect(found).not.toMatch(/build|lists|mirror\.test|proxy=/i);
});
