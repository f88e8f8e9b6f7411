// Where this devmesh lies: a clone, or the folder of the installed package.
import { join } from "node:path";

/** The bundle lies in dist/, this file in cli/: the package is one folder up from both. */
export const packageFolder: string = join(import.meta.dirname, "..");
