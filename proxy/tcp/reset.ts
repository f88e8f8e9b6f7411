// Ends a connection so that the other side sees a cut, never a clean end.
import { Socket } from "node:net";
import type { Duplex } from "node:stream";
import { TLSSocket } from "node:tls";

/**
 * Destroys the stream, with a TCP reset where there is a TCP socket below it. May be called again.
 *
 * Node resets no TLSSocket (its handle is not a TCP one), and its destroy() sends a FIN without close_notify, which the
 * peer reads as a clean end. The socket below is reset instead: a server's TLSSocket has one, a client's only when it
 * was made by `tls.connect({ socket })`. Without one the peer sees an end.
 */
export function resetStream(stream: Duplex): void {
  if (stream.destroyed) return;
  if (stream instanceof TLSSocket) {
    const below = "_parent" in stream ? stream._parent : null;
    if (below instanceof Socket && !below.destroyed) resetBelow(stream, below);
    else if (!(below instanceof Socket)) stream.destroy();
    return;
  }
  if (!(stream instanceof Socket) || stream.connecting) {
    stream.destroy();
    return;
  }
  try {
    stream.resetAndDestroy();
  } catch {
    // A pipe or a unix socket: there is no reset, and what is left is an end.
    stream.destroy();
  }
}

/**
 * Two things that Node 24 gets wrong decide the form (measured): reset within a callback of the TLS layer, the peer may still
 * see an end; and destroying the TLSSocket between the reset of the socket below and its close is a segmentation fault.
 * So the reset has a turn of its own, and the TLSSocket is destroyed by its socket's close alone.
 */
function resetBelow(stream: TLSSocket, below: Socket): void {
  stream.pause();
  setImmediate(() => {
    if (stream.destroyed || below.destroyed) return;
    stream.destroy = () => stream;
    below.prependOnceListener("close", () => {
      Reflect.deleteProperty(stream, "destroy");
    });
    below.resetAndDestroy();
  });
}
