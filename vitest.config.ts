import { defineConfig } from "vitest/config";

// Two projects: pure and socket tests run in parallel processes; tests that drive Docker run one file at a time.
export default defineConfig({
  test: {
    projects: [
      {
        test: {
          name: "unit",
          include: ["test/**/*.test.ts"],
          exclude: ["test/docker/**", "test/bench/**"],
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
          fileParallelism: false,
          pool: "forks",
        },
      },
    ],
  },
});
