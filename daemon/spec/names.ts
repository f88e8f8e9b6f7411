// The forms of names: labels, hosts, methods, header names, ports and addresses.
import { isIP, isIPv6 } from "node:net";

const label = /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/;
// Compose allows an underscore in a service's name and Docker's DNS answers to it, so a project that has one can be meshed.
const serviceLabel = /^[a-z0-9](?:[a-z0-9_-]{0,61}[a-z0-9])?$/;
const token = /^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,256}$/;
const methodToken = /^[A-Z][A-Z0-9_-]{0,31}$/;

/** RFC 1123 label, lower case. */
export const isLabel = (text: string): boolean => label.test(text);
export const isServiceName = (text: string): boolean => serviceLabel.test(text);
/** RFC 9110 token, as a header's name must be. */
export const isHeaderName = (text: string): boolean => token.test(text);
export const isMethod = (text: string): boolean => methodToken.test(text);
export const isPort = (value: number): boolean => Number.isInteger(value) && value >= 1 && value <= 65_535;

/** A DNS name of labels; case does not matter; a trailing dot is allowed, as Istio does. */
export function isHostName(text: string): boolean {
  const name = text.toLowerCase().replace(/\.$/, "");
  return name.length <= 253 && name !== "" && name.split(".").every((one) => label.test(one));
}

/** As above, and `*` or `*.` may be the left-most label. */
export function isWildcardHost(text: string): boolean {
  return text === "*" || isHostName(text.startsWith("*.") ? text.slice(2) : text);
}

/** Does the first host (perhaps a wildcard) cover the second? */
export function coversHost(cover: string, host: string): boolean {
  const [wide, narrow] = [cover.toLowerCase(), host.toLowerCase()];
  return wide === "*" || wide === narrow || (wide.startsWith("*.") && narrow.endsWith(wide.slice(1)));
}

export interface ListenAddress {
  readonly host: string;
  readonly port: number;
}

/** `8080`, `0.0.0.0:8080`, `localhost:8080`, `[::1]:8080`; null when it is none of these. A bare port is on 127.0.0.1. */
export function parseListen(value: number | string): ListenAddress | null {
  if (typeof value === "number") return isPort(value) ? { host: "127.0.0.1", port: value } : null;
  const match = /^(?:(\[[0-9a-fA-F:.]+\]|[^[\]:]+):)?(\d{1,5})$/.exec(value);
  const port = Number(match?.[2]);
  if (match === null || !isPort(port)) return null;
  const written = match[1];
  if (written === undefined || written === "localhost") return { host: "127.0.0.1", port };
  if (!written.startsWith("[")) return isIP(written) === 4 ? { host: written, port } : null;
  const host = written.slice(1, -1);
  return isIPv6(host) ? { host, port } : null;
}

/** Would both ask the host for the same port? An unspecified address is every address. */
export function sharesAddress(a: ListenAddress, b: ListenAddress): boolean {
  const isAny = (host: string) => host === "0.0.0.0" || host === "::";
  return a.port === b.port && (a.host === b.host || isAny(a.host) || isAny(b.host));
}
