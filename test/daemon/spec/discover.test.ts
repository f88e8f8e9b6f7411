import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { Problem } from "../../../daemon/api/problem.ts";
import { discoverMeshFile } from "../../../daemon/spec/discover.ts";

/** A folder of its own with these files; a name that ends in / is a folder. */
function folderWith(...names: readonly string[]): string {
  const root = mkdtempSync(join(tmpdir(), "devmesh-discover-"));
  onTestFinished(() => rmSync(root, { recursive: true }));
  for (const name of names) {
    mkdirSync(join(root, name, name.endsWith("/") ? "" : ".."), { recursive: true });
    if (!name.endsWith("/")) writeFileSync(join(root, name), "");
  }
  return root;
}

const env = {};

test("--file comes before DEVMESH_FILE, and that before the folder", () => {
  const cwd = folderWith("mesh.yaml");
  expect(discoverMeshFile({ cwd, file: "a.yaml", env: { DEVMESH_FILE: "b.yaml" } })).toBe(join(cwd, "a.yaml"));
  expect(discoverMeshFile({ cwd, env: { DEVMESH_FILE: "b.yaml" } })).toBe(join(cwd, "b.yaml"));
  expect(discoverMeshFile({ cwd, env: { DEVMESH_FILE: "" } })).toBe(join(cwd, "mesh.yaml"));
});

test.each(["mesh.yaml", "mesh.yml", "devmesh.yaml"])("%s is found in the folder", (name) => {
  const cwd = folderWith(name);
  expect(discoverMeshFile({ cwd, env })).toBe(join(cwd, name));
});

test("parents are searched up to the root of the repository, the nearest first", () => {
  const root = folderWith(
    "mesh.yaml",
    "repo/.git/",
    "repo/mesh.yml",
    "repo/a/b/",
    "repo/a/devmesh.yaml",
    "bare/.git/",
    "bare/x/",
  );
  expect(discoverMeshFile({ cwd: join(root, "repo/a/b"), env })).toBe(join(root, "repo/a/devmesh.yaml"));
  expect(discoverMeshFile({ cwd: join(root, "repo"), env })).toBe(join(root, "repo/mesh.yml"));
  // The file above the repository is somebody else's.
  expect(discoverMeshFile({ cwd: join(root, "bare/x"), env })).toBeNull();
});

test("outside of a repository only the folder itself is searched", () => {
  const root = folderWith("mesh.yaml", "below/");
  expect(discoverMeshFile({ cwd: join(root, "below"), env })).toBeNull();
});

test("two candidates in one folder are an error and not a guess", () => {
  const cwd = folderWith("mesh.yaml", "devmesh.yaml");
  const problem = (() => {
    try {
      return discoverMeshFile({ cwd, env });
    } catch (error) {
      return error;
    }
  })();
  expect(problem).toBeInstanceOf(Problem);
  expect(problem).toMatchObject({ code: "DM0003", message: `${cwd} has mesh.yaml and devmesh.yaml` });
});

test("an empty --file is a usage error", () => {
  expect(() => discoverMeshFile({ cwd: "/", file: "", env })).toThrow(expect.objectContaining({ code: "DM0002" }));
});
