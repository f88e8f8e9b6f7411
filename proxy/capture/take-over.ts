// From here on the namespace's TCP goes through the proxy: the rules for what is new, an end for what is older and quiet.
import { installRules } from "./install-rules.ts";
import { findQuietConnections } from "./quiet-connections.ts";
import type { RuleOptions } from "./rules.ts";

/** Throws, and changes nothing, when the rules cannot be loaded. */
export async function takeOver(options: RuleOptions, log: (line: string) => void): Promise<void> {
  // A kernel without these diagnostics leaves all of them to the guard, which also knows whom to spare.
  const finding = options.sparesEarly === true ? null : findQuietConnections(options);
  const quiet = await finding?.catch((error: Error) => {
    log(`[devmesh] connections older than the rules are reset at their next packet only: ${error.message}`);
    return null;
  });
  await installRules(options);
  const closed = quiet?.close() ?? 0;
  if (closed > 0) log(`[devmesh] closed ${closed} quiet connections that were older than the rules`);
}
