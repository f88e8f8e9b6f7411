// Redis' wire format (RESP2): commands out, replies in, whatever pieces the bytes come in.

export type RedisReply = string | number | null | RedisError | readonly RedisReply[];

export class RedisError extends Error {}

/** A bulk string of the shop's is a few hundred bytes; more than this is not our Redis. */
const bulkBytesMax = 1024 * 1024;
const arrayLengthMax = 10_000;
const depthMax = 4;

export function encodeCommand(args: readonly string[]): string {
  return `*${args.length}\r\n${args.map((arg) => `$${Buffer.byteLength(arg)}\r\n${arg}\r\n`).join("")}`;
}

/** The first whole reply in `bytes` and where it ends; null when more bytes are needed. Throws on anything else. */
export function decodeReply(bytes: Buffer, from = 0, depth = 0): { reply: RedisReply; end: number } | null {
  const lineEnd = bytes.indexOf("\r\n", from);
  if (lineEnd < 0) return null;
  const line = bytes.toString("utf8", from + 1, lineEnd);
  const next = lineEnd + 2;
  switch (String.fromCharCode(bytes[from] ?? 0)) {
    case "+":
      return { reply: line, end: next };
    case "-":
      return { reply: new RedisError(line), end: next };
    case ":":
      return { reply: length(line, Number.MAX_SAFE_INTEGER), end: next };
    case "$":
      return decodeBulk(bytes, next, length(line, bulkBytesMax));
    case "*":
      if (depth >= depthMax) throw new Error("a reply nested too deep");
      return decodeArray(bytes, next, length(line, arrayLengthMax), depth);
    default:
      throw new Error("not a Redis reply");
  }
}

function decodeBulk(bytes: Buffer, from: number, size: number): { reply: RedisReply; end: number } | null {
  if (size < 0) return { reply: null, end: from };
  const end = from + size + 2;
  return bytes.length < end ? null : { reply: bytes.toString("utf8", from, from + size), end };
}

function decodeArray(
  bytes: Buffer,
  from: number,
  count: number,
  depth: number,
): { reply: RedisReply; end: number } | null {
  if (count < 0) return { reply: null, end: from };
  const members: RedisReply[] = [];
  let end = from;
  while (members.length < count) {
    const member = decodeReply(bytes, end, depth + 1);
    if (member === null) return null;
    members.push(member.reply);
    end = member.end;
  }
  return { reply: members, end };
}

function length(text: string, max: number): number {
  const value = Number(text);
  if (!/^-?\d+$/.test(text) || value > max) throw new Error(`not a length in a Redis reply: ${text}`);
  return value;
}
