// The routing of a request that came in for the application behind this proxy.
import type { Edge } from "../contract/report.ts";
import { type Failure, failure, unprocessed } from "../http/failure.ts";
import type { OutgoingRequest, Peer } from "../http/stream.ts";
import type { Application } from "../upstream/application.ts";
import { destinationEdge } from "./edges.ts";
import type { Reached, Routing, Target } from "./routing.ts";
import type { Table } from "./table.ts";

export class InboundRouting implements Routing {
  /** Of the moment at which the request came; the table itself would live on with every upgraded connection. */
  readonly #edge: Edge;
  readonly #workload: string;
  readonly #application: Application;
  readonly destination: OutgoingRequest["destination"];
  readonly timeoutMs = 0;
  readonly waitMs = 0;
  readonly routeName = "default";

  constructor(options: { table: Table; application: Application; peer: Peer }) {
    const { node } = options.table;
    this.#application = options.application;
    this.#edge = destinationEdge(options.table, options.peer, "-");
    this.#workload = node.workload;
    this.destination = { service: node.service, port: options.application.port, version: node.version };
  }

  get retry() {
    return this.#application.retry;
  }

  get cluster(): string {
    return `inbound|${this.#application.port}||`;
  }

  target(tried: readonly Target[]): Target | null {
    return this.#application.target(tried);
  }

  onTargets(): () => void {
    return () => undefined;
  }

  missing(): Failure {
    const reason = `${this.#workload} has no address to reach its application at`;
    return unprocessed(failure("UH", 503, "no_healthy_upstream", reason));
  }

  edge(_last: Reached | null, flags: string): Edge {
    return flags === this.#edge.flags ? this.#edge : { ...this.#edge, flags };
  }
}
