import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { findCompose, projectName } from "../../cli/compose.ts";

const root = mkdtempSync(path.join(tmpdir(), "devmesh-compose-"));
afterAll(() => rmSync(root, { recursive: true, force: true }));

/** A folder with programs that answer as the real ones do. */
function programs(name: string, scripts: Readonly<Record<string, string>>): string {
  const folder = path.join(root, name);
  mkdirSync(folder);
  for (const [file, script] of Object.entries(scripts)) {
    writeFileSync(path.join(folder, file), `#!/bin/sh\n${script}\n`, { mode: 0o755 });
  }
  return folder;
}

const plugin = `[ "$1" = compose ] && shift || exit 1
case "$*" in
version*) echo 2.29.1 ;;
*config*) echo '{"name":"from-compose"}' ;;
esac`;
const v1 = `case "$*" in *config*) echo "services: {}" ;; *) sleep 60 ;; esac`;
const noPlugin = "exit 1";

describe("the compose command", () => {
  test.each([
    ["the plugin wins", { docker: plugin, "docker-compose": v1 }, { command: "docker", args: ["compose"] }],
    [
      "without the plugin it is docker-compose",
      { docker: noPlugin, "docker-compose": v1 },
      { command: "docker-compose", args: [] },
    ],
    ["without either there is none", { docker: noPlugin }, null],
  ])("%s", async (why, scripts, expected) => {
    const PATH = programs(why.replaceAll(" ", "-"), scripts as Record<string, string>);
    expect(await findCompose({ PATH })).toEqual(expected);
  });
});

describe("the project's name", () => {
  test.each([
    ["a flag wins", { flag: "flagged", env: { COMPOSE_PROJECT_NAME: "other" }, text: "name: own\n" }, "flagged"],
    ["then the environment", { env: { COMPOSE_PROJECT_NAME: "from-env" }, text: "name: own\n" }, "from-env"],
    ["compose is asked about a file that names itself", { env: {}, text: "name: own\nservices: {}\n" }, "from-compose"],
    ["also in flow style", { env: {}, text: "{name: own, services: {}}\n" }, "from-compose"],
    ["a volume's name is none", { env: {}, text: "volumes:\n  data:\n    name: own\n" }, "myshop_1"],
    ["else the folder's, cleaned", { env: {}, text: "services: {}\n" }, "myshop_1"],
  ])("%s", async (why, { flag, env, text }: { flag?: string; env: object; text: string }, expected) => {
    const PATH = programs(`name ${why}`, { docker: plugin });
    const folder = path.join(root, `project ${why}`, "-My.Shop_1");
    mkdirSync(folder, { recursive: true });
    const file = path.join(folder, "compose.yaml");
    writeFileSync(file, text);
    expect(await projectName({ flag, composeFiles: [file], folder, env: { PATH, ...env } })).toBe(expected);
  });

  test("a name that compose would refuse is a problem with a hint", async () => {
    await expect(projectName({ flag: "Shop!", composeFiles: [], folder: root, env: {} })).rejects.toMatchObject({
      code: "DM0002",
      hint: "use lower-case letters, digits, - and _",
    });
  });
});
