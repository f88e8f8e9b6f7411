// A config travels as the resources that changed against the version that the proxy acked, with the hash of the result.
import { createHash } from "node:crypto";
import type { ProxyConfig } from "./config.ts";

/** Flat map from resource key ("node", "service/cart", "endpoints/cart", ...) to its canonical JSON text. */
export type Resources = ReadonlyMap<string, string>;

export interface Change {
  /** Hash of what the change applies to; null: nothing. */
  readonly base: string | null;
  /** Hash of the result. */
  readonly hash: string;
  readonly set: Readonly<Record<string, string>>;
  readonly remove: readonly string[];
}

export function toResources(config: ProxyConfig): Resources {
  const resources = new Map<string, string>();
  resources.set("node", canonicalJson(config.node));
  if (config.inbound !== null) resources.set("inbound", canonicalJson(config.inbound));
  for (const kind of ["services", "endpoints", "listeners"] as const) {
    for (const [name, value] of Object.entries(config[kind])) resources.set(`${kind}/${name}`, canonicalJson(value));
  }
  return resources;
}

/** Throws when a resource is not JSON or "node" is missing: the proxy answers with a nack. */
export function fromResources(resources: Resources): ProxyConfig {
  const config: { [K in "services" | "endpoints" | "listeners"]: Record<string, never> } = {
    services: Object.create(null),
    endpoints: Object.create(null),
    listeners: Object.create(null),
  };
  for (const [key, text] of resources) {
    const slash = key.indexOf("/");
    const kind = key.slice(0, slash);
    if (kind === "services" || kind === "endpoints" || kind === "listeners") {
      config[kind][key.slice(slash + 1)] = JSON.parse(text) as never;
    }
  }
  const node = resources.get("node");
  if (node === undefined) throw new Error("the config has no node resource");
  const inbound = resources.get("inbound");
  return { ...config, node: JSON.parse(node), inbound: inbound === undefined ? null : JSON.parse(inbound) };
}

/** SHA-256 over the sorted resources, 16 hex digits. Equal content gives an equal hash. */
export function hashResources(resources: Resources): string {
  const hash = createHash("sha256");
  for (const key of [...resources.keys()].sort()) hash.update(`${key}\n${resources.get(key)}\n`);
  return hash.digest("hex").slice(0, 16);
}

export function diff(base: { hash: string; resources: Resources } | null, next: Resources, hash: string): Change {
  const set: Record<string, string> = {};
  for (const [key, text] of next) if (base?.resources.get(key) !== text) set[key] = text;
  const remove = base === null ? [] : [...base.resources.keys()].filter((key) => !next.has(key));
  return { base: base?.hash ?? null, hash, set, remove };
}

/** Throws when the change is for another base or its result has another hash. */
export function applyChange(current: { hash: string; resources: Resources } | null, change: Change): Resources {
  if (change.base !== null && change.base !== current?.hash) {
    throw new Error(`the change is against ${change.base}, but ${current?.hash ?? "nothing"} is in force`);
  }
  const resources = new Map(change.base === null ? [] : current?.resources);
  for (const key of change.remove) resources.delete(key);
  for (const [key, text] of Object.entries(change.set)) resources.set(key, text);
  const hash = hashResources(resources);
  if (hash !== change.hash) throw new Error(`the result hashes to ${hash}, not to ${change.hash}`);
  return resources;
}

/** JSON with sorted keys, so that equal values give equal bytes. */
export function canonicalJson(value: unknown): string {
  return JSON.stringify(value, (_key, inner: unknown) =>
    inner !== null && typeof inner === "object" && !Array.isArray(inner)
      ? Object.fromEntries(Object.entries(inner).sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0)))
      : inner,
  );
}
