// Istio's regular expressions: RE2 syntax, which re2js reads, and a limit on their length.
import { RE2JS } from "re2js";

/** Istio's validator refuses longer ones. */
export const regexCharactersMax = 1024;

/** What is wrong with it, or null. */
export function regexFault(text: string): string | null {
  if (text === "") return "it is empty";
  if (text.length > regexCharactersMax) return `it is longer than ${regexCharactersMax} characters`;
  try {
    RE2JS.compile(text);
    return null;
  } catch (error) {
    return error instanceof Error ? error.message.replace(/^error parsing regexp: /, "") : "it cannot be compiled";
  }
}
