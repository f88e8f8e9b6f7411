import { expect, onTestFinished, test } from "vitest";
import { connectEngine } from "../../../daemon/docker/engine.ts";
import { createDropImageClaims } from "../../../daemon/docker/image-claims.ts";
import { readLabels } from "../../../daemon/docker/read-container.ts";
import { json, startFakeEngine } from "./fake-engine.ts";

const image = "sha256:1";
const payment = { "devmesh.mesh": "shop", "devmesh.service": "payment" };
const compose = { "com.docker.compose.project": "shop", "com.docker.compose.service": "ads" };

async function open(ofImage: Record<string, string> | null) {
  const answer = ofImage === null ? json({ message: "no such image" }, 404) : json({ Config: { Labels: ofImage } });
  const fake = await startFakeEngine({ [`/images/${encodeURIComponent(image)}/json`]: answer });
  const engine = await connectEngine(fake.env);
  onTestFinished(async () => {
    await engine.close();
    await fake.close();
  });
  const drop = createDropImageClaims(engine);
  const labelsOf = async (labels: Record<string, string>) =>
    readLabels(await drop({ Id: "c", Image: image, Config: { Labels: labels } }));
  return { labelsOf, asked: () => fake.requests.filter(({ pathname }) => pathname.includes("/images/")).length };
}

test.each([
  ["an image that claims a mesh and a service", payment, { ...compose, ...payment }, compose],
  ["a container that was given the labels", {}, { ...compose, ...payment }, { ...compose, ...payment }],
  [
    "a container that was given another service than its image claims",
    payment,
    { ...payment, "devmesh.service": "cart" },
    { "devmesh.service": "cart" },
  ],
  ["an image that compose built", compose, compose, compose],
  ["an image with a version", { "devmesh.version": "v2" }, { "devmesh.version": "v2" }, { "devmesh.version": "v2" }],
  [
    "an image that opts out, or leaves ports open",
    { "devmesh.inject": "false", "traffic.sidecar.istio.io/excludeInboundPorts": "80" },
    {
      ...compose,
      "devmesh.inject": "false",
      "traffic.sidecar.istio.io/excludeInboundPorts": "80",
      "sidecar.istio.io/inject": "true",
    },
    { ...compose, "sidecar.istio.io/inject": "true" },
  ],
  ["an image that is gone and can no longer be asked", null, { ...compose, ...payment }, compose],
])("%s", async (_why, ofImage, ofContainer, expected) => {
  const { labelsOf } = await open(ofImage);
  expect({ ...(await labelsOf(ofContainer)) }).toEqual(expected);
});

test("an image is asked for once, and only for a container that has such a label", async () => {
  const { labelsOf, asked } = await open(payment);
  await labelsOf(compose);
  expect(asked()).toBe(0);
  await labelsOf(payment);
  await labelsOf(payment);
  expect(asked()).toBe(1);
});
