// Ends a connection so that its peer cannot take the end for a clean one.
import { Socket } from "node:net";
import { TLSSocket } from "node:tls";

/**
 * A message with a length or chunks is visibly short when its connection closes. Raw bytes, and a body that ends with the
 * connection, need more (`isEndSignificant`): a TCP reset, or over TLS a close without close_notify.
 */
export function cut(socket: Socket, isEndSignificant: boolean): void {
  if (isEndSignificant && !(socket instanceof TLSSocket) && socket instanceof Socket && !socket.connecting)
    socket.resetAndDestroy();
  else socket.destroy();
}
