// The native language: one definition that gives types, errors and the editor's JSON schema. Nothing is transformed here;
// build.ts turns what passed into the Spec.
import type * as z from "zod";
import { cidrFault, reservedPorts } from "../../../proxy/contract/capture-options.ts";
import { parseDuration, timerMsMax } from "../duration.ts";
import {
  isHeaderName,
  isHostName,
  isLabel,
  isMethod,
  isPort,
  isServiceName,
  isWildcardHost,
  parseListen,
} from "../names.ts";
import { regexFault } from "../regex.ts";
import { weightMax } from "../weights.ts";
import { closed, either, flag, list, named, number, text, word } from "./fields.ts";

/** A retry is a request: more than these is a mistake in the file. */
export const retryAttemptsMax = 100;

const durationPattern = "^([0-9.]+h)?([0-9.]+m)?([0-9.]+s)?([0-9.]+ms)?$";
const duration = (minMs: number, maxMs: number, limits: string) =>
  text({
    expected: `a duration such as 500ms, 2s or 1m30s${limits}`,
    code: "DM1106",
    pattern: durationPattern,
    hint: "units are h, m, s and ms",
    check: (value) => {
      const milliseconds = parseDuration(value);
      return milliseconds !== null && milliseconds >= minMs && milliseconds <= maxMs;
    },
  });
const timeout = duration(0, timerMsMax, " (0s is none)");
const perTry = duration(1, timerMsMax, "");
const lifetime = duration(10_000, 8_760 * 3_600_000, ", from 10s to 8760h");

const label = (what: string) =>
  text({
    expected: `${what} of a-z, 0-9 and -, at most 63 characters`,
    code: "DM1107",
    check: isLabel,
    pattern: "^[a-z0-9]([a-z0-9-]*[a-z0-9])?$",
  });
const serviceName = text({
  expected: "a service name: a-z, 0-9, - and _, at most 63 characters",
  code: "DM1107",
  check: (value) => {
    if (value === "outside" || value === "gateway") return `${value} has a meaning of its own under allow:`;
    return isServiceName(value);
  },
});
const reference = (expected: string) =>
  text({
    expected,
    code: "DM1107",
    check: (value) => value.split("/").every(isServiceName) && value.split("/").length <= 2,
  });

const port = number({
  expected: "a port from 1 to 65535 that the sidecar does not use itself",
  code: "DM1108",
  min: 1,
  max: 65_535,
  check: (value) => (reservedPorts.includes(value) ? "the sidecar listens there" : isPort(value)),
});
const protocol = word(["http", "tcp", "auto"]);
const portText = text({
  expected: "a port with a protocol, such as 6379/tcp",
  code: "DM1108",
  hint: "protocols are http, tcp and auto",
  check: (value) => {
    const match = /^(\d{1,5})\/(http|tcp|auto)$/.exec(value);
    return match !== null && isPort(Number(match[1])) && !reservedPorts.includes(Number(match[1]));
  },
});
const listen = text({
  expected: "a port, or an address and a port such as 0.0.0.0:8080 or [::1]:8080",
  code: "DM1108",
  check: (value) => parseListen(value) !== null,
});
const hostPort = number({ expected: "a port from 1 to 65535", code: "DM1108", min: 1, max: 65_535 });
const listenAddress = either("a port such as 8080, or an address and a port such as 0.0.0.0:8080", hostPort, listen);

const method = text({
  expected: "a method in capital letters, such as GET",
  code: "DM1111",
  check: isMethod,
  pattern: "^[A-Z][A-Z0-9_-]*$",
});
const regex = text({
  expected: "a regular expression in RE2 syntax",
  code: "DM1110",
  check: (value) => regexFault(value) ?? true,
  hint: "RE2 has no look-ahead, look-behind or back-references; the expression must match the whole value",
});
const absolutePath = text({
  expected: "a path that starts with /",
  code: "DM1109",
  check: (value) => value.startsWith("/"),
});
const pathText = text({
  expected: "a path such as /charge, or /api/* for everything below it",
  code: "DM1109",
  check: (value) => {
    if (!value.startsWith("/")) return "it does not start with /";
    if (/[?#]/.test(value)) return "a path has no query";
    return !value.slice(0, -1).includes("*") || "* is allowed at the end only";
  },
  hint: "match a query under query:, and patterns with { regex: ... }",
});
const path = either(
  "a path such as /charge, /api/*, or { prefix | exact | regex: ... }",
  pathText,
  closed({ exact: absolutePath.optional(), prefix: absolutePath.optional(), regex: regex.optional() }),
);
const plainText = text({ expected: "text (write it in quotes)", code: "DM1102" });
const valueMatch = either(
  "text in quotes, or { exact | prefix | regex: ... } or { present: true }",
  plainText,
  closed({
    exact: plainText.optional(),
    prefix: text({ expected: "text that is not empty", code: "DM1118", check: (value) => value !== "" }).optional(),
    regex: regex.optional(),
    present: flag.optional(),
  }),
);
const headerName = text({ expected: "a header's name", code: "DM1111", check: isHeaderName });
const match = closed({
  path: path.optional().describe("Exact (/charge), everything below (/api/*), or { prefix | exact | regex }"),
  method: method.optional().describe("One method"),
  methods: list(method, "a list of methods").optional().describe("Any of these methods"),
  headers: named(headerName, valueMatch, "a map of header names and values")
    .optional()
    .describe("All of these headers"),
  query: named(plainText, valueMatch, "a map of query keys and values").optional().describe("All of these query keys"),
});
const weight = number({ expected: "a whole number from 0", code: "DM1113", min: 0, max: weightMax });
const weights = (key: z.ZodType<string, string>) => named(key, weight, "a map of weights such as { v1: 90, v2: 10 }");

const retries = closed({
  attempts: number({
    expected: `a whole number from 0 to ${retryAttemptsMax}`,
    code: "DM1119",
    min: 0,
    max: retryAttemptsMax,
  })
    .optional()
    .describe("Tries beyond the first; 0 is none"),
  perTry: perTry.optional().describe("Time limit of each try"),
  on: list(
    either(
      "connect-failure, refused-stream, reset, gateway-error, 5xx, or a status such as 503",
      word(["connect-failure", "refused-stream", "reset", "gateway-error", "5xx"]),
      number({ expected: "a status from 400 to 599", code: "DM1112", min: 400, max: 599 }),
    ),
    "a list of conditions such as [connect-failure, 503]",
  )
    .optional()
    .describe("When to try again"),
});
const destination = reference("a version (v2), a service (cart), or both (cart/v2)");
const route = closed(
  {
    name: text({
      expected: "a name of 1 to 100 characters",
      code: "DM1107",
      check: (value) => /^[\w./ -]{1,100}$/.test(value),
    })
      .optional()
      .describe("Shown in logs and metrics"),
    match: either("a map, or a list of maps of which one must match", match, list(match, "a list of maps")).optional(),
    to: either(
      "a version, a service, service/version, or a map of weights",
      destination,
      weights(destination),
    ).describe("Where matching requests go"),
    timeout: timeout.optional(),
    retries: retries.optional(),
  },
  ["faults", "fault", "mirror", "limits", "rewrite", "redirect", "respond", "headers", "cors"],
);
const allowPath = text({
  expected: "a path, with * at one end at most, such as /charge or /api/*",
  code: "DM1109",
  check: (value) => /^(\/|\*)/.test(value) && !value.slice(1, -1).includes("*") && !/^\*.+\*$/.test(value),
});
const caller = text({
  expected: "a service, outside, gateway or *",
  code: "DM1107",
  check: (value) => value === "*" || isServiceName(value),
});
const allow = closed({
  from: either("a service, outside, gateway or *, or a list of these", caller, list(caller, "a list of services")),
  methods: list(method, "a list of methods").optional(),
  paths: list(allowPath, "a list of paths").optional(),
});
const container = text({
  expected: "the name of a compose service",
  code: "DM1107",
  check: (value) => /^[a-zA-Z0-9][\w.-]{0,127}$/.test(value),
});
const mtls = word(["strict", "permissive", "disable"]);

const ports = list(port, "a list of ports such as [8080, 9000]");
const cidrs = list(
  text({
    expected: "an address or a CIDR, such as 192.0.2.7, 10.0.0.0/8 or fd00::/8",
    code: "DM1108",
    check: (value) => cidrFault(value) ?? true,
  }),
  "a list of addresses and CIDRs",
);
const capture = closed({
  inbound: closed({
    includePorts: ports.optional().describe("Only these ports of the container are captured; [] is none"),
    excludePorts: ports.optional().describe("Ports of the container that are reached directly"),
  }).optional(),
  outbound: closed({
    includePorts: ports.optional().describe("Only calls to these ports (and to includeCidrs) are captured"),
    excludePorts: ports.optional().describe("Ports that the container calls directly"),
    includeCidrs: cidrs.optional().describe("Only calls to these (and to includePorts) are captured; [] is none"),
    excludeCidrs: cidrs.optional().describe("Addresses that the container calls directly"),
  }).optional(),
});

const service = closed(
  {
    mesh: flag.optional().describe("false leaves the containers of this service alone"),
    port: port.optional().describe("The HTTP port, also answered on 80"),
    ports: list(
      either(
        "a port, { number, protocol }, or text such as 6379/tcp",
        port,
        portText,
        closed({ number: port, protocol: protocol.optional() }),
      ),
      "a list of ports",
    )
      .optional()
      .describe("Further ports: 9000, { number: 6379, protocol: tcp } or 6379/tcp"),
    versions: named(
      label("a version's name"),
      closed({
        container: container.optional().describe("Compose service; default <service>-<version>, else <service>"),
      }).nullable(),
      "a map of versions such as { v1: {}, v2: { container: payment-v2 } }",
    ).optional(),
    split: weights(label("a version's name")).optional().describe("Weights: exactly so many of every sum"),
    routes: list(route, "a list of routes")
      .optional()
      .describe("The first that matches wins; what matches none is split"),
    timeout: timeout.optional().describe("Of a whole request with its retries; 0s is none"),
    retries: retries.optional(),
    allow: list(allow, "a list of { from, methods, paths }")
      .optional()
      .describe("Who may call; an empty list is nobody"),
    mtls: mtls.optional(),
    waitForEndpoints: timeout.optional().describe("How long a request waits while no container can serve it"),
    capture: capture.optional().describe("What of its traffic does not go through the mesh"),
  },
  [
    "outlier",
    "faults",
    "fault",
    "mirror",
    "mirrors",
    "limits",
    "connectionPool",
    "loadBalancer",
    "healthCheck",
    "secrets",
  ],
);

const gatewayTarget = text({
  expected: "a service, or service:port",
  code: "DM1107",
  check: (value) => {
    const match = /^([^:]+)(?::(\d{1,5}))?$/.exec(value);
    return match !== null && isServiceName(match[1] ?? "") && (match[2] === undefined || isPort(Number(match[2])));
  },
});
const gateway = closed(
  {
    listen: listenAddress.describe("On the host; 127.0.0.1 unless an address is written"),
    to: gatewayTarget,
    hosts: list(
      text({ expected: "a host name, perhaps *.example.com", code: "DM1111", check: isWildcardHost }),
      "a list of host names",
    ).optional(),
    protocol: word(["http", "tcp"]).optional(),
  },
  ["tls", "certificate"],
);

const composeFile = text({
  expected: "the path of a compose file",
  code: "DM1102",
  check: (value) => value.trim() !== "",
});

export const nativeSchema = closed(
  {
    name: label("a name").optional().describe("Name of the mesh; default: the compose project's"),
    compose: either("the path of a compose file, or a list of them", composeFile, list(composeFile, "a list of paths"))
      .optional()
      .describe("Compose files, from this file's folder"),
    mtls: mtls.optional().describe("strict, permissive (default) or disable"),
    trustDomain: text({
      expected: "a DNS name in lower case",
      code: "DM1107",
      check: (value) => isHostName(value) && value === value.toLowerCase(),
    })
      .optional()
      .describe("Of the identities; default cluster.local"),
    hold: flag.optional().describe("Pause a starting container until its sidecar is ready; default true"),
    certificateLifetime: lifetime.optional().describe("Default 720h"),
    metrics: listenAddress.optional().describe("Port, or address and port, of a Prometheus endpoint on the host"),
    services: named(serviceName, service.nullable(), "a map of services").nullable().optional(),
    gateway: list(gateway, "a list of { listen, to }")
      .nullable()
      .optional()
      .describe("Ports on the host that lead into the mesh"),
  },
  ["secrets", "egress", "tracing", "assert", "profile"],
);

export type NativeInput = z.output<typeof nativeSchema>;
export type ServiceInput = NonNullable<NonNullable<NativeInput["services"]>[string]>;
export type RouteInput = NonNullable<ServiceInput["routes"]>[number];
export type MatchInput = z.output<typeof match>;
export type ValueMatchInput = z.output<typeof valueMatch>;
export type PathInput = z.output<typeof path>;
export type RetriesInput = z.output<typeof retries>;
export type AllowInput = z.output<typeof allow>;
export type GatewayInput = z.output<typeof gateway>;
