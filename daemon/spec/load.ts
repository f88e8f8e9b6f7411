// From mesh.yaml to a Spec or to every problem in it. loadSpec is pure; readSpecFile reads the file first.
import { relative } from "node:path";
import { defaultSpec } from "./defaults.ts";
import { described } from "./describe.ts";
import { createFindings, type Findings } from "./findings.ts";
import { type IstioSpecs, isIstioDocument, readIstioDocument } from "./istio/document.ts";
import { checkReferences } from "./istio/references.ts";
import type { Located } from "./located.ts";
import { buildNative } from "./native/build.ts";
import { parseLocated } from "./parse-yaml.ts";
import type { LoadedSpec, Spec } from "./spec.ts";
import { readSpecText, specBytesMax } from "./spec-text.ts";

export interface LoadOptions {
  /** As people are shown it: "mesh.yaml". */
  readonly file: string;
  /** Every service that can exist (compose files, labels, what runs); null or absent: unknown, and only the World can tell. */
  readonly knownServices?: readonly string[] | null;
}

/** Reads every document of the file; problems are values, and nothing is thrown whatever the text. */
export function loadSpec(text: string, options: LoadOptions): LoadedSpec {
  const { file, knownServices = null } = options;
  const findings = createFindings(file);
  const spec = readDocuments(text, { file, known: knownServices }, findings);
  const diagnostics = findings.list();
  if (spec === null || findings.hasErrors()) return { kind: "invalid", diagnostics, file };
  return { kind: "ok", spec, warnings: diagnostics, file };
}

/**
 * Reads and loads a file; what is wrong with the file itself is a diagnostic too. It is shown as its path from the current folder
 * unless `file` says otherwise.
 */
export async function readSpecFile(path: string, options: Partial<LoadOptions> = {}): Promise<LoadedSpec> {
  const file = options.file ?? shortPath(path);
  const read = await readSpecText(path, file);
  return read.kind === "text" ? loadSpec(read.text, { ...options, file }) : read;
}

function shortPath(path: string): string {
  const below = relative(process.cwd(), path);
  return below === "" || below.startsWith("..") ? path : below;
}

function readDocuments(
  text: string,
  options: { file: string; known: readonly string[] | null },
  findings: Findings,
): Spec | null {
  const { file, known } = options;
  const nowhere = { file, line: 0, column: 0 };
  if (Buffer.byteLength(text) > specBytesMax) {
    findings.error("DM1004", nowhere, `the file is larger than ${specBytesMax / 1024} KiB`, "is this the right file?");
    return null;
  }
  const roots = parseLocated(text.replace(/^\uFEFF/, ""), file, findings);
  if (roots.length === 0) {
    const isBroken = findings.list().length > 0;
    if (!isBroken)
      findings.error(
        "DM1003",
        nowhere,
        "the file is empty",
        "write `services: {}` for a mesh with nothing configured, or delete the file",
      );
    return null;
  }
  const istio: IstioSpecs = { virtualServices: [], destinationRules: [] };
  let native: Spec | null = null;
  let nativeAt: Located["at"] | null = null;
  for (const root of roots) {
    if (root.kind !== "map") {
      findings.error(
        "DM1013",
        root.at,
        `a document must be a map, but this is ${described(root)}`,
        "begin with `services:`",
      );
    } else if (isIstioDocument(root)) readIstioDocument(root, istio, findings);
    else if (nativeAt !== null) {
      const hint = "Istio's documents have apiVersion and kind; write everything else into the first document";
      findings.error(
        "DM1012",
        root.at,
        `a second document without apiVersion and kind; the first is on line ${nativeAt.line}`,
        hint,
      );
    } else {
      nativeAt = root.at;
      native = buildNative(root, findings, known);
    }
  }
  const spec: Spec = { ...(native ?? defaultSpec), ...istio };
  checkReferences(spec, known, findings);
  return spec;
}
