// What the proxy's container is started with: the environment variable DEVMESH_OPTIONS, one JSON object.
import type { RuleOptions } from "./capture/rules.ts";

export interface ProxyOptions extends Omit<RuleOptions, "proxyGroup"> {
  /** The container's name, for the log before the first config. */
  readonly workload: string;
}

/** Throws with what is missing. */
export function parseOptions(text: string | undefined): ProxyOptions {
  if (text === undefined) throw new Error("DEVMESH_OPTIONS is not set: this image is started by devmesh");
  const parsed: unknown = JSON.parse(text);
  if (
    parsed === null ||
    typeof parsed !== "object" ||
    !("meshSubnet" in parsed) ||
    typeof parsed.meshSubnet !== "string"
  ) {
    throw new Error("DEVMESH_OPTIONS has no meshSubnet");
  }
  return { workload: "unknown", ...parsed, meshSubnet: parsed.meshSubnet };
}
