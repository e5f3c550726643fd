import { describe, expect, it } from "vitest";
import { eventually } from "../support/eventually.ts";
import { startBroker } from "../support/broker.ts";
import { Amqp10Wire } from "../support/amqp10-wire.ts";
import { ScramClient } from "../support/scram-client.ts";

const SUPPORTED = Buffer.from("AMQP\u0003\u0001\0\0");

/** Begins to log in. */
async function log(port: number, mechanism: string, initialResponse: string): Promise<Amqp10Wire> {
  const client = await Amqp10Wire.open(port);
  await client.header(3);
  const { performative } = await client.expect("sasl-mechanisms");
  expect(performative.mechanisms).toEqual(["SCRAM-SHA-256", "PLAIN", "ANONYMOUS"]);
  await client.say({ type: "sasl-init", mechanism, initialResponse: Buffer.from(initialResponse) });
  return client;
}

describe("the protocol header of AMQP 1.0", () => {
  it.each([
    ["another version", "AMQP\0\u0001\0\u0001"],
    ["TLS", "AMQP\u0002\u0001\0\0"],
    ["another version of SASL", "AMQP\u0003\u0002\0\0"],
  ])("that asks for %s is answered with what is supported, and the end [amqp10 2.2]", async (_what, header) => {
    const { port } = await startBroker();
    using client = await Amqp10Wire.open(port);
    await client.wire.send(Buffer.from(header, "latin1"));
    expect(await client.wire.closed()).toEqual(SUPPORTED);
  });

  it("of plain AMQP lets guests in without SASL", async () => {
    const { port, server } = await startBroker();
    using client = await Amqp10Wire.connect(port, { open: { containerId: "c" } });
    const [connected] = server.broker.host(undefined)?.clients ?? [];
    expect(connected).toMatchObject({ user: "guest", protocol: "AMQP 1.0" });
    await client.nothing();
  });

  it("may be cut anywhere", async () => {
    const { port } = await startBroker();
    using client = await Amqp10Wire.open(port);
    for (const byte of Buffer.from("AMQP\0\u0001\0\0", "latin1")) await client.wire.send(Buffer.of(byte));
    await client.wire.expect(Buffer.from("AMQP\0\u0001\0\0", "latin1"));
  });
});

describe("SASL", () => {
  const settings = ["security.users.alice.password=secret", "security.guest.enabled=false"];

  it("PLAIN lets in who has the password", async () => {
    const { port } = await startBroker(settings);
    using client = await log(port, "PLAIN", "\0alice\0secret");
    expect((await client.expect("sasl-outcome")).performative.code).toBe(0);
    await client.header(0);
    await client.say({ type: "open", containerId: "c" });
    await client.expect("open");
  });

  it.each([
    ["PLAIN", "\0alice\0wrong"],
    ["PLAIN", "bob\0alice\0secret"],
    ["PLAIN", "secret"],
    ["ANONYMOUS", ""],
    ["KERBEROS_V4", ""],
  ])("%s with %j is refused by an outcome, and the end [amqp10 5.3.3.6]", async (mechanism, response) => {
    const { port } = await startBroker(settings);
    using client = await log(port, mechanism, response);
    expect((await client.expect("sasl-outcome")).performative.code).toBe(1);
    client.wire.finish();
    expect(await client.wire.closed()).toEqual(Buffer.alloc(0));
  });

  it("PLAIN without its message is asked for it", async () => {
    const { port } = await startBroker(settings);
    using client = await Amqp10Wire.open(port);
    await client.header(3);
    await client.expect("sasl-mechanisms");
    await client.say({ type: "sasl-init", mechanism: "PLAIN" });
    await client.expect("sasl-challenge");
    await client.say({ type: "sasl-response", response: Buffer.from("\0alice\0secret") });
    expect((await client.expect("sasl-outcome")).performative.code).toBe(0);
  });

  it("SCRAM-SHA-256 lets in who proves to know the password, and proves that the broker does", async () => {
    const { port } = await startBroker(settings);
    const scram = new ScramClient("alice", "secret");
    using client = await log(port, "SCRAM-SHA-256", scram.first().toString());
    const { challenge } = (await client.expect("sasl-challenge")).performative;
    await client.say({ type: "sasl-response", response: scram.last(challenge) });
    const { code, additionalData } = (await client.expect("sasl-outcome")).performative;
    expect({ code, trusted: scram.trusts(additionalData) }).toEqual({ code: 0, trusted: true });
  });

  it("SCRAM-SHA-256 refuses who does not", async () => {
    const { port } = await startBroker(settings);
    const scram = new ScramClient("alice", "wrong");
    using client = await log(port, "SCRAM-SHA-256", scram.first().toString());
    const { challenge } = (await client.expect("sasl-challenge")).performative;
    await client.say({ type: "sasl-response", response: scram.last(challenge) });
    expect((await client.expect("sasl-outcome")).performative.code).toBe(1);
  });

  it("that is never begun is not needed by those whom guests' rules let in, and refuses all others", async () => {
    const { port } = await startBroker(settings);
    using client = await Amqp10Wire.open(port);
    await client.header(0);
    await client.say({ type: "open", containerId: "c" });
    await client.expect("open");
    expect((await client.expect("close")).performative.error?.condition).toBe("amqp:unauthorized-access");
  });

  it("takes frames that came together with the header", async () => {
    const { port } = await startBroker();
    using client = await Amqp10Wire.open(port);
    await client.wire.send(SUPPORTED);
    await client.say({ type: "sasl-init", mechanism: "ANONYMOUS" });
    await client.wire.send(Buffer.from("AMQP\0\u0001\0\0", "latin1"));
    await client.say({ type: "open", containerId: "c" });
    await client.wire.expect(SUPPORTED);
    await client.expect("sasl-mechanisms");
    await client.expect("sasl-outcome");
    await client.wire.expect(Buffer.from("AMQP\0\u0001\0\0", "latin1"));
    await client.expect("open");
  });
});

describe("OPEN", () => {
  it("tells limits and capabilities", async () => {
    const { port } = await startBroker([
      "amqp10.max_frame_bytes=64k",
      "amqp10.max_sessions=10",
      "amqp10.idle_timeout=30s",
    ]);
    using client = await Amqp10Wire.open(port);
    await client.header(0);
    await client.say({ type: "open", containerId: "c", hostname: "default" });
    const { performative } = await client.expect("open");
    expect(performative).toMatchObject({
      maxFrameSize: 65_536,
      channelMax: 9,
      idleTimeOut: 15_000,
      offeredCapabilities: ["ANONYMOUS-RELAY", "DELAYED_DELIVERY", "SHARED-SUBS"],
    });
  });

  it("with an unknown host is refused", async () => {
    const { port } = await startBroker(["unknown_host=refuse"]);
    using client = await Amqp10Wire.open(port);
    await client.header(0);
    await client.say({ type: "open", containerId: "c", hostname: "elsewhere" });
    await client.expect("open");
    expect((await client.expect("close")).performative.error).toMatchObject({
      condition: "amqp:not-found",
      description: 'There is no virtual host "elsewhere" (hosts)',
    });
  });

  it("of a container that is to have only this connection is refused while it has another", async () => {
    const { port, server } = await startBroker();
    using first = await Amqp10Wire.connect(port, { open: { containerId: "c" } });
    using second = await Amqp10Wire.open(port);
    await second.header(0);
    const sole = { type: "open", containerId: "c", desiredCapabilities: ["sole-connection-for-container"] } as const;
    await second.say(sole);
    const { performative } = await second.expect("open");
    expect(performative.properties?.get("amqp:connection-establishment-failed")).toBe(true);
    expect((await second.expect("close")).performative.error?.condition).toBe("amqp:invalid-field");
    await first.say({ type: "close" });
    await first.expect("close");
    await eventually(() => server.broker.host(undefined)?.clients.size === 0);
    using third = await Amqp10Wire.open(port);
    await third.header(0);
    await third.say(sole);
    expect((await third.expect("open")).performative.offeredCapabilities).toContain("sole-connection-for-container");
  });

  it("that takes frames of less than 512 bytes is refused [amqp10 2.7.1]", async () => {
    const { port } = await startBroker();
    using client = await Amqp10Wire.open(port);
    await client.header(0);
    await client.say({ type: "open", containerId: "c", maxFrameSize: 511 });
    await client.expect("open");
    expect((await client.expect("close")).performative.error?.condition).toBe("amqp:invalid-field");
  });

  it("does not come in time: the connection ends", async () => {
    const { port } = await startBroker(["amqp10.connect_timeout=50ms"]);
    using client = await Amqp10Wire.open(port);
    await client.header(0);
    await client.expect("open");
    expect((await client.expect("close")).performative.error?.description).toMatch(/amqp10.connect_timeout/);
  });
});

describe("idle time-outs", () => {
  it("of the client are kept by empty frames [amqp10 2.4.5]", async () => {
    const { port } = await startBroker();
    using client = await Amqp10Wire.connect(port, { open: { idleTimeOut: 100 } });
    await client.wire.expect(Buffer.from([0, 0, 0, 8, 2, 0, 0, 0]));
  });

  it("of the broker end the connection of a client that is silent", async () => {
    const { port } = await startBroker(["amqp10.idle_timeout=100ms"]);
    using client = await Amqp10Wire.connect(port);
    expect((await client.expect("close")).performative.error).toMatchObject({
      condition: "amqp:resource-limit-exceeded",
      description: expect.stringMatching(/amqp10.idle_timeout/),
    });
  });
});

describe("CLOSE", () => {
  it("is answered", async () => {
    const { port } = await startBroker();
    using client = await Amqp10Wire.connect(port);
    await client.say({ type: "close" });
    await client.expect("close");
    expect(await client.wire.closed()).toEqual(Buffer.alloc(0));
  });

  it("is said when the broker is stopped", async () => {
    const broker = await startBroker();
    using client = await Amqp10Wire.connect(broker.port);
    const stopped = broker.stop();
    expect((await client.expect("close")).performative.error?.condition).toBe("amqp:connection:forced");
    await stopped;
  });
});
