// Parses what a proxy says. A proxy lives beside the application: its words are checked and bounded like any input.
import * as z from "zod";
import type { FromProxy } from "../../proxy/contract/messages.ts";
import { durationBucketsMs } from "../../proxy/contract/report.ts";

const textMax = 512;
/** Series of one report; a proxy folds what does not fit into "other" long before this. */
const seriesMax = 20_000;

const text = z.string().max(textMax);
const count = z.number().nonnegative();
const hash = z.string().max(64);
const contract = z.object({ major: z.number(), minor: z.number() });

const edge = {
  reporter: z.enum(["source", "destination"]),
  sourceWorkload: text,
  sourceService: text,
  sourceVersion: text,
  sourcePrincipal: text,
  destinationWorkload: text,
  destinationService: text,
  destinationVersion: text,
  destinationPrincipal: text,
  security: z.enum(["mutual_tls", "none", "unknown"]),
  flags: text,
};

const report = z.object({
  boot: z.string().min(1).max(128),
  isPartial: z.boolean().optional(),
  http: z
    .array(
      z.object({
        ...edge,
        protocol: z.enum(["http", "grpc"]),
        status: z.number().int().min(0).max(999),
        buckets: z.array(count).length(durationBucketsMs.length + 1),
        sumMs: count,
        requestBytes: count,
        responseBytes: count,
        retries: count,
      }),
    )
    .max(seriesMax),
  tcp: z
    .array(z.object({ ...edge, opened: count, closed: count, sentBytes: count, receivedBytes: count }))
    .max(seriesMax),
  proxy: z.object({
    loopsClosed: count,
    reportsDropped: count,
    seriesDropped: count,
    connectionsOpen: count,
    rssBytes: count,
    cpuUs: count,
  }),
});

const message = z.discriminatedUnion("t", [
  z.object({
    t: z.literal("hello"),
    contract,
    boot: z.string().min(1).max(128),
    publicKey: z.string().max(4096),
    configHash: hash.nullable(),
    certificateNotAfterMs: z.number().nullable(),
    listens: z.boolean().nullable().optional(),
  }),
  z.object({ t: z.literal("ack"), hash, ready: z.boolean() }),
  z.object({ t: z.literal("nack"), hash, current: hash.nullable(), reason: z.string().max(16_384) }),
  z.object({ t: z.literal("ready") }),
  z.object({ t: z.literal("application"), listens: z.boolean().nullable() }),
  z.object({ t: z.literal("report"), report }),
  z.object({ t: z.literal("pong"), n: z.number() }),
]);

const kinds: ReadonlySet<unknown> = new Set(message.options.map((option) => option.shape.t.value));

/** Null for a message of a kind that a newer minor version of the contract may add. Throws on anything malformed. */
export function parseFromProxy(line: string): FromProxy | null {
  const value: unknown = JSON.parse(line);
  const kind = value !== null && typeof value === "object" && "t" in value ? value.t : undefined;
  if (typeof kind === "string" && !kinds.has(kind)) return null;
  const parsed = message.safeParse(value);
  if (!parsed.success) throw new Error(`malformed message: ${z.prettifyError(parsed.error)}`);
  return parsed.data;
}
