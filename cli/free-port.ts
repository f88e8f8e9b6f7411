// Ports of this host for what is started only to be looked at.
import { once } from "node:events";
import { createServer } from "node:net";

/** How many are tried from the first. */
const triesMax = 200;

export async function isPortFree(port: number, host = "127.0.0.1"): Promise<boolean> {
  const server = createServer();
  try {
    server.listen({ host, port, exclusive: true });
    await once(server, "listening");
    return true;
  } catch {
    return false;
  } finally {
    server.close();
  }
}

/** The first free one from `first` on; null when none of the next 200 is. */
export async function findFreePort(first: number): Promise<number | null> {
  for (let port = first; port < first + triesMax && port < 65_536; port++) {
    if (await isPortFree(port)) return port;
  }
  return null;
}
