// The routing of a request that leaves this workload for a service of the mesh.
import type { Edge } from "../contract/report.ts";
import { type Failure, failure, unprocessed } from "../http/failure.ts";
import type { OutgoingRequest } from "../http/stream.ts";
import type { Endpoints } from "../upstream/endpoints.ts";
import type { Decision } from "./decide.ts";
import type { Destination } from "./destination.ts";
import { sourceEdge } from "./edges.ts";
import type { Reached, Routing, Target } from "./routing.ts";
import type { Table } from "./table.ts";

type Forward = Extract<Decision, { kind: "forward" }>;

export interface OutboundDeps {
  /** The table in force now: a request that waits sees endpoints that came after it. */
  readonly table: () => Table;
  readonly endpoints: Endpoints;
}

export class OutboundRouting implements Routing {
  readonly #decision: Forward;
  readonly #deps: OutboundDeps;
  readonly destination: OutgoingRequest["destination"];

  constructor(decision: Forward, deps: OutboundDeps) {
    this.#decision = decision;
    this.#deps = deps;
    const { service, port, version } = decision.destination;
    this.destination = { service: service.config.name, port, version };
  }

  get routeName(): string {
    return this.#decision.routeName;
  }

  get cluster(): string {
    const { service, port, version } = this.#decision.destination;
    return `outbound|${port}|${version ?? ""}|${service.config.fqdn}`;
  }

  get timeoutMs(): number {
    return this.#decision.timeoutMs;
  }

  get retry() {
    return this.#decision.retry;
  }

  get waitMs(): number {
    return this.#decision.destination.service.config.waitForEndpointsMs;
  }

  target(tried: readonly Target[]): Target | null {
    const { destination } = this.#decision;
    const current = this.#deps.table().services.get(destination.service.config.name) ?? destination.service;
    return this.#deps.endpoints.pick(destination.candidates(current), tried);
  }

  onTargets(callback: () => void): () => void {
    return this.#deps.endpoints.onChange(callback);
  }

  missing(): Failure {
    return noEndpoint(this.#decision.destination);
  }

  edge(last: Reached | null, flags: string): Edge {
    const { service, version } = this.#decision.destination;
    const { workload = null, version: reached = version, security = "mutual_tls" } = last ?? {};
    return sourceEdge(this.#deps.table().node, { service, workload, version: reached, flags, security });
  }
}

export function noEndpoint({ service, version }: Pick<Destination, "service" | "version">): Failure {
  const what = version === null ? service.config.name : `${service.config.name} version ${version}`;
  return unprocessed(failure("UH", 503, "no_healthy_upstream", `${what} has no running, ready container`));
}
