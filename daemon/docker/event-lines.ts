// Parses Docker's event stream: newline-delimited JSON, across chunk borders. Pure but for the text it keeps.
import { asRecord, asString, asTexts } from "./json.ts";

/** An event carries its container's labels; Docker caps none of them. */
const lineCharsMax = 1024 * 1024;

export interface EngineEvent {
  readonly type: "container" | "network" | "image";
  /** "start", "die", "connect", "health_status: healthy", ... */
  readonly action: string;
  /** Of the container; of a network event the container concerned, or "" for the network itself; of an image event "". */
  readonly containerId: string;
  /** Of a network event, else "". */
  readonly networkId: string;
  /** A container's labels among them. */
  readonly attributes: Readonly<Record<string, string>>;
  /** Nanoseconds since 1970, as text: beyond what a number holds exactly. */
  readonly timeNano: string;
}

/** Throws when a line is longer than any event. A line that is no event is skipped. */
export function createEventParser(onEvent: (event: EngineEvent) => void): (text: string) => void {
  let rest = "";
  return (text) => {
    const lines = (rest + text).split("\n");
    rest = lines.pop() ?? "";
    if (rest.length > lineCharsMax) throw new Error("a line of the event stream is too long");
    for (const line of lines) {
      const event = parseEvent(line);
      if (event !== null) onEvent(event);
    }
  };
}

export function parseEvent(line: string): EngineEvent | null {
  let json: ReturnType<typeof asRecord>;
  try {
    json = asRecord(JSON.parse(line));
  } catch {
    return null; // Half a line, from an engine that died while it wrote.
  }
  const { Type: type, Action: action } = json;
  if ((type !== "container" && type !== "network" && type !== "image") || typeof action !== "string") return null;
  const actor = asRecord(json.Actor);
  const attributes = asTexts(actor.Attributes);
  const id = asString(actor.ID);
  return {
    type,
    action,
    containerId: type === "container" ? id : type === "network" ? (attributes.container ?? "") : "",
    networkId: type === "network" ? id : "",
    attributes,
    timeNano: readTimeNano(line),
  };
}

/** From the text, since JSON.parse rounds it; a quote inside a label is escaped, so it cannot look like this key. */
function readTimeNano(line: string): string {
  return /"timeNano":\s*(\d{1,20})/.exec(line)?.[1] ?? "0";
}

/** Identifies an event that is seen again after a reconnect. */
export function eventKey(event: EngineEvent): string {
  return `${event.containerId} ${event.networkId} ${event.action} ${event.timeNano}`;
}

/** Docker's `since`: "1795415099.355577236", `overlapMs` earlier than the event. */
export function sinceOf(timeNano: string, overlapMs: number): string {
  const nanos = BigInt(timeNano) - BigInt(overlapMs) * 1_000_000n;
  return `${nanos / 1_000_000_000n}.${String(nanos % 1_000_000_000n).padStart(9, "0")}`;
}
