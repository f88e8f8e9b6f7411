// Steady load: RATE requests per second through the website, each on time whether the last was answered or not.
import { HttpClient } from "../shared/client.ts";
import { closeOnSignal, numberFromEnv } from "../shared/lifetime.ts";
import { Tally } from "./tally.ts";
import { visits } from "./visit.ts";

const unansweredMax = 100;
const logEveryMs = 10_000;
const tickMs = 10;

const rate = numberFromEnv("RATE", 10);
const url = process.env.SHOP_URL ?? "http://website:8080";
const http = new HttpClient();
const tally = new Tally();
const steps = visits(http, url);
let unanswered = 0;

async function send(): Promise<void> {
  if (unanswered >= unansweredMax) return tally.skipped();
  unanswered++;
  const start = performance.now();
  try {
    tally.done(await steps.next().value(), performance.now() - start);
  } catch (error) {
    tally.failed(error);
  } finally {
    unanswered--;
  }
}

let due = 0;
let last = performance.now();
const ticking = setInterval(() => {
  const now = performance.now();
  // After a pause of the machine only one second is made up for.
  due = Math.min(due + ((now - last) / 1000) * rate, rate + 1);
  last = now;
  for (; due >= 1; due--) void send();
}, tickMs);
const logging = setInterval(() => console.log(tally.take()), logEveryMs);
closeOnSignal({ close: () => [ticking, logging].forEach((timer) => void clearInterval(timer)) }, http);
console.log(`shopper sends ${rate} requests a second to ${url}`);
