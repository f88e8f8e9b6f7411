// Dials and asks from inside a container, as an application would, and says what came of it.
import { Resolver } from "node:dns/promises";
import { connect } from "node:net";
import type { ProbeAnswers, ProbeQuestions } from "../contract/probe.ts";

/** Everything is a hop or two away on one machine. */
const timeoutMs = 2_000;
const greetingBytesMax = 256;

export async function ask({ dials, names }: ProbeQuestions): Promise<ProbeAnswers> {
  return {
    dials: await Promise.all(dials.map(({ address, port }) => dial(address, port))),
    names: await Promise.all(names.map(resolve)),
  };
}

function dial(address: string, port: number): Promise<string> {
  return new Promise((done) => {
    const socket = connect({ host: address, port });
    const end = (text: string): void => {
      done(text);
      socket.destroy();
    };
    socket.setTimeout(timeoutMs, () => end("silence"));
    socket.once("data", (chunk) => end(chunk.subarray(0, greetingBytesMax).toString().trim()));
    socket.on("error", (error: NodeJS.ErrnoException) => end(error.code ?? error.message));
    socket.once("close", () => end("closed"));
  });
}

async function resolve(name: string): Promise<readonly string[]> {
  try {
    return await new Resolver({ timeout: timeoutMs, tries: 1 }).resolve4(name);
  } catch (error) {
    return [(error as NodeJS.ErrnoException).code ?? String(error)];
  }
}
