import { describe, expect, it, onTestFinished } from "vitest";
import { Amqp10Wire, bodyOf } from "../support/amqp10-wire.ts";
import { AmqpWire } from "../support/amqp091-wire.ts";
import { eventually } from "../support/eventually.ts";
import { MqttWire } from "../support/mqtt-wire.ts";
import { startQueueBroker } from "../support/queue-broker.ts";
import { StompWire } from "../support/stomp-wire.ts";

/** Takes the message of queue `work`, does not settle it, and goes as a crash does. */
const HOLDERS: Readonly<Record<string, (port: number) => Promise<void>>> = {
  async STOMP(port) {
    const wire = await StompWire.connect(port);
    await wire.request("SUBSCRIBE", { id: "1", destination: "/queue/work", ack: "client" });
    await wire.message();
    wire.wire.reset();
  },
  async MQTT(port) {
    const wire = await MqttWire.connect(port);
    await wire.subscribe("$queue/work", { qos: 1 });
    await wire.message("x");
    wire.wire.reset();
  },
  async "AMQP 0-9-1"(port) {
    const wire = await AmqpWire.channel(port);
    await wire.consume("work");
    await wire.delivery();
    wire.wire.reset();
  },
  async "AMQP 1.0"(port) {
    const wire = await Amqp10Wire.connect(port);
    await wire.receiver("queue://work", 1);
    expect(await wire.message()).toBe("x");
    wire.wire.reset();
  },
};

/** Says whether the message that it gets from queue `work` was delivered before. */
const HEARERS: Readonly<Record<string, (port: number) => Promise<boolean>>> = {
  async STOMP(port) {
    using wire = await StompWire.connect(port);
    await wire.request("SUBSCRIBE", { id: "1", destination: "/queue/work" });
    return (await wire.message()).headers.get("redelivered") === "true";
  },
  async "AMQP 0-9-1"(port) {
    using wire = await AmqpWire.channel(port);
    await wire.consume("work", { noAck: true });
    return (await wire.delivery()).method.redelivered;
  },
  async "AMQP 1.0"(port) {
    using wire = await Amqp10Wire.connect(port);
    await wire.receiver("queue://work", 1, { sndSettleMode: 1 });
    const { payload } = await wire.expect("transfer");
    expect(bodyOf(payload)).toBe("x");
    // The last field of the header section is the delivery-count: 0, or more in four bytes.
    return payload.readUInt32BE((payload[4] ?? 0) + 1) === 1;
  },
};

const PAIRS = Object.keys(HOLDERS).flatMap((from) => Object.keys(HEARERS).map((to) => [from, to] as const));

describe.each(PAIRS)("what a client of %s died with", (from, to) => {
  it(`goes to one of ${to}, marked as delivered before`, async () => {
    const { port, queue } = await startQueueBroker();
    const sender = await AmqpWire.channel(port);
    onTestFinished(() => sender[Symbol.dispose]());
    await sender.declare("work", { durable: true });
    await sender.publish("", "work", "x", { deliveryMode: 2 });
    await HOLDERS[from]?.(port);
    expect(await HEARERS[to]?.(port)).toBe(true);
    await eventually(() => queue("work").count === 0);
  });
});
