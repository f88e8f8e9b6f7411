import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { describe, expect, onTestFinished, test } from "vitest";
import { namedProject, usualComposeFiles } from "../../cli/compose.ts";
import { resolveMeshProject, resolveProject } from "../../cli/project.ts";

type Files = Readonly<Record<string, string>>;

function folderWith(files: Files): string {
  const folder = mkdtempSync(path.join(tmpdir(), "devmesh-project-"));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(path.dirname(path.join(folder, name)), { recursive: true });
    writeFileSync(path.join(folder, name), text);
  }
  return folder;
}

describe("compose's files", () => {
  test.each<[string, Files, NodeJS.ProcessEnv, readonly string[]]>([
    [
      "compose.yaml comes before docker-compose.yml",
      { "compose.yaml": "", "docker-compose.yml": "" },
      {},
      ["compose.yaml"],
    ],
    [
      "an override goes along",
      { "compose.yml": "", "compose.override.yml": "" },
      {},
      ["compose.yml", "compose.override.yml"],
    ],
    ["an override alone is nothing", { "compose.override.yml": "" }, {}, []],
    [
      "COMPOSE_FILE names them",
      { "compose.yaml": "" },
      { COMPOSE_FILE: "a.yaml:sub/b.yaml" },
      ["a.yaml", "sub/b.yaml"],
    ],
    [
      "with a separator of its own",
      {},
      { COMPOSE_FILE: "a.yaml,b.yaml", COMPOSE_PATH_SEPARATOR: "," },
      ["a.yaml", "b.yaml"],
    ],
    [".env names them", { ".env": "COMPOSE_FILE=a.yaml\n", "compose.yaml": "" }, {}, ["a.yaml"]],
    ["the environment wins over .env", { ".env": "COMPOSE_FILE=a.yaml\n" }, { COMPOSE_FILE: "b.yaml" }, ["b.yaml"]],
    ["an empty COMPOSE_FILE counts as not set", { "compose.yaml": "" }, { COMPOSE_FILE: "" }, ["compose.yaml"]],
    ["there are none", { "readme.md": "" }, {}, []],
  ])("%s", (_why, files, env, expected) => {
    const folder = folderWith(files);
    expect(usualComposeFiles(folder, env)).toEqual(expected.map((file) => path.join(folder, file)));
  });
});

describe("a project that is named", () => {
  test.each<[string, string | null, NodeJS.ProcessEnv, string | undefined]>([
    ["by the environment", "COMPOSE_PROJECT_NAME=from-file\n", { COMPOSE_PROJECT_NAME: "from-env" }, "from-env"],
    ["by .env", "A=1\nCOMPOSE_PROJECT_NAME=from-file\n", {}, "from-file"],
    ["by .env with blanks and quotes", '  COMPOSE_PROJECT_NAME = "from-file" \n', {}, "from-file"],
    ["by .env with export", "export COMPOSE_PROJECT_NAME='from-file'\n", {}, "from-file"],
    ["by .env with Windows' line ends", "COMPOSE_PROJECT_NAME=from-file\r\nA=1\r\n", {}, "from-file"],
    ["by nothing in a comment", "#COMPOSE_PROJECT_NAME=from-file\n", {}, undefined],
    ["by nothing that is empty", "COMPOSE_PROJECT_NAME=\n", {}, undefined],
    ["by nothing", null, {}, undefined],
  ])("%s", (_why, dotEnv, env, expected) => {
    expect(namedProject(folderWith(dotEnv === null ? {} : { ".env": dotEnv }), env)).toBe(expected);
  });
});

const shop = {
  "mesh.yaml": "compose: [shop.yaml]\nservices: { web: {} }\n",
  "shop.yaml": "services: { web: { image: x } }\n",
};

describe("the project of a command", () => {
  test("is the folder of mesh.yaml with the files that it lists, and knows their services", async () => {
    const folder = folderWith({ ...shop, ".git/HEAD": "", "deep/er/x": "" });
    const cwd = path.join(folder, "deep/er");
    const found = await resolveProject({
      cwd,
      env: { COMPOSE_PROJECT_NAME: "shop" },
      file: undefined,
      name: undefined,
    });
    expect(found).toMatchObject({
      folder,
      name: "shop",
      meshFile: path.join(folder, "mesh.yaml"),
      composeFiles: [path.join(folder, "shop.yaml")],
      knownServices: ["web"],
      loaded: { kind: "ok" },
    });
  });

  test("has a name by the folder's where nothing else gives one, and none is a problem", async () => {
    const folder = folderWith({ "My Shöp_1/compose.yaml": "services: {}\n", "___/compose.yaml": "services: {}\n" });
    const nameIn = async (sub: string) =>
      (await resolveProject({ cwd: path.join(folder, sub), env: { PATH: "" }, file: undefined, name: undefined })).name;
    expect(await nameIn("My Shöp_1")).toBe("myshp_1");
    await expect(nameIn("___")).rejects.toMatchObject({ code: "DM0002", hint: "pass one with -p" });
  });

  test("lacks a compose file that mesh.yaml lists", async () => {
    const folder = folderWith({ "mesh.yaml": shop["mesh.yaml"] });
    const found = resolveProject({ cwd: folder, env: {}, file: undefined, name: undefined });
    await expect(found).rejects.toMatchObject({ code: "DM0003", message: expect.stringContaining("shop.yaml") });
  });
});

describe("the project of a mesh that is up", () => {
  function up(...projects: readonly string[]): { folder: string; env: NodeJS.ProcessEnv } {
    const folder = folderWith(shop);
    const options = (project: string) => ({
      projectDir: folder,
      project,
      meshFile: path.join(folder, "mesh.yaml"),
      composeFiles: [path.join(folder, "shop.yaml")],
      knownServices: ["web"],
      image: "x",
      dockerEnv: {},
      version: "1",
    });
    const files = projects.map((project, i) => [`devmesh/${i}/options.json`, JSON.stringify(options(project))]);
    const state = folderWith(Object.fromEntries([...files, ["devmesh/broken/options.json", "{"]]));
    return { folder, env: { XDG_STATE_HOME: state, PATH: "" } };
  }
  const find = (cwd: string, env: NodeJS.ProcessEnv, name?: string) =>
    resolveMeshProject({ cwd, env, file: undefined, name });

  test.each<[string, (folder: string) => void, readonly string[]]>([
    ["its files are fine", () => undefined, ["shop.yaml"]],
    ["mesh.yaml is broken", (folder) => writeFileSync(path.join(folder, "mesh.yaml"), "services: ["), ["shop.yaml"]],
    ["mesh.yaml is gone", (folder) => rmSync(path.join(folder, "mesh.yaml")), ["shop.yaml"]],
    ["the compose file is gone", (folder) => rmSync(path.join(folder, "shop.yaml")), []],
  ])("is what it was started as when %s", async (_why, change, composeFiles) => {
    const { folder, env } = up("started-as");
    change(folder);
    expect(await find(folder, env)).toMatchObject({
      folder,
      name: "started-as",
      composeFiles: composeFiles.map((file) => path.join(folder, file)),
    });
  });

  test("is the one that is named where there are several, and only that", async () => {
    const { folder, env } = up("one", "two");
    expect((await find(folder, env, "two")).name).toBe("two");
    expect((await find(folder, { ...env, COMPOSE_PROJECT_NAME: "one" })).name).toBe("one");
    expect((await find(folder, env, "three")).name).toBe("three");
  });

  test("of another folder is none of this one", async () => {
    const { env } = up("elsewhere");
    const folder = folderWith({ "compose.yaml": "services: {}\n" });
    expect((await find(folder, { ...env, COMPOSE_PROJECT_NAME: "here" })).name).toBe("here");
  });
});
