// Building blocks of the native language's schemas: what they expect is said in words, so that every error can say it.
import * as z from "zod";
import type { DiagnosticCode } from "../codes.ts";

/** Rides on a zod issue: which code it has, and what more there is to say. */
export interface IssueDetail {
  readonly code: DiagnosticCode;
  readonly detail: string;
  readonly hint: string;
}

/** Rides as JSON in the message of zod's unrecognized_keys, whose issue has no other room. */
export interface ClosedDetail {
  readonly known: readonly string[];
  readonly later: readonly string[];
}

interface Rule<T> {
  /** Completes "must be ...". */
  readonly expected: string;
  readonly code: DiagnosticCode;
  /** True, false, or what is wrong with it. */
  readonly check?: (value: T) => boolean | string;
  readonly hint?: string;
  /** For editors only; the check decides. */
  readonly pattern?: string;
}

export function text(rule: Rule<string>): z.ZodType<string, string> {
  const schema = z.string({ error: rule.expected }).superRefine((value, context) => refine(rule, value, context));
  return rule.pattern === undefined ? schema : schema.meta({ pattern: rule.pattern });
}

export function number(rule: Rule<number> & { readonly min: number; readonly max: number }): z.ZodType<number, number> {
  const isInRange = (value: number) => Number.isInteger(value) && value >= rule.min && value <= rule.max;
  return z
    .number({ error: rule.expected })
    .superRefine((value, context) => refine({ check: isInRange, ...rule }, value, context))
    .meta({ type: "integer", minimum: rule.min, maximum: rule.max });
}

/** One of a few words. */
export function word<const T extends readonly [string, ...string[]]>(words: T): z.ZodType<T[number], T[number]> {
  return z.enum(words, { error: `${words.slice(0, -1).join(", ")} or ${words.at(-1)}` }) as unknown as z.ZodType<
    T[number],
    T[number]
  >;
}

export const flag = z.boolean({ error: "true or false" });

/** A map with these keys and no others; `later` are keys that a later version reads. */
export function closed<T extends z.ZodRawShape>(shape: T, later: readonly string[] = []) {
  const detail: ClosedDetail = { known: Object.keys(shape), later };
  return z.strictObject(shape, {
    error: (issue) => (issue.code === "unrecognized_keys" ? JSON.stringify(detail) : "a map of keys"),
  });
}

export function list<T extends z.ZodType>(item: T, expected: string) {
  return z.array(item, { error: expected });
}

/** A map with names that people choose. */
export function named<T extends z.ZodType>(key: z.ZodType<string, string>, value: T, expected: string) {
  return z.record(key, value, { error: expected });
}

export function either<const T extends readonly [z.ZodType, z.ZodType, ...z.ZodType[]]>(
  expected: string,
  ...options: T
) {
  return z.union(options, { error: expected });
}

function refine<T>(rule: Rule<T>, value: T, context: z.RefinementCtx<T>): void {
  const result = rule.check?.(value) ?? true;
  if (result === true) return;
  const detail: IssueDetail = { code: rule.code, detail: result === false ? "" : result, hint: rule.hint ?? "" };
  context.addIssue({ code: "custom", message: rule.expected, params: { ...detail } });
}
