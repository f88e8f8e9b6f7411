// What the throw-away pair saw, told as findings.
import { describe, expect, test } from "vitest";
import { readEngineFacts } from "../../../daemon/doctor/engine-facts.ts";
import type { Finding } from "../../../daemon/doctor/finding.ts";
import {
  checkCapture,
  checkDisk,
  checkDns,
  checkInbound,
  checkIpv6,
  checkPeers,
  checkRules,
} from "../../../daemon/doctor/pair-findings.ts";
import type { ProbeReport } from "../../../proxy/contract/probe.ts";

const report: ProbeReport = {
  kernel: "6.1.0",
  freeBytes: 50e9,
  failure: "",
  missingModules: [],
  peerPort: 15008,
  hasIpv6: true,
};
const facts = readEngineFacts({}, { DockerRootDir: "/var/lib/docker" });
const out = { address: "10.9.0.200", port: 80 };
const out6 = { address: "fd00::3", port: 8080 };
const into6 = { address: "fd00::2", port: 8080 };
const both = {
  outgoing: { dialled: out6, answer: "outbound fd00::3 8080" },
  incoming: { dialled: into6, answer: "inbound fd00::2 8080" },
};

describe("what is well, and what is not", () => {
  test.each<[string, Finding, Finding["status"], string]>([
    ["a captured connection", checkCapture(out, "outbound 10.9.0.200 80"), "ok", "captured"],
    ["one with another destination", checkCapture(out, "outbound 127.0.0.1 15001"), "fail", "outbound 127.0.0.1 15001"],
    ["one that nobody took", checkCapture(out, "EHOSTUNREACH"), "fail", "10.9.0.200:80 was not captured"],
    ["one that got past", checkInbound(out, "application"), "fail", "the application answered, past the sidecar"],
    ["one that never arrived", checkInbound(out, "silence"), "fail", "nobody answered"],
    ["an incoming one", checkInbound(out, "inbound 10.9.0.200 80"), "ok", "captured"],
    ["a peer", checkPeers("peer"), "ok", "reach each other"],
    ["a peer behind a firewall", checkPeers("silence"), "fail", "nobody answered"],
    ["names", checkDns([["192.0.2.1"], ["172.18.0.3"]]), "ok", "names of the mesh"],
    ["a resolver of somebody else", checkDns([["ENOTFOUND"], ["172.18.0.3"]]), "fail", "ENOTFOUND"],
    ["Docker's resolver gone", checkDns([["192.0.2.1"], ["ETIMEOUT"]]), "fail", "ETIMEOUT"],
    ["no answer about names", checkDns([]), "fail", "nothing"],
    ["IPv6 both ways", checkIpv6(report, "", both), "ok", "both ways"],
    ["no IPv6 networks", checkIpv6(report, "no  ip6\ntables", { ...both, outgoing: null }), "warn", "no ip6 tables"],
    ["no ::1", checkIpv6({ ...report, hasIpv6: false }, "", both), "warn", "makes no IPv6 networks"],
    [
      "IPv6 that gets past on its way in",
      checkIpv6(report, "", { ...both, incoming: { dialled: into6, answer: "application" } }),
      "warn",
      "an incoming IPv6 connection ([fd00::2]:8080) was not captured",
    ],
    [
      "IPv6 that gets past on its way out",
      checkIpv6(report, "", { ...both, outgoing: { dialled: out6, answer: "application" } }),
      "warn",
      "an outgoing IPv6 connection ([fd00::3]:8080)",
    ],
    ["a roomy disk", checkDisk(report, facts), "ok", "Docker's disk (/var/lib/docker) has 50 GB free"],
    ["a disk that fills up", checkDisk({ ...report, freeBytes: 1.5e9 }, facts), "warn", "2 GB"],
    ["a full disk", checkDisk({ ...report, freeBytes: 1e6 }, facts), "fail", "1 MB"],
    ["rules in force", checkRules(report, facts), "ok", "kernel 6.1.0"],
    ["rules that fail otherwise", checkRules({ ...report, failure: "nft:\n no" }, facts), "fail", "nft: no"],
    [
      "a kernel without a module",
      checkRules({ ...report, failure: "nft", missingModules: ["nft_redir"] }, facts),
      "fail",
      "kernel 6.1.0 lacks what the rules of a sidecar need: nft_redir",
    ],
  ])("%s", (_why, finding, status, what) => {
    expect(finding).toMatchObject({ status, what: expect.stringContaining(what) });
    expect(finding.hint === "").toBe(status === "ok");
    expect(finding.what).not.toContain("\n");
  });
});
