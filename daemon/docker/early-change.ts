// The end of an endpoint is shown before Docker is asked. Pure.
import type { EngineEvent } from "./event-lines.ts";
import { asRecord, asString } from "./json.ts";
import type { Container } from "./world.ts";

/** What an event alone tells about the end of an endpoint, or null. */
export function earlyChange(event: EngineEvent): ((container: Container) => Container) | null {
  switch (event.action) {
    case "die":
    case "destroy":
    case "remove":
      return (container) => ({ ...container, state: "exited", health: "none" });
    case "pause":
      return (container) => ({ ...container, state: "paused" });
    case "disconnect":
      return (container) => ({
        ...container,
        networks: container.networks.map((attachment) =>
          attachment.networkId === event.networkId ? { ...attachment, address: "", ipv6: null } : attachment,
        ),
      });
    default:
      return null;
  }
}

/**
 * Told again after a reconnect, or out of order: the container has been started since. Acting on such an end would take the
 * sidecar away that serves now. `inspected` is Docker's JSON.
 */
export function isOfEarlierRun({ timeNano }: EngineEvent, inspected: unknown): boolean {
  const startedAt = nanosOf(asString(asRecord(asRecord(inspected).State).StartedAt));
  return startedAt !== null && BigInt(timeNano) < startedAt;
}

/** "2026-11-30T12:00:00.123456789Z" in nanoseconds since 1970; Date knows milliseconds only. */
function nanosOf(text: string): bigint | null {
  const [, seconds, fraction = ""] = /^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?Z$/.exec(text) ?? [];
  const ms = seconds === undefined ? Number.NaN : Date.parse(`${seconds}Z`);
  return Number.isNaN(ms) ? null : BigInt(ms) * 1_000_000n + BigInt(fraction.padEnd(9, "0"));
}
