// Which engine other clients of Docker are led to.
import { expect, test } from "vitest";
import { type DaemonOptions, envOnEngine, withoutDocker } from "../../../daemon/api/options.ts";

const options: DaemonOptions = {
  projectDir: "/shop",
  project: "shop",
  meshFile: null,
  composeFiles: [],
  knownServices: null,
  image: "devmesh/proxy:1",
  dockerEnv: { DOCKER_CONTEXT: "far" },
  version: "0.1.0",
};
const env = {
  PATH: "/bin",
  DOCKER_HOST: "unix:///x",
  DOCKER_CONTEXT: "other",
  DOCKER_CONFIG: "/me",
  CURL_CA_BUNDLE: "/ca",
};

test("compose is led to the mesh's engine; the registries' passwords stay where they are", () => {
  const engineEnv = { DOCKER_HOST: "ssh://far" };
  expect(envOnEngine(env, { ...options, engineEnv })).toEqual({
    PATH: "/bin",
    DOCKER_HOST: "ssh://far",
    DOCKER_CONFIG: "/me",
    CURL_CA_BUNDLE: "/ca",
  });
});

test("an engine with certificates of its own is not judged by another bundle", () => {
  const engineEnv = { DOCKER_HOST: "tcp://far:2376", DOCKER_TLS_VERIFY: "1", DOCKER_CERT_PATH: "/certs" };
  expect(envOnEngine(env, { ...options, engineEnv })).toMatchObject({ ...engineEnv, CURL_CA_BUNDLE: undefined });
});

test("without a mesh, or one of before it was written down, the environment counts as it is", () => {
  expect(envOnEngine(env, null)).toBe(env);
  expect(envOnEngine(env, options)).toBe(env);
  expect(withoutDocker(env)).toEqual({ PATH: "/bin", CURL_CA_BUNDLE: "/ca" });
});
