// One line of a view: its text, which no container can make into anything but text, and how it is painted.
import { printable } from "./table.ts";

export interface Line {
  readonly text: string;
  readonly tone: "plain" | "title" | "good" | "bad" | "warn" | "faint";
}

export const line = (text: string, tone: Line["tone"] = "plain"): Line => ({ text: printable(text), tone });
