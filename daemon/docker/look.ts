// What one list of containers tells without asking for each: enough to see that something happened of which no event told. Pure.
import { asArray, asRecord, asString } from "./json.ts";

/** By container's id. */
export type Look = ReadonlyMap<string, Glimpse>;

export interface Glimpse {
  /** Its state, its health and its addresses: equal while nothing happens to it. */
  readonly text: string;
  /** Since its start, as coarsely as Docker says it; null: it does not run. */
  readonly upSeconds: number | null;
  readonly networkIds: readonly string[];
}

/** From Docker's answers to `GET /containers/json`. */
export function readLook(lists: readonly unknown[]): Look {
  const look = new Map<string, Glimpse>();
  for (const item of lists.flatMap(asArray)) {
    const { Id: id, State: state, Status: status, NetworkSettings: settings } = asRecord(item);
    const networks = Object.values(asRecord(asRecord(settings).Networks)).map(asRecord);
    const attached = networks.map(
      ({ NetworkID: network, IPAddress: address, GlobalIPv6Address: ipv6 }) => `${network}=${address},${ipv6}`,
    );
    const text = asString(status);
    // "Up 2 minutes (unhealthy)": the bracket changes with the health, the rest with the time.
    const [bracket = ""] = /\([^)]*\)$/.exec(text) ?? [];
    look.set(asString(id), {
      text: [asString(state), state === "running" ? bracket : "", ...attached.sort()].join(" "),
      upSeconds: text.startsWith("Up ") ? secondsIn(text) : null,
      networkIds: networks.map(({ NetworkID: network }) => asString(network)),
    });
  }
  return look;
}

/** Containers that came, went, changed, or run for a shorter time than before: they were started anew in between. */
export function changedSince(before: Look, now: Look): string[] {
  const ids = new Set([...before.keys(), ...now.keys()]);
  return [...ids].filter((id) => {
    const [old, young] = [before.get(id), now.get(id)];
    if (old === undefined || young === undefined || old.text !== young.text) return true;
    return old.upSeconds !== null && young.upSeconds !== null && young.upSeconds < old.upSeconds;
  });
}

const unitSeconds: Readonly<Record<string, number>> = {
  second: 1,
  minute: 60,
  hour: 3600,
  day: 86_400,
  week: 604_800,
  month: 2_592_000,
  year: 31_536_000,
};

/** Docker's words: "Less than a second", "1 second", "About a minute", "About an hour", "3 weeks". */
function secondsIn(text: string): number {
  if (text.includes("Less than a second")) return 0;
  const [, count = "1", unit = ""] = /(?:(\d+)|an?) (second|minute|hour|day|week|month|year)/.exec(text) ?? [];
  return Number(count) * (unitSeconds[unit] ?? 0);
}
