import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { connectRhea, openReceiver, openSender, send } from "../clients/rhea-client.ts";
import { AmqpWire } from "../support/amqp091-wire.ts";
import { startBroker } from "../support/broker.ts";
import { MqttWire } from "../support/mqtt-wire.ts";
import { StompWire } from "../support/stomp-wire.ts";

/** Everything that a routing key can be, above all what other protocols take for something of their own. */
const sign = fc.constantFrom(
  "a",
  "%",
  "%25",
  "%2F",
  "%2E",
  "%2B",
  "2",
  ".",
  "/",
  "*",
  "#",
  "+",
  ",",
  "{",
  "}",
  " ",
  "$",
  "\\",
  ":",
  "\n",
  "&",
  "?",
);
const key = fc
  .oneof(
    fc.string({ unit: sign, minLength: 1, maxLength: 20 }),
    fc.string({ unit: "grapheme", minLength: 1, maxLength: 20 }),
  )
  // What begins with "$" is no matter of MQTT's wildcards.
  .filter((text) => text.isWellFormed() && Buffer.byteLength(text) <= 255 && !text.startsWith("$"));

/** 0-9-1 sends to a name, and everybody who hears it sends to the name that it has there. */
describe("any routing key", () => {
  it("of amq.topic goes to STOMP, MQTT and AMQP 1.0, and by the names it has there back to where it came from", async () => {
    const { port } = await startBroker();
    using rabbit = await AmqpWire.channel(port);
    const queue = await rabbit.declare("", { exclusive: true });
    await rabbit.ask(1, "queue.bind", { queue, exchange: "amq.topic", routingKey: "#" }, "queue.bind-ok");
    await rabbit.consume(queue, { noAck: true });
    using stomp = await StompWire.connect(port);
    await stomp.request("SUBSCRIBE", { id: "1", destination: "/topic/**", selector: "origin = 'rabbit'" });
    using mqtt = await MqttWire.connect(port);
    await mqtt.subscribe("#");
    const connection = connectRhea(port);
    const inbox = await openReceiver(connection, "topic://**");
    const relay = await openSender(connection, { target: {} });
    const headers = new Map([["origin", "rabbit"]]);
    const property = fc.asyncProperty(key, async (routingKey) => {
      const back = async (from: string): Promise<void> => {
        const { method, body } = await rabbit.delivery();
        expect([from, method.exchange, method.routingKey, body]).toEqual([from, "amq.topic", routingKey, from]);
      };
      await rabbit.publish("amq.topic", routingKey, "rabbit", { headers });
      await back("rabbit");
      const { headers: heard } = await stomp.message();
      await stomp.send("SEND", { destination: heard.get("destination") ?? "" }, "stomp");
      await back("stomp");
      const { topic } = await mqtt.message("rabbit");
      await mqtt.message("stomp");
      await mqtt.sendPublish(topic, "mqtt");
      await back("mqtt");
      await mqtt.message("mqtt");
      const { message } = await inbox.next();
      for (const _others of ["stomp", "mqtt"]) await inbox.next();
      expect(await send(relay, { to: message?.to ?? "", body: "amqp" })).toBe("accepted");
      await back("amqp");
      await inbox.next();
      await mqtt.message("amqp");
    });
    await fc.assert(property, { numRuns: 150, endOnFailure: true });
  });

  it("of the default exchange is a queue of STOMP, MQTT and AMQP 1.0, and their name for it that queue", async () => {
    const { port } = await startBroker();
    using rabbit = await AmqpWire.channel(port);
    using stomp = await StompWire.connect(port);
    using mqtt = await MqttWire.connect(port);
    const connection = connectRhea(port);
    const relay = await openSender(connection, { target: {} });
    const inbox = await openReceiver(connection, "topic://names");
    await mqtt.subscribe("names");
    await stomp.request("SUBSCRIBE", { id: "1", destination: "/topic/names" });
    const property = fc.asyncProperty(key, async (name) => {
      await rabbit.declare(name);
      // Told as the place to answer to.
      await rabbit.publish("amq.topic", "names", "?", { replyTo: `/queue/${name}` });
      await stomp.request("SEND", { destination: (await stomp.message()).headers.get("reply-to") ?? "" }, "stomp");
      const { properties } = await mqtt.message("?");
      await mqtt.publish(properties?.responseTopic ?? "", "mqtt", { qos: 1 });
      const { message } = await inbox.next();
      expect(await send(relay, { to: message?.reply_to ?? "", body: "amqp" })).toBe("accepted");
      const bodies = [await rabbit.get(name), await rabbit.get(name), await rabbit.get(name)].map((got) => got?.body);
      expect(bodies).toEqual(["stomp", "mqtt", "amqp"]);
      await rabbit.ask(1, "queue.delete", { queue: name }, "queue.delete-ok");
    });
    await fc.assert(property, { numRuns: 100, endOnFailure: true });
  });

  it("is no other one, however that is written", async () => {
    const { port } = await startBroker();
    using rabbit = await AmqpWire.channel(port);
    const names = ["A", "%41", "%2541", "a.b", "a%2Eb", "a%2eb", "a%252Eb", "+", "%2B"];
    for (const name of names) {
      await rabbit.declare(name);
      await rabbit.ask(1, "queue.bind", { queue: name, exchange: "amq.topic", routingKey: name }, "queue.bind-ok");
      await rabbit.publish("", name, name);
      await rabbit.publish("amq.topic", name, `by topic: ${name}`);
    }
    for (const name of names) {
      const bodies = [await rabbit.get(name), await rabbit.get(name)].map((got) => got?.body);
      expect([...bodies, await rabbit.get(name)]).toEqual([name, `by topic: ${name}`, undefined]);
    }
  });
});
