// What an engine says of itself, and the command that mends it where it runs.
import { describe, expect, test } from "vitest";
import {
  checkClock,
  checkKind,
  type EngineFacts,
  modulesHint,
  readEngineFacts,
} from "../../../daemon/doctor/engine-facts.ts";

const info = (more: object = {}) => ({
  KernelVersion: "6.1.0-18-amd64",
  OperatingSystem: "Debian GNU/Linux 12 (bookworm)",
  Name: "laptop",
  OSType: "linux",
  DockerRootDir: "/var/lib/docker",
  SystemTime: "2025-05-01T10:00:00.123456789Z",
  SecurityOptions: ["name=seccomp,profile=default"],
  ...more,
});
const facts = (more: object = {}, version: object = {}): EngineFacts => readEngineFacts(version, info(more));

describe("which engine it is", () => {
  test.each<[string, object, object, EngineFacts["platform"]]>([
    ["an engine of Linux", {}, {}, "linux"],
    ["WSL2's kernel", { KernelVersion: "5.15.153.1-microsoft-standard-WSL2" }, {}, "wsl2"],
    ["colima by its machine's name", { Name: "colima-work" }, {}, "colima"],
    [
      "Docker Desktop, also on WSL2's kernel",
      { OperatingSystem: "Docker Desktop", KernelVersion: "5.15.153.1-microsoft-standard-WSL2" },
      {},
      "docker-desktop",
    ],
    ["Podman by its components", {}, { Components: [{ Name: "Podman Engine" }] }, "podman"],
  ])("%s", (_why, more, version, platform) => {
    expect(facts(more, version).platform).toBe(platform);
  });

  test.each<[string, object, object, string, string]>([
    ["an ordinary one is well", {}, {}, "ok", "Linux, kernel 6.1.0-18-amd64"],
    ["a rootless one is a warning", { SecurityOptions: ["name=rootless"] }, {}, "warn", "rootless"],
    ["Podman is a warning", {}, { Components: [{ Name: "Podman Engine" }] }, "warn", "Podman"],
    ["Windows containers are no Linux ones", { OSType: "windows" }, {}, "fail", "Windows containers"],
  ])("%s", (_why, more, version, status, what) => {
    expect(checkKind(facts(more, version))).toMatchObject({ status, what: expect.stringContaining(what) });
  });

  test("one that says nothing at all is an engine of Linux", () => {
    expect(checkKind(readEngineFacts(null, "odd"))).toMatchObject({ status: "ok", what: "Linux, kernel unknown" });
  });
});

describe("the clock", () => {
  const atMs = Date.parse("2025-05-01T10:00:00.123Z");
  test.each<[string, number, string, string]>([
    ["the same within the question's own time", 0, "ok", "this machine's"],
    ["a little behind", 3_000, "ok", "this machine's"],
    ["a minute behind", 60_000, "warn", "60 s behind"],
    ["a minute ahead", -60_000, "warn", "60 s ahead"],
    ["further behind than certificates allow", 4_000_000, "fail", "4000 s behind"],
    ["a day ahead", -86_400_000, "fail", "86400 s ahead"],
  ])("%s", (_why, offMs, status, what) => {
    const now = atMs + offMs;
    expect(checkClock(facts(), now, now)).toMatchObject({ status, what: expect.stringContaining(what) });
  });

  test("an engine without a time is a warning", () => {
    expect(checkClock(facts({ SystemTime: "" }), atMs, atMs).status).toBe("warn");
  });
});

test.each<[string, object, object, string]>([
  ["Linux", {}, {}, "sudo modprobe -a nft_redir nft_ct; to load them at each boot"],
  ["WSL2", { KernelVersion: "5.15-microsoft-standard-WSL2" }, {}, "wsl --update (in Windows), then sudo modprobe"],
  ["colima", { Name: "colima" }, {}, "colima ssh -- sudo modprobe -a nft_redir nft_ct"],
  ["Docker Desktop", { OperatingSystem: "Docker Desktop" }, {}, "update Docker Desktop"],
  ["Podman", {}, { Components: [{ Name: "Podman Engine" }] }, "podman machine ssh"],
])("modules are loaded where the kernel is: %s", (_why, more, version, hint) => {
  expect(modulesHint(facts(more, version), ["nft_redir", "nft_ct"])).toContain(hint);
});
