// An HTTP/1 connection of any listener: registered for the drain, and what never became a request is logged.
import type { Socket } from "node:net";
import type { Peer, ServerStream } from "../http/stream.ts";
import { defaultLimits } from "../http1/limits.ts";
import { serveHttp1 } from "../http1/server-connection.ts";
import type { Connections } from "./connections.ts";
import type { ProxyContext } from "./context.ts";

export interface ServeHttpOptions {
  readonly peer: Peer;
  /** What sniffing has read. */
  readonly initial?: Buffer;
  onRequest(stream: ServerStream): void;
}

export function serveHttp(
  socket: Socket,
  { peer, initial, onRequest }: ServeHttpOptions,
  deps: { context: ProxyContext; connections: Connections },
): void {
  const { context, connections } = deps;
  const connection = serveHttp1(socket, {
    peer,
    scheme: "http",
    limits: defaultLimits,
    ...(initial === undefined ? {} : { initial }),
    onRequest,
    onRejected: ({ status, flag, reason }) =>
      context.log.line(
        `[devmesh] ${status} ${flag} a request from ${peer.identity ?? peer.address} was refused: ${reason}`,
      ),
    onClose: () => connections.remove(connection),
  });
  connections.add(connection);
}
