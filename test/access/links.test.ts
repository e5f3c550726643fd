import { describe, expect, it } from "vitest";
import { Amqp10Wire } from "../support/amqp10-wire.ts";
import { startBroker, type TestBroker } from "../support/broker.ts";
import { eventually } from "../support/eventually.ts";

const EVERYBODY = { allow: ["*"] };

function start(...rules: readonly object[]): Promise<TestBroker> {
  return startBroker([`access_rules=${JSON.stringify([...rules, EVERYBODY])}`]);
}

const KEPT_FOREVER = { deny: ["*"], action: ["destroy"], kind: ["dsub"] };

function durable(expiryPolicy: "never" | "connection-close" | "link-detach") {
  return { name: "sub", source: { type: "source", address: "topic://t", durable: 2, expiryPolicy } } as const;
}

function hostOf({ server }: TestBroker) {
  const host = server.broker.host(undefined);
  if (host === undefined) throw new Error("There is no default host");
  return host;
}

describe("a durable subscription over AMQP 1.0 that its receiver may not destroy", () => {
  it("stays when its connection is gone with which it was to go, and so does nothing else", async () => {
    const broker = await start(KEPT_FOREVER);
    const client = await Amqp10Wire.connect(broker.port, { open: { containerId: "c" } });
    await client.receiver("topic://t", 1, durable("connection-close"));
    client[Symbol.dispose]();
    await eventually(() => expect(hostOf(broker).clients.size).toBe(0));
    expect(hostOf(broker).durables.size).toBe(1);
    expect(broker.log.filter((line) => line.includes("the session failed"))).toEqual([]);
  });

  it("stays when its link is closed or detached, which is told", async () => {
    const broker = await start(KEPT_FOREVER);
    using client = await Amqp10Wire.connect(broker.port, { open: { containerId: "c" } });
    for (const policy of ["never", "link-detach"] as const) {
      await client.receiver("topic://t", 1, durable(policy));
      await client.say({ type: "detach", handle: 1, closed: policy === "never" });
      const { performative } = await client.expect("detach");
      expect(performative.error?.condition).toBe("amqp:unauthorized-access");
    }
    await client.nothing();
    expect(hostOf(broker).durables.size).toBe(1);
  });
});

describe("a link that is not to be", () => {
  it("takes nobody's durable subscription away who has it", async () => {
    const rules = [{ deny: ["*"], action: ["consume"], kind: ["dsub"], connector: "mqtt" }, EVERYBODY];
    const settings = ["listeners.mqtt.enabled=true", "listeners.mqtt.port=0", `access_rules=${JSON.stringify(rules)}`];
    const { port, server } = await startBroker(settings);
    const forbidden = server.listeners.find(({ name }) => name === "mqtt")?.port ?? 0;
    using owner = await Amqp10Wire.connect(port, { open: { containerId: "c" } });
    await owner.receiver("topic://t", 1, durable("never"));
    using other = await Amqp10Wire.connect(forbidden, { open: { containerId: "c" } });
    await other.receiver("topic://t", 1, durable("never"));
    expect((await other.expect("detach")).performative.error?.condition).toBe("amqp:unauthorized-access");
    await owner.nothing();
  });

  it.each([
    ["ann", true],
    ["bob", false],
  ])("of the same name is the same one if %s has it, too: %s", async (user, same) => {
    const users = ["ann", "bob"].map((name) => `security.users.${name}.password=secret`);
    const { port } = await startBroker(users);
    using first = await loggedIn(port, "ann");
    await first.receiver("topic://t", 1, durable("never"));
    using second = await loggedIn(port, user);
    await second.receiver("topic://t", 1, durable("never"));
    if (!same) await first.nothing();
    else expect((await first.expect("detach")).performative.error?.condition).toBe("amqp:link:stolen");
  });
});

async function loggedIn(port: number, user: string): Promise<Amqp10Wire> {
  const client = await Amqp10Wire.open(port);
  await client.header(3);
  await client.expect("sasl-mechanisms");
  await client.say({ type: "sasl-init", mechanism: "PLAIN", initialResponse: Buffer.from(`\0${user}\0secret`) });
  await client.expect("sasl-outcome");
  await client.header(0);
  await client.say({ type: "open", containerId: "c" });
  await client.expect("open");
  await client.begin(0);
  return client;
}
