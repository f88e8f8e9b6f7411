// Docker's multiplexed stream: 8 bytes of head (kind, three zeros, length) and that many bytes, across chunk borders.

export type StreamName = "stdout" | "stderr";
export type OnPiece = (stream: StreamName, piece: Buffer) => void;

const headBytes = 8;
/** Docker writes at most 16 KiB at a time; a length beyond this means that we lost the frame borders. */
const frameBytesMax = 64 * 1024 * 1024;

/**
 * Returns a function that takes chunks as they come and calls `onPiece` with what they carry. Pieces are slices of the
 * chunks: nothing is gathered, so a large frame costs no memory. Throws on a head that cannot be one.
 */
export function createDemux(onPiece: OnPiece): (chunk: Buffer) => void {
  let head = Buffer.alloc(0);
  let stream: StreamName = "stdout";
  let remaining = 0;
  return (chunk) => {
    let at = 0;
    while (at < chunk.length) {
      if (remaining > 0) {
        const piece = chunk.subarray(at, at + remaining);
        at += piece.length;
        remaining -= piece.length;
        onPiece(stream, piece);
        continue;
      }
      const missing = headBytes - head.length;
      head = Buffer.concat([head, chunk.subarray(at, at + missing)]);
      at += missing;
      if (head.length < headBytes) return;
      const kind = head[0] ?? 0;
      remaining = head.readUInt32BE(4);
      if (kind > 2 || remaining > frameBytesMax) {
        throw new Error(`not a multiplexed Docker stream: head ${head.toString("hex")}`);
      }
      stream = kind === 2 ? "stderr" : "stdout";
      head = Buffer.alloc(0);
    }
  };
}
