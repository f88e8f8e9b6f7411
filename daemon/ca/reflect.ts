// The four functions of the Reflect metadata proposal that tsyringe, inside @peculiar/x509, insists on at import.
// It stores constructor parameter types with them and reads them back; nothing of ours uses them.

type Metadata = Map<unknown, unknown>;
const byTarget = new WeakMap<object, Metadata>();

function define(key: unknown, value: unknown, target: object): void {
  const metadata = byTarget.get(target) ?? new Map<unknown, unknown>();
  metadata.set(key, value);
  byTarget.set(target, metadata);
}

function getOwn(key: unknown, target: object): unknown {
  return byTarget.get(target)?.get(key);
}

function get(key: unknown, target: object): unknown {
  for (let at: object | null = target; at !== null; at = Object.getPrototypeOf(at) as object | null) {
    const metadata = byTarget.get(at);
    if (metadata?.has(key)) return metadata.get(key);
  }
  return undefined;
}

function metadata(key: unknown, value: unknown): (target: object) => void {
  return (target) => define(key, value, target);
}

if (!("getMetadata" in Reflect)) {
  Object.assign(Reflect, { defineMetadata: define, getMetadata: get, getOwnMetadata: getOwn, metadata });
}
