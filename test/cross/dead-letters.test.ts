import { describe, expect, it } from "vitest";
import { AmqpWire } from "../support/amqp091-wire.ts";
import { startBroker } from "../support/broker.ts";
import { FORGED, TONGUES, type Tongue } from "./conversions.ts";
import type { Place } from "./tongue.ts";

const SETTINGS = ["queues=[{match: work, dead_letter_queue: dead}]"];
const WORK: Place = { kind: "queue", name: "work" };
const DEAD: Place = { kind: "queue", name: "dead" };

/** How each protocol says why a message is dead. */
const REASONS: Readonly<Record<string, string>> = {
  STOMP: "dead_letter_reason:rejected",
  "MQTT 5.0": 'user property dead_letter_reason "rejected"',
  "AMQP 0-9-1": 'header x-first-death-reason "rejected"',
  "AMQP 1.0": 'message annotation x-opt-dead-letter-reason "rejected"',
};

const SPEAKING = TONGUES.filter(({ name }) => REASONS[name] !== undefined);
const PAIRS = SPEAKING.flatMap((from) =>
  SPEAKING.map((to): [string, string, Tongue, Tongue] => [from.name, to.name, from, to]),
);

describe.each(PAIRS)("from %s to %s", (_from, _to, from, to) => {
  it("a dead letter says why it is one, in the broker's words and not in its sender's", async () => {
    const { port } = await startBroker(SETTINGS);
    const sender = await from.connect(port, []);
    await sender.say(WORK, FORGED);
    using refusing = await AmqpWire.channel(port);
    await refusing.consume("work");
    const { method } = await refusing.delivery();
    await refusing.say("basic.reject", { deliveryTag: method.deliveryTag, requeue: false });
    const listener = await to.connect(port, [DEAD]);
    const lines = await listener.hear();
    expect(lines).toContain(REASONS[to.name]);
    // 0-9-1 and 1.0 say it where no property of a sender is.
    if (to.name === "STOMP" || to.name === "MQTT 5.0") expect(lines.join("\n")).not.toContain("forged");
  });
});
