// The editor's JSON schema of the native language: draft-07, which is what yaml-language-server reads.
import * as z from "zod";
import { nativeSchema } from "./native/schema.ts";

export function nativeJsonSchema(): Readonly<Record<string, unknown>> {
  const schema = z.toJSONSchema(nativeSchema, { target: "draft-07", io: "input", unrepresentable: "any" });
  return { ...schema, title: "devmesh mesh.yaml" };
}
