// Ends a connection so that the other side sees a cut, never a clean end.
import { Socket } from "node:net";
import type { Duplex } from "node:stream";
import { TLSSocket } from "node:tls";

/**
 * Destroys the stream with a TCP reset where there is a TCP socket below it.
 *
 * Node resets no TLSSocket (its handle is not a TCP one), and its destroy() sends a FIN without close_notify, which the
 * peer reads as a clean end. The socket below is reset instead: a server's TLSSocket has one, a client's only when it
 * was made by `tls.connect({ socket })`.
 */
export function resetStream(stream: Duplex): void {
  if (stream.destroyed) return;
  const transport = transportOf(stream);
  if (transport === null || transport.destroyed) {
    stream.destroy();
    return;
  }
  try {
    transport.resetAndDestroy();
  } catch {
    // A pipe or a unix socket: there is no reset, and what is left of a clean end is up to its peer.
    transport.destroy();
  }
  stream.destroy();
}

function transportOf(stream: Duplex): Socket | null {
  if (!(stream instanceof TLSSocket)) return stream instanceof Socket ? stream : null;
  const below = "_parent" in stream ? stream._parent : null;
  return below instanceof Socket ? below : null;
}
