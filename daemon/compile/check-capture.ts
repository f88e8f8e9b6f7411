// What a user should know about exclusions: labels that are not read, and ports whose protection they take away.
import type { Spec } from "../spec/spec.ts";
import { isCapturedInbound, labelFaultsOf } from "./capture.ts";
import { mtlsOf } from "./inbound.ts";
import { injectLabelOf } from "./membership.ts";
import type { Catalog, Service, Workload } from "./model.ts";
import { listed, type Problems } from "./problems.ts";

export function checkCapture(catalog: Catalog, spec: Spec, problems: Problems): void {
  for (const { container } of catalog.workloads) {
    const origin = { file: container.name, line: 0, column: 0 };
    for (const { name, fault } of labelFaultsOf(container.labels)) {
      const message = `the label ${name} changes nothing: ${fault}`;
      problems.add("warning", "label", origin, { message, hint: "mend it, and start the container anew" });
    }
    const inject = injectLabelOf(container);
    const text = container.labels[inject]?.trim().toLowerCase() ?? "true";
    if (text !== "true" && text !== "") {
      const message = `the label ${inject} changes nothing: ${JSON.stringify(text)} is neither true nor false`;
      problems.add("warning", "label", origin, { message, hint: 'write "false" to leave this container alone' });
    }
  }
  for (const service of catalog.services.values()) {
    const isProtected = service.spec?.allow != null || mtlsOf(service, spec) === "strict";
    if (isProtected) for (const workload of service.workloads) checkOpenPorts(service, workload, problems);
  }
}

function checkOpenPorts(service: Service, { container, capture }: Workload, problems: Problems): void {
  const isOpen = ({ number }: { number: number }) => !isCapturedInbound(capture, number);
  const known = service.ports.filter(isOpen).map(({ number }) => number);
  const excluded = [...new Set([...known, ...(capture.excludeInboundPorts ?? [])])].map(String);
  const rest = capture.includeInboundPorts === undefined ? [] : ["whatever is not under includePorts"];
  if (excluded.length + rest.length === 0) return;
  const from = service.spec?.capture;
  const isLabelled = Object.keys(container.labels).some((name) => /\/(in|ex)cludeInboundPorts$/.test(name));
  const origin = from == null || isLabelled ? { file: container.name, line: 0, column: 0 } : from.origin;
  const open = excluded.length > 0 ? listed(excluded) : rest.join();
  const message = `${service.name} does not capture ${open}: allow: and mtls: do not hold there for plaintext`;
  problems.add("warning", "openPort", origin, {
    message,
    hint: "anybody on its networks, and at its published ports, reaches the application itself",
  });
}
