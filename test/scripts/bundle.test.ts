// The packages that need care when they are bundled, in one bundle, run from a folder that has no node_modules.
import { execFileSync } from "node:child_process";
import { cpSync, existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import * as esbuild from "esbuild";
import { afterAll, beforeAll, expect, it } from "vitest";

interface Bundle {
  readonly buildBundle: (builder: unknown, bundle: { entry: string; file: string }) => Promise<unknown>;
  readonly nativeKoffiFile: (platform: string, arch: string) => string | null;
}
const { buildBundle, nativeKoffiFile } = (await import(
  new URL("../../scripts/lib/bundle.mjs", import.meta.url).href
)) as Bundle;

const root = path.resolve(import.meta.dirname, "../..");
let folder = "";

beforeAll(() => {
  folder = mkdtempSync(path.join(tmpdir(), "devmesh-bundle-"));
});
afterAll(() => rmSync(folder, { recursive: true }));

async function bundleAndRun(name: string, source: string): Promise<string> {
  // The entry stands in the checkout's cache, so that packages are found; the bundle runs elsewhere.
  const entry = path.join(root, ".cache", `bundle-test-${process.pid}-${name}.ts`);
  mkdirSync(path.dirname(entry), { recursive: true });
  writeFileSync(entry, source);
  try {
    await buildBundle(esbuild, { entry, file: path.join(folder, `${name}.mjs`) });
  } finally {
    rmSync(entry);
  }
  return execFileSync(process.execPath, [path.join(folder, `${name}.mjs`)], { cwd: folder, encoding: "utf8" });
}

it("bundles blessed with its widgets and terminal descriptions", async () => {
  cpSync(path.join(root, "node_modules/blessed/usr"), path.join(folder, "blessed/usr"), { recursive: true });
  const printed = await bundleAndRun(
    "blessed",
    `import blessed from "blessed";
    import { PassThrough } from "node:stream";
    const output = new PassThrough();
    output.resume();
    for (const terminal of ["xterm", "xterm-256color", "no-such-terminal"]) {
      const screen = blessed.screen({ input: new PassThrough(), output, terminal });
      screen.append(blessed.listtable({ border: "line" }));
      screen.render();
      screen.destroy();
    }
    console.log(typeof blessed.box, typeof blessed.textbox);
    process.exit(0);`,
  );
  expect(printed).toBe("function function\n");
});

it("bundles pino", async () => {
  const printed = await bundleAndRun(
    "log",
    `import { pino } from "pino";
    pino({ base: null, timestamp: false }).info("ready");`,
  );
  expect(JSON.parse(printed)).toEqual({ level: 30, msg: "ready" });
});

it("bundles koffi, whose native part lies beside the bundle", async () => {
  const platform = `${process.platform}-${process.arch}`;
  const native = nativeKoffiFile(process.platform, process.arch);
  expect(native !== null && existsSync(native)).toBe(true);
  cpSync(native ?? "", path.join(folder, "koffi", platform, "koffi.node"));
  const printed = await bundleAndRun(
    "koffi",
    `import koffi from "koffi";
    console.log(koffi.load(null).func("int getpid()")() === process.pid);`,
  );
  expect(printed).toBe("true\n");
});

it("bundles re2js and Node's own modules so that neither is loaded before it is used", async () => {
  const printed = await bundleAndRun(
    "lazy",
    `import http, { STATUS_CODES } from "node:http";
    import { RE2JS } from "re2js";
    const before = process.moduleLoadList.some((name) => name.includes("internal/deps/undici"));
    const pattern = RE2JS.compile("(a+)+b");
    console.log(before, STATUS_CODES[404], typeof http.createServer, pattern.matches("aab"), pattern.matches("a".repeat(40)));`,
  );
  expect(printed).toBe("false Not Found function true false\n");
});
