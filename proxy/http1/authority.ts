// host[:port] as Host and the absolute form carry it (RFC 9110 7.2): one host, no userinfo, a port that is one.
import { isIPv6 } from "node:net";
import { isDigit, isHost } from "./bytes.ts";

const openBracket = 91;
const colon = 58;

/** True for `shop`, `shop:8080`, `10.0.0.1`, `[::1]:80`. False for the empty string. */
export function isAuthority(text: string): boolean {
  if (text.charCodeAt(0) === openBracket) return isBracketed(text);
  let at = 0;
  while (at < text.length && isHost(text.charCodeAt(at))) at++;
  return at > 0 && isPortSuffix(text, at);
}

function isBracketed(text: string): boolean {
  const close = text.indexOf("]");
  // isIPv6 also takes a zone ("%eth0"), which has no meaning at another host.
  const address = text.slice(1, Math.max(1, close));
  return isIPv6(address) && !address.includes("%") && isPortSuffix(text, close + 1);
}

/** Nothing, or a colon and a port from 1 to 65535. An empty port is legal in a URI and refused here: nobody needs it. */
function isPortSuffix(text: string, from: number): boolean {
  if (from === text.length) return true;
  if (text.charCodeAt(from) !== colon || text.length - from > 6 || text.length - from < 2) return false;
  let port = 0;
  for (let i = from + 1; i < text.length; i++) {
    if (!isDigit(text.charCodeAt(i))) return false;
    port = port * 10 + (text.charCodeAt(i) - 48);
  }
  return port > 0 && port < 65536;
}

/** True when both name the same host and port, letter case and the scheme's default port aside. */
export function isSameAuthority(a: string, b: string, scheme: "http" | "https"): boolean {
  return a === b || canonical(a, scheme) === canonical(b, scheme);
}

function canonical(authority: string, scheme: "http" | "https"): string {
  const suffix = scheme === "http" ? ":80" : ":443";
  const lower = authority.toLowerCase();
  return lower.endsWith(suffix) ? lower.slice(0, -suffix.length) : lower;
}
