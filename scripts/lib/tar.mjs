// Writes ustar archives whose bytes depend on names, modes and contents alone: build contexts that hash the same.

const BLOCK = 512;

/** One archive of { name, mode, content: Buffer } entries, names shorter than 100 bytes. */
export function tarOf(entries) {
  const blocks = [];
  for (const { name, mode, content } of entries) {
    blocks.push(header(name, mode, content.length), content, Buffer.alloc((BLOCK - (content.length % BLOCK)) % BLOCK));
  }
  blocks.push(Buffer.alloc(2 * BLOCK));
  return Buffer.concat(blocks);
}

function header(name, mode, size) {
  if (Buffer.byteLength(name) >= 100) throw new Error(`name too long for ustar: ${name}`);
  const block = Buffer.alloc(BLOCK);
  block.write(name, 0);
  block.write(octal(mode, 7), 100);
  block.write(octal(0, 7), 108);
  block.write(octal(0, 7), 116);
  block.write(octal(size, 11), 124);
  block.write(octal(0, 11), 136);
  block.write("        ", 148);
  block.write("0", 156);
  block.write("ustar\u000000", 257);
  // The checksum is taken with its own field as spaces.
  block.write(
    `${octal(
      block.reduce((sum, byte) => sum + byte, 0),
      6,
    )}\u0000 `,
    148,
  );
  return block;
}

function octal(value, digits) {
  return value.toString(8).padStart(digits, "0");
}
