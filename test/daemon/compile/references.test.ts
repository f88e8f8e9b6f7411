import { describe, expect, test } from "vitest";
import { compileCodes, mergeDiagnostics } from "../../../daemon/compile/problems.ts";
import { diagnosticCodes } from "../../../daemon/spec/codes.ts";
import type { Diagnostic } from "../../../daemon/spec/diagnostic.ts";
import type { Spec } from "../../../daemon/spec/spec.ts";
import { worldOf } from "../../support/world.ts";
import { compiled, gateway, origin, proxyOf, route, service, spec, version } from "./support.ts";

const world = worldOf({
  containers: [
    { service: "cart", exposedTcp: [8080] },
    { service: "payment-v2" },
    { service: "quiet", isOptedOut: true },
    { service: "mute" },
  ],
});
const payment = service("payment", { versions: [version("v2")] });
const allow = (from: string) => [{ origin, from: [from], methods: [], paths: [] }];

const problemsIn = (parts: Partial<Spec>, knownServices: readonly string[] | null = null) =>
  compiled({ world, spec: spec(parts), knownServices }).diagnostics.map(
    ({ severity, code, message, hint }) => `${severity} ${code} ${message}${hint === "" ? "" : ` (${hint})`}`,
  );

describe("rules about callers that cannot prove who they are", () => {
  const plain = { mtls: "disable" } as const;
  const warning =
    'warning DM1121 cart takes plaintext (mtls: disable), where payment cannot prove who it is: this rule never fits (write from: "*", or mtls: permissive or strict)';

  test.each<[string, Partial<Spec>, string[]]>([
    ["a service is named", { services: [payment, service("cart", { ...plain, allow: allow("payment") })] }, [warning]],
    ["by the mesh's mode", { ...plain, services: [payment, service("cart", { allow: allow("payment") })] }, [warning]],
    [
      "the service's own mode counts",
      { ...plain, services: [payment, service("cart", { mtls: "strict", allow: allow("payment") })] },
      [],
    ],
    ["anybody", { services: [payment, service("cart", { ...plain, allow: allow("*") })] }, []],
    [
      "a gateway, which comes with mTLS",
      { services: [payment, service("cart", { ...plain, allow: allow("gateway") })] },
      [],
    ],
    [
      "the outside, which has no identity",
      { services: [payment, service("cart", { ...plain, allow: allow("outside") })] },
      [],
    ],
  ])("%s", (_why, parts, expected) => {
    expect(problemsIn(parts)).toEqual(expected);
  });
});

describe("names that mesh.yaml refers to", () => {
  test.each<[string, Partial<Spec>, string[]]>([
    [
      "all there",
      { services: [payment, service("cart", { allow: allow("payment") })], gateways: [gateway({ to: "cart" })] },
      [],
    ],
    [
      "a service without any container",
      { services: [service("crat")] },
      ["warning DM1114 no container of crat is there (containers that run: cart, mute, payment-v2, quiet)"],
    ],
    [
      "a version without any container",
      { services: [service("cart", { versions: [version("v1"), version("v2", "cart-v2")] })] },
      [
        "warning DM1123 no container of cart v2 is there (name its compose service with container:, or label one with devmesh.service and devmesh.version)",
      ],
    ],
    [
      "a caller that is no service",
      { services: [service("cart", { allow: allow("who") })] },
      ["warning DM1114 cart allows who, and there is no such service (services that run: cart, mute, payment-v2)"],
    ],
    [
      "callers that are words",
      { services: [service("cart", { allow: [...allow("*"), ...allow("outside"), ...allow("gateway")] })] },
      [],
    ],
    [
      "a caller that is only a version, whose identity is its service's",
      { services: [payment, service("cart", { allow: allow("payment-v2") })] },
      ["error DM1114 cart allows payment-v2, which is payment v2 (write payment)"],
    ],
    [
      "a caller outside the mesh can prove nothing",
      { services: [service("cart", { allow: allow("quiet") })] },
      [
        "warning DM1401 cart allows quiet, which is not in the mesh and so cannot prove who it is (label devmesh.inject=false)",
      ],
    ],
    [
      "a route to a service outside the mesh",
      { services: [service("cart", { routes: [route({ to: [{ service: "quiet", version: null, weight: 1 }] })] })] },
      ["error DM1401 a route of cart goes to quiet, which is not in the mesh (label devmesh.inject=false)"],
    ],
    [
      "a gateway to one",
      { services: [service("mute", { isMeshed: false })], gateways: [gateway({ to: "mute" })] },
      ["error DM1401 gateway 8080 leads to mute, which is not in the mesh (mesh: false for mute in mesh.yaml)"],
    ],
    [
      "a gateway to a service without a port",
      { gateways: [gateway({ to: "mute" })] },
      [
        "error DM1402 gateway 8080 leads to mute, which declares no port and exposes none (write the port: `to: mute:8080`)",
      ],
    ],
  ])("%s", (_why, parts, expected) => {
    expect(problemsIn(parts)).toEqual(expected);
  });

  test("where compose's files are known the loader has checked the names, and they are not said twice", () => {
    const parts = {
      services: [service("crat"), service("cart", { allow: allow("who") })],
      gateways: [gateway({ to: "no" })],
    };
    expect(problemsIn(parts, ["cart"])).toEqual([]);
  });

  test("a gateway to a service whose container is yet to come waits for it", () => {
    const result = compiled({ world, spec: spec({ gateways: [gateway({ to: "late" })] }), knownServices: ["late"] });
    expect(result.diagnostics).toEqual([]);
    expect(proxyOf(result, "gateway/127.0.0.1:8080").listeners["8080"]?.hosts).toEqual([]);
  });
});

test("a problem that loader and compile both see at one place is shown once, and all are in the order of the file", () => {
  const at = (line: number, code: string, message = "m"): Diagnostic => {
    return { severity: "error", code, message, hint: "", file: "mesh.yaml", line, column: 1 };
  };
  const merged = mergeDiagnostics(
    [at(9, "DM1210", "loader"), at(2, "DM1101")],
    [at(9, "DM1210", "compile"), at(5, "DM1403")],
  );
  expect(merged.map(({ line, message }) => `${line} ${message}`)).toEqual(["2 m", "5 m", "9 loader"]);
});

test("every code of compile is in the table of codes", () => {
  for (const code of Object.values(compileCodes)) expect(Object.keys(diagnosticCodes)).toContain(code);
});
