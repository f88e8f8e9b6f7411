// What goes wrong at run time, as opposed to Diagnostics: a closed table of codes with exit codes, shared by daemon and CLI.
// docs/exit-codes.md lists them; a test holds both equal.

export const exitCodes = {
  ok: 0,
  failure: 1,
  usage: 2,
  configInvalid: 3,
  dockerUnreachable: 4,
  notRunning: 5,
  timeout: 6,
  checkFailed: 7,
  interrupted: 130,
} as const;

export const problemCodes = {
  DM0001: "failure", // anything that has no code of its own
  DM0002: "usage",
  DM0003: "configInvalid",
  DM0101: "dockerUnreachable", // nothing answers
  DM0102: "dockerUnreachable", // no permission on the socket
  DM0103: "dockerUnreachable", // API too old
  DM0201: "notRunning",
  DM0301: "timeout",
  DM0401: "failure", // host port busy
  DM0402: "failure", // state folder cannot be written (disk full, permissions)
  DM0403: "failure", // image missing and it cannot be made
  DM0404: "failure", // compose failed
  DM0405: "failure", // another folder runs a mesh of this name
  DM0501: "checkFailed", // bytes went past the mesh
  DM0502: "checkFailed", // nobody knows whether bytes went past the mesh
} as const satisfies Record<string, keyof typeof exitCodes>;

export type ProblemCode = keyof typeof problemCodes;

/** The one error class that people are meant to see: what, where, what to do next. */
export class Problem extends Error {
  readonly code: ProblemCode;
  readonly hint: string;

  constructor(code: ProblemCode, message: string, hint = "") {
    super(message);
    this.name = "Problem";
    this.code = code;
    this.hint = hint;
  }

  get exitCode(): number {
    return exitCodes[problemCodes[this.code]];
  }
}
