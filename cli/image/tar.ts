// ustar archives: build contexts, whose bytes depend on names, modes and contents alone, and single files of what `docker save` wrote.
import { type FileHandle, open } from "node:fs/promises";

const blockBytes = 512;
/** A manifest or an image's configuration; what is larger is not read. */
const fileBytesMax = 4 * 1024 * 1024;

export interface TarEntry {
  /** Shorter than 100 bytes. */
  readonly name: string;
  readonly mode: number;
  readonly content: Buffer;
}

export function tarOf(entries: readonly TarEntry[]): Buffer {
  const blocks: Buffer[] = [];
  for (const { name, mode, content } of entries) {
    blocks.push(headerOf(name, mode, content.length), content, Buffer.alloc(paddingOf(content.length)));
  }
  blocks.push(Buffer.alloc(2 * blockBytes));
  return Buffer.concat(blocks);
}

/** The content of one file of an archive, without reading the others; null when it is not there, or this is no archive. */
export async function readTarFile(archive: string, name: string): Promise<Buffer | null> {
  const file = await open(archive, "r");
  try {
    for (let offset = 0; ; ) {
      const header = await readAt(file, offset, blockBytes);
      if (header === null || header.toString("latin1", 257, 262) !== "ustar") return null;
      const size = Number.parseInt(header.toString("latin1", 124, 136), 8);
      if (!Number.isSafeInteger(size)) return null;
      offset += blockBytes;
      if (textAt(header, 0, 100) === name) return size > fileBytesMax ? null : await readAt(file, offset, size);
      offset += size + paddingOf(size);
    }
  } finally {
    await file.close();
  }
}

async function readAt(file: FileHandle, position: number, length: number): Promise<Buffer | null> {
  const buffer = Buffer.alloc(length);
  const { bytesRead } = await file.read(buffer, 0, length, position);
  return bytesRead === length ? buffer : null;
}

function headerOf(name: string, mode: number, size: number): Buffer {
  if (Buffer.byteLength(name) >= 100) throw new Error(`name too long for ustar: ${name}`);
  const block = Buffer.alloc(blockBytes);
  block.write(name, 0);
  block.write(octal(mode, 7), 100);
  block.write(octal(0, 7), 108);
  block.write(octal(0, 7), 116);
  block.write(octal(size, 11), 124);
  block.write(octal(0, 11), 136);
  // The checksum is taken with its own field as spaces.
  block.write("        ", 148);
  block.write("0", 156);
  block.write("ustar\u000000", 257);
  const sum = block.reduce((total, byte) => total + byte, 0);
  block.write(`${octal(sum, 6)}\u0000 `, 148);
  return block;
}

function octal(value: number, digits: number): string {
  return value.toString(8).padStart(digits, "0");
}

function textAt(block: Buffer, from: number, length: number): string {
  return block.toString("utf8", from, from + length).replace(/\0.*$/s, "");
}

function paddingOf(size: number): number {
  return (blockBytes - (size % blockBytes)) % blockBytes;
}
