// What HTTP messages are between the codecs: free of framing, whatever protocol they came by.
// A codec strips hop-by-hop fields, Host, Content-Length and Transfer-Encoding when it parses, and writes its own.
import type { Fields } from "./fields.ts";

export interface RequestHead {
  /** Case kept (methods are case-sensitive). Never CONNECT. */
  readonly method: string;
  /** Origin form: path and query, as received; or "*" for OPTIONS. */
  target: string;
  /** host[:port] from Host, :authority or the absolute form; "" for HTTP/1.0 without Host. */
  authority: string;
  readonly scheme: "http" | "https";
  readonly fields: Fields;
  /** Bytes of the body: 0 is no body, -1 is not known in advance. */
  readonly bodyLength: number;
  /** Lower-case protocol asked for by Upgrade ("websocket"), or null. Never "h2c". */
  readonly upgrade: string | null;
  /** The client waits for 100 Continue before it sends its body. */
  readonly expectsContinue: boolean;
  /** "HTTP/1.0", "HTTP/1.1", "HTTP/2": for the log, and because 1xx never goes to 1.0. */
  readonly protocol: string;
  /** The target came as an absolute URL (a request to a forward proxy); `target` holds its path all the same. */
  readonly isAbsoluteForm?: boolean;
}

export interface ResponseHead {
  readonly status: number;
  readonly reason: string;
  readonly fields: Fields;
  /** Bytes of the body that follows: 0 is none (HEAD, 204, 304 too), -1 is not known in advance. */
  readonly bodyLength: number;
  /** What Content-Length says where no body follows (HEAD, 304): kept for the client; -1 when absent. */
  readonly declaredLength: number;
}
