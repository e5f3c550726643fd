/*
 * Selectors on STOMP messages with five properties, in the process itself: evaluations per second.
 *
 *     node bench/selectors.ts [--seconds 1] [--reps 5] [--body 100]
 *
 * "first" is the first question about a message: its header lines are taken apart for it. "again" is each later one, as by
 * the second consumer with a selector. Prints one Markdown table of medians, and the share of the messages that matched.
 */
import { parseArgs } from "node:util";
import { Address } from "../core/addresses/address.ts";
import { Message } from "../core/message.ts";
import { compileSelector, type Selector } from "../core/selector/selector.ts";
import { stompFormat } from "../protocols/stomp/convert.ts";

const SELECTORS: readonly string[] = [
  "JMSPriority > 3",
  "region = 'eu'",
  "region = 'eu' AND urgent = 'true'",
  "amount > 500",
  "region IN ('eu', 'us', 'apac') AND amount BETWEEN 100 AND 800",
  "customer LIKE 'c-1%' OR (kind <> 'order' AND urgent IS NOT NULL)",
  "region = 'eu' AND kind = 'order' AND amount * 2 > 700 AND customer LIKE 'c-%8' AND urgent = 'false'",
];

const { values } = parseArgs({
  options: {
    seconds: { type: "string", default: "1" },
    reps: { type: "string", default: "5" },
    body: { type: "string", default: "100" },
  },
});
const WINDOW_MS = Number(values.seconds) * 1000;
const REPS = Number(values.reps);
const BODY = "x".repeat(Number(values.body));
const FRAMES = 1000;

const address = new Address("queue", ["orders"]);
const envelope = { address, durable: true, priority: 4, expiresAt: 0, receivedAt: 1 };

/** Frames as they are stored, each with other values. */
const frames = Array.from({ length: FRAMES }, (_, i) => {
  const headers = [
    `message-id:session-1-${i}`,
    "destination:/queue/orders",
    "content-type:application/json",
    "persistent:true",
    `region:${["eu", "us", "apac", "latam"][i % 4]}`,
    `kind:${i % 3 === 0 ? "invoice" : "order"}`,
    `amount:${(i * 37) % 1000}`,
    `customer:c-${i}`,
    `urgent:${i % 5 === 0}`,
  ];
  const head = Buffer.from(`${headers.join("\n")}\n\n`);
  return { data: Buffer.concat([head, Buffer.from(`${BODY}\0`)]), bodyStart: head.length };
});

/** The messages of all frames, of which nobody has asked anything yet. */
function messages(): Message[] {
  return frames.map(({ data, bodyStart }) => {
    return new Message(stompFormat, envelope, data, 0, data.length, bodyStart, data.length - 1);
  });
}

function matches(selector: Selector, asked: readonly Message[]): number {
  let count = 0;
  for (const message of asked) if (selector.matches(message)) count++;
  return count;
}

/** Evaluations per second within one window; only the questions are timed. */
function rate(selector: Selector, next: () => readonly Message[]): number {
  let spentMs = 0;
  let asked = 0;
  while (spentMs < WINDOW_MS / REPS) {
    const batch = next();
    const since = performance.now();
    matches(selector, batch);
    spentMs += performance.now() - since;
    asked += batch.length;
  }
  return (asked / spentMs) * 1000;
}

function median(numbers: readonly number[]): number {
  return numbers.toSorted((a, b) => a - b)[Math.floor(numbers.length / 2)] ?? Number.NaN;
}

function human(value: number): string {
  return Math.round(value).toLocaleString("en");
}

const seen = messages();
const selectors = SELECTORS.map(compileSelector);
// All of them before any is timed: or the first would run in code that knows no other.
for (const selector of selectors) {
  rate(selector, messages);
  rate(selector, () => seen);
}
console.log("| selector | first, per second | again, per second | matched |");
console.log("|---|---|---|---|");
for (const selector of selectors) {
  const first: number[] = [];
  const again: number[] = [];
  for (let rep = 0; rep < REPS; rep++) {
    first.push(rate(selector, messages));
    again.push(rate(selector, () => seen));
  }
  const share = Math.round((matches(selector, seen) / FRAMES) * 100);
  console.log(`| \`${selector.text}\` | ${human(median(first))} | ${human(median(again))} | ${share}% |`);
}
