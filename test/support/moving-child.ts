/*
 * A process that sends messages to queue `a`, some of them twice, and moves them to and fro between `a` and `b`, until it
 * is killed. It says `confirmed N` on its output when the first N messages are safe.
 */
import { writeSync } from "node:fs";
import { operationsOf, queueOf } from "./core-operations.ts";
import { parse, TestClient } from "./core-broker.ts";
import { identifiedMessage, openBroker } from "./moving-broker.ts";

const [directory = ""] = process.argv.slice(2);
const broker = await openBroker(directory);

class Confirmed extends TestClient {
  override confirmed(token: string | number): void {
    writeSync(1, `confirmed ${token}\n`);
  }
}

const client = new Confirmed(broker).core;
const route = client.route([parse("queue:a")]);
let sent = 0;

function send(): void {
  for (let i = 0; i < 10; i++) {
    client.publish(route, identifiedMessage(String(sent)));
    client.publish(route, identifiedMessage(String(Math.floor(sent / 2))));
    sent++;
  }
  client.confirm(sent);
  setTimeout(send, 1);
}

async function move(from: string, to: string): Promise<void> {
  await operationsOf(broker).move(queueOf(broker, from), parse(`queue:${to}`)).finished;
  void move(to, from);
}

send();
void move("a", "b");
