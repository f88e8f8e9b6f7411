// Istio's StringMatch as predicates. Regexes are RE2 (linear time on hostile input) and match the whole value.
import { RE2JS } from "re2js";
import type { StringMatch } from "../contract/config.ts";

export type StringPredicate = (value: string) => boolean;

/** Throws when a regex does not compile: the config is then refused as a whole. */
export function compileStringMatch(
  match: StringMatch,
  options: { ignoreCase: boolean } = { ignoreCase: false },
): StringPredicate {
  switch (match.kind) {
    case "present":
      return () => true;
    case "regex": {
      const pattern = RE2JS.compile(match.value);
      return (value) => pattern.matches(value);
    }
    case "exact": {
      if (!options.ignoreCase) return (value) => value === match.value;
      const lower = match.value.toLowerCase();
      return (value) => value.toLowerCase() === lower;
    }
    case "prefix": {
      if (!options.ignoreCase) return (value) => value.startsWith(match.value);
      const lower = match.value.toLowerCase();
      return (value) => value.toLowerCase().startsWith(lower);
    }
    default:
      return match satisfies never;
  }
}
