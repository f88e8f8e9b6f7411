import { expect, test } from "vitest";
import { readUpArguments } from "../../cli/compose-intent.ts";

const nothing = {
  services: [],
  scale: {},
  unread: [],
  recreates: "changed",
  builds: false,
  hasDependencies: true,
  removesOrphans: false,
};

test.each<[string, string[], object]>([
  ["nothing", [], {}],
  ["services", ["web", "db"], { services: ["web", "db"] }],
  ["scales in both forms", ["--scale", "web=3", "--scale=db=0"], { scale: { web: 3, db: 0 } }],
  ["values that are no services", ["-t", "3", "--pull=never", "--timeout", "5", "web"], { services: ["web"] }],
  ["what recreates", ["--force-recreate", "--build"], { recreates: "always", builds: true }],
  ["what does not", ["--no-recreate", "--no-deps"], { recreates: "never", hasDependencies: false }],
  ["orphans", ["--remove-orphans", "-d", "--wait"], { removesOrphans: true }],
  ["what it does not know", ["--menu", "--no-start"], { unread: ["--menu", "--no-start"] }],
])("the arguments of compose up: %s", (_why, args, expected) => {
  expect(readUpArguments(args)).toEqual({ ...nothing, ...expected });
});
