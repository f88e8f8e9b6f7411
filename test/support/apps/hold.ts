// Keeps one WebSocket and one connection to Redis open, uses both all the time, and prints what became of them when its
// standard input ends: HoldResult as JSON.
import net from "node:net";

export interface HoldOptions {
  /** ws://host:port/ */
  readonly websocket: string;
  /** host:port */
  readonly redis: string;
}

export interface Held {
  /** Questions that were answered rightly. */
  answered: number;
  /** The longest wait for an answer, ms. */
  slowestMs: number;
  /** Why it ended too soon; "": it is open still. */
  ended: string;
}

export interface HoldResult {
  readonly websocket: Held;
  readonly redis: Held;
}

const everyMs = 20;
const options: HoldOptions = JSON.parse(process.argv[2] ?? "{}");
const result: HoldResult = {
  websocket: { answered: 0, slowestMs: 0, ended: "" },
  redis: { answered: 0, slowestMs: 0, ended: "" },
};

/** Asks again `everyMs` after each answer. */
function asker(held: Held, ask: (text: string) => void): (answer: string) => void {
  let asked = { text: "", at: 0 };
  const next = (): void => {
    asked = { text: `n${held.answered}`, at: performance.now() };
    ask(asked.text);
  };
  next();
  return (answer) => {
    if (answer !== asked.text) held.ended ||= `answered ${answer} to ${asked.text}`;
    held.answered++;
    held.slowestMs = Math.max(held.slowestMs, performance.now() - asked.at);
    setTimeout(next, everyMs);
  };
}

const websocket = new WebSocket(options.websocket);
websocket.onopen = () => {
  const onAnswer = asker(result.websocket, (text) => websocket.send(text));
  websocket.onmessage = ({ data }) => onAnswer(String(data));
};
websocket.onerror = () => {
  result.websocket.ended ||= "error";
};
websocket.onclose = ({ code }) => {
  result.websocket.ended ||= `closed with ${code}`;
};

const [host = "", port = ""] = options.redis.split(":");
const redis = net.connect({ host, port: Number(port) }, () => {
  const onAnswer = asker(result.redis, (text) => redis.write(`ECHO ${text}\r\n`));
  let waiting = "";
  redis.on("data", (chunk) => {
    waiting += chunk;
    // $<length>\r\n<text>\r\n
    const answer = /^\$\d+\r\n(.*)\r\n$/.exec(waiting)?.[1];
    if (answer === undefined) return;
    waiting = "";
    onAnswer(answer);
  });
});
redis.on("error", (error) => {
  result.redis.ended ||= error.message;
});
redis.on("close", () => {
  result.redis.ended ||= "closed";
});

process.stdin.resume();
process.stdin.on("end", () => process.stdout.write(`${JSON.stringify(result)}\n`, () => process.exit(0)));
