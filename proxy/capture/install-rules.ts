import { runNft } from "./nft.ts";
import { nftRules, type RuleOptions } from "./rules.ts";

/** Loads the rules into this network namespace, in place of older ones, atomically. Throws with nft's own words. */
export async function installRules(options: RuleOptions): Promise<void> {
  await runNft(nftRules(options));
}
