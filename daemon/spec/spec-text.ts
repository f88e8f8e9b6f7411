// The edge where mesh.yaml is read from disk: everything that can be wrong with a file before it is YAML.
import { type FileHandle, open, stat } from "node:fs/promises";
import type { DiagnosticCode } from "./codes.ts";
import type { LoadedSpec } from "./spec.ts";

/** Larger files are refused before they are parsed. */
export const specBytesMax = 1_048_576;

export type SpecText = { readonly kind: "text"; readonly text: string } | (LoadedSpec & { readonly kind: "invalid" });

/** The text of a file, at most `specBytesMax` bytes of UTF-8. `shownAs` is its name in diagnostics. */
export async function readSpecText(path: string, shownAs: string = path): Promise<SpecText> {
  const invalid = (code: DiagnosticCode, message: string, hint: string): SpecText => ({
    kind: "invalid",
    file: shownAs,
    diagnostics: [{ severity: "error", code, message, hint, file: shownAs, line: 0, column: 0 }],
  });
  let bytes: Buffer;
  try {
    const entry = await stat(path);
    // Asked before it is opened: opening a named pipe would wait for a writer.
    if (!entry.isFile())
      return invalid("DM1002", entry.isDirectory() ? "this is a folder" : "this is not a file", "name a YAML file");
    await using file = await open(path, "r");
    bytes = await readAtMost(file, specBytesMax + 1);
  } catch (error) {
    const code = error instanceof Error && "code" in error ? String(error.code) : "";
    if (code === "ENOENT" || code === "ENOTDIR")
      return invalid("DM1001", "the file does not exist", "check the path, or create it with `services: {}`");
    if (code === "EACCES" || code === "EPERM")
      return invalid("DM1002", "no permission to read the file", `try: chmod u+r ${shownAs}`);
    return invalid("DM1002", `the file cannot be read: ${error instanceof Error ? error.message : String(error)}`, "");
  }
  if (bytes.length > specBytesMax) {
    return invalid("DM1004", `the file is larger than ${specBytesMax / 1024} KiB`, "is this the right file?");
  }
  if ((bytes[0] === 0xff && bytes[1] === 0xfe) || (bytes[0] === 0xfe && bytes[1] === 0xff)) {
    return invalid("DM1005", "the file is UTF-16", "save it as UTF-8");
  }
  try {
    return { kind: "text", text: new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes) };
  } catch {
    return invalid("DM1005", "the file is not UTF-8", "save it as UTF-8");
  }
}

async function readAtMost(file: FileHandle, bytesMax: number): Promise<Buffer> {
  const buffer = Buffer.alloc(bytesMax);
  let length = 0;
  while (length < bytesMax) {
    const { bytesRead } = await file.read(buffer, length, bytesMax - length);
    if (bytesRead === 0) break;
    length += bytesRead;
  }
  return buffer.subarray(0, length);
}
