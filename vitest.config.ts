import { defineConfig } from "vitest/config";

// Pure and socket tests run in parallel processes; tests that drive Docker run one file at a time, apart from those, so that the times
// they print mean something. Those that take minutes (long) are no part of `npm test`, which names the other two.
export default defineConfig({
  test: {
    projects: [
      {
        test: {
          name: "unit",
          include: ["test/**/*.test.ts"],
          exclude: ["test/docker/**", "test/bench/**", "test/long/**"],
          testTimeout: 20_000,
          pool: "forks",
        },
      },
      {
        test: {
          name: "docker",
          include: ["test/docker/**/*.test.ts"],
          testTimeout: 120_000,
          hookTimeout: 180_000,
          maxWorkers: 1,
          sequence: { groupOrder: 1 },
          pool: "forks",
        },
      },
      {
        test: {
          name: "long",
          include: ["test/long/**/*.test.ts"],
          testTimeout: 600_000,
          hookTimeout: 180_000,
          maxWorkers: 1,
          sequence: { groupOrder: 2 },
          pool: "forks",
        },
      },
    ],
  },
});
