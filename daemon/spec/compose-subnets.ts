// Which subnets compose files give to their networks, as far as it can be known without compose.
import { parseDocument } from "yaml";
import { readComposeText } from "./compose-services.ts";
import { recordOf } from "./record.ts";

/** Subnets of one file that count, so that a hostile one costs no more than a real one. */
const subnetsMax = 256;

/**
 * What stands in `networks.*.ipam.config[].subnet` of these files, IPv6 too, as it is written: a variable is left as one. Empty where a file
 * cannot be read: compose itself tells the user what is wrong with it.
 */
export function knownComposeSubnets(paths: readonly string[]): readonly string[] {
  return paths.flatMap((path) => readComposeSubnets(readComposeText(path) ?? ""));
}

/** The same from one file's text. */
export function readComposeSubnets(text: string): readonly string[] {
  const networks = Object.values(recordOf(recordOf(parsed(text)).networks));
  const pools = networks.flatMap((network) => {
    const { config } = recordOf(recordOf(network).ipam);
    return Array.isArray(config) ? config : [];
  });
  const subnets = pools.map((pool: unknown) => recordOf(pool).subnet);
  return subnets.filter((subnet) => typeof subnet === "string").slice(0, subnetsMax);
}

function parsed(text: string): unknown {
  try {
    const document = parseDocument(text.replace(/^\uFEFF/, ""), { merge: true, uniqueKeys: false, logLevel: "silent" });
    return document.errors.length > 0 ? null : document.toJS({ maxAliasCount: 1000 });
  } catch {
    // Nesting that exhausts the parser's stack, aliases without anchors or without end: nothing is known.
    return null;
  }
}
