// The docker command, for what concerns images: it knows the user's engine, proxies and credentials.
import { spawn } from "node:child_process";
import { Problem } from "../../daemon/api/problem.ts";

export interface DockerResult {
  readonly code: number;
  readonly stdout: string;
  /** Both streams as they came; of a long output the end. */
  readonly output: string;
}

export interface DockerCall {
  readonly args: readonly string[];
  readonly env: NodeJS.ProcessEnv;
  readonly input?: Buffer;
}

/** Characters of a command's output that are kept. */
const outputMax = 256 * 1024;

/** Runs to the end. Throws Problem DM0101 when there is no docker command. */
export async function docker({ args, env, input }: DockerCall): Promise<DockerResult> {
  return await new Promise((resolve, reject) => {
    const child = spawn("docker", args, { env, stdio: ["pipe", "pipe", "pipe"] });
    let stdout = "";
    let output = "";
    const keep = (text: string): void => {
      output = (output + text).slice(-outputMax);
    };
    child.stdout.setEncoding("utf8").on("data", (text: string) => {
      if (stdout.length < outputMax) stdout += text;
      keep(text);
    });
    child.stderr.setEncoding("utf8").on("data", keep);
    // A child that ends early closes its standard input; its exit code and words tell why.
    child.stdin.on("error", () => undefined);
    child.on("error", (error) => {
      const hint = "images are built, saved and loaded with it: install the docker command line";
      reject(new Problem("DM0101", `the docker command cannot be run: ${error.message}`, hint));
    });
    child.on("close", (code) => resolve({ code: code ?? 1, stdout, output }));
    child.stdin.end(input);
  });
}

/** Whether the engine has an image of this name. Throws Problem DM0101 or DM0102 when it cannot be asked. */
export async function hasImage(tag: string, env: NodeJS.ProcessEnv): Promise<boolean> {
  const { code, output } = await docker({ args: ["image", "inspect", "--format", "{{.Id}}", tag], env });
  if (code === 0) return true;
  if (/no such image/i.test(output)) return false;
  throw unreachable(output);
}

/** What docker's own words mean for a command that could not be carried out. */
export function unreachable(output: string): Problem {
  const last = lastLines(output, 1);
  if (/permission denied/i.test(output)) {
    return new Problem(
      "DM0102",
      `no access to Docker: ${last}`,
      "add your user to the group docker, then log in again",
    );
  }
  return new Problem("DM0101", `Docker cannot be used: ${last}`, "start Docker, or set DOCKER_HOST");
}

export function lastLines(output: string, count: number): string {
  return output
    .split("\n")
    .map((line) => line.trimEnd())
    .filter((line) => line !== "")
    .slice(-count)
    .join("\n");
}
