// From a native document to the native half of the Spec: shape first, then meaning, all problems in one pass.
import { defaultSpec } from "../defaults.ts";
import { parseDuration } from "../duration.ts";
import type { Findings } from "../findings.ts";
import type { Located } from "../located.ts";
import type { Spec } from "../spec.ts";
import { createContext } from "./context.ts";
import { buildGateways, buildMetrics } from "./gateway.ts";
import { buildService, checkContainers } from "./service.ts";
import { checkShape } from "./shape.ts";

export function buildNative(document: Located, findings: Findings, known: readonly string[] | null): Spec {
  const { input, root } = checkShape(document, findings);
  const context = createContext(input, { document, root }, { findings, known });
  const services = [...context.services].map(([name, service]) => buildService(context, name, service));
  checkContainers(context);
  const gateways = buildGateways(context, services);
  const compose = typeof input.compose === "string" ? [input.compose] : (input.compose ?? null);
  if (compose?.length === 0 && context.isEmptyAsWritten(["compose"])) {
    findings.error(
      "DM1118",
      context.keyAt(["compose"]),
      "compose is an empty list",
      "leave it out for compose's usual files",
    );
  }
  return {
    ...defaultSpec,
    name: input.name ?? null,
    compose,
    mtls: input.mtls ?? defaultSpec.mtls,
    trustDomain: input.trustDomain ?? defaultSpec.trustDomain,
    hold: input.hold ?? defaultSpec.hold,
    certificateLifetimeMs: parseDuration(input.certificateLifetime ?? "") ?? defaultSpec.certificateLifetimeMs,
    metricsListen: buildMetrics(context, gateways),
    services,
    gateways,
  };
}
