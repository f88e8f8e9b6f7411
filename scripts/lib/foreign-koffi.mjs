// koffi's native part for an engine whose platform npm did not install for: a Mac's, or a remote one's.
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync } from "node:fs";
import path from "node:path";
import { logFile, root } from "./project.mjs";
import { capture, freshLog, logged, SetupError } from "./step.mjs";

/** Path of koffi.node for linux-<arch>, fetched by npm with its settings and checked against package-lock.json. */
export async function fetchNativeKoffi(arch) {
  const name = `@koromix/koffi-linux-${arch}`;
  const locked = JSON.parse(readFileSync(path.join(root, "package-lock.json"), "utf8")).packages[
    `node_modules/${name}`
  ];
  if (locked === undefined)
    throw new SetupError({ what: `${name} is not in package-lock.json`, hint: "use an amd64 or arm64 engine" });
  const folder = path.join(root, ".cache", `koffi-linux-${arch}-${locked.version}`);
  const file = path.join(folder, "package", `linux_${arch}`, "koffi.node");
  if (existsSync(file)) return file;
  mkdirSync(folder, { recursive: true });
  const { code, stdout, stderr } = await capture(process.platform === "win32" ? "npm.cmd" : "npm", [
    ...["pack", `${name}@${locked.version}`, "--json", "--pack-destination", folder],
  ]);
  if (code !== 0)
    throw new SetupError({
      what: `npm pack ${name} failed: ${stderr.trim()}`,
      hint: "check npm's registry and proxy settings",
    });
  const tarball = path.join(folder, JSON.parse(stdout)[0].filename.replace("@", "").replace("/", "-"));
  const [algorithm, expected] = locked.integrity.split(/-(.*)/s);
  if (createHash(algorithm).update(readFileSync(tarball)).digest("base64") !== expected) {
    throw new SetupError({
      what: `${tarball} is not what package-lock.json says`,
      hint: "remove the file, then run this again",
    });
  }
  const log = freshLog(logFile("koffi"));
  await logged({
    command: "tar",
    args: ["-xzf", tarball, "-C", folder],
    log,
    what: `${tarball} could not be unpacked`,
    hint: "remove it",
  });
  return file;
}
