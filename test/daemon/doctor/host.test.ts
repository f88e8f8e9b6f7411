// The checks that need no Docker.
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { ownLabels } from "../../../daemon/docker/labels.ts";
import { groupHint } from "../../../daemon/doctor/groups.ts";
import { checkCompose, checkNode, checkStateFolder } from "../../../daemon/doctor/host.ts";
import { doctorIdentity, isLeftover } from "../../../daemon/doctor/leftovers.ts";

const folder = mkdtempSync(join(tmpdir(), "devmesh-doctor-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

test.each([
  ["v24.1.0", "ok"],
  ["v22.0.0", "ok"],
  ["v20.19.0", "fail"],
])("Node %s is %s", (version, status) => {
  expect(checkNode(version).status).toBe(status);
});

test("without compose the mesh can only attach: a warning", () => {
  expect(checkCompose("docker compose 2.20.3")).toMatchObject({ status: "ok", what: "docker compose 2.20.3" });
  expect(checkCompose(null)).toMatchObject({ status: "warn", what: expect.stringContaining("--no-compose") });
});

describe("the state folder", () => {
  test("one that is not there yet is judged by what is above it, and is not made", () => {
    expect(checkStateFolder(join(folder, "state", "devmesh")).what).toContain("can be written");
    expect(readdirSync(folder)).toEqual([]);
  });

  test("a file in its place is a failure that says what to do", () => {
    const file = join(folder, "file");
    writeFileSync(file, "");
    expect(checkStateFolder(file)).toMatchObject({
      status: "fail",
      what: `the state folder ${file} cannot be written: ENOTDIR`,
      hint: expect.stringContaining("XDG_STATE_HOME"),
    });
    rmSync(file);
  });
});

describe("the group docker", () => {
  const file = "root:x:0:\ndocker:x:998:ann,bob\nusers:x:100:\n";
  test("a member whose session is older is told to log in again", () => {
    expect(groupHint({ user: "bob", ids: [1000, 100], file })).toContain("bob is in the group docker");
  });
  test.each([
    ["no member", { user: "eve", ids: [1000], file }],
    ["one whose session has it", { user: "ann", ids: [1000, 998], file }],
    ["a machine without the group", { user: "ann", ids: [1000], file: "root:x:0:\n" }],
  ])("%s is not", (_why, groups) => {
    expect(groupHint(groups)).toBeNull();
  });
});

describe("what is left of another doctor", () => {
  const own = ownLabels(doctorIdentity());
  const of = (who: object) => ({ ...own, "dev.devmesh.state-id": JSON.stringify(who) });
  test.each<[string, Readonly<Record<string, string>>, number, boolean]>([
    ["what runs now", own, 5_000, false],
    ["what is far too old, whoever made it", own, 600_000, true],
    ["a dead process of this machine", of({ host: "here", pid: 2 ** 22 + 5, startTime: null }), 5_000, true],
    ["its number used again", of({ host: "here", pid: process.pid, startTime: "long ago" }), 5_000, true],
    ["another machine's", of({ host: "there", pid: 2 ** 22 + 5, startTime: null }), 5_000, false],
    ["labels of another shape, however old", { ...own, "dev.devmesh.state-id": "{}" }, 600_000, false],
    ["a mesh's", { ...own, "dev.devmesh.mesh": "shop" }, 600_000, false],
    ["a mesh that is called so", { ...own, "dev.devmesh.state-id": "0123456789ab" }, 600_000, false],
    ["a mesh whose id is a number", { ...own, "dev.devmesh.state-id": "012345678901" }, 600_000, false],
    ["another with only digits", { ...own, "dev.devmesh.state-id": "112345678901" }, 600_000, false],
  ])("%s", (_why, labels, ageMs, expected) => {
    expect(isLeftover(labels, ageMs, own === labels ? undefined : "here")).toBe(expected);
  });
});
