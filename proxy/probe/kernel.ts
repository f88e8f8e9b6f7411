// Which parts of the kernel's nftables are missing: each rule of its kind is tried by itself.
import { runNft } from "../capture/nft.ts";

const table = "inet devmesh_probe";
const nat = "type nat hook output priority -110; policy accept;";
const filter = "type filter hook output priority 0; policy accept;";

const inChain = (hook: string, rule: string): string => `table ${table} {\nchain probe {\n${hook}\n${rule}\n}\n}`;

/** The modules that carry a kind of rule, and the least rule of that kind; what the later ones need comes first. */
const trials: readonly (readonly [modules: readonly string[], script: string])[] = [
  [["nf_tables"], `table ${table} { }`],
  [["nf_conntrack", "nft_ct"], inChain(filter, "ct state new accept")],
  [["nft_chain_nat", "nf_nat"], inChain(nat, "")],
  [["nft_redir"], inChain(nat, "meta l4proto tcp redirect to :15001")],
  [["nft_fib_inet", "nft_fib"], inChain(filter, "fib daddr type local accept")],
  [["nft_reject_inet"], inChain(filter, "meta l4proto tcp reject with tcp reset")],
  [["nft_counter"], `table ${table} {\ncounter probe { }\n}`],
  [["nf_nat_ipv6"], inChain(nat, "meta nfproto ipv6 meta l4proto tcp redirect to :15001")],
];

/** Needs CAP_NET_ADMIN; leaves nothing behind. Where not even a table can be made, only that is named. */
export async function missingModules(): Promise<string[]> {
  const missing: string[] = [];
  for (const [modules, script] of trials) {
    try {
      await runNft(`${script}\ndelete table ${table}\n`);
    } catch {
      missing.push(...modules);
      if (modules.includes("nf_tables")) return missing;
    }
  }
  return missing;
}
