import { expect, test } from "vitest";
import { privilegesLeft } from "../../../proxy/capture/drop-privileges.ts";

const none = `Name:\tnode
Uid:\t1337\t1337\t1337\t1337
Gid:\t20001\t20001\t20001\t20001
Groups:\t
CapInh:\t0000000000000000
CapPrm:\t0000000000000000
CapEff:\t0000000000000000
CapBnd:\t00000000000010c0
CapAmb:\t0000000000000000
NoNewPrivs:\t1
`;

test.each([
  ["nothing", [none, none], []],
  [
    "an effective capability of one thread",
    [none, none.replace("CapEff:\t0000000000000000", "CapEff:\t0000000000001000")],
    ["CapEff 0000000000001000"],
  ],
  [
    "an inheritable capability",
    [none.replace("CapInh:\t0000000000000000", "CapInh:\t00000000a80425fb")],
    ["CapInh 00000000a80425fb"],
  ],
  ["a saved user id", [none.replace("Uid:\t1337\t1337\t1337", "Uid:\t1337\t1337\t0")], ["Uid 1337 1337 0 1337"]],
  ["the group of before", [none.replace("Gid:\t20001\t", "Gid:\t0\t")], ["Gid 0 20001 20001 20001"]],
  ["a group", [none.replace("Groups:\t", "Groups:\t0 1337")], ["Groups 0 1337"]],
  ["a kernel that says less", [none.replace(/CapAmb.*\n/, "")], ["CapAmb missing"]],
  [
    "a container without no-new-privileges",
    [none.replace("NoNewPrivs:\t1", "NoNewPrivs:\t0")],
    ["NoNewPrivs is not set (create the container with no-new-privileges)"],
  ],
])("finds %s", (_why, statuses, expected) => {
  expect(privilegesLeft(statuses, 20_001)).toEqual(expected);
});
