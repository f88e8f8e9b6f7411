// From the save of mesh.yaml to the moment from which every proxy obeys it, under load.
import { editUnderLoad } from "../../support/edits.ts";
import { eventually } from "../../support/eventually.ts";
import { describeLoad, failures } from "../../support/load.ts";
import { createReloadProject, type Language } from "../../support/reload-project.ts";
import type { BenchCase, Measurement } from "../measure.ts";

const editsPerRound = 50;
const languages: readonly Language[] = ["native", "istio"];

export const reload: BenchCase = {
  name: "reload",
  about: `${editsPerRound} edits a round under 240 requests/s: time from save to effect on every proxy`,
  rounds: 1,
  run: async (rounds, say) => {
    const reloaded = await createReloadProject("benchrl");
    const { project, meshText } = reloaded;
    const measured: Measurement[] = [];
    try {
      await project.up();
      for (const language of languages) {
        const values: number[] = [];
        let failed = 0;
        for (let round = 0; round < rounds; round++) {
          project.write("mesh.yaml", meshText([100, 0], language));
          await eventually(async () => {
            const { config, services } = await project.status();
            const isFirst = services.find(({ name }) => name === "payment")?.split[0]?.weight === 100;
            if (!config.isInSync || !isFirst) throw new Error("not in force yet");
          });
          const { sent, times } = await editUnderLoad(reloaded, { edits: editsPerRound, language });
          say(`${language}: ${describeLoad(sent)}`);
          values.push(...times);
          failed += failures(sent).length;
        }
        if (failed > 0) throw new Error(`${failed} requests failed during ${language} edits`);
        measured.push({ what: `edit (${language}) to effect`, unit: "ms", values, bar: 250 });
      }
      return measured;
    } finally {
      await project.close();
    }
  },
};
