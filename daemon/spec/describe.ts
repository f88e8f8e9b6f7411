// How values and places of mesh.yaml are written in an error.
import type { Located, Path } from "./located.ts";

/** A value in an error: short, in its own spelling. */
export function described(node: Located): string {
  if (node.kind === "list") return "a list";
  if (node.kind === "map") return "a map";
  if (node.value === null) return "empty";
  const shown = node.source.length > 60 ? `${node.source.slice(0, 57)}...` : node.source;
  return typeof node.value === "string" ? `"${shown.replace(/\s+/g, " ")}"` : shown;
}

/** services.payment.routes[0].to */
export function pathText(path: Path): string {
  return path.reduce<string>((text, step) => {
    if (typeof step === "number") return `${text}[${step}]`;
    return text === "" ? step : `${text}.${step}`;
  }, "");
}
