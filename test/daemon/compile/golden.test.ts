// Golden folders: mesh.yaml and world.json in, expected.json out. `UPDATE_GOLDEN=1` rewrites them; review the diff.
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { compile } from "../../../daemon/compile/compile.ts";
import { mergeDiagnostics } from "../../../daemon/compile/problems.ts";
import type { World } from "../../../daemon/docker/world.ts";
import { defaultSpec } from "../../../daemon/spec/defaults.ts";
import { formatDiagnostic } from "../../../daemon/spec/diagnostic.ts";
import { loadSpec } from "../../../daemon/spec/load.ts";
import type { LoadedSpec } from "../../../daemon/spec/spec.ts";
import { inputOf } from "./support.ts";

interface GoldenWorld {
  readonly world: World;
  readonly knownServices: readonly string[] | null;
  /** Container ids whose sidecar is ready. */
  readonly ready: "all" | readonly string[];
}

const root = join(import.meta.dirname, "../../golden/compile");

test.each(readdirSync(root))("%s", (name) => {
  const folder = join(root, name);
  const { world, knownServices, ready }: GoldenWorld = JSON.parse(readFileSync(join(folder, "world.json"), "utf8"));
  const loaded = load(join(folder, "mesh.yaml"), knownServices);
  if (loaded.kind === "invalid") throw new Error(loaded.diagnostics.map(formatDiagnostic).join("\n"));
  const input = inputOf({ world, knownServices, spec: loaded.spec });
  const result = compile(ready === "all" ? input : { ...input, readySidecars: new Set(ready) });
  const { proxies, diagnostics, ...rest } = result;
  const problems = mergeDiagnostics(loaded.warnings, diagnostics).map(formatDiagnostic);
  const text = `${JSON.stringify({ diagnostics: problems, ...rest, proxies: Object.fromEntries(proxies) }, null, 2)}\n`;
  const file = join(folder, "expected.json");
  if (process.env.UPDATE_GOLDEN === "1") writeFileSync(file, text);
  expect(text).toBe(readFileSync(file, "utf8"));
});

function load(path: string, knownServices: readonly string[] | null): LoadedSpec {
  if (existsSync(path)) return loadSpec(readFileSync(path, "utf8"), { file: "mesh.yaml", knownServices });
  return { kind: "ok", spec: defaultSpec, warnings: [], file: null };
}
