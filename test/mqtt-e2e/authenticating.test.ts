import { describe, expect, it } from "vitest";
import { deriveScramKeys, formatScramKeys } from "../../src/security/scram.ts";
import { startBroker, temporaryFolder } from "../support/broker.ts";
import { LeapingClock } from "../support/leaping-clock.ts";
import { type ConnectOptions, MqttWire, type ReceivedAs } from "../support/mqtt-wire.ts";
import { ScramClient } from "../support/scram-client.ts";

const METHOD = "SCRAM-SHA-256";
const keys = formatScramKeys(await deriveScramKeys("ann's", undefined, 4096));
const USERS = [`security.users.ann.scram_sha_256=${keys}`, "security.users.bob.password=bob's"];

/** AUTH. */
function sendAuth(
  client: MqttWire,
  authenticationData: Buffer | undefined,
  { reasonCode = 0x18, method = METHOD }: { reasonCode?: number; method?: string } = {},
): Promise<void> {
  const properties = {
    authenticationMethod: method,
    ...(authenticationData === undefined ? {} : { authenticationData }),
  };
  return client.send({ cmd: "auth", reasonCode, properties });
}

/** A CONNECT that begins to authenticate. */
async function begin(port: number, scram: ScramClient, options: ConnectOptions = {}): Promise<MqttWire> {
  const client = await MqttWire.open(port);
  await client.sendConnect({
    clientId: "c",
    ...options,
    properties: { authenticationMethod: METHOD, authenticationData: scram.first(), ...options.properties },
  });
  return client;
}

/** The broker's question [MQTT-4.12.0-2], which has the method of CONNECT [MQTT-4.12.0-5]. */
async function challenge(client: MqttWire): Promise<Buffer | undefined> {
  const { reasonCode, properties } = await client.expect("auth");
  expect(reasonCode).toBe(0x18);
  expect(properties?.authenticationMethod).toBe(METHOD);
  return properties?.authenticationData;
}

/** A client that is let in. */
async function connect(
  port: number,
  [user, password]: readonly [string, string] = ["ann", "ann's"],
  options: ConnectOptions = {},
): Promise<MqttWire> {
  const scram = new ScramClient(user, password);
  const client = await begin(port, scram, options);
  await sendAuth(client, scram.last(await challenge(client)));
  client.connack = await client.expect("connack");
  expect(client.connack.reasonCode, client.connack.properties?.reasonString).toBe(0);
  expect(client.connack.properties?.authenticationMethod).toBe(METHOD);
  expect(scram.trusts(client.connack.properties?.authenticationData)).toBe(true);
  return client;
}

/** The CONNACK that refuses, behind which nothing comes. */
async function refused(client: MqttWire): Promise<ReceivedAs<"connack">> {
  const connack = await client.expect("connack");
  client.wire.finish();
  expect((await client.wire.closed()).length).toBe(0);
  return connack;
}

/** Who the log says is connected as this client. */
function users(log: readonly string[], clientId: string): string[] {
  return log.flatMap((line) => {
    const user = line.includes(`"clientId":"${clientId}"`) ? /"user":"([^"]*)"/.exec(line)?.[1] : undefined;
    return user ?? [];
  });
}

describe("a CONNECT with an authentication method", () => {
  it("leads by AUTH packets to a CONNACK with the method and the last words [MQTT-4.12.0-2] [MQTT-4.12.0-5]", async () => {
    const broker = await startBroker(USERS);
    using client = await connect(broker.port);
    await client.nothing();
    await broker.stop();
    expect(new Set(users(broker.log, "c"))).toEqual(new Set(["ann"]));
  });

  it("may leave the data for the first AUTH", async () => {
    const { port } = await startBroker(USERS);
    const scram = new ScramClient("bob", "bob's");
    using client = await MqttWire.open(port);
    await client.sendConnect({ clientId: "c", properties: { authenticationMethod: METHOD } });
    expect((await challenge(client))?.length ?? 0).toBe(0);
    await sendAuth(client, scram.first());
    await sendAuth(client, scram.last(await challenge(client)));
    const { reasonCode, properties } = await client.expect("connack");
    expect(reasonCode).toBe(0);
    expect(scram.trusts(properties?.authenticationData)).toBe(true);
  });

  it("is as good as any: its session is kept and taken over", async () => {
    const { port } = await startBroker(USERS);
    using first = await connect(port, ["ann", "ann's"], { properties: { sessionExpiryInterval: 100 } });
    await first.subscribe("t", { qos: 1 });
    using second = await connect(port, ["ann", "ann's"], { clean: false, properties: { sessionExpiryInterval: 100 } });
    expect(second.connack.sessionPresent).toBe(true);
    expect(await first.dismissed()).toBe(0x8e);
  });

  it("that the broker does not know is refused [MQTT-4.12.0-1]", async () => {
    const { port } = await startBroker(USERS);
    using client = await MqttWire.open(port);
    await client.sendConnect({ clientId: "c", properties: { authenticationMethod: "PLAIN" } });
    const { reasonCode, properties } = await refused(client);
    expect(reasonCode).toBe(0x8c);
    expect(properties?.reasonString).toBe("The authentication method PLAIN is not known; expected SCRAM-SHA-256");
  });

  it.each([
    ["a wrong password", "ann", "bob's"],
    ["an unknown user", "nobody", "ann's"],
  ])("is refused with %s, in the same words, and takes over nothing [MQTT-4.12.0-4]", async (_what, user, password) => {
    const { port } = await startBroker(USERS);
    using owner = await connect(port);
    const scram = new ScramClient(user, password);
    using client = await begin(port, scram);
    await sendAuth(client, scram.last(await challenge(client)));
    const { reasonCode, properties } = await refused(client);
    expect(reasonCode).toBe(0x86);
    expect(properties?.reasonString).toMatch(/^The user name or the password is not accepted/);
    await owner.nothing();
  });

  it("is refused when a message was changed on its way", async () => {
    const { port } = await startBroker(USERS);
    const scram = new ScramClient("ann", "ann's");
    using client = await begin(port, scram);
    const last = scram.last(await challenge(client)).toString();
    await sendAuth(client, Buffer.from(last.replace(",p=", ",x=,p=")));
    expect((await refused(client)).reasonCode).toBe(0x86);
  });

  it("is refused when the proof is one that was used before", async () => {
    const { port } = await startBroker(USERS);
    const scram = new ScramClient("ann", "ann's");
    using first = await begin(port, scram);
    const proof = scram.last(await challenge(first));
    await sendAuth(first, proof);
    expect((await first.expect("connack")).reasonCode).toBe(0);
    using second = await begin(port, scram);
    await challenge(second);
    await sendAuth(second, proof);
    expect((await refused(second)).reasonCode).toBe(0x86);
    await first.nothing();
  });

  it("may have the same user name besides, and no other", async () => {
    const { port } = await startBroker(USERS);
    using client = await connect(port, ["ann", "ann's"], { username: "ann", password: "ignored" });
    await client.nothing();
    const scram = new ScramClient("ann", "ann's");
    using other = await begin(port, scram, { username: "bob" });
    await sendAuth(other, scram.last(await challenge(other)));
    const { reasonCode, properties } = await refused(other);
    expect(reasonCode).toBe(0x86);
    expect(properties?.reasonString).toBe(
      "CONNECT has the user name bob, and ann was authenticated; expected the same, or none",
    );
  });
});

it("a name that nobody has is asked the same after a restart", async () => {
  const settings = [...USERS, "store.kind=lmdb", `store.directory=${temporaryFolder()}`];
  const questions: string[] = [];
  for (let start = 0; start < 2; start++) {
    const broker = await startBroker(settings);
    using client = await begin(broker.port, new ScramClient("nobody", "x", { nonce: "n" }));
    questions.push((await challenge(client))?.toString().replace(/^[^,]+,/, "") ?? "");
    await client.disconnect();
    await broker.stop();
  }
  expect(questions[0]).toMatch(/^s=[^,]{24},i=\d+$/);
  expect(questions[1]).toBe(questions[0]);
});

describe("while the first authentication is under way", () => {
  it("nothing but AUTH and DISCONNECT may come [MQTT-3.1.2-30]", async () => {
    const { port } = await startBroker(USERS);
    using subscriber = await MqttWire.connect(port, { clientId: "s" });
    await subscriber.subscribe("t");
    using client = await begin(port, new ScramClient("ann", "ann's"));
    await challenge(client);
    await client.sendPublish("t", "x");
    const { reasonCode, properties } = await refused(client);
    expect(reasonCode).toBe(0x82);
    expect(properties?.reasonString).toBe("A PUBLISH during the authentication; expected an AUTH or a DISCONNECT");
    await subscriber.nothing();
  });

  it("nothing may come right behind the last AUTH either [MQTT-3.1.2-30]", async () => {
    const { port } = await startBroker(USERS);
    const scram = new ScramClient("ann", "ann's");
    using client = await begin(port, scram);
    const authenticationData = scram.last(await challenge(client));
    const properties = { authenticationMethod: METHOD, authenticationData };
    await client.wire.send(
      Buffer.concat([client.encode({ cmd: "auth", reasonCode: 0x18, properties }), client.encode({ cmd: "pingreq" })]),
    );
    expect((await refused(client)).reasonCode).toBe(0x82);
  });

  it("a DISCONNECT ends it without an answer", async () => {
    const { port } = await startBroker(USERS);
    using client = await begin(port, new ScramClient("ann", "ann's"));
    await challenge(client);
    await client.disconnect();
  });

  it.each([
    ["of another method [MQTT-4.12.0-5]", { method: "PLAIN" }],
    ["that begins anew", { reasonCode: 0x19 }],
  ])("an AUTH %s is refused", async (_what, options) => {
    const { port } = await startBroker(USERS);
    const scram = new ScramClient("ann", "ann's");
    using client = await begin(port, scram);
    await sendAuth(client, scram.last(await challenge(client)), options);
    expect((await refused(client)).reasonCode).toBe(0x82);
  });

  it("an AUTH that nobody asked for is refused", async () => {
    const { port } = await startBroker(USERS);
    const scram = new ScramClient("ann", "ann's");
    using client = await MqttWire.open(port);
    const properties = { authenticationMethod: METHOD, authenticationData: scram.first() };
    const hello = client.encode({ cmd: "connect", protocolVersion: 5, clientId: "c", clean: true, properties });
    const auth = client.encode({ cmd: "auth", reasonCode: 0x18, properties });
    await client.wire.send(Buffer.concat([hello, auth]));
    expect((await refused(client)).reasonCode).toBe(0x82);
  });

  it("a packet may not be longer than a CONNECT", async () => {
    const { port } = await startBroker([...USERS, "mqtt.max_connect_bytes=1000"]);
    using client = await begin(port, new ScramClient("ann", "ann's"));
    await challenge(client);
    await sendAuth(client, Buffer.alloc(1000, "x"));
    const { reasonCode, properties } = await refused(client);
    expect(reasonCode).toBe(0x95);
    expect(properties?.reasonString).toMatch(/1000 are allowed \(mqtt\.max_connect_bytes\)/);
  });

  it("time is limited", async () => {
    const clock = new LeapingClock();
    const { port } = await startBroker(USERS, { clock });
    using client = await begin(port, new ScramClient("ann", "ann's"));
    await challenge(client);
    clock.leap(10_000);
    const { reasonCode, properties } = await refused(client);
    expect(reasonCode).toBe(0x87);
    expect(properties?.reasonString).toBe("The authentication was not over after 10 s (mqtt.connect_timeout)");
  });

  it("the broker may stop", async () => {
    const broker = await startBroker(USERS);
    using client = await begin(broker.port, new ScramClient("ann", "ann's"));
    await challenge(client);
    const stopped = broker.stop();
    expect((await refused(client)).reasonCode).toBe(0x88);
    await stopped;
  });
});

describe("a connected client", () => {
  it("authenticates itself again, and again [MQTT-4.12.1-1]", async () => {
    const { port } = await startBroker(USERS);
    using client = await connect(port);
    for (let round = 0; round < 3; round++) {
      const scram = new ScramClient("ann", "ann's");
      await sendAuth(client, scram.first(), { reasonCode: 0x19 });
      await sendAuth(client, scram.last(await challenge(client)));
      const { reasonCode, properties } = await client.expect("auth");
      expect(reasonCode).toBe(0);
      expect(properties?.authenticationMethod).toBe(METHOD);
      expect(scram.trusts(properties?.authenticationData)).toBe(true);
    }
    await client.nothing();
  });

  it("goes on as it was while it does so", async () => {
    const { port } = await startBroker(USERS);
    using client = await connect(port);
    await client.subscribe("t", { qos: 1 });
    const scram = new ScramClient("ann", "ann's");
    await sendAuth(client, scram.first(), { reasonCode: 0x19 });
    const last = scram.last(await challenge(client));
    await client.nothing();
    const id = await client.sendPublish("t", "during", { qos: 1 });
    const came = [await client.next(), await client.next()];
    expect(came.map(({ cmd }) => cmd).sort()).toEqual(["puback", "publish"]);
    expect(came.find(({ cmd }) => cmd === "puback")).toMatchObject({ messageId: id });
    for (const packet of came) if (packet.cmd === "publish") await client.acknowledge("puback", packet.messageId);
    await client.subscribe("u");
    await sendAuth(client, last);
    expect((await client.expect("auth")).reasonCode).toBe(0);
    await client.sendPublish("u", "after");
    await client.message("after");
  });

  it("loses no message at the moment of its new login", async () => {
    const { port } = await startBroker(USERS);
    using client = await connect(port);
    using publisher = await MqttWire.connect(port, { clientId: "p" });
    await client.subscribe("t");
    const scram = new ScramClient("ann", "ann's");
    const bodies: string[] = [];
    const total = 300;
    const publishing = (async () => {
      for (let n = 0; n < total; n++) await publisher.sendPublish("t", String(n));
    })();
    await sendAuth(client, scram.first(), { reasonCode: 0x19 });
    let accepted = false;
    while (!accepted || bodies.length < total) {
      const packet = await client.next();
      if (packet.cmd === "publish") bodies.push(packet.payload.toString());
      else if (packet.cmd !== "auth") throw new Error(`A ${packet.cmd}`);
      else if (packet.reasonCode === 0) accepted = true;
      else await sendAuth(client, scram.last(packet.properties?.authenticationData));
    }
    await publishing;
    expect(bodies).toEqual(Array.from({ length: total }, (_, n) => String(n)));
  });

  it.each([
    ["with a wrong password", "ann", "bob's", 0x87],
    ["as an unknown user", "nobody", "x", 0x87],
    ["as somebody else", "bob", "bob's", 0x87],
  ])(
    "that fails to do so %s is disconnected, and its will is sent [MQTT-4.12.1-2]",
    async (_what, user, password, code) => {
      const { port } = await startBroker(USERS);
      using heir = await MqttWire.connect(port, { clientId: "h" });
      await heir.subscribe("w");
      using client = await connect(port, ["ann", "ann's"], {
        will: { topic: "w", payload: Buffer.from("gone"), qos: 0, retain: false },
      });
      const scram = new ScramClient(user, password);
      await sendAuth(client, scram.first(), { reasonCode: 0x19 });
      await sendAuth(client, scram.last(await challenge(client)));
      expect(await client.dismissed()).toBe(code);
      await heir.message("gone");
    },
  );

  it("has to use the method it connected with [MQTT-4.12.1-1]", async () => {
    const { port } = await startBroker(USERS);
    using client = await connect(port);
    await sendAuth(client, undefined, { reasonCode: 0x19, method: "SCRAM-SHA-512" });
    expect(await client.dismissed()).toBe(0x82);
  });

  it("may not begin twice at a time", async () => {
    const { port } = await startBroker(USERS);
    using client = await connect(port);
    const scram = new ScramClient("ann", "ann's");
    await sendAuth(client, scram.first(), { reasonCode: 0x19 });
    await challenge(client);
    await sendAuth(client, scram.first(), { reasonCode: 0x19 });
    expect(await client.dismissed()).toBe(0x82);
  });

  it("may not go on with what has not begun", async () => {
    const { port } = await startBroker(USERS);
    using client = await connect(port);
    await sendAuth(client, Buffer.from("x"));
    expect(await client.dismissed()).toBe(0x82);
  });

  it("may not take for ever", async () => {
    const clock = new LeapingClock();
    const { port } = await startBroker(USERS, { clock });
    using client = await connect(port);
    await sendAuth(client, new ScramClient("ann", "ann's").first(), { reasonCode: 0x19 });
    await challenge(client);
    clock.leap(10_000);
    expect(await client.dismissed()).toBe(0x87);
  });

  it("is left in peace once it has done so", async () => {
    const clock = new LeapingClock();
    const { port } = await startBroker(USERS, { clock });
    using client = await connect(port);
    clock.leap(60_000);
    await client.nothing();
  });

  it("that named no method may not send AUTH, and is sent none [MQTT-4.12.0-6] [MQTT-4.12.0-7]", async () => {
    const { port } = await startBroker(USERS);
    using client = await MqttWire.connect(port, { clientId: "c" });
    expect(client.connack.properties?.authenticationMethod).toBeUndefined();
    await sendAuth(client, undefined, { reasonCode: 0x19 });
    expect(await client.dismissed()).toBe(0x82);
  });
});
