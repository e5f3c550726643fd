import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { MqttjsClient } from "../clients/mqttjs-client.ts";
import { eventually } from "../support/eventually.ts";
import { startQueueBroker } from "../support/queue-broker.ts";
import { StompWire } from "../support/stomp-wire.ts";

/** A topic as MQTT writes it, and its name as STOMP does. */
const NAMES: readonly (readonly [string, string])[] = [
  ["a/b", "a.b"],
  ["a/b.c", "a.b%2Ec"],
  ["a.b", "a%2Eb"],
  ["100%", "100%25"],
  ["a%2Fb", "a/b"],
  ["a%252Fb", "a%252Fb"],
  ["a%2fb", "a%252fb"],
  ["a%41", "a%2541"],
  ["with space/ ", "with space. "],
  ["grüße/\u{1f30a}", "grüße.\u{1f30a}"],
  ["a//b", "a..b"],
  ["/a", ".a"],
  ["a/", "a."],
  ["/", "."],
  ["a,b", "a%2Cb"],
  ["a*b/{x}", "a%2Ab.%7Bx%7D"],
  ["a\tb\\c:d", "a%09b\\c:d"],
  ["$mine/a", "$mine.a"],
];

describe.each([4, 5] as const)("with MQTT.js protocol version %i", (level) => {
  it.each(NAMES)("the MQTT topic %j is STOMP's /topic/%s, both ways", async (mqttTopic, stompName) => {
    const { port } = await startQueueBroker();
    const mqtt = await MqttjsClient.connect(port, level);
    using stomp = await StompWire.connect(port);
    const destination = `/topic/${stompName}`;
    await mqtt.mqtt.subscribeAsync(mqttTopic, { qos: 1 });
    await stomp.request("SUBSCRIBE", { id: "1", destination });
    await mqtt.mqtt.publishAsync(mqttTopic, "from MQTT", { qos: 1 });
    const heard = await stomp.message();
    expect([heard.headers.get("destination"), heard.body.toString()]).toEqual([destination, "from MQTT"]);
    await stomp.request("SEND", { destination }, "from STOMP");
    await eventually(() => expect(mqtt.bodies).toEqual(["from MQTT", "from STOMP"]));
    expect(mqtt.got.map(({ topic }) => topic)).toEqual([mqttTopic, mqttTopic]);
  });

  it.each(NAMES)("the MQTT topic $queue/%s is STOMP's /queue/%s, both ways", async (name, stompName) => {
    const { port } = await startQueueBroker();
    const mqtt = await MqttjsClient.connect(port, level);
    using stomp = await StompWire.connect(port);
    const destination = `/queue/${stompName}`;
    await mqtt.mqtt.publishAsync(`$queue/${name}`, "from MQTT", { qos: 1 });
    await stomp.request("SUBSCRIBE", { id: "1", destination });
    const heard = await stomp.message();
    expect([heard.headers.get("destination"), heard.body.toString()]).toEqual([destination, "from MQTT"]);
    await stomp.request("UNSUBSCRIBE", { id: "1" });
    await stomp.request("SEND", { destination }, "from STOMP");
    await mqtt.mqtt.subscribeAsync(`$queue/${name}`, { qos: 1 });
    await eventually(() => expect(mqtt.bodies).toEqual(["from STOMP"]));
    expect(mqtt.got[0]?.topic).toBe(`$queue/${name}`);
  });
});

const part = fc.oneof(
  fc.string({ unit: "grapheme", maxLength: 8 }),
  fc.string({
    unit: fc.constantFrom(
      "a",
      "%",
      "%25",
      "%2F",
      "%2B",
      "%00",
      "%2E",
      "2",
      "F",
      ".",
      "*",
      ",",
      "{",
      "}",
      " ",
      "$",
      "\\",
      ":",
      "\n",
    ),
  }),
);
const anyTopic = fc
  .array(part, { minLength: 1, maxLength: 5 })
  .map((levels) => levels.join("/").replaceAll(/[+#\0]/g, ""))
  .filter((topic) => topic !== "" && topic.isWellFormed() && !topic.startsWith("$"));

describe("any topic", () => {
  it("goes from MQTT to STOMP and by the name it has there back to where it came from", async () => {
    const { port } = await startQueueBroker();
    const mqtt = await MqttjsClient.connect(port, 5);
    using stomp = await StompWire.connect(port);
    await stomp.request("SUBSCRIBE", { id: "1", destination: "/topic/**" });
    await mqtt.mqtt.subscribeAsync("#", { qos: 0 });
    const property = fc.asyncProperty(anyTopic, async (topic) => {
      mqtt.got.length = 0;
      await mqtt.mqtt.publishAsync(topic, "there", { qos: 1 });
      const there = await stomp.message();
      await stomp.send("SEND", { destination: there.headers.get("destination") ?? "" }, "back");
      // It hears what it sent itself too.
      expect((await stomp.message()).headers.get("destination")).toBe(there.headers.get("destination"));
      await eventually(() => expect(mqtt.bodies).toEqual(["there", "back"]));
      expect(mqtt.got.map((got) => got.topic)).toEqual([topic, topic]);
    });
    await fc.assert(property, { numRuns: 300 });
  });
});
