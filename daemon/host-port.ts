// Looks whether a gateway's port on this host is free, before anything is created for it.
import { once } from "node:events";
import { createServer } from "node:net";
import { Problem } from "./api/problem.ts";

/**
 * Throws Problem DM0401 when something listens there; `describe` says who, as in " by nginx". Any other trouble is left for
 * Docker to report.
 */
export async function assertHostPortIsFree(
  host: string,
  port: number,
  describe: () => Promise<string> = async () => "",
): Promise<void> {
  const server = createServer();
  try {
    server.listen({ host, port, exclusive: true });
    await once(server, "listening");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EADDRINUSE") return;
    const hint = "stop what listens there, or choose another port in mesh.yaml's gateway:";
    throw new Problem("DM0401", `the host port ${host}:${port} is in use${await describe()}`, hint);
  } finally {
    server.close();
  }
}
