// What holds where mesh.yaml says nothing.
import type { RetryConfig } from "../../proxy/contract/config.ts";
import type { Origin, ServiceSpec, Spec } from "./spec.ts";

/**
 * Istio's built-in policy as far as HTTP/1 knows its conditions: two retries, and only where the peer has processed nothing,
 * so that a POST is never sent twice.
 */
export const defaultRetry: RetryConfig = {
  attempts: 2,
  perTryTimeoutMs: 0,
  on: ["connect-failure", "refused-stream"],
  statusCodes: [],
};

/** No mesh.yaml, or an empty map: permissive, nothing said about any service. */
export const defaultSpec: Spec = {
  name: null,
  compose: null,
  mtls: "permissive",
  trustDomain: "cluster.local",
  hold: true,
  certificateLifetimeMs: 30 * 24 * 3_600_000,
  metricsListen: null,
  services: [],
  gateways: [],
  virtualServices: [],
  destinationRules: [],
};

/** A service that runs and that mesh.yaml does not mention. */
export function defaultService(name: string, origin: Origin = { file: "", line: 0, column: 0 }): ServiceSpec {
  return {
    name,
    origin,
    isMeshed: true,
    ports: [],
    versions: [],
    split: null,
    routes: [],
    timeoutMs: 0,
    retry: defaultRetry,
    allow: null,
    mtls: null,
    waitForEndpointsMs: 0,
    capture: null,
  };
}
