import { once } from "node:events";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import { describe, expect, onTestFinished, test, vi } from "vitest";
import { chooseShop } from "../../cli/demo-shop.ts";
import { findFreePort, isPortFree } from "../../cli/free-port.ts";

const own = path.resolve(import.meta.dirname, "../../compose");

/** A machine with a docker command that answers so, an empty state, and a folder for temporary files. */
function machine({ folders = "", meshes = "" } = {}): NodeJS.ProcessEnv {
  const home = mkdtempSync(path.join(tmpdir(), "devmesh-demo-"));
  const temporary = path.join(home, "tmp");
  mkdirSync(temporary);
  vi.stubEnv("TMPDIR", temporary);
  onTestFinished(() => {
    vi.unstubAllEnvs();
    rmSync(home, { recursive: true, force: true });
  });
  const docker = `#!/bin/sh\ncase "$1" in ps) echo "${folders}" ;; network) echo "${meshes}" ;; esac\n`;
  writeFileSync(path.join(home, "docker"), docker, { mode: 0o755 });
  return { PATH: home, HOME: home, XDG_STATE_HOME: home, XDG_RUNTIME_DIR: home };
}

async function takenPort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  onTestFinished(() => void server.close());
  const address = server.address();
  return typeof address === "object" && address !== null ? address.port : 0;
}

describe("the demo's shop", () => {
  test.each([
    [
      "a project of that name in another folder",
      { folders: "/home/ann/shop" },
      "a project shop of /home/ann/shop is there",
    ],
    ["a mesh of that name", { meshes: "shop" }, "another mesh shop is up"],
  ])("runs as a copy with names and a port of its own beside %s", async (_why, there, why) => {
    const env = machine(there);
    const shop = await chooseShop({ ...env, COMPOSE_PROJECT_NAME: "mine", DEVMESH_FILE: "/mine.yaml" }, undefined);
    expect(shop.notes[0]).toContain(why);
    expect(shop.folder).toContain(path.join(env.HOME ?? "", "tmp", "devmesh-shop-"));
    expect(statSync(shop.folder).mode & 0o777).toBe(0o700);
    const mesh = readFileSync(path.join(shop.folder, "mesh.yaml"), "utf8");
    expect(mesh).toMatch(/^name: shop-[0-9a-f]{6}$/m);
    expect(mesh).not.toMatch(/listen: 8080/);
    expect(readFileSync(path.join(shop.folder, ".env"), "utf8")).toMatch(
      /^COMPOSE_PROJECT_NAME=shop-[0-9a-f]{6}\nSHOP_PORT=\n/,
    );
    expect(existsSync(path.join(shop.folder, "shop.yaml"))).toBe(true);
    // The user's own project is left out of it.
    expect([shop.env.COMPOSE_PROJECT_NAME, shop.env.DEVMESH_FILE]).toEqual([undefined, undefined]);
  });

  test("takes the port that was asked for, and none that is taken", async () => {
    const env = machine({ folders: own });
    const port = await findFreePort(20_000 + (process.pid % 20_000));
    if (port === null) throw new Error("no free port");
    const shop = await chooseShop(env, port);
    expect(readFileSync(path.join(shop.folder, "mesh.yaml"), "utf8")).toContain(`listen: ${port}, to: website`);
    expect(shop.notes).toEqual([`the mesh.yaml to edit is ${path.join(shop.folder, "mesh.yaml")}`]);
    await expect(chooseShop(env, await takenPort())).rejects.toMatchObject({
      code: "DM0401",
      hint: "choose another --port",
    });
  });
});

test("a port is free or taken, and the next free one is found", async () => {
  const port = await takenPort();
  expect(await isPortFree(port)).toBe(false);
  expect(await findFreePort(port)).toBeGreaterThan(port);
});
