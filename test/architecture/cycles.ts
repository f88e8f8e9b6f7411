// Cycles in a graph of imports. Pure.
import { folderOf } from "./layers.ts";
import { type Edge, isOwn } from "./source-tree.ts";

export type Graph = ReadonlyMap<string, ReadonlySet<string>>;

export function fileGraph(edges: readonly Edge[], kinds: readonly Edge["kind"][]): Graph {
  return graphOf(edges, { kinds, nameOf: (path) => path });
}

export function folderGraph(edges: readonly Edge[], kinds: readonly Edge["kind"][]): Graph {
  return graphOf(edges, { kinds, nameOf: folderOf });
}

function graphOf(
  edges: readonly Edge[],
  { kinds, nameOf }: { kinds: readonly Edge["kind"][]; nameOf: (path: string) => string },
): Graph {
  const graph = new Map<string, Set<string>>();
  for (const { from, to, kind } of edges) {
    if (to === null || !isOwn(to) || !kinds.includes(kind)) continue;
    const targets = graph.get(nameOf(from)) ?? new Set();
    graph.set(nameOf(from), targets);
    if (nameOf(from) !== nameOf(to)) targets.add(nameOf(to));
  }
  return graph;
}

/** Groups of nodes that all reach each other, each sorted: "daemon/api <-> daemon/spec". Tarjan's algorithm. */
export function cyclesOf(graph: Graph): string[] {
  const indices = new Map<string, number>();
  const lowest = new Map<string, number>();
  const stack: string[] = [];
  const groups: string[][] = [];
  const visit = (node: string): number => {
    const index = indices.size;
    indices.set(node, index);
    lowest.set(node, index);
    stack.push(node);
    for (const next of graph.get(node) ?? []) {
      if (!indices.has(next)) lower(node, visit(next));
      else if (stack.includes(next)) lower(node, indices.get(next) ?? index);
    }
    const low = lowest.get(node) ?? index;
    if (low === index) groups.push(stack.splice(stack.indexOf(node)));
    return low;
  };
  const lower = (node: string, to: number): void => {
    lowest.set(node, Math.min(lowest.get(node) ?? to, to));
  };
  for (const node of graph.keys()) if (!indices.has(node)) visit(node);
  return groups
    .filter((group) => group.length > 1)
    .map((group) => group.sort().join(" <-> "))
    .sort();
}
