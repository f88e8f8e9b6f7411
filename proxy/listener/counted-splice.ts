// A splice whose bytes and ends go into the counters of its edge.
import type { Duplex } from "node:stream";
import type { Edge } from "../contract/report.ts";
import { type Splice, splice } from "../tcp/splice.ts";
import type { Counters } from "../telemetry/counters.ts";

/** Istio's TCP idle timeout. */
const idleTimeoutMs = 3_600_000;

export interface CountedSplice {
  /** Who opened the connection. */
  readonly client: Duplex;
  readonly server: Duplex;
  /** What sniffing has read of the client; goes first. */
  readonly initial: Buffer;
  readonly edge: Edge;
  onClose?(): void;
}

/** As Istio counts: received is what the client sent, sent is what it was answered, whichever end reports. */
export function countedSplice(counters: Counters, { client, server, initial, edge, onClose }: CountedSplice): Splice {
  const series = counters.tcp(edge);
  series.opened++;
  if (initial.length > 0) {
    server.write(initial);
    series.receivedBytes += initial.length;
  }
  return splice(client, server, {
    idleTimeoutMs,
    onBytes: (direction, bytes) => {
      if (direction === "a-to-b") series.receivedBytes += bytes;
      else series.sentBytes += bytes;
    },
    onClose: () => {
      series.closed++;
      onClose?.();
    },
  });
}

/** A connection that was refused is one that was opened and closed, under its flag. */
export function countRefused(counters: Counters, edge: Edge): void {
  const series = counters.tcp(edge);
  series.opened++;
  series.closed++;
}
