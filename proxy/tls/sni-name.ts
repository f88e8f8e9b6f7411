// The server name that a sidecar asks another for: service, port and subset, as Istio writes it.
// outbound_.8080_.v1_.payment.shop.svc.cluster.local

export interface SniTarget {
  readonly service: string;
  readonly namespace: string;
  readonly port: number;
  /** Null: any version. */
  readonly subset: string | null;
}

const suffix = ".svc.cluster.local";
/** A subset has no "_.", which ends it; a namespace has no dot, a service's name may have some. */
const form = /^outbound_\.([1-9][0-9]{0,4})_\.((?:[^_]|_(?!\.))*)_\.(.+)\.([^.]+)\.svc\.cluster\.local$/;
/** RFC 6066 3 takes a DNS name. */
const nameCharsMax = 255;

export function sniName(target: SniTarget): string {
  return `outbound_.${target.port}_.${target.subset ?? ""}_.${target.service}.${target.namespace}${suffix}`;
}

/** Null when the name is not of this form. */
export function parseSniName(name: string): SniTarget | null {
  const parts = name.length > nameCharsMax ? null : form.exec(name);
  if (parts === null) return null;
  const [, portText = "", subset = "", service = "", namespace = ""] = parts;
  const port = Number(portText);
  return port > 65535 ? null : { service, namespace, port, subset: subset === "" ? null : subset };
}
