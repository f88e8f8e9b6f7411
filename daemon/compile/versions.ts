// Native `versions:`: which compose service is which version.
import type { ServiceSpec, Spec, VersionSpec } from "../spec/spec.ts";
import type { Catalog, ServiceVersion } from "./model.ts";

export interface Versions {
  readonly byService: ReadonlyMap<string, readonly ServiceVersion[]>;
  /** The first of two versions that mean the same compose service gets its containers; labels give them to others. */
  readonly versionOf: Catalog["versionOf"];
}

export function versionsOf(spec: Spec, composeServices: ReadonlySet<string>): Versions {
  const byService = new Map<string, readonly ServiceVersion[]>();
  const versionOf = new Map<string, { service: string; version: string }>();
  for (const service of spec.services) {
    const versions = service.versions.map((version) => ({
      name: version.name,
      composeService: composeServiceOf(service, version, composeServices),
    }));
    byService.set(service.name, versions);
    for (const { name, composeService } of versions) {
      if (!versionOf.has(composeService)) versionOf.set(composeService, { service: service.name, version: name });
    }
  }
  return { byService, versionOf };
}

/** `<service>-<version>` where that exists, else `<service>`. */
function composeServiceOf(service: ServiceSpec, version: VersionSpec, composeServices: ReadonlySet<string>): string {
  if (version.container !== null) return version.container;
  const own = `${service.name}-${version.name}`;
  return composeServices.has(own) ? own : service.name;
}
