// What of a container's traffic is captured: mesh.yaml's `capture:`, and Istio's annotations as the container's labels.
import { type CaptureOptions, cidrFault, reservedPorts } from "../../proxy/contract/capture-options.ts";
import type { CaptureSpec } from "../spec/spec.ts";
import { compareText } from "./problems.ts";

type Labels = Readonly<Record<string, string>>;
type Member = keyof CaptureOptions;
type List = readonly (string | number)[];

const prefix = "traffic.sidecar.istio.io/";
/** Of one label: every entry is an element of a set of the kernel's. */
const entriesMax = 256;

interface Annotation {
  readonly member: Member;
  readonly holds: "ports" | "cidrs";
  /** A `*` is everything, which is the default. */
  readonly takesAll: boolean;
}

const annotations: ReadonlyMap<string, Annotation> = new Map([
  ["includeInboundPorts", { member: "includeInboundPorts", holds: "ports", takesAll: true }],
  ["excludeInboundPorts", { member: "excludeInboundPorts", holds: "ports", takesAll: false }],
  ["includeOutboundPorts", { member: "includeOutboundPorts", holds: "ports", takesAll: false }],
  ["excludeOutboundPorts", { member: "excludeOutboundPorts", holds: "ports", takesAll: false }],
  ["includeOutboundIPRanges", { member: "includeOutboundCidrs", holds: "cidrs", takesAll: true }],
  ["excludeOutboundIPRanges", { member: "excludeOutboundCidrs", holds: "cidrs", takesAll: false }],
]);

type Read = { readonly kind: "all" } | { readonly kind: "list"; readonly list: List } | Fault;
type Fault = { readonly kind: "fault"; readonly fault: string };

/**
 * A label comes before mesh.yaml, member by member: it is closer to the container. One that cannot be read changes nothing,
 * so that a slip of the pen captures more rather than less; `labelFaultsOf` tells of it.
 */
export function captureOf(labels: Labels, spec: CaptureSpec | null): CaptureOptions {
  const { origin: _, ...written } = spec ?? { origin: null };
  const lists = new Map(Object.entries(written) as [Member, List][]);
  for (const [name, annotation] of annotations) {
    const text = labels[prefix + name];
    if (text === undefined) continue;
    const read = readList(text, annotation);
    if (read.kind === "all") lists.delete(annotation.member);
    if (read.kind === "list") lists.set(annotation.member, read.list);
  }
  return canonical(lists);
}

/** What is wrong with the labels of one container, by label. */
export function labelFaultsOf(labels: Labels): readonly { readonly name: string; readonly fault: string }[] {
  const names = Object.keys(labels).filter((name) => name.startsWith(prefix));
  return names.sort(compareText).flatMap((name) => {
    const annotation = annotations.get(name.slice(prefix.length));
    if (annotation === undefined) return [{ name, fault: "devmesh does not read this one" }];
    const read = readList(labels[name] ?? "", annotation);
    return read.kind === "fault" ? [{ name, fault: read.fault }] : [];
  });
}

/** True when what comes to the port from outside the mesh's network goes through the proxy. */
export function isCapturedInbound(capture: CaptureOptions, port: number): boolean {
  if (capture.excludeInboundPorts?.includes(port)) return false;
  return capture.includeInboundPorts?.includes(port) ?? true;
}

/** Istio's lists: commas, spaces around entries; an empty text is an empty list. */
function readList(text: string, { holds, takesAll }: Annotation): Read {
  if (takesAll && text.trim() === "*") return { kind: "all" };
  const parts = text.trim() === "" ? [] : text.split(",").map((part) => part.trim());
  if (parts.length > entriesMax) return { kind: "fault", fault: `it has more than ${entriesMax} entries` };
  for (const part of parts) {
    const fault = holds === "ports" ? portFault(part) : cidrFault(part);
    if (fault !== null) return { kind: "fault", fault: `${JSON.stringify(part)}: ${fault}` };
  }
  return { kind: "list", list: holds === "ports" ? parts.map(Number) : parts };
}

function portFault(text: string): string | null {
  const number = Number(text);
  if (!/^\d{1,5}$/.test(text) || number < 1 || number > 65_535) return "it is not a port from 1 to 65535";
  return reservedPorts.includes(number) ? "the sidecar listens there" : null;
}

/** Equal meaning gives equal options: a sidecar is replaced when they change. */
function canonical(lists: ReadonlyMap<Member, List>): CaptureOptions {
  const members = [...lists].filter(([member, list]) => {
    // Included ports add to included addresses: where these are everything they add nothing.
    if (member === "includeOutboundPorts") return list.length > 0 && lists.has("includeOutboundCidrs");
    return member.startsWith("include") || list.length > 0;
  });
  return Object.fromEntries(members.map(([member, list]) => [member, [...new Set(list)].sort(byValue)]));
}

function byValue(a: number | string, b: number | string): number {
  return typeof a === "number" && typeof b === "number" ? a - b : compareText(String(a), String(b));
}
