// The sample shop as a MeshProject: the files of compose/, with a mesh name and host ports that nobody else has.
import { readFileSync } from "node:fs";
import path from "node:path";
import { MeshProject, unusedPort } from "./mesh-project.ts";

const folder = path.resolve(import.meta.dirname, "../../compose");

export interface MeshShop {
  readonly project: MeshProject;
  /** http://127.0.0.1:<port> of the mesh's gateway to the website. */
  readonly url: string;
}

export interface MeshShopOptions {
  /** Short; the process id makes it unique. */
  readonly name: string;
  /** Requests a second of the shopper; 0: it only waits. */
  readonly rate?: number;
  /** Further edits of compose/mesh.yaml and compose/shop.yaml before they are written. */
  mesh?(text: string): string;
  compose?(text: string): string;
}

/** Nothing is started yet. */
export async function createMeshShop({ name, rate = 0, mesh, compose }: MeshShopOptions): Promise<MeshShop> {
  const port = await unusedPort();
  const meshText = readFileSync(path.join(folder, "mesh.yaml"), "utf8")
    .replace("name: shop", `name: m${process.pid}${name}`)
    .replace("compose: [shop.yaml]", "compose: [compose.yaml]")
    .replace("listen: 8080, to: website", `listen: ${port}, to: website`);
  const composeText = readFileSync(path.join(folder, "shop.yaml"), "utf8");
  const project = new MeshProject({
    name,
    compose: compose?.(composeText) ?? composeText,
    mesh: mesh?.(meshText) ?? meshText,
    env: { SHOP_PORT: "", RATE: String(rate) },
  });
  return { project, url: `http://127.0.0.1:${port}` };
}
