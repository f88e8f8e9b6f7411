// The project's own smoke test, from outside: node smoke.mjs http://127.0.0.1:<port>. Prints its answers; they do not depend on the run.
import { randomUUID } from "node:crypto";
import { setTimeout as delay } from "node:timers/promises";

const [base] = process.argv.slice(2);
const id = randomUUID();

async function ask(path, method = "GET") {
  const response = await fetch(`${base}${path}`, { method, signal: AbortSignal.timeout(30_000) });
  const text = await response.text();
  return `${response.status} ${text.trim()}`.replaceAll(id, "<id>");
}

/** What happens behind a queue takes a moment. */
async function askUntil(path, isDone) {
  for (const deadline = Date.now() + 30_000; ; await delay(50)) {
    const answer = await ask(path);
    if (isDone(answer) || Date.now() > deadline) return answer;
  }
}

function say(text) {
  return new Promise((resolve, reject) => {
    const socket = new WebSocket(`${base.replace("http", "ws")}/chat`);
    socket.onerror = () => reject(new Error("the WebSocket failed"));
    socket.onopen = () => socket.send(text);
    socket.onmessage = ({ data }) => {
      socket.close();
      resolve(data);
    };
  });
}

const answers = {
  health: await ask("/health"),
  settings: await ask("/settings"),
  missing: await ask("/nothing"),
  order: await ask(`/orders?id=${id}&item=tea`, "POST"),
  twice: await ask(`/orders?id=${id}&item=tea`, "POST"),
  stored: await ask(`/orders?id=${id}`),
  packed: await askUntil(`/packed?id=${id}`, (answer) => answer.includes("<id>")),
  counted: await askUntil(`/counted?id=${id}`, (answer) => answer.includes("1")),
  linked: await ask("/linked"),
  greeting: await ask("/greet?name=ann"),
  legacy: await ask("/legacy"),
  page: await ask("/static/"),
  chat: await say("hello there"),
};
console.log(JSON.stringify(answers));
