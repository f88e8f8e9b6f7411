// From a service's `capture:` to what is captured of its containers' traffic.
import type { CaptureOptions } from "../../../proxy/contract/capture-options.ts";
import type { Path } from "../located.ts";
import type { CaptureSpec } from "../spec.ts";
import type { NativeContext } from "./context.ts";
import type { ServiceInput } from "./schema.ts";

/** Of one list: every entry is an element of a set of the kernel's, in each container. */
export const captureEntriesMax = 256;

export function buildCapture(context: NativeContext, service: ServiceInput, path: Path): CaptureSpec | null {
  const { capture } = service;
  if (capture === undefined) return null;
  const { inbound = {}, outbound = {} } = capture;
  for (const [direction, lists] of Object.entries({ inbound, outbound })) {
    for (const [key, list] of Object.entries(lists)) {
      if ((list?.length ?? 0) <= captureEntriesMax) continue;
      const at = context.keyAt([...path, "capture", direction, key]);
      context.findings.error("DM1119", at, `${key} has ${list?.length} entries; ${captureEntriesMax} is the most`);
    }
  }
  const only = outbound.includePorts !== undefined;
  const options: CaptureOptions = {
    ...present("includeInboundPorts", inbound.includePorts),
    ...present("excludeInboundPorts", inbound.excludePorts),
    ...present("includeOutboundPorts", outbound.includePorts),
    ...present("excludeOutboundPorts", outbound.excludePorts),
    // "Only these ports" would mean nothing while every address is captured.
    ...present("includeOutboundCidrs", outbound.includeCidrs ?? (only ? [] : undefined)),
    ...present("excludeOutboundCidrs", outbound.excludeCidrs),
  };
  return { origin: context.keyAt([...path, "capture"]), ...options };
}

function present<K extends keyof CaptureOptions>(key: K, value: CaptureOptions[K]): Pick<CaptureOptions, K> | object {
  return value === undefined ? {} : { [key]: value };
}
