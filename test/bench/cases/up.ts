// From nothing to the shop with every sidecar ready and in sync, images present.
import { createMeshShop } from "../../support/mesh-shop.ts";
import type { BenchCase } from "../measure.ts";

export const up: BenchCase = {
  name: "up",
  about: "devmesh up -d of the sample shop, from nothing to ready and in sync",
  rounds: 3,
  run: async (rounds, say) => {
    const [started, again, removed]: [number[], number[], number[]] = [[], [], []];
    for (let round = 0; round < rounds; round++) {
      const { project } = await createMeshShop({ name: "benchup" });
      try {
        const first = await project.up();
        say(`up ${Math.round(first.ms)} ms: ${stepsOf(first.stderr)}`);
        started.push(first.ms);
        again.push((await project.up()).ms);
        removed.push((await project.down()).ms);
      } finally {
        await project.close();
      }
    }
    return [
      { what: "up from nothing", unit: "ms", values: started, bar: 8_000 },
      { what: "up again", unit: "ms", values: again, bar: null },
      { what: "down", unit: "ms", values: removed, bar: null },
    ];
  },
};

function stepsOf(stderr: string): string {
  return [...stderr.matchAll(/^ok (.*) (\d+\.\d) s$/gm)].map(([, what, seconds]) => `${what} ${seconds} s`).join(", ");
}
