// One-shot mode: takes the mesh network's line out of /etc/hosts again, since `hostname -i` sometimes finds it first.
import { type FileHandle, open } from "node:fs/promises";

/** Far beyond any real hosts file. */
const hostsBytesMax = 1024 * 1024;

/**
 * Removes every line whose address is `address`; all else stays byte for byte. Written in place: the file is a bind
 * mount, which cannot be renamed over. Returns the number of lines taken out. Throws when the file cannot be written.
 */
export async function cleanHosts(address: string, path = "/etc/hosts"): Promise<number> {
  const file = await open(path, "r+");
  try {
    const { size } = await file.stat();
    if (size > hostsBytesMax) throw new Error(`${path} is larger than ${hostsBytesMax} bytes`);
    // latin1 maps every byte to one character and back.
    const before = (await file.readFile()).toString("latin1");
    const { text, removed } = withoutAddress(before, address);
    if (removed > 0) await overwrite(file, Buffer.from(text, "latin1"));
    return removed;
  } finally {
    await file.close();
  }
}

export function withoutAddress(hosts: string, address: string): { text: string; removed: number } {
  const lines = hosts.split(/(?<=\n)/);
  const kept = lines.filter((line) => /^[ \t]*([^\s#]+)/.exec(line)?.[1] !== address);
  return { text: kept.join(""), removed: lines.length - kept.length };
}

/** What is kept is a prefix of the old or comes earlier in it, so no reader ever finds an empty file. */
async function overwrite(file: FileHandle, bytes: Buffer): Promise<void> {
  let at = 0;
  while (at < bytes.length) at += (await file.write(bytes, at, bytes.length - at, at)).bytesWritten;
  await file.truncate(bytes.length);
}
