// `devmesh validate`: reads mesh.yaml as the daemon would, without Docker. Errors are exit code 3.
import { exitCodes, Problem } from "../../daemon/api/problem.ts";
import type { LoadedSpec } from "../../daemon/spec/spec.ts";
import { type CommandContext, projectOf } from "./context.ts";

export async function validate(context: CommandContext, file: string | undefined): Promise<number> {
  const { output } = context;
  const loaded = await load(context, file);
  const diagnostics = loaded.kind === "ok" ? loaded.warnings : loaded.diagnostics;
  const errors = diagnostics.filter((diagnostic) => diagnostic.severity === "error").length;
  const warnings = diagnostics.length - errors;
  if (output.isJson) {
    output.data(JSON.stringify({ file: loaded.file, isValid: errors === 0, diagnostics }, null, 2));
  } else {
    for (const diagnostic of diagnostics) output.diagnostic(diagnostic);
    output.note(
      `${loaded.file}: ${errors === 0 ? output.paint.green("valid") : `${errors} errors`}${warnings > 0 ? `, ${warnings} warnings` : ""}`,
    );
  }
  return errors === 0 ? exitCodes.ok : exitCodes.configInvalid;
}

async function load(context: CommandContext, file: string | undefined): Promise<LoadedSpec> {
  const project = await projectOf(file === undefined ? context : { ...context, flags: { ...context.flags, file } });
  if (project.loaded !== null) return project.loaded;
  throw new Problem(
    "DM0003",
    "there is no mesh.yaml here",
    "devmesh works without one; name another with: devmesh validate FILE",
  );
}
