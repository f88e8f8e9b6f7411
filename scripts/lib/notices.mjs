// Who wrote what is in the bundles, and under which licence: their licences ask that this goes with every copy.
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { dist, root } from "./project.mjs";

/** Writes dist/third-party.txt. `inputs` are the files that the bundles were made of, relative to the checkout. */
export function writeNotices(inputs) {
  const folders = [...new Set(inputs.map(packageOf).filter((folder) => folder !== null))].sort();
  const rule = "-".repeat(80);
  writeFileSync(path.join(dist, "third-party.txt"), folders.map((folder) => `${noticeOf(folder)}\n${rule}\n`).join(""));
}

/** The package's folder below node_modules, or null for our own files. */
function packageOf(input) {
  return /^.*node_modules\/(?:@[^/]+\/)?[^/]+/.exec(input)?.[0].replace(/^[a-z0-9]+:/, "") ?? null;
}

function noticeOf(folder) {
  const full = path.join(root, folder);
  const { name, version, license } = JSON.parse(readFileSync(path.join(full, "package.json"), "utf8"));
  const texts = readdirSync(full).filter((file) => /^(licen[cs]e|notice|copying)/i.test(file));
  const words = texts.sort().map((file) => readFileSync(path.join(full, file), "utf8").trim());
  return [`${name} ${version}: ${license}`, ...words].join("\n\n");
}
