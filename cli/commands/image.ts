// `devmesh image build|save|load FILE`: the images of this devmesh, made here or carried over.
import { resolve } from "node:path";
import { Problem } from "../../daemon/api/problem.ts";
import { buildImages } from "../image/build.ts";
import { removeFormerImages } from "../image/former.ts";
import { type ImageName, imageNames, type Recipe, recipeOf, usualBase } from "../image/recipe.ts";
import { loadImages, saveImages } from "../image/transfer.ts";
import { Steps } from "../output.ts";
import type { CommandContext } from "./context.ts";

export type ImageAction = "build" | "save" | "load";

export interface ImageFlags {
  /** Of the sample shop, too. */
  readonly demo?: boolean;
  readonly base?: string;
  readonly ca?: string;
}

export async function image(
  context: CommandContext,
  flags: ImageFlags,
  { action, file }: { readonly action: ImageAction; readonly file: string | undefined },
): Promise<number> {
  const names: readonly ImageName[] = flags.demo === true ? imageNames : ["proxy"];
  if (action === "build") {
    if (file !== undefined) throw new Problem("DM0002", "image build takes no file", "did you mean: image save FILE");
    await build(context, names, flags);
    return 0;
  }
  if (file === undefined) throw new Problem("DM0002", `image ${action} needs a file`, `devmesh image ${action} FILE`);
  const path = resolve(context.cwd, file);
  const steps = new Steps(context.output);
  const recipes = action === "save" ? await build(context, names, flags) : names.map(recipeOf);
  await (action === "save" ? saveImages : loadImages)(recipes, path, context.env);
  for (const { tag } of recipes) steps.done(action === "save" ? `${tag} saved to ${path}` : `${tag} loaded`);
  return 0;
}

interface Building extends Pick<CommandContext, "output" | "env"> {
  readonly steps: Steps;
  /** Null: the usual one. */
  readonly base: string | null;
  readonly ca?: string | undefined;
}

/** Says what is built, and how long it took; what is there is passed over in silence. */
export async function buildMissing(
  { output, env, steps, base, ca }: Building,
  names: readonly ImageName[],
): Promise<{ readonly recipes: readonly Recipe[]; readonly built: readonly ImageName[] }> {
  const built: ImageName[] = [];
  const onStart = ({ tag }: Recipe): void => output.note(`building the image ${tag}, once for this version`);
  const onBuilt = ({ name, tag }: Recipe): void => {
    built.push(name);
    steps.done(`image ${tag} built`);
  };
  return { recipes: await buildImages(names, { env, base, ca, onStart, onBuilt }), built };
}

async function build(
  { output, env }: CommandContext,
  names: readonly ImageName[],
  flags: ImageFlags,
): Promise<readonly Recipe[]> {
  const steps = new Steps(output);
  const { recipes, built } = await buildMissing({ output, env, steps, base: flags.base ?? null, ca: flags.ca }, names);
  for (const { name, tag } of recipes) if (!built.includes(name)) steps.done(`${tag} is there`);
  const current = new Set(imageNames.map((name) => recipeOf(name).tag));
  const removed = await removeFormerImages(current, env);
  if (removed > 0) steps.done(`${removed} ${removed === 1 ? "image" : "images"} of former builds removed`);
  if (output.isJson) {
    const tags = Object.fromEntries(recipes.map(({ name, tag }) => [name, tag]));
    output.data(JSON.stringify({ base: usualBase(), ...tags, built, removed }, null, 2));
  }
  return recipes;
}
