// What Docker says of itself, read once from /version and /info, and what follows from it. Pure.
import { asArray, asRecord, asString, asStrings } from "../docker/json.ts";
import { type Finding, fail, ok, warn } from "./finding.ts";

export interface EngineFacts {
  /** Where the engine's kernel is: it decides which command mends it. */
  readonly platform: "linux" | "wsl2" | "colima" | "docker-desktop" | "podman";
  readonly isRootless: boolean;
  readonly isWindows: boolean;
  readonly kernel: string;
  readonly rootFolder: string;
  /** Milliseconds since 1970, by the engine's clock; NaN where it does not say. */
  readonly nowMs: number;
}

export function readEngineFacts(version: unknown, info: unknown): EngineFacts {
  const [said, known] = [asRecord(version), asRecord(info)];
  const components = asArray(said.Components).map((item) => asString(asRecord(item).Name));
  const kernel = asString(known.KernelVersion) || asString(said.KernelVersion);
  return {
    platform: platformOf({
      isPodman: components.some((name) => /podman/i.test(name)),
      system: asString(known.OperatingSystem),
      name: asString(known.Name),
      kernel,
    }),
    isRootless: asStrings(known.SecurityOptions).some((option) => option.includes("rootless")),
    isWindows: asString(known.OSType) === "windows",
    kernel,
    rootFolder: asString(known.DockerRootDir),
    nowMs: Date.parse(asString(known.SystemTime)),
  };
}

function platformOf(facts: {
  readonly isPodman: boolean;
  readonly system: string;
  readonly name: string;
  readonly kernel: string;
}): EngineFacts["platform"] {
  if (facts.isPodman) return "podman";
  // Its kernel is WSL2's on Windows, but nobody can enter that by `wsl`.
  if (/docker desktop/i.test(facts.system)) return "docker-desktop";
  if (/^colima/.test(facts.name)) return "colima";
  return /microsoft|wsl2/i.test(facts.kernel) ? "wsl2" : "linux";
}

export function checkKind(facts: EngineFacts): Finding {
  const at = `${names[facts.platform]}, kernel ${facts.kernel || "unknown"}`;
  if (facts.isWindows) return fail("docker-kind", "Docker runs Windows containers", "switch it to Linux containers");
  if (facts.platform === "podman") {
    const hint = "devmesh is tested with Docker; what follows says what works here";
    return warn("docker-kind", `${at}: Podman answers in Docker's place`, hint);
  }
  if (facts.isRootless) {
    const hint = "devmesh is tested with an engine of root's; what follows says what works here";
    return warn("docker-kind", `${at}: the engine is rootless`, hint);
  }
  return ok("docker-kind", at);
}

const names: Readonly<Record<EngineFacts["platform"], string>> = {
  linux: "Linux",
  wsl2: "WSL2",
  colima: "colima",
  "docker-desktop": "Docker Desktop",
  podman: "Podman",
};

/** Certificates are dated back by an hour, so that much is no harm. */
const skewMsMax = 3_600_000;
/** What a person would want to know: logs and certificates of both sides are compared. */
const skewMsNoted = 5_000;

/** `askedMs` and `answeredMs`: this machine's clock around the question. */
export function checkClock(facts: EngineFacts, askedMs: number, answeredMs: number): Finding {
  if (Number.isNaN(facts.nowMs))
    return warn("clock", "the engine does not tell its time", "devmesh needs one that does");
  const skew = facts.nowMs < askedMs ? facts.nowMs - askedMs : Math.max(0, facts.nowMs - answeredMs);
  if (Math.abs(skew) < skewMsNoted) return ok("clock", "the engine's clock is this machine's");
  const what = `the engine's clock is ${Math.round(Math.abs(skew) / 1000)} s ${skew < 0 ? "behind" : "ahead"}`;
  return Math.abs(skew) > skewMsMax ? fail("clock", what, clockHint(facts)) : warn("clock", what, clockHint(facts));
}

function clockHint({ platform }: EngineFacts): string {
  switch (platform) {
    case "wsl2":
      return "sudo hwclock -s (in WSL)";
    case "colima":
      return "colima ssh -- sudo hwclock -s";
    case "docker-desktop":
      return "restart Docker Desktop: its machine loses time when the computer sleeps";
    case "podman":
    case "linux":
      return "sudo timedatectl set-ntp true, on both machines";
    default:
      return platform satisfies never;
  }
}

/** How to load kernel modules, where the engine runs. */
export function modulesHint({ platform }: EngineFacts, modules: readonly string[]): string {
  const load = `sudo modprobe -a ${modules.join(" ")}`;
  switch (platform) {
    case "linux":
      return `${load}; to load them at each boot, list them in /etc/modules-load.d/devmesh.conf`;
    case "wsl2":
      return `wsl --update (in Windows), then ${load} (in WSL)`;
    case "colima":
      return `colima ssh -- ${load}`;
    case "docker-desktop":
      return "update Docker Desktop: the kernel of its machine lacks them";
    case "podman":
      return `${load} (in podman machine ssh, where there is a machine)`;
    default:
      return platform satisfies never;
  }
}
