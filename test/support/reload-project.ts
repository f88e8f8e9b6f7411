// A project for edits of mesh.yaml: two callers and a gateway before a payment of two versions, a WebSocket, a Redis.
import path from "node:path";
import { MeshProject, unusedPort } from "./mesh-project.ts";

const apps = path.resolve(import.meta.dirname, "apps");
const app = (name: string, script = "echo"): string => `
  ${name}:
    image: \${DEVMESH_SHOP_IMAGE}
    entrypoint: ["node"]
    command: ["/apps/${script}.ts"]
    environment: { NAME: ${name} }
    expose: ["8080"]
    volumes: ["${apps}:/apps:ro"]
    stop_grace_period: 1s`;
const compose = `services:${app("client")}${app("other")}${app("payment-v1")}${app("payment-v2")}${app("chat", "websocket")}
  redis:
    image: \${DEVMESH_REDIS_IMAGE}
    expose: ["6379"]
    stop_grace_period: 1s
`;

export type Weights = readonly [v1: number, v2: number];
/** How the split of payment is written down. */
export type Language = "native" | "istio";

export interface ReloadProject {
  readonly project: MeshProject;
  /** Of the gateway to payment. */
  readonly url: string;
  meshText(weights: Weights, language?: Language): string;
}

/** Nothing is started yet; mesh.yaml says 90 to 10. */
export async function createReloadProject(name: string): Promise<ReloadProject> {
  const port = await unusedPort();
  const meshText = (weights: Weights, language: Language = "native"): string =>
    language === "native" ? nativeText(head(name, port), weights) : istioText(head(name, port), weights);
  const project = new MeshProject({ name, compose, mesh: meshText([90, 10]) });
  return { project, url: `http://127.0.0.1:${port}`, meshText };
}

function head(name: string, port: number): string {
  return `name: m${process.pid}${name}
mtls: strict
gateway:
  - { listen: ${port}, to: payment }
services:
  client: { port: 8080 }
  other: { port: 8080 }
  chat: { port: 8080 }
  redis: { ports: [6379/tcp] }
`;
}

function nativeText(before: string, [v1, v2]: Weights): string {
  return `${before}  payment:
    port: 8080
    versions: { v1: {}, v2: {} }
    split: { v1: ${v1}, v2: ${v2} }
`;
}

function istioText(before: string, [v1, v2]: Weights): string {
  return `${before}  payment: { port: 8080, versions: { v1: {}, v2: {} } }
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: { name: payment }
spec:
  host: payment
  subsets:
    - { name: one, labels: { version: v1 } }
    - { name: two, labels: { version: v2 } }
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: { name: payment }
spec:
  hosts: [payment]
  http:
    - route:
        - { destination: { host: payment, subset: one }, weight: ${v1} }
        - { destination: { host: payment, subset: two }, weight: ${v2} }
`;
}
