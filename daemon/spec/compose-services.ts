// Which services compose files name, as far as it can be known without compose.
import { readFileSync, statSync } from "node:fs";
import { isAlias, isMap, isScalar, type Node, parseDocument } from "yaml";

/** A compose file that is larger is left to compose itself. */
const composeBytesMax = 4 * 1_048_576;

/**
 * Names of the services in these files together, labels `devmesh.service` included, sorted. Null when they cannot be known for sure: a file
 * that does not parse, `include:`, a service map with tags of compose's own (`!reset`), or no `services:` at all.
 */
export function readComposeServices(texts: readonly string[]): readonly string[] | null {
  const names = new Set<string>();
  for (const text of texts) {
    const found = servicesOf(text);
    if (found === null) return null;
    for (const name of found) names.add(name);
  }
  return [...names].sort();
}

/** The same from the files that compose would read, in any order. Null as above, or when one cannot be read. */
export function knownComposeServices(paths: readonly string[]): readonly string[] | null {
  return composeServicesReader(paths)();
}

/** Reads the files at each call, since a service may have been added, and parses them only when their text is another. */
export function composeServicesReader(paths: readonly string[]): () => readonly string[] | null {
  let last: { readonly texts: readonly (string | null)[]; readonly services: readonly string[] | null } | null = null;
  return () => {
    const texts = paths.map(readComposeText);
    const isSame = last?.texts.every((text, i) => text === texts[i]) === true;
    if (last === null || !isSame) {
      const isReadable = texts.every((text) => text !== null);
      last = { texts, services: isReadable ? readComposeServices(texts) : null };
    }
    return last.services;
  };
}

/** A compose file, or null where it cannot be read or is larger than any that a person writes. */
export function readComposeText(path: string): string | null {
  try {
    return statSync(path).size > composeBytesMax ? null : readFileSync(path, "utf8");
  } catch {
    // Whatever the reason, the list is not known; compose itself tells the user what is wrong with its files.
    return null;
  }
}

function servicesOf(text: string): readonly string[] | null {
  try {
    const document = parseDocument(text.replace(/^\uFEFF/, ""), { merge: true, uniqueKeys: false, logLevel: "silent" });
    const root = document.contents;
    if (document.errors.length > 0 || !isMap(root) || root.has("include")) return null;
    const services = root.get("services", true) as Node | undefined;
    if (!isMap(services) || services.tag?.startsWith("!") === true) return null;
    const names: string[] = [];
    for (const { key, value } of services.items) {
      const isNamed = isScalar(key) && key.value !== null && key.source !== "<<";
      if (!isNamed || (value as Node | null)?.tag?.startsWith("!") === true) return null;
      names.push(typeof key.value === "string" ? key.value : (key.source ?? String(key.value)));
      const service = isAlias(value) ? value.resolve(document) : value;
      const label = isMap(service) ? labelOf(service.get("labels", true)) : null;
      if (label !== null) names.push(label);
    }
    return names;
  } catch {
    // Nesting that exhausts the parser's stack, aliases without anchors: not known.
    return null;
  }
}

/** The label `devmesh.service`, which gives a container another service's name; labels are a map or a list of `key=value`. */
function labelOf(labels: unknown): string | null {
  const key = "devmesh.service";
  if (isMap(labels)) {
    const value = labels.get(key);
    return typeof value === "string" ? value : null;
  }
  const items = (labels as { readonly items?: readonly unknown[] } | undefined)?.items ?? [];
  for (const item of items) {
    const text = isScalar(item) ? String(item.value) : "";
    if (text.startsWith(`${key}=`)) return text.slice(key.length + 1);
  }
  return null;
}
