// What a starting daemon says on file descriptor 3, one JSON value a line, until it is ready or has failed.
import * as z from "zod";
import type { Diagnostic } from "../spec/diagnostic.ts";

/** The daemon closes the descriptor after `ready` or `problem`; an end without either means that it died. */
export type StartLine =
  /** `ms` since the daemon's process began. */
  | { readonly t: "step"; readonly text: string; readonly ms: number }
  | { readonly t: "ready"; readonly pid: number; readonly socket: string }
  | {
      readonly t: "problem";
      readonly code: string;
      readonly message: string;
      readonly hint: string;
      readonly diagnostics?: readonly Diagnostic[] | undefined;
    };

const diagnosticSchema = z.object({
  severity: z.enum(["error", "warning"]),
  code: z.string(),
  message: z.string(),
  hint: z.string(),
  file: z.string(),
  line: z.number(),
  column: z.number(),
});

export const startLineSchema = z.discriminatedUnion("t", [
  z.object({ t: z.literal("step"), text: z.string(), ms: z.number() }),
  z.object({ t: z.literal("ready"), pid: z.number(), socket: z.string() }),
  z.object({
    t: z.literal("problem"),
    code: z.string(),
    message: z.string(),
    hint: z.string(),
    diagnostics: z.array(diagnosticSchema).optional(),
  }),
]);
