// Bundles the command line and the proxy with esbuild, each into one file, the same bytes for the same sources.
import { chmodSync, copyFileSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";
import { bundlePlugins } from "./bundle-plugins.mjs";
import { writeNotices } from "./notices.mjs";
import { dist, root } from "./project.mjs";
import { SetupError } from "./step.mjs";

/** What CommonJS packages expect to find in a module; esbuild's ESM output has none of it. */
const banner = [
  'import { createRequire as __createRequire } from "node:module";',
  'import { dirname as __pathDirname } from "node:path";',
  'import { fileURLToPath as __fileURLToPath } from "node:url";',
  "const require = __createRequire(import.meta.url);",
  "const __filename = __fileURLToPath(import.meta.url);",
  "const __dirname = __pathDirname(__filename);",
].join("\n");

const bundles = [
  { entry: "cli/main.ts", file: "devmesh.mjs", mode: 0o755 },
  { entry: "proxy/main.ts", file: "proxy.mjs" },
];

/** Builds every bundle whose entry exists; returns a summary for the step's line. */
export async function buildBundles() {
  const esbuild = await import("esbuild");
  const present = bundles.filter(({ entry }) => existsSync(path.join(root, entry)));
  mkdirSync(dist, { recursive: true });
  const built = await Promise.all(present.map((bundle) => buildBundle(esbuild, bundle)));
  copyResources();
  writeNotices([...new Set(built.flatMap(({ inputs }) => inputs))]);
  return built.map(({ file, bytes }) => `${file} ${Math.round(bytes / 1024)} kB`).join(", ") || "nothing to bundle yet";
}

/** Bundles one entry (relative to the checkout) into `file` (relative to dist); answers { file, bytes, inputs }. */
export async function buildBundle(esbuild, { entry, file, mode = 0o644 }) {
  const outfile = path.resolve(dist, file);
  let result;
  try {
    result = await esbuild.build({
      entryPoints: [path.resolve(root, entry)],
      absWorkingDir: root,
      outfile,
      bundle: true,
      metafile: true,
      format: "esm",
      platform: "node",
      target: "node22",
      banner: { js: banner },
      legalComments: "none",
      logLevel: "silent",
      // Names stay, so that a stack trace still says where; lines stay short, since Node prints the one that threw.
      minifyWhitespace: true,
      minifySyntax: true,
      lineLimit: 200,
      plugins: bundlePlugins,
      // Optional parts of blessed: absent ones are found out at run time.
      external: ["*.node", "term.js", "pty.js"],
    });
  } catch (error) {
    const text = (error.errors ?? []).map(
      (one) => `${one.location?.file ?? ""}:${one.location?.line ?? 0} ${one.text}`,
    );
    throw new SetupError({
      what: `bundling ${entry} failed\n  ${text.join("\n  ") || error.message}`,
      hint: "mend the sources",
    });
  }
  chmodSync(outfile, mode);
  return { file, bytes: readFileSync(outfile).length, inputs: Object.keys(result.metafile.inputs) };
}

function copyResources() {
  const native = nativeKoffiFile(process.platform, process.arch);
  const platform = `${process.platform}-${process.arch}`;
  if (native !== null) copyNativeKoffi(native, platform);
  mkdirSync(path.join(dist, "koffi"), { recursive: true });
  // Part of the proxy image's name, in place of the native parts themselves.
  writeFileSync(path.join(dist, "koffi", "version"), `koffi ${koffiVersion()}\n`);
  for (const name of ["xterm", "xterm-256color", "linux", "windows-ansi", "xterm.termcap"]) {
    const from = path.join(root, "node_modules/blessed/usr", name);
    if (existsSync(from)) copyTo(from, path.join(dist, "blessed/usr", name));
  }
}

/** Puts koffi's native part for `platform` where the bundle looks for it. */
export function copyNativeKoffi(from, platform) {
  copyTo(from, path.join(dist, "koffi", platform, "koffi.node"));
}

function koffiVersion() {
  return JSON.parse(readFileSync(path.join(root, "node_modules/koffi/package.json"), "utf8")).version;
}

/** koffi's native part for a platform, where npm installed it, or null. */
export function nativeKoffiFile(platform, arch) {
  const file = path.join(
    root,
    "node_modules/@koromix",
    `koffi-${platform}-${arch}`,
    `${platform}_${arch}`,
    "koffi.node",
  );
  return existsSync(file) ? file : null;
}

function copyTo(from, to) {
  mkdirSync(path.dirname(to), { recursive: true });
  // A fresh file: overwriting one that a running process has mapped would crash that process.
  rmSync(to, { force: true });
  copyFileSync(from, to);
}
