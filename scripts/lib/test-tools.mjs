// What tests need on the host itself, beside Docker: network namespaces and nftables, the shells that completion is for, an ssh server, a browser.
import { existsSync } from "node:fs";
import path from "node:path";
import { canInstallDocker, installPackages } from "./install-docker.mjs";
import { logFile } from "./project.mjs";
import { freshLog } from "./step.mjs";

/** Command to Debian package. */
const TOOLS = {
  ...{ nft: "nftables", ip: "iproute2", setpriv: "util-linux", nsenter: "util-linux", script: "bsdutils" },
  ...{ zsh: "zsh", fish: "fish", dropbear: "dropbear-bin", ssh: "openssh-client", faketime: "faketime" },
  chromium: "chromium",
};
const FOLDERS = ["/usr/sbin", "/sbin", "/usr/bin", "/bin"];

/** Installs what is missing where that is ours to do; elsewhere the tests that need it say so. */
export async function installTestTools() {
  const missing = Object.keys(TOOLS).filter((tool) => !FOLDERS.some((folder) => existsSync(path.join(folder, tool))));
  if (missing.length === 0) return "nothing to install";
  if (!canInstallDocker()) return `missing: ${missing.join(", ")}`;
  const packages = [...new Set(missing.map((tool) => TOOLS[tool]))];
  await installPackages(packages, freshLog(logFile("apt-get-tools")));
  return `installed ${packages.join(", ")}`;
}
