/*
 * A process that binds queue `a` to an exchange with one key after the other, each in place of the one before, and sends a
 * message with each, until it is killed. It says `confirmed N` on its output when the Nth of these is safe.
 */
import { writeSync } from "node:fs";
import { TestClient } from "./core-broker.ts";
import { bind, declareQueue, exchange, unbind } from "./core-exchanges.ts";
import { identifiedMessage, openBroker } from "./moving-broker.ts";

const [directory = ""] = process.argv.slice(2);
const broker = await openBroker(directory);

class Confirmed extends TestClient {
  override confirmed(token: string | number): void {
    writeSync(1, `confirmed ${token}\n`);
  }
}

const client = new Confirmed(broker);
declareQueue(client, "a");
client.core.declareExchange(exchange("x", "direct", { durable: true }));
let count = 0;

function goOn(): void {
  for (let i = 0; i < 5; i++) {
    if (count > 0) unbind(client, "x", "queue:a", String(count));
    bind(client, "x", "queue:a", String(++count));
    client.core.publish(client.core.exchangeRoute("x", String(count)), identifiedMessage(String(count)));
  }
  client.core.confirm(count);
  setTimeout(goOn, 1);
}

goOn();
