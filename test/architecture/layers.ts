// Who may import whom: the directions of ARCHITECTURE.md as a table, and the check against it. Pure.
import { type Edge, isOwn } from "./source-tree.ts";

/** May be imported in every form, or only by `import type`. */
type Reach = "value" | "type";

const everyProxyFolder = {
  "proxy/capture": "value",
  "proxy/contract": "value",
  "proxy/control": "value",
  "proxy/dns": "value",
  "proxy/http": "value",
  "proxy/http1": "value",
  "proxy/inner": "value",
  "proxy/listener": "value",
  "proxy/probe": "value",
  "proxy/route": "value",
  "proxy/tcp": "value",
  "proxy/telemetry": "value",
  "proxy/tls": "value",
  "proxy/upstream": "value",
} as const;

/**
 * Folder -> what it may import beside itself. A folder is the first two parts of a path; files that lie directly in
 * cli/, daemon/ or proxy/ are that program's wiring and may see all of it. A folder that is not here is a violation:
 * add it here and to the map of ARCHITECTURE.md.
 */
export const layers: Readonly<Record<string, Readonly<Record<string, Reach>>>> = {
  cli: {
    "cli/commands": "value",
    "cli/image": "value",
    "cli/screen": "value",
    "daemon/api": "value",
    "daemon/spec": "value",
  },
  "cli/commands": {
    cli: "value",
    "cli/image": "value",
    "cli/screen": "value",
    "daemon/api": "value",
    "daemon/spec": "value",
  },
  "cli/image": { cli: "value", "daemon/api": "value" },
  "cli/screen": { "daemon/api": "value", "daemon/spec": "value" },

  daemon: {
    "daemon/api": "value",
    "daemon/ca": "value",
    "daemon/compile": "value",
    "daemon/docker": "value",
    "daemon/push": "value",
    "daemon/spec": "value",
    "daemon/state": "value",
    "daemon/telemetry": "value",
    "proxy/contract": "value",
  },
  // The CLI imports these two, so they stay free of Docker, of sockets to proxies and of everything slow to load.
  "daemon/api": { "daemon/spec": "type" },
  "daemon/spec": { "daemon/api": "value", "proxy/contract": "value" },
  // Pure: of everything but the contract it sees types only.
  "daemon/compile": { "daemon/spec": "type", "daemon/docker": "type", "proxy/contract": "value" },
  "daemon/ca": { "daemon/api": "value", "daemon/state": "value", "proxy/contract": "value" },
  "daemon/docker": { "daemon/api": "value", "proxy/contract": "value" },
  "daemon/doctor": { "daemon/api": "value", "daemon/docker": "value", "proxy/contract": "value" },
  "daemon/push": {
    "daemon/api": "value",
    "daemon/ca": "value",
    "daemon/docker": "type",
    "daemon/state": "value",
    "proxy/contract": "value",
  },
  "daemon/state": { "daemon/api": "value", "daemon/docker": "type", "daemon/spec": "type" },
  "daemon/telemetry": { "daemon/docker": "type", "proxy/contract": "value" },

  proxy: everyProxyFolder,
  "proxy/contract": {},
  "proxy/capture": { "proxy/contract": "value" },
  "proxy/dns": {},
  "proxy/probe": { "proxy/capture": "value", "proxy/contract": "value", "proxy/dns": "value" },
  "proxy/tcp": {},
  "proxy/http": {},
  "proxy/http1": { "proxy/http": "value" },
  "proxy/inner": { "proxy/http": "value" },
  "proxy/tls": { "proxy/http": "value", "proxy/inner": "value" },
  "proxy/control": { "proxy/contract": "value" },
  "proxy/telemetry": { "proxy/contract": "value", "proxy/http": "type" },
  "proxy/upstream": {
    "proxy/contract": "value",
    "proxy/http": "value",
    "proxy/http1": "value",
    "proxy/route": "type",
  },
  "proxy/route": {
    "proxy/contract": "value",
    "proxy/http": "value",
    "proxy/telemetry": "value",
    "proxy/upstream": "type",
  },
  // Only listeners bring the codecs, the routes and the upstreams together.
  "proxy/listener": {
    "proxy/capture": "value",
    "proxy/contract": "value",
    "proxy/http": "value",
    "proxy/http1": "value",
    "proxy/inner": "value",
    "proxy/route": "value",
    "proxy/tcp": "value",
    "proxy/telemetry": "value",
    "proxy/tls": "value",
    "proxy/upstream": "value",
  },

  // Stands in for what users ship: knows nothing of the mesh.
  "sample-shop/shared": {},
  "sample-shop/cart": { "sample-shop/shared": "value" },
  "sample-shop/payment": { "sample-shop/shared": "value" },
  "sample-shop/shopper": { "sample-shop/shared": "value" },
  "sample-shop/website": { "sample-shop/shared": "value" },
};

/** Edges that no rule allows and that are right all the same, each with its reason. */
const exceptions: readonly (Pick<Edge, "from" | "to" | "kind"> & { readonly why: string })[] = [
  {
    from: "cli/main.ts",
    to: "daemon/main.ts",
    kind: "dynamic",
    why: "CLI and daemon are one bundle: the hidden command `daemon` is how the CLI starts it",
  },
  {
    from: "cli/commands/doctor.ts",
    to: "daemon/doctor/doctor.ts",
    kind: "dynamic",
    why: "what keeps a daemon from starting cannot be asked of a daemon",
  },
  {
    from: "cli/main.ts",
    to: "daemon/preview.ts",
    kind: "dynamic",
    why: "`up --plan` runs the daemon's own compile and plan in the command's process, since no daemon may be left",
  },
];

/** The only folder (and what lies in it) that may import a package. */
const packageDoors: Readonly<Record<string, readonly string[]>> = {
  "@peculiar/x509": ["daemon/ca"],
  blessed: ["cli/screen"],
  chokidar: ["daemon"],
  commander: ["cli"],
  "dns-packet": ["proxy/dns"],
  koffi: ["proxy/capture"],
  pino: ["daemon"],
  "prom-client": ["daemon"],
  re2js: ["daemon/spec", "proxy/route"],
  yaml: ["daemon/spec"],
  zod: ["daemon"],
};

export function folderOf(path: string): string {
  return path.split("/").slice(0, -1).slice(0, 2).join("/");
}

/** One sentence for each edge that the table does not allow. */
export function layerViolations(edges: readonly Edge[]): string[] {
  return edges.flatMap((edge) => {
    const reason = whyForbidden(edge);
    return reason === null ? [] : [`${edge.from}:${edge.line} imports ${edge.to ?? "a computed name"}: ${reason}`];
  });
}

function whyForbidden({ from, to, kind }: Edge): string | null {
  if (to === null) return "write the name, so that it can be checked";
  if (!isOwn(to)) return whyForbiddenPackage(from, to);
  if (exceptions.some((known) => known.from === from && known.to === to && known.kind === kind)) return null;
  const folder = folderOf(from);
  const target = folderOf(to);
  const rules = layers[folder];
  if (rules === undefined)
    return `${folder} is not in test/architecture/layers.ts; add it there and to ARCHITECTURE.md`;
  if (folder === target) return null;
  const reach = rules[target];
  const may = Object.keys(rules).join(", ") || "nothing else";
  if (reach === undefined) return `${folder} may import ${may}`;
  return reach === "type" && kind !== "type" ? `${folder} may only \`import type\` from ${target}` : null;
}

function whyForbiddenPackage(from: string, specifier: string): string | null {
  if (specifier === "node:process") return "use the global, so that every exit can be found";
  if (specifier.startsWith("node:")) return null;
  const name = specifier
    .split("/")
    .slice(0, specifier.startsWith("@") ? 2 : 1)
    .join("/");
  const doors = packageDoors[name];
  if (doors === undefined) return `${name} is not in test/architecture/layers.ts; say there which folder owns it`;
  return doors.some((door) => from.startsWith(`${door}/`)) ? null : `only ${doors.join(", ")} may import ${name}`;
}

/** Everything that is loaded as soon as `entry` is: files, packages and built-in modules. */
export function loadedWith(entry: string, edges: readonly Edge[]): ReadonlySet<string> {
  const loaded = new Set<string>();
  const visit = (path: string): void => {
    if (loaded.has(path)) return;
    loaded.add(path);
    for (const { from, to, kind } of edges) if (from === path && to !== null && kind === "static") visit(to);
  };
  visit(entry);
  return loaded;
}
