import { describe, expect, it } from "vitest";
import type { Access } from "../../core/access/access.ts";
import { FlowWorld, type Wire } from "./flow-world.ts";

/** Nobody may do anything with the topic `forbidden`. */
const ACCESS: Access = { allows: (_login, _action, _kind, name) => name !== "forbidden" };

interface Scene {
  readonly world: FlowWorld;
  readonly client: Wire;
  /** Of everything. */
  readonly reader: Wire;
}

async function scene(version: 4 | 5): Promise<Scene> {
  const world = await FlowWorld.open({ core: { broker: { access: ACCESS } } });
  const reader = await world.connect("reader");
  reader.subscribe("#", 2).read();
  return { world, reader, client: await world.connect("client", { version }) };
}

describe("a message to a topic where its client may not publish", () => {
  it.each([
    { version: 4, qos: 1, said: ["puback 1"] },
    { version: 4, qos: 2, said: ["pubrec 1"] },
    { version: 5, qos: 1, said: ["puback 1 0x87"] },
    { version: 5, qos: 2, said: ["pubrec 1 0x87"] },
    { version: 4, qos: 0, said: [] },
    { version: 5, qos: 0, said: [] },
  ] as const)(
    "goes nowhere and is answered as the version can (level $version, QoS $qos) mqtt311 [MQTT-3.3.5-2]",
    async ({ version, qos, said }) => {
      const { client, reader } = await scene(version);
      client.publish(qos, 1, "x", { topic: "forbidden" });
      expect(client.said).toEqual(said);
      expect(reader.said).toEqual([]);
      client.publish(1, 2, "y", { topic: "allowed" });
      expect(client.said).toEqual(["puback 2"]);
      expect(reader.said).toEqual(["publish 2 q1 allowed: y"]);
    },
  );

  it("may have been sent again before it is answered at QoS 2, and goes nowhere each time", async () => {
    const { client, reader } = await scene(4);
    for (let i = 0; i < 2; i++) client.publish(2, 1, "x", { topic: "forbidden", dup: i > 0 });
    expect(client.said).toEqual(["pubrec 1", "pubrec 1"]);
    expect(client.ack("pubrel", 1).said).toEqual(["pubcomp 1"]);
    expect(reader.said).toEqual([]);
  });
});

describe("a filter that its client may not read", () => {
  it.each([
    { version: 4, code: 0x80 },
    { version: 5, code: 0x87 },
  ] as const)("is refused alone, among others (level $version) [MQTT-3.8.4-6]", async ({ version, code }) => {
    const { client } = await scene(version);
    const subscriptions = ["a", "forbidden", "b"].map((topic) => ({ topic, qos: 1 as const }));
    const [suback] = client.send({ cmd: "subscribe", messageId: 3, subscriptions }).read();
    if (suback?.cmd !== "suback") throw new Error(`No SUBACK but ${suback?.cmd}`);
    expect(suback.granted).toEqual([1, code, 1]);
  });
});
