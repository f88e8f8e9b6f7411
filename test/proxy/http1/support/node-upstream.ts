// A real node:http server as the application behind the relay.
import http from "node:http";
import type { AddressInfo } from "node:net";
import { onTestFinished } from "vitest";

export async function startNodeUpstream(
  onRequest: http.RequestListener,
  prepare: (server: http.Server) => void = () => undefined,
): Promise<number> {
  const server = http.createServer({ noDelay: true }, onRequest);
  prepare(server);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  onTestFinished(async () => {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  });
  return (server.address() as AddressInfo).port;
}

export interface Reply {
  readonly status: number;
  readonly headers: http.IncomingHttpHeaders;
  readonly rawHeaders: string[];
  readonly trailers: NodeJS.Dict<string>;
  readonly body: Buffer;
}

/** One request by node:http, its response whole. */
export function ask(options: http.RequestOptions, body: Buffer | string | null = null): Promise<Reply> {
  return new Promise((resolve, reject) => {
    const request = http.request({ host: "127.0.0.1", ...options }, (response) => {
      const chunks: Buffer[] = [];
      response.on("data", (chunk: Buffer) => chunks.push(chunk));
      response.on("error", reject);
      response.on("end", () => {
        const { statusCode = 0, headers, rawHeaders, trailers } = response;
        resolve({ status: statusCode, headers, rawHeaders, trailers, body: Buffer.concat(chunks) });
      });
    });
    request.on("error", reject);
    request.end(body ?? undefined);
  });
}
