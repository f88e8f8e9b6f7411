// `status --fail-on-bypass`: what CI is told when bytes went past the mesh, or when nobody can say that none did. Pure.
import { Problem } from "../../daemon/api/problem.ts";
import type { BypassView } from "../../daemon/api/view.ts";
import { bytesText, flowText } from "../screen/bypass-lines.ts";

/** Further edges are in the JSON. */
const namedMax = 3;

/**
 * Throws DM0501 when bytes passed, and DM0502 when something was not counted: a sidecar that could not be read, or a container
 * without one that nobody opted out. What somebody opted out on purpose is no failure by itself; what it exchanges with a meshed
 * container past that one's proxy is counted there.
 */
export function assertNoBypass(bypass: BypassView | undefined): void {
  if (bypass === undefined) {
    throw new Problem("DM0502", "this mesh's daemon does not count what goes past it", "devmesh up starts a newer one");
  }
  const passed = bypass.edges.filter(({ verdict }) => verdict === "passed");
  if (passed.length > 0) {
    const named = passed.slice(0, namedMax).map(flowText);
    const more = passed.length > namedMax ? `, and ${passed.length - namedMax} more` : "";
    const message = `${bytesText(bypass.bytes)} went past the mesh: ${named.join(", ")}${more}`;
    throw new Problem("DM0501", message, "devmesh status --json lists all under bypass.edges");
  }
  const unread = bypass.unread.map(({ container, reason }) => `${container}: ${reason}`);
  const uncovered = bypass.uncovered
    .filter(({ isChosen }) => !isChosen)
    .map(({ container, reason }) => `${container} has no sidecar: ${reason}`);
  const unknown = [...unread, ...uncovered];
  if (unknown.length > 0) {
    const message = `not everything was counted: ${unknown.join("; ")}`;
    throw new Problem("DM0502", message, "a container that is to stay out of the mesh needs mesh: false in mesh.yaml");
  }
  if (!bypass.isComplete) throw new Problem("DM0502", "not everything was counted", "try again");
}
