// Who can be reached from here, by the list that comes last: [["db", 5432, "postgres", timeoutMs], …]. An answer counts, not a connection: "answers",
// or why not.
import net from "node:net";

/** What each protocol is asked; what the server says first, or to this, is its answer. */
const questions = {
  http: "GET /health HTTP/1.0\r\n\r\n",
  grpc: "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0",
  postgres: "\0\0\0\x08\x04\xd2\x16\x2f",
  redis: "PING\r\n",
  amqp: "AMQP\0\0\x09\x01",
  mysql: "",
};

/** Whether a resolver says no or says nothing is the same to who asks. */
const noNames = new Set(["ENOTFOUND", "EAI_AGAIN"]);

function reach([host, port, protocol, timeoutMs]) {
  return new Promise((resolve) => {
    const socket = net.connect({ host, port });
    const settle = (result) => {
      resolve([`${host}:${port}`, result]);
      socket.destroy();
    };
    socket.setTimeout(timeoutMs, () => settle("timeout"));
    socket.once("connect", () => socket.write(Buffer.from(questions[protocol], "latin1")));
    socket.once("data", () => settle("answers"));
    socket.once("error", ({ code }) => settle(noNames.has(code) ? "no name" : code));
    socket.once("close", () => settle("closed"));
  });
}

console.log(JSON.stringify(Object.fromEntries(await Promise.all(JSON.parse(process.argv.at(-1)).map(reach)))));
