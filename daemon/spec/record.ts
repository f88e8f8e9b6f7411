// Foreign values, taken for what they are expected to be, or for nothing.

export type Json = Readonly<Record<string, unknown>>;

/** A map as it is, and anything else as an empty one. */
export function recordOf(value: unknown): Json {
  return value !== null && typeof value === "object" && !Array.isArray(value) ? (value as Json) : {};
}
