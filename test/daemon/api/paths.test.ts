import { mkdirSync, mkdtempSync, rmSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { assertOutsideProject, daemonPaths, makeRuntimeFolder, socketPathBytesMax } from "../../../daemon/api/paths.ts";

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "paths-"));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

test("state lies in XDG_STATE_HOME, one folder per project and directory, never under the project", () => {
  const env = { XDG_STATE_HOME: "/state", HOME: "/home/x" };
  const a = daemonPaths({ project: "shop", projectDir: folder, env });
  expect(a.stateFolder).toMatch(/^\/state\/devmesh\/[0-9a-f]{12}$/);
  expect(daemonPaths({ project: "shop2", projectDir: folder, env }).key).not.toBe(a.key);
  expect(daemonPaths({ project: "shop", projectDir: tmpdir(), env }).key).not.toBe(a.key);
});

test("a link to the project is the same project", () => {
  mkdirSync(join(folder, "real"));
  symlinkSync(join(folder, "real"), join(folder, "link"));
  const key = (name: string) => daemonPaths({ project: "p", projectDir: join(folder, name), env: {} }).key;
  expect(key("link")).toBe(key("real"));
});

test.each([
  ["unset", {}, /^\/home\/x\/\.local\/state\/devmesh\//],
  ["relative, which XDG says to ignore", { XDG_STATE_HOME: "state" }, /^\/home\/x\/\.local\/state\/devmesh\//],
])("XDG_STATE_HOME %s", (_why, env, expected) => {
  expect(daemonPaths({ project: "p", projectDir: folder, env: { HOME: "/home/x", ...env } }).stateFolder).toMatch(
    expected,
  );
});

test("the socket lies in XDG_RUNTIME_DIR, and in a folder in /tmp where that is unset, foreign or too long", () => {
  const socket = (dir?: string) =>
    daemonPaths({ project: "p", projectDir: folder, env: dir === undefined ? {} : { XDG_RUNTIME_DIR: dir } }).socket;
  const long = join(folder, "x".repeat(80));
  mkdirSync(long);
  const fallback = new RegExp(`^/tmp/devmesh-${process.getuid?.()}/`);
  expect(socket(folder)).toMatch(new RegExp(`^${folder}/devmesh/`));
  for (const dir of [undefined, "/nowhere", "relative", long]) expect(socket(dir)).toMatch(fallback);
  for (const dir of [undefined, folder, long])
    expect(Buffer.byteLength(socket(dir))).toBeLessThanOrEqual(socketPathBytesMax);
});

test.each([
  ["the home folder", {}, "XDG_STATE_HOME"],
  ["a folder that XDG_STATE_HOME lies in", { XDG_STATE_HOME: "state" }, "XDG_STATE_HOME"],
  ["a folder that XDG_STATE_HOME leads into by a link", { XDG_STATE_HOME: "../link" }, "XDG_STATE_HOME"],
  ["a folder that the sockets lie in", { XDG_STATE_HOME: "/state", XDG_RUNTIME_DIR: "." }, "XDG_RUNTIME_DIR"],
])("a project that is %s is refused", (_why, set, variable) => {
  const project = join(folder, "project");
  mkdirSync(project);
  symlinkSync(project, join(folder, "link"));
  const folders = Object.entries(set).map(([name, value]) => [name, resolve(project, value)]);
  const env = { HOME: project, ...Object.fromEntries(folders) };
  const paths = daemonPaths({ project: "p", projectDir: project, env });
  const refused = expect.objectContaining({ code: "DM0402", hint: expect.stringContaining(variable) });
  expect(() => assertOutsideProject(paths, project)).toThrow(refused);
});

test("a project beside the state, with a name that begins like its folder's, is none of it", () => {
  const env = { XDG_STATE_HOME: join(folder, "project-state"), XDG_RUNTIME_DIR: join(folder, "..project") };
  mkdirSync(env.XDG_RUNTIME_DIR);
  mkdirSync(join(folder, "project"));
  const paths = daemonPaths({ project: "p", projectDir: join(folder, "project"), env });
  expect(() => assertOutsideProject(paths, join(folder, "project"))).not.toThrow();
});

test("Windows gets a named pipe", () => {
  const { socket } = daemonPaths({ project: "p", projectDir: folder, env: {}, platform: "win32" });
  expect(socket).toMatch(/^\\\\\.\\pipe\\devmesh-[0-9a-f]{12}$/);
});

test("the runtime folder is made 0700, and one that is too open is closed", () => {
  const runtime = join(folder, "run");
  makeRuntimeFolder(runtime);
  expect(statSync(runtime).mode & 0o777).toBe(0o700);
  const open = join(folder, "open");
  mkdirSync(open, { mode: 0o777 });
  makeRuntimeFolder(open);
  expect(statSync(open).mode & 0o777).toBe(0o700);
});

test.each([
  ["a link", () => symlinkSync(tmpdir(), join(folder, "run"))],
  ["a file", () => writeFileSync(join(folder, "run"), "")],
])("a runtime folder that is %s is refused", (_why, plant) => {
  plant();
  expect(() => makeRuntimeFolder(join(folder, "run"))).toThrow(expect.objectContaining({ code: "DM0402" }));
});
