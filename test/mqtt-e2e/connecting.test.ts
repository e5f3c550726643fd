import { describe, expect, it } from "vitest";
import { startBroker } from "../support/broker.ts";
import { eventually } from "../support/eventually.ts";
import { LeapingClock } from "../support/leaping-clock.ts";
import { hex, MqttWire } from "../support/mqtt-wire.ts";

describe.each([3, 4, 5] as const)("a CONNECT of level %s", (version) => {
  it("is answered by a CONNACK, which is the first packet [MQTT-3.1.4-5] [MQTT-3.2.0-1] [MQTT-3.2.2-1] mqtt311 [MQTT-3.1.4-4] mqtt311 [MQTT-3.2.0-1]", async () => {
    const { port } = await startBroker();
    using client = await MqttWire.open(port, version);
    await client.sendConnect({ version, clientId: "c1" });
    const { bytes } = await client.expect("connack");
    expect(bytes.subarray(0, 1).toString("hex")).toBe("20");
    expect(bytes.subarray(2, 4).toString("hex")).toBe("0000");
  });

  it("is answered once only [MQTT-3.2.0-2]", async () => {
    const { port } = await startBroker();
    using client = await MqttWire.connect(port, { version, clientId: "c1" });
    await client.nothing();
    await client.subscribe("a");
    await client.nothing();
  });

  it("that comes a second time ends the connection [MQTT-3.1.0-2] mqtt311 [MQTT-3.1.0-2]", async () => {
    const { port } = await startBroker();
    using client = await MqttWire.connect(port, { version, clientId: "c1" });
    await client.sendConnect({ version, clientId: "c1" });
    expect(await client.dismissed()).toBe(version === 5 ? 0x82 : undefined);
  });

  it("may have a client identifier of 1 to 23 letters and digits [MQTT-3.1.3-5] mqtt311 [MQTT-3.1.3-5]", async () => {
    const { port } = await startBroker();
    for (const clientId of ["0", "Z", "0123456789abcdefghijklm", "nopqrstuvwxyzABCDEFGHIJ", "KLMNOPQRSTUVWXYZ"]) {
      using client = await MqttWire.connect(port, { version, clientId });
      await client.nothing();
    }
  });

  it("that is malformed is not followed by anything but a refusal, and what comes behind it is not done [MQTT-3.1.4-1] [MQTT-3.1.4-6] mqtt311 [MQTT-3.1.4-1] mqtt311 [MQTT-3.1.4-5]", async () => {
    const { port } = await startBroker();
    using subscriber = await MqttWire.connect(port, { clientId: "s" });
    await subscriber.subscribe("t");
    using client = await MqttWire.open(port, version);
    const connect = client.encode({
      cmd: "connect",
      protocolId: version === 3 ? "MQIsdp" : "MQTT",
      protocolVersion: version,
      clientId: "c1",
    });
    // The reserved flag [MQTT-3.1.2-3].
    const flagsAt = 2 + (version === 3 ? 8 : 6) + 1;
    connect[flagsAt] = (connect[flagsAt] ?? 0) | 1;
    const publish = client.encode({ cmd: "publish", topic: "t", payload: "x", qos: 0, dup: false, retain: false });
    await client.wire.send(Buffer.concat([connect, publish]));
    client.wire.finish();
    const answer = await client.wire.closed();
    if (version === 5) {
      expect(answer.subarray(0, 1).toString("hex")).toBe("20");
      expect(answer.subarray(2, 4).toString("hex")).toBe("0081");
    } else {
      expect(answer.length).toBe(0);
    }
    await subscriber.nothing();
  });
});

describe("CONNECT", () => {
  it("has to be the first packet [MQTT-3.1.0-1] mqtt311 [MQTT-3.1.0-1]", async () => {
    const { port } = await startBroker();
    for (const version of [4, 5] as const) {
      using client = await MqttWire.open(port, version);
      await client.send({ cmd: "pingreq" });
      client.wire.finish();
      expect((await client.wire.closed()).length).toBe(0);
    }
  });

  it("of an unknown level is refused as the version of that level may understand, and the connection closed [MQTT-3.1.2-2] mqtt311 [MQTT-3.1.2-2] mqtt311 [MQTT-3.2.2-5]", async () => {
    const { port } = await startBroker();
    for (const level of ["03", "06", "80", "ff"]) {
      using client = await MqttWire.open(port);
      await client.sendHex(`10 0e 0004'MQTT' ${level} 02 000a 0002'c1'`);
      client.wire.finish();
      const answer = await client.wire.closed();
      expect([hex("20 02 00 01"), hex("20 03 00 84 00")].some((refusal) => answer.equals(refusal))).toBe(true);
    }
  });

  it("of another protocol is not accepted [MQTT-3.1.2-1] mqtt311 [MQTT-3.1.2-1]", async () => {
    const { port } = await startBroker();
    for (const name of ["mqtt", "MQTX", "AMQP"]) {
      using client = await MqttWire.open(port);
      await client.sendHex(`10 0e 0004'${name}' 04 02 000a 0002'c1'`);
      client.wire.finish();
      const answer = await client.wire.closed();
      expect(answer.length === 0 || answer[3] !== 0).toBe(true);
    }
  });

  it.each([
    ["the reserved flag [MQTT-3.1.2-3] mqtt311 [MQTT-3.1.2-3]", "03 000a", ""],
    ["a will QoS without a will [MQTT-3.1.2-11] mqtt311 [MQTT-3.1.2-11] mqtt311 [MQTT-3.1.2-13]", "0a 000a", ""],
    [
      "a will retain flag without a will [MQTT-3.1.2-13] mqtt311 [MQTT-3.1.2-11] mqtt311 [MQTT-3.1.2-15]",
      "22 000a",
      "",
    ],
    ["will QoS 3 [MQTT-3.1.2-12] mqtt311 [MQTT-3.1.2-14]", "1e 000a", "WILL"],
    ["a will flag and no will [MQTT-3.1.2-9] mqtt311 [MQTT-3.1.2-9]", "06 000a", ""],
    ["a user name flag and no user name [MQTT-3.1.2-17] mqtt311 [MQTT-3.1.2-19]", "82 000a", ""],
    ["a user name without its flag [MQTT-3.1.2-16] mqtt311 [MQTT-3.1.2-18]", "02 000a", "0001'u'"],
    ["a password flag and no password [MQTT-3.1.2-19] mqtt311 [MQTT-3.1.2-21]", "c2 000a", "0001'u'"],
    ["a password without its flag [MQTT-3.1.2-18] mqtt311 [MQTT-3.1.2-20]", "82 000a", "0001'u' 0001'p'"],
  ])("with %s is refused", async (_what, flags, rest) => {
    const { port } = await startBroker();
    for (const version of [4, 5] as const) {
      using client = await MqttWire.open(port, version);
      const empty = version === 5 ? "00" : "";
      const fields = rest.replace("WILL", `${empty} 0001'w' 0001'm'`);
      const body = hex(`0004'MQTT' 0${version} ${flags} ${empty} 0002'c1' ${fields}`);
      await client.wire.send(Buffer.concat([Buffer.from([0x10, body.length]), body]));
      client.wire.finish();
      const answer = await client.wire.closed();
      if (version === 4) expect(answer.length).toBe(0);
      else expect(answer.subarray(2, 4).toString("hex")).toBe("0081");
    }
  });

  it("of 3.1.1 with a password and no user name is not accepted mqtt311 [MQTT-3.1.2-22]", async () => {
    const { port } = await startBroker();
    using client = await MqttWire.open(port, 4);
    await client.sendHex("10 11 0004'MQTT' 04 42 000a 0002'c1' 0001'p'");
    client.wire.finish();
    expect((await client.wire.closed()).length).toBe(0);
  });

  it("of 5.0 may have a password and no user name: that is a matter of the login", async () => {
    const { port } = await startBroker();
    using client = await MqttWire.open(port, 5);
    await client.sendHex("10 12 0004'MQTT' 05 42 000a 00 0002'c1' 0001'p'");
    expect((await client.expect("connack")).reasonCode).toBe(0x86);
  });

  it.each([
    ["the client identifier [MQTT-3.1.3-4] mqtt311 [MQTT-3.1.3-4]", "02 000a PROPS 0002 c328"],
    ["the user name [MQTT-3.1.3-12] mqtt311 [MQTT-3.1.3-11]", "82 000a PROPS 0001'c' 0002 c328"],
    ["the will topic [MQTT-3.1.3-11] mqtt311 [MQTT-3.1.3-10]", "06 000a PROPS 0001'c' PROPS 0002 c328 0000"],
  ])("is refused when %s is not UTF-8", async (_what, fields) => {
    const { port } = await startBroker();
    for (const version of [4, 5] as const) {
      using client = await MqttWire.open(port, version);
      const body = hex(`0004'MQTT' 0${version} ${fields.replaceAll("PROPS", version === 5 ? "00" : "")}`);
      await client.wire.send(Buffer.concat([Buffer.from([0x10, body.length]), body]));
      client.wire.finish();
      const answer = await client.wire.closed();
      if (version === 4) expect(answer.length).toBe(0);
      else expect(answer.subarray(2, 4).toString("hex")).toBe("0081");
    }
  });

  it("without a client identifier field is not accepted [MQTT-3.1.3-3] mqtt311 [MQTT-3.1.3-3]", async () => {
    const { port } = await startBroker();
    using client = await MqttWire.open(port, 4);
    await client.sendHex("10 0a 0004'MQTT' 04 02 000a");
    client.wire.finish();
    expect((await client.wire.closed()).length).toBe(0);
  });

  it.each([4, 5] as const)(
    "with an empty client identifier gets one of its own, level %s [MQTT-3.1.3-6] [MQTT-3.1.3-7] [MQTT-3.2.2-16] mqtt311 [MQTT-3.1.3-6]",
    async (version) => {
      const { port, server } = await startBroker();
      using one = await MqttWire.connect(port, { version, clientId: "" });
      using two = await MqttWire.connect(port, { version, clientId: "" });
      await one.nothing();
      await two.nothing();
      const ids = [...(server.broker.host(undefined)?.sessions.list() ?? [])].map(({ id }) => id.slice("mqtt/".length));
      expect(new Set(ids).size).toBe(2);
      if (version === 4) return;
      expect(new Set([one, two].map(({ connack }) => connack.properties?.assignedClientIdentifier))).toEqual(
        new Set(ids),
      );
    },
  );

  it("of 3.1.1 with an empty client identifier and a kept session is refused with 2 mqtt311 [MQTT-3.1.3-7] mqtt311 [MQTT-3.1.3-8] mqtt311 [MQTT-3.2.2-4]", async () => {
    const { port } = await startBroker();
    using client = await MqttWire.open(port, 4);
    await client.sendHex("10 0c 0004'MQTT' 04 00 000a 0000");
    client.wire.finish();
    expect((await client.wire.closed()).toString("hex")).toBe("20020002");
  });

  it("with a client identifier that is too long is refused in the words of the version [MQTT-3.1.3-8] [MQTT-3.2.2-6] [MQTT-3.2.2-7] mqtt311 [MQTT-3.1.3-9]", async () => {
    const { port } = await startBroker();
    for (const version of [4, 5] as const) {
      using client = await MqttWire.open(port, version);
      await client.sendConnect({ version, clientId: "x".repeat(300) });
      const { returnCode, reasonCode, sessionPresent } = await client.expect("connack");
      expect(version === 5 ? reasonCode : returnCode).toBe(version === 5 ? 0x85 : 2);
      expect(sessionPresent).toBe(false);
      client.wire.finish();
      expect((await client.wire.closed()).length).toBe(0);
    }
  });

  it("with a wrong password is refused with 134, or 4 [MQTT-3.2.2-8] [MQTT-3.1.4-2] mqtt311 [MQTT-3.2.2-6]", async () => {
    const { port } = await startBroker(["security.users.ann.password=secret"]);
    for (const version of [3, 4, 5] as const) {
      using client = await MqttWire.open(port, version);
      await client.sendConnect({ version, clientId: "c", username: "ann", password: "guess" });
      const { returnCode, reasonCode } = await client.expect("connack");
      expect(version === 5 ? reasonCode : returnCode).toBe(version === 5 ? 0x86 : 4);
      client.wire.finish();
      await client.wire.closed();
      using right = await MqttWire.connect(port, { version, clientId: "c", username: "ann", password: "secret" });
      await right.nothing();
    }
  });

  it("with a will for a topic that cannot be published to is refused with CONNACK, not with DISCONNECT [MQTT-3.14.0-1]", async () => {
    const { port } = await startBroker();
    for (const version of [4, 5] as const) {
      using client = await MqttWire.open(port, version);
      await client.sendConnect({ version, clientId: "c", will: { topic: "$share/g/t", payload: "x" } });
      if (version === 5) expect((await client.expect("connack")).reasonCode).toBe(0x90);
      client.wire.finish();
      expect((await client.wire.closed()).length).toBe(0);
    }
  });

  it("with an authentication method that is not known is refused with 140", async () => {
    const { port } = await startBroker();
    using client = await MqttWire.open(port);
    await client.sendConnect({ clientId: "c", properties: { authenticationMethod: "NONE-SUCH" } });
    expect((await client.expect("connack")).reasonCode).toBe(0x8c);
    client.wire.finish();
    await client.wire.closed();
  });

  it("that asks for no problem information gets no reason string and no user properties but where it may [MQTT-3.1.2-29]", async () => {
    const { port } = await startBroker();
    using client = await MqttWire.connect(port, { clientId: "c", properties: { requestProblemInformation: false } });
    await client.send({ cmd: "subscribe", messageId: 1, subscriptions: [{ topic: "a/#/b", qos: 0 }] });
    const suback = await client.expect("suback");
    expect(suback.granted).toEqual([0x8f]);
    expect(suback.properties ?? {}).toEqual({});
    await client.send({ cmd: "pubrel", messageId: 99 });
    const pubcomp = await client.expect("pubcomp");
    expect(pubcomp.properties ?? {}).toEqual({});
  });

  it("that does not ask for response information gets none [MQTT-3.1.2-28]", async () => {
    const { port } = await startBroker();
    using client = await MqttWire.connect(port, { clientId: "c" });
    expect(client.connack.properties?.responseInformation).toBeUndefined();
  });
});

describe("a client that does not wait for CONNACK", () => {
  it.each([3, 4, 5] as const)(
    "is served in order once it is accepted, level %s [MQTT-3.2.0-1] mqtt311 [MQTT-3.2.0-1]",
    async (version) => {
      const { port } = await startBroker();
      using client = await MqttWire.open(port, version);
      void client.sendConnect({ clientId: "c" });
      void client.send({ cmd: "subscribe", messageId: 1, subscriptions: [{ topic: "a", qos: 1 }] });
      void client.sendPublish("a", "x", { qos: 1, messageId: 2 });
      await client.expect("connack");
      await client.expect("suback");
      const packets = [await client.next(), await client.next()];
      expect(packets.map(({ cmd }) => cmd).sort()).toEqual(["puback", "publish"]);
    },
  );

  it("of many with one client identifier leaves one connected [MQTT-3.1.4-3] [MQTT-3.14.0-1] mqtt311 [MQTT-3.1.4-2]", async () => {
    const { port, server } = await startBroker();
    for (const version of [4, 5] as const) {
      const clients = await Promise.all(Array.from({ length: 20 }, () => MqttWire.open(port, version)));
      for (const client of clients) void client.sendConnect({ clientId: "c" });
      const ends = await Promise.all(
        clients.map(async (client) => {
          const first = await client.next().catch(() => undefined);
          // Who was pushed out before it was accepted hears no DISCONNECT.
          if (first?.cmd !== "connack") return first === undefined ? "closed" : `${first.cmd} first`;
          const refused = version === 5 ? first.reasonCode : first.returnCode;
          if (refused !== 0) return "refused";
          await client.send({ cmd: "pingreq" }).catch(() => undefined);
          return client.next().then(
            ({ cmd }) => cmd,
            () => "closed",
          );
        }),
      );
      // One that answered PINGREQ may have been taken over after that.
      expect(ends.every((end) => ["pingresp", "disconnect", "refused", "closed"].includes(end))).toBe(true);
      expect(ends).toContain("pingresp");
      const sessions = [...(server.broker.host(undefined)?.sessions.list() ?? [])];
      expect(sessions.map(({ id, connected }) => [id, connected])).toEqual([["mqtt/c", true]]);
      for (const client of clients) client[Symbol.dispose]();
      await eventually(() => [...(server.broker.host(undefined)?.sessions.list() ?? [])].length === 0);
    }
  });
});

describe("the keep alive", () => {
  it.each([3, 4, 5] as const)(
    "of a silent client ends its connection after one and a half times, level %s [MQTT-3.1.2-22] [MQTT-3.2.2-22] mqtt311 [MQTT-3.1.2-24]",
    async (version) => {
      const clock = new LeapingClock();
      const { port } = await startBroker([], { clock });
      using client = await MqttWire.connect(port, { version, clientId: "c", keepalive: 60 });
      clock.leap(89_000);
      await client.nothing();
      clock.leap(89_000);
      await client.nothing();
      clock.leap(91_000);
      expect(await client.dismissed()).toBe(version === 5 ? 0x8d : undefined);
    },
  );

  it("of 0 never does", async () => {
    const clock = new LeapingClock();
    const { port } = await startBroker([], { clock });
    using client = await MqttWire.connect(port, { clientId: "c", keepalive: 0 });
    clock.leap(24 * 3_600_000);
    await client.nothing();
  });

  it("that the server wants instead is told and enforced [MQTT-3.1.2-21]", async () => {
    const clock = new LeapingClock();
    const { port } = await startBroker(["mqtt.max_keep_alive=10"], { clock });
    using client = await MqttWire.connect(port, { clientId: "c", keepalive: 600 });
    expect(client.connack.properties?.serverKeepAlive).toBe(10);
    clock.leap(16_000);
    expect(await client.dismissed()).toBe(0x8d);
    using none = await MqttWire.connect(port, { clientId: "c", keepalive: 0 });
    expect(none.connack.properties?.serverKeepAlive).toBe(10);
    using less = await MqttWire.connect(port, { clientId: "d", keepalive: 5 });
    expect(less.connack.properties?.serverKeepAlive).toBeUndefined();
  });

  it("is answered for by PINGRESP [MQTT-3.12.4-1] mqtt311 [MQTT-3.12.4-1]", async () => {
    const { port } = await startBroker();
    for (const version of [3, 4, 5] as const) {
      using client = await MqttWire.connect(port, { version, clientId: "c" });
      await client.send({ cmd: "pingreq" });
      expect((await client.next()).bytes.toString("hex")).toBe("d000");
    }
  });
});

describe("a client that says nothing", () => {
  it("is closed after the time for its CONNECT", async () => {
    const clock = new LeapingClock();
    const { port } = await startBroker([], { clock });
    using client = await MqttWire.open(port, 4);
    await client.sendHex("10 0e 0004'MQTT'");
    await eventually(async () => {
      clock.leap(15_000);
      client.wire.finish();
      expect((await client.wire.closed()).length).toBe(0);
    });
  });
});
