// Reads Docker's JSON without trusting it: engines, versions and Podman differ in what they leave out.

export type Json = Readonly<Record<string, unknown>>;

export function asRecord(value: unknown): Json {
  return value !== null && typeof value === "object" && !Array.isArray(value) ? (value as Json) : {};
}

export function asArray(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}

export function asString(value: unknown): string {
  return typeof value === "string" ? value : "";
}

export function asStrings(value: unknown): readonly string[] {
  return asArray(value).filter((item) => typeof item === "string");
}

/** Only the members that are texts. */
export function asTexts(value: unknown): Readonly<Record<string, string>> {
  const texts: Record<string, string> = Object.create(null);
  for (const [key, item] of Object.entries(asRecord(value))) if (typeof item === "string") texts[key] = item;
  return texts;
}
