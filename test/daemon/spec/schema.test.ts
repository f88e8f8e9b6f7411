import { expect, test } from "vitest";
import { nativeJsonSchema } from "../../../daemon/spec/schema.ts";

test("the schema is draft-07, closed, and describes keys for editors", () => {
  const schema = nativeJsonSchema();
  expect(schema).toMatchObject({
    $schema: "http://json-schema.org/draft-07/schema#",
    type: "object",
    additionalProperties: false,
    properties: { mtls: { enum: ["strict", "permissive", "disable"] }, name: { description: expect.any(String) } },
  });
  expect(JSON.stringify(schema)).not.toContain("outlier");
});
