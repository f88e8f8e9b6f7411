// Reads every IPv4 TCP segment on a host's interfaces from an AF_PACKET socket until its standard input ends, then prints the
// streams that it saw. Runs in the host's network namespace with NET_RAW; koffi is found beside it.
import koffi from "koffi";

export interface CapturedStream {
  readonly from: string;
  readonly fromPort: number;
  readonly to: string;
  readonly toPort: number;
  /** It was seen from its first segment on, without a gap. */
  readonly isWhole: boolean;
  /** In order, without retransmissions; base64. */
  readonly bytes: string;
}

export interface Captured {
  /** Packets that the kernel could not hand over: the streams are then not to be trusted. */
  readonly dropped: number;
  readonly streams: readonly CapturedStream[];
}

interface Stream {
  readonly from: string;
  readonly fromPort: number;
  readonly to: string;
  readonly toPort: number;
  first: number | null;
  /** Payload by sequence number: each packet passes several interfaces. */
  readonly segments: Map<number, Buffer>;
}

// linux/if_packet.h, linux/if_ether.h, asm-generic/socket.h
const AF_PACKET = 17;
const SOCK_DGRAM = 2;
const ETH_P_ALL = 0x0300;
const SOL_SOCKET = 1;
const SO_RCVBUFFORCE = 33;
const SOL_PACKET = 263;
const PACKET_STATISTICS = 6;
const MSG_DONTWAIT = 0x40;

const receiveBufferBytes = 64 * 1024 * 1024;
const keptBytesMax = 64 * 1024 * 1024;
const sequences = 2 ** 32;

const libc = koffi.load(null);
const open = libc.func("int socket(int domain, int type, int protocol)");
const receive = libc.func("long recv(int fd, _Out_ uint8_t *buffer, size_t length, int flags)");
const setOption = libc.func("int setsockopt(int fd, int level, int name, const void *value, uint32_t length)");
const getOption = libc.func(
  "int getsockopt(int fd, int level, int name, _Out_ uint8_t *value, _Inout_ uint32_t *length)",
);

const fd: number = open(AF_PACKET, SOCK_DGRAM, ETH_P_ALL);
if (fd < 0) throw new Error("no packet socket: is NET_RAW given?");
const size = Buffer.alloc(4);
size.writeUInt32LE(receiveBufferBytes);
setOption(fd, SOL_SOCKET, SO_RCVBUFFORCE, size, size.length);

const streams = new Map<string, Stream>();
const buffer = Buffer.alloc(256 * 1024);
let kept = 0;

function drain(): void {
  for (;;) {
    const length: number = receive(fd, buffer, buffer.length, MSG_DONTWAIT);
    if (length <= 0) return;
    take(buffer.subarray(0, Math.min(length, buffer.length)));
  }
}

function take(packet: Buffer): void {
  const headerBytes = ((packet[0] ?? 0) & 15) * 4;
  if ((packet[0] ?? 0) >> 4 !== 4 || packet[9] !== 6 || packet.length < headerBytes + 20) return;
  const tcp = packet.subarray(headerBytes, packet.readUInt16BE(2) || packet.length);
  const from = packet.subarray(12, 16).join(".");
  const to = packet.subarray(16, 20).join(".");
  const fromPort = tcp.readUInt16BE(0);
  const toPort = tcp.readUInt16BE(2);
  const isSyn = ((tcp[13] ?? 0) & 2) !== 0;
  const sequence = tcp.readUInt32BE(4);
  const payload = tcp.subarray(((tcp[12] ?? 0) >> 4) * 4);
  if (!isSyn && payload.length === 0) return;
  const key = `${from}:${fromPort}>${to}:${toPort}`;
  const stream = streams.get(key) ?? { from, fromPort, to, toPort, first: null, segments: new Map() };
  streams.set(key, stream);
  if (isSyn) stream.first = (sequence + 1) % sequences;
  else if (!stream.segments.has(sequence) && kept < keptBytesMax) {
    kept += payload.length;
    stream.segments.set(sequence, Buffer.from(payload));
  }
}

function assemble({ first, segments, ...about }: Stream): CapturedStream {
  const start = first ?? segments.keys().next().value ?? 0;
  const distance = (sequence: number) => (sequence - start + sequences) % sequences;
  const ordered = [...segments].sort(([a], [b]) => distance(a) - distance(b));
  const parts: Buffer[] = [];
  let at = 0;
  let isWhole = first !== null;
  for (const [sequence, bytes] of ordered) {
    const skip = at - distance(sequence);
    if (skip < 0) isWhole = false;
    if (skip >= bytes.length) continue;
    parts.push(bytes.subarray(Math.max(0, skip)));
    at = distance(sequence) + bytes.length;
  }
  return { ...about, isWhole, bytes: Buffer.concat(parts).toString("base64") };
}

const timer = setInterval(drain, 2);
console.log("capturing");
process.stdin.resume().once("end", () => {
  clearInterval(timer);
  drain();
  const statistics = Buffer.alloc(8);
  getOption(fd, SOL_PACKET, PACKET_STATISTICS, statistics, new Uint32Array([8]));
  const dropped = statistics.readUInt32LE(4) + (kept >= keptBytesMax ? 1 : 0);
  process.stdout.write(JSON.stringify({ dropped, streams: [...streams.values()].map(assemble) } satisfies Captured));
});
