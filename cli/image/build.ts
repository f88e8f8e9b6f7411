// Builds what is missing of our images, with the docker command, on any base with Debian's packages and Node.
import { Problem } from "../../daemon/api/problem.ts";
import { packageFolder } from "../package-folder.ts";
import { version } from "../version.ts";
import { buildNetwork } from "./build-network.ts";
import { docker, hasImage, lastLines, unreachable } from "./docker.ts";
import { type ImageName, type Recipe, recipeOf, usualBase } from "./recipe.ts";
import { tarOf } from "./tar.ts";

export interface BuildOptions {
  readonly env: NodeJS.ProcessEnv;
  /** What the images start from; null: the usual one. The tag is the same. */
  readonly base: string | null;
  /** File of certificates that the build trusts, too. */
  readonly ca?: string | undefined;
  onStart(recipe: Recipe): void;
  onBuilt(recipe: Recipe): void;
}

/** The label that says which devmesh built an image: its folder. */
export const homeLabel = "dev.devmesh.home";
export const versionLabel = "dev.devmesh.version";

/** Tag of each image, built or found. Throws Problem DM0403 with docker's own last words. */
export async function buildImages(names: readonly ImageName[], options: BuildOptions): Promise<Recipe[]> {
  const recipes = names.map(recipeOf);
  for (const recipe of recipes) {
    if (await hasImage(recipe.tag, options.env)) continue;
    options.onStart(recipe);
    await build(recipe, options);
    options.onBuilt(recipe);
  }
  return recipes;
}

async function build({ name, tag, files }: Recipe, { env, base: given, ca }: BuildOptions): Promise<void> {
  const network = buildNetwork(env, ca);
  const base = given ?? usualBase();
  const labels = { [homeLabel]: packageFolder, [versionLabel]: version };
  const { code, output } = await docker({
    args: [
      "build",
      ...["--build-arg", `BASE=${base}`],
      ...Object.entries(labels).flatMap(([label, value]) => ["--label", `${label}=${value}`]),
      ...network.args,
      ...["-t", tag, "-"],
    ],
    env: network.env,
    input: tarOf([...files, ...network.files]),
  });
  if (code === 0) return;
  if (/cannot connect to the docker daemon|permission denied.*docker/i.test(output)) throw unreachable(output);
  const words = lastLines(output, 6).replaceAll(/^/gm, "  | ");
  const isBaseThere = await hasImage(base, env);
  const what = isBaseThere ? `the ${name} image ${tag} could not be built` : `the engine cannot get the image ${base}`;
  throw new Problem("DM0403", `${what}:\n${words}`, isBaseThere ? buildHint : baseHint(base));
}

const buildHint =
  "behind a proxy set HTTP_PROXY and HTTPS_PROXY, and --ca FILE where it intercepts; or bring the image from another machine: " +
  "devmesh image save, devmesh image load";

function baseHint(base: string): string {
  return (
    `docker pull ${base} must work once; without a registry bring the finished image from another machine ` +
    "(there: devmesh image save FILE, here: devmesh image load FILE), or build on another image with Node 22 or later and " +
    "Debian's packages: devmesh image build --base IMAGE"
  );
}
