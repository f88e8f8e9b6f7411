// docs/inner-protocol.md is what others read: it has to say what the code does.
import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { FrameType, goawayCodes, ResetCode } from "../../../proxy/inner/frames.ts";
import { defaultInnerLimits } from "../../../proxy/inner/limits.ts";

const page = readFileSync(new URL("../../../docs/inner-protocol.md", import.meta.url), "utf8");

describe("docs/inner-protocol.md", () => {
  it.each(Object.entries(FrameType))("has frame %s with its type", (name, type) => {
    expect(page).toContain(`| 0x${type.toString(16).padStart(2, "0")} | ${name.toUpperCase()} |`);
  });

  it.each(Object.entries(ResetCode))("has reset code %s", (name, code) => {
    expect(page).toContain(`| ${code} | ${name.toUpperCase()} |`);
  });

  it.each(Object.entries(goawayCodes).filter(([name]) => name !== "drain"))(
    "has rule %s with its code",
    (name, code) => {
      expect(page).toContain(`| ${code} | ${name} |`);
    },
  );

  it.each(Object.entries(defaultInnerLimits))("has the limit %s with its value", (name, value) => {
    const row = page.split("\n").find((line) => line.startsWith("| `") && line.includes(`\`${name}\``)) ?? "";
    const written = [value.toLocaleString("en-US"), `${value / 1024} KiB`, `${value / 1024 / 1024} MiB`];
    expect(written.some((text) => row.includes(text))).toBe(true);
  });
});
