import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { Fields } from "../../../proxy/http/fields.ts";
import { InnerViolation } from "../../../proxy/inner/frames.ts";
import {
  decodeRequest,
  decodeResponse,
  decodeTrailers,
  requestText,
  responseText,
  trailersText,
} from "../../../proxy/inner/head-text.ts";
import { request, requestLines, response, responseLines } from "./session-pair.ts";

const latin1 = (text: string) => Buffer.from(text, "latin1");
const token = fc.stringMatching(/^x-[!#$%&'*+.^_`|~0-9A-Za-z-]{1,10}$/);
const value = fc.stringMatching(/^[\t\x20-\x7e\x80-\xff]{0,30}$/);
const fields = fc.array(fc.tuple(token, value), { maxLength: 10 }).map((pairs) => new Fields(pairs.flat()));

describe("a request's head", () => {
  it("arrives as it was sent", () => {
    const target = fc.stringMatching(/^\/[!"$-~]{0,30}$/);
    fc.assert(
      fc.property(
        fields,
        target,
        fc.integer({ min: -1, max: 2 ** 50 }),
        fc.boolean(),
        (f, t, bodyLength, expectsContinue) => {
          const sent = request({
            method: "POST",
            target: t,
            fields: f,
            bodyLength,
            expectsContinue,
            protocol: "HTTP/2",
          });
          const decoded = decodeRequest(latin1(requestText(sent) ?? ""), 100);
          expect(decoded).toEqual({ kind: "head", value: { head: sent.head, destination: sent.destination } });
        },
      ),
    );
  });

  it.each<[string, Parameters<typeof request>[0]]>([
    ["LF in a value", { fields: new Fields(["a", "b\nevil"]) }],
    ["CR in a value", { fields: new Fields(["a", "b\rc"]) }],
    ["NUL in a value", { fields: new Fields(["a", "b\0c"]) }],
    ["a character that latin1 would cut to LF", { fields: new Fields(["a", "b\u010ac"]) }],
    ["LF in a name", { fields: new Fields(["a\nb", "c"]) }],
    ["LF in the target", { target: "/\nx" }],
    ["LF in the authority", { authority: "a\nb" }],
    ["LF in the method", { method: "GET\n/" }],
  ])("is not sent with %s", (_why, changes) => {
    expect(requestText(request(changes))).toBeNull();
  });

  it.each([
    ["a method that is no token", "GET", "G T"],
    ["CONNECT", "GET", "CONNECT"],
    ["an absolute target", "/\n", "http://a/\n"],
    ["a target with a blank", "/\n", "/a b\n"],
    ["a target with a fragment", "/\n", "/a#b\n"],
    ["an empty target", "/\n", "\n"],
    ["a star for GET", "/\n", "*\n"],
    ["an authority with a blank", "payment.shop", "payment shop"],
    ["another scheme", "http\n", "file\n"],
    ["another protocol", "HTTP/1.1", "HTTP/0.9"],
    ["a length with a sign", "-1\n0", "+1\n0"],
    ["a length in hexadecimal", "-1\n0", "0x1\n0"],
    ["a length that is too long", "-1\n0", "99999999999999999\n0"],
    ["no length", "-1\n0", "\n0"],
    ["port 0", "8080", "0"],
    ["a port that is too large", "8080", "65536"],
    ["no service", "payment\n8080", "\n8080"],
  ])("is malformed with %s", (_why, from, to) => {
    expect(decodeRequest(latin1(requestLines.replace(from, to)), 100).kind).toBe("malformed");
  });

  it.each([
    "Transfer-Encoding",
    "content-length",
    "Host",
    "connection",
    "Upgrade",
    "keep-alive",
    "proxy-connection",
    "HTTP2-Settings",
    "",
    "a b",
    "a:",
    "\u00e9",
  ])("is malformed with a field named %j, which could smuggle a request into the application", (name) => {
    expect(decodeRequest(latin1(`${requestLines}\n${name}\nx`), 100).kind).toBe("malformed");
  });

  it.each([
    ["CR", `${requestLines}\na\nb\r`],
    ["NUL", `${requestLines}\na\nb\0`],
    ["a field without value", `${requestLines}\na`],
    ["too few lines", "GET\n/"],
    ["nothing", ""],
    ["too many fields", `${requestLines}${"\na\nb".repeat(101)}`],
  ])("breaks the protocol with %s", (_why, text) => {
    expect(() => decodeRequest(latin1(text), 100)).toThrow(InnerViolation);
  });
});

describe("a response's head", () => {
  it("arrives as it was sent", () => {
    fc.assert(
      fc.property(
        fields,
        fc.integer({ min: 100, max: 999 }),
        value,
        fc.integer({ min: -1, max: 1e9 }),
        (f, status, reason, n) => {
          const sent = response({ status, reason, fields: f, bodyLength: n, declaredLength: n });
          const decoded = decodeResponse(latin1(responseText(sent) ?? ""), 100);
          expect(decoded).toEqual({ kind: "head", value: sent });
        },
      ),
    );
  });

  it.each([
    ["a status of two digits", "200", "20"],
    ["a status that is no number", "200", "2e2"],
    ["a length that is no number", "-1\n-1", "x\n-1"],
  ])("is malformed with %s", (_why, from, to) => {
    expect(decodeResponse(latin1(responseLines.replace(from, to)), 100).kind).toBe("malformed");
  });

  it("is not sent with a reason that would break the line", () => {
    expect(responseText(response({ reason: "OK\nx" }))).toBeNull();
  });
});

describe("trailers", () => {
  it("arrive as they were sent, also when there are none", () => {
    fc.assert(
      fc.property(fields, (sent) => {
        const decoded = decodeTrailers(latin1(trailersText(sent) ?? ""), 100);
        expect(decoded).toEqual({ kind: "head", value: sent.count === 0 ? null : sent });
      }),
    );
  });
});

describe("any bytes", () => {
  it("are a head, malformed or a violation, and nothing else", () => {
    const mutated = fc.tuple(fc.nat(60), fc.nat(255)).map(([at, byte]) => {
      const bytes = latin1(`${requestLines}\nname\nvalue`);
      bytes[at] = byte;
      return bytes;
    });
    const random = fc.uint8Array({ maxLength: 200 }).map((bytes) => Buffer.from(bytes));
    fc.assert(
      fc.property(fc.oneof(mutated, random), (bytes) => {
        for (const decode of [decodeRequest, decodeResponse, decodeTrailers]) {
          try {
            expect(["head", "malformed"]).toContain(decode(bytes, 100).kind);
          } catch (error) {
            expect(error).toBeInstanceOf(InnerViolation);
          }
        }
      }),
      { numRuns: 2000 },
    );
  });
});
