// One-shot mode: takes the mesh out of a network namespace that lives on.
import { runNft } from "./nft.ts";
import { removeRulesText } from "./rules.ts";

/** Removes our table and nothing else. No error when it is not there. */
export async function removeRules(): Promise<void> {
  await runNft(removeRulesText);
}
