// One-shot mode: gives /etc/hosts the lines back that Docker took out of it.
import { open } from "node:fs/promises";

/** Lines in base64, the last with its end. Written in place: the file is a bind mount. Throws when it cannot be written. */
export async function addHosts(base64: string, path = "/etc/hosts"): Promise<void> {
  const lines = Buffer.from(base64, "base64");
  const file = await open(path, "r+");
  try {
    const before = await file.readFile();
    const isEnded = before.length === 0 || before.at(-1) === 0x0a;
    const added = isEnded ? lines : Buffer.concat([Buffer.from("\n"), lines]);
    for (let done = 0; done < added.length; ) {
      done += (await file.write(added, done, added.length - done, before.length + done)).bytesWritten;
    }
  } finally {
    await file.close();
  }
}
