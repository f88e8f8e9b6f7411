// The control channel: newline-delimited JSON both ways over one byte stream per connection.
// The daemon opens it; the connection with the highest epoch wins and the proxy closes the others.
import type { Change } from "./diff.ts";
import type { Report } from "./report.ts";

/** A line longer than this closes the connection (bytes). */
export const lineBytesMax = 16 * 1024 * 1024;

export type ToProxy =
  /** First message. `epoch` grows with every connection that any daemon of this mesh opens. */
  | {
      readonly t: "hello";
      readonly contract: { major: number; minor: number };
      readonly epoch: number;
      /** It understands reports of changes (Report.isPartial); without this every report is whole. */
      readonly takesChanges?: boolean | undefined;
    }
  | { readonly t: "config"; readonly change: Change }
  /** PEM texts. `chain` is leaf first, for the key announced in the proxy's hello. Swapped without closing a connection. */
  | { readonly t: "certificate"; readonly chain: string; readonly roots: string; readonly notAfterMs: number }
  /** Stop taking new connections, finish those open, then exit. */
  | { readonly t: "drain" }
  | { readonly t: "ping"; readonly n: number };

export type FromProxy =
  | {
      readonly t: "hello";
      readonly contract: { major: number; minor: number };
      /** Random per process: counters start at zero with each. */
      readonly boot: string;
      /** P-256 public key, SPKI DER, base64. The private key never leaves the process. */
      readonly publicKey: string;
      /** Hash of the config in force, or null before the first. */
      readonly configHash: string | null;
      /** Wall clock end of the certificate in use, or null. */
      readonly certificateNotAfterMs: number | null;
      /** As in `application`, as it is known now. */
      readonly listens?: boolean | null | undefined;
    }
  | { readonly t: "ack"; readonly hash: string; readonly ready: boolean }
  /** The config in force is still `current`. `reason` is for people. */
  | { readonly t: "nack"; readonly hash: string; readonly current: string | null; readonly reason: string }
  /** Everything it listens on is bound, the certificate is in place, the first config is applied. */
  | { readonly t: "ready" }
  /** Whether the application listens on at least one of its ports; null: it has none that are known. Told at each change. */
  | { readonly t: "application"; readonly listens: boolean | null }
  | { readonly t: "report"; readonly report: Report }
  | { readonly t: "pong"; readonly n: number };
