// The vocabulary of docs/inner-protocol.md: frame types, codes, sizes, and the one error a broken rule becomes.

/** Sizes, frames and rules below belong to this name: another version has another one. */
export const innerAlpn = "devmesh/1";

/** u24 payload length, u8 type and END flag, u32 stream; big-endian. */
export const frameHeaderBytes = 8;
/** On REQUEST, RESPONSE and DATA: the sender's direction of the stream is over. */
export const endFlag = 0x80;
export const dataBytesMax = 16 * 1024;
export const resetBytesMax = 2048;
export const goawayBytesMax = 1024;
export const streamIdMax = 0x7fff_ffff;
/** A window never exceeds this, so that it always fits into 32 bits. */
export const windowBytesMax = 0x4000_0000;

export const FrameType = {
  hello: 0x00,
  request: 0x01,
  response: 0x02,
  informational: 0x03,
  data: 0x04,
  end: 0x05,
  reset: 0x06,
  window: 0x07,
  ping: 0x08,
  pong: 0x09,
  goaway: 0x0a,
} as const;

export const ResetCode = {
  /** From the receiver: nothing of the request was processed; a replay is safe for every method. */
  refused: 1,
  /** From the caller: it no longer wants the answer. */
  cancel: 2,
  /** From the receiver: the request failed, and something may have been processed. */
  failed: 3,
  /** The answer to a RESET, or the end of a body that nobody reads any more. */
  closed: 4,
} as const;

/** Codes of GOAWAY. 0 is a drain, the others name the rule that the other side broke. */
export const goawayCodes = {
  drain: 0,
  "hello-expected": 1,
  "unknown-frame": 2,
  "frame-too-large": 3,
  "frame-malformed": 4,
  "wrong-direction": 5,
  "stream-id": 6,
  "too-many-streams": 7,
  "frame-after-end": 8,
  "frame-order": 9,
  "window-exceeded": 10,
  "window-overflow": 11,
  "head-malformed": 12,
} as const;

export type GoawayName = keyof typeof goawayCodes;

export function goawayName(code: number): GoawayName | null {
  for (const [name, value] of Object.entries(goawayCodes)) if (value === code) return name as GoawayName;
  return null;
}

/** The peer broke a rule of the protocol; its session is closed with `rule`. */
export class InnerViolation extends Error {
  override readonly name = "InnerViolation";
  readonly rule: GoawayName;

  constructor(rule: GoawayName, message: string) {
    super(message);
    this.rule = rule;
  }
}
