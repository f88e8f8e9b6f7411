// RESET and GOAWAY payloads: a code and the text that lets a Failure cross from one sidecar to the other.
import { type Failure, type Flag, failure } from "../http/failure.ts";
import { type GoawayName, goawayBytesMax, goawayCodes, goawayName, InnerViolation, ResetCode } from "./frames.ts";

const detailCharsMax = 128;
const reasonCharsMax = 400;
const statusForm = /^(?:0|[1-9][0-9]{2})$/;
/** C0 and C1 controls and DEL: a reason ends up in a header and on a terminal. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: these are the characters to find.
const controls = /[\0-\x1f\x7f-\x9f\u2028\u2029]+/g;

/** Typed as a record so that a flag that is added to the union is added here. */
const flags: Readonly<Record<Flag, true>> = {
  "-": true,
  UH: true,
  UF: true,
  UO: true,
  NR: true,
  NC: true,
  URX: true,
  UT: true,
  UR: true,
  UC: true,
  LR: true,
  DC: true,
  DPE: true,
  UPE: true,
  DI: true,
  FI: true,
  SI: true,
  DT: true,
  OM: true,
  RL: true,
};

export interface Reset {
  readonly code: number;
  /** Null on `closed`. `isUnprocessed` follows the code, not the sender's word. */
  readonly failure: Failure | null;
}

export function encodeReset(code: number, cause: Failure | null): Buffer {
  if (cause === null) return Buffer.from([code]);
  const detail = clean(cause.detail, detailCharsMax);
  const text = `${cause.flag}\n${cause.status}\n${detail}\n${clean(cause.reason, reasonCharsMax)}`;
  return Buffer.from(`${String.fromCharCode(code)}${text}`, "utf8");
}

/** Throws InnerViolation when it is no RESET. */
export function decodeReset(payload: Buffer): Reset {
  const code = payload[0] ?? 0;
  if (code === ResetCode.closed) return { code, failure: null };
  if (code < ResetCode.refused || code > ResetCode.closed) {
    throw new InnerViolation("frame-malformed", `there is no reset code ${code}`);
  }
  const [flag = "", status = "", detail = "", reason = "", ...more] = payload.toString("utf8", 1).split("\n");
  if (!Object.hasOwn(flags, flag) || !statusForm.test(status) || more.length > 0) {
    throw new InnerViolation("frame-malformed", "a RESET does not carry a failure");
  }
  const isUnprocessed = code === ResetCode.refused;
  const cleanReason = clean(reason, reasonCharsMax);
  return {
    code,
    failure: { ...failure(flag as Flag, Number(status), clean(detail, detailCharsMax), cleanReason), isUnprocessed },
  };
}

export interface Goaway {
  /** Streams above this were not and will not be processed. */
  readonly lastStream: number;
  readonly rule: GoawayName;
  readonly text: string;
}

export function encodeGoaway(goaway: Goaway): Buffer {
  const text = Buffer.from(clean(goaway.text, 200), "utf8");
  const payload = Buffer.alloc(5 + Math.min(text.length, goawayBytesMax - 5));
  payload.writeUInt32BE(goaway.lastStream, 0);
  payload[4] = goawayCodes[goaway.rule];
  text.copy(payload, 5);
  return payload;
}

export function decodeGoaway(payload: Buffer): Goaway {
  const rule = payload.length < 5 ? null : goawayName(payload[4] ?? 0);
  if (rule === null) throw new InnerViolation("frame-malformed", "a GOAWAY has no last stream and code");
  return { lastStream: payload.readUInt32BE(0), rule, text: clean(payload.toString("utf8", 5), 200) };
}

function clean(text: string, charsMax: number): string {
  return text.replace(controls, " ").slice(0, charsMax);
}
