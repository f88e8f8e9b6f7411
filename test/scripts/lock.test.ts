import { readFileSync } from "node:fs";
import { expect, it } from "vitest";

interface LockedPackage {
  readonly dependencies?: Readonly<Record<string, string>>;
  readonly optionalDependencies?: Readonly<Record<string, string>>;
}

const lock = JSON.parse(readFileSync(new URL("../../package-lock.json", import.meta.url), "utf8")) as {
  packages: Readonly<Record<string, LockedPackage>>;
};

// `npm install` leaves out an optional platform package that the registry does not have, and `npm ci` then refuses
// the lock file on every machine: a fresh clone would not even start.
it("the lock file has every package that it names, for every platform", () => {
  const isThere = (from: string, name: string): boolean => {
    const prefix = from === "" ? "" : `${from}/`;
    if (`${prefix}node_modules/${name}` in lock.packages) return true;
    return from !== "" && isThere(from.slice(0, Math.max(0, from.lastIndexOf("/node_modules/"))), name);
  };
  const missing = Object.entries(lock.packages).flatMap(([from, { dependencies, optionalDependencies }]) =>
    Object.keys({ ...dependencies, ...optionalDependencies })
      .filter((name) => !isThere(from, name))
      .map((name) => `${from} needs ${name}`),
  );
  expect(missing).toEqual([]);
});
