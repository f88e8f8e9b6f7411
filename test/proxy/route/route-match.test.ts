import { expect, test } from "vitest";
import type { RouteMatch } from "../../../proxy/contract/config.ts";
import { Fields } from "../../../proxy/http/fields.ts";
import type { RequestHead } from "../../../proxy/http/message.ts";
import { compileRouteMatch } from "../../../proxy/route/route-match.ts";

function head(parts: { method?: string; target?: string; authority?: string; fields?: string[] }): RequestHead {
  return {
    method: parts.method ?? "GET",
    target: parts.target ?? "/",
    authority: parts.authority ?? "payment",
    scheme: "http",
    fields: new Fields(parts.fields ?? []),
    bodyLength: 0,
    upgrade: null,
    expectsContinue: false,
    protocol: "HTTP/1.1",
  };
}

const exact = (value: string) => ({ kind: "exact", value }) as const;
const prefix = (value: string) => ({ kind: "prefix", value }) as const;
const regex = (value: string) => ({ kind: "regex", value }) as const;
const present = { kind: "present" } as const;

const rows: [string, readonly RouteMatch[], Parameters<typeof head>[0], boolean][] = [
  ["no condition fits all", [], {}, true],
  ["exact path", [{ path: exact("/charge") }], { target: "/charge" }, true],
  ["exact path with query", [{ path: exact("/charge") }], { target: "/charge?x=1" }, true],
  ["exact path is case-sensitive", [{ path: exact("/charge") }], { target: "/Charge" }, false],
  ["ignoreUriCase", [{ path: exact("/charge"), ignoreUriCase: true }], { target: "/Charge" }, true],
  ["prefix is a raw string prefix", [{ path: prefix("/foo") }], { target: "/foobar" }, true],
  ["prefix ignores the query", [{ path: prefix("/foo") }], { target: "/?/foo" }, false],
  ["regex matches the whole value", [{ path: regex("/v[0-9]+") }], { target: "/v12" }, true],
  ["regex does not match a part", [{ path: regex("/v[0-9]+") }], { target: "/v12/x" }, false],
  ["method", [{ method: exact("POST") }], { method: "POST" }, true],
  ["method is case-sensitive", [{ method: exact("POST") }], { method: "post" }, false],
  ["header value", [{ headers: { "x-beta": exact("true") } }], { fields: ["X-Beta", "true"] }, true],
  ["header absent", [{ headers: { "x-beta": exact("true") } }], {}, false],
  ["header present", [{ headers: { "x-beta": present } }], { fields: ["x-beta", ""] }, true],
  ["several values are one list", [{ headers: { a: exact("1,2") } }], { fields: ["a", "1", "A", "2"] }, true],
  ["withoutHeaders holds when absent", [{ withoutHeaders: { a: exact("1") } }], {}, true],
  ["withoutHeaders present", [{ withoutHeaders: { a: present } }], { fields: ["a", "1"] }, false],
  ["withoutHeaders: absent counts as empty", [{ withoutHeaders: { a: exact("") } }], {}, false],
  ["query value", [{ query: { v: exact("2") } }], { target: "/?a=1&v=2" }, true],
  ["query key without value", [{ query: { v: exact("") } }], { target: "/?v" }, true],
  ["query decoded", [{ query: { q: exact("a b") } }], { target: "/?q=a%20b" }, true],
  ["query absent", [{ query: { v: present } }], { target: "/" }, false],
  ["malformed percent is compared as it is", [{ query: { q: exact("%zz") } }], { target: "/?q=%zz" }, true],
  ["AND inside", [{ path: exact("/a"), method: exact("POST") }], { target: "/a" }, false],
  ["OR outside", [{ path: exact("/a") }, { path: exact("/b") }], { target: "/b" }, true],
  ["port", [{ port: 8080 }], {}, true],
  ["other port", [{ port: 9090 }], {}, false],
];

test.each(rows)("%s", (_why, match, parts, expected) => {
  expect(compileRouteMatch({ match })(head(parts), 8080)).toBe(expected);
});

test("a hostile regex takes linear time", () => {
  const fits = compileRouteMatch({ match: [{ path: regex("(a+)+b") }] });
  const started = performance.now();
  expect(fits(head({ target: `/${"a".repeat(5000)}` }), 80)).toBe(false);
  expect(performance.now() - started).toBeLessThan(2000);
});

test("a regex that is not RE2 is refused", () => {
  expect(() => compileRouteMatch({ match: [{ path: regex("(?=x)") }] })).toThrow();
});
