// What sidecars may speak with each other once the handshake is over. A change that is not compatible gets a new number.
import { innerAlpn } from "../inner/frames.ts";

/** Multiplexed requests: docs/inner-protocol.md. */
export const alpnInner = innerAlpn;
/** One TCP connection, without framing. */
export const alpnTunnel = "devmesh-tunnel/1";
/** HTTP/1.1 for a request that asks for an Upgrade: its connection ends as a byte stream. */
export const alpnHttp1 = "devmesh-http/1";

export const alpnPeers: readonly string[] = [alpnInner, alpnTunnel, alpnHttp1];
