// A process inside a network namespace, driven by JSON lines on its standard input: it plays the application or the proxy.
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { connect, createServer, type Server, type Socket } from "node:net";
import { createInterface } from "node:readline";
import { dropPrivileges } from "../../proxy/capture/drop-privileges.ts";
import { installRules } from "../../proxy/capture/install-rules.ts";
import { loadOriginalDestination, originalDestination } from "../../proxy/capture/original-destination.ts";
import { removeRules } from "../../proxy/capture/remove-rules.ts";
import type { RuleOptions } from "../../proxy/capture/rules.ts";

export type Command =
  /** Answers every connection with `name`, or with its original destination, and then echoes. */
  | { readonly do: "listen"; readonly address: string; readonly port: number; readonly name: string }
  /** How many connections a listener has. */
  | { readonly do: "count"; readonly port: number }
  | { readonly do: "udp"; readonly address: string; readonly port: number }
  /** The first line that the other side sends, or the error's code. */
  | { readonly do: "dial"; readonly address: string; readonly port: number; readonly keepAs?: string }
  /** Sends over a kept connection and answers with the echo, or the error's code. */
  | { readonly do: "say"; readonly keepAs: string; readonly text: string }
  | { readonly do: "ask"; readonly address: string; readonly port: number }
  | { readonly do: "install"; readonly rules: RuleOptions }
  | { readonly do: "remove" }
  | { readonly do: "drop"; readonly group: number }
  /** As another user and group than the proxy's. */
  | { readonly do: "become"; readonly uid: number; readonly gid: number };

const silenceMs = 700;
const kept = new Map<string, Socket>();
const servers = new Map<number, Server>();

function quiet(socket: Socket): Socket {
  // Every check asks for the outcome by itself.
  return socket.on("error", () => socket.destroy());
}

async function listen(command: Command & { do: "listen" }): Promise<string> {
  const server = createServer((socket) => {
    quiet(socket);
    const original = command.name === "" ? originalDestination(socket) : null;
    socket.write(command.name === "" ? `${original?.address}:${original?.port}\n` : `${command.name}\n`);
    socket.on("data", (chunk) => socket.write(chunk));
  });
  server.listen(command.port, command.address);
  servers.set(command.port, server);
  await once(server, "listening");
  return "listening";
}

function count(command: Command & { do: "count" }): Promise<string> {
  return new Promise((resolve, reject) => {
    servers.get(command.port)?.getConnections((error, number) => (error ? reject(error) : resolve(String(number))));
  });
}

async function udp(command: Command & { do: "udp" }): Promise<string> {
  const socket = createSocket(command.address.includes(":") ? "udp6" : "udp4");
  socket.on("message", (message, from) => socket.send(message, from.port, from.address, () => undefined));
  socket.bind(command.port, command.address);
  await once(socket, "listening");
  return "listening";
}

function outcome(socket: Socket): Promise<string> {
  return new Promise((resolve) => {
    const timer = setTimeout(() => resolve("silence"), silenceMs);
    const settle = (text: string): void => {
      clearTimeout(timer);
      resolve(text);
    };
    socket.once("data", (chunk) => settle(chunk.toString().trim()));
    socket.once("error", (error) => settle("code" in error ? String(error.code) : error.message));
    socket.once("close", () => settle("closed"));
  });
}

async function dial(command: Command & { do: "dial" }): Promise<string> {
  const socket = quiet(connect(command.port, command.address));
  const result = await outcome(socket);
  if (command.keepAs === undefined) socket.destroy();
  else kept.set(command.keepAs, socket);
  return result;
}

async function say(command: Command & { do: "say" }): Promise<string> {
  const socket = kept.get(command.keepAs);
  if (socket === undefined || socket.destroyed) return "closed";
  const result = outcome(socket);
  socket.write(command.text);
  return result;
}

function ask(command: Command & { do: "ask" }): Promise<string> {
  const socket = createSocket("udp4");
  return new Promise<string>((resolve) => {
    const timer = setTimeout(() => resolve("silence"), silenceMs);
    const settle = (text: string): void => {
      clearTimeout(timer);
      resolve(text);
    };
    socket.on("error", (error) => settle("code" in error ? String(error.code) : error.message));
    socket.on("message", (message) => settle(message.toString()));
    socket.send("hello", command.port, command.address);
  }).finally(() => socket.close());
}

async function run(command: Command): Promise<string> {
  switch (command.do) {
    case "listen":
      return listen(command);
    case "count":
      return count(command);
    case "udp":
      return udp(command);
    case "dial":
      return dial(command);
    case "say":
      return say(command);
    case "ask":
      return ask(command);
    case "install":
      await installRules(command.rules);
      return "installed";
    case "remove":
      await removeRules();
      return "removed";
    case "drop":
      dropPrivileges(command.group);
      return "dropped";
    case "become":
      process.setgid?.(command.gid);
      process.setuid?.(command.uid);
      return "became";
  }
}

await loadOriginalDestination();
for await (const line of createInterface({ input: process.stdin })) {
  const answer = await run(JSON.parse(line) as Command).catch((error: Error) => `failed: ${error.message}`);
  process.stdout.write(`${JSON.stringify(answer)}\n`);
}
process.exit(0);
