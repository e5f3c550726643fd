import { type Packet as Parsed, parser } from "mqtt-packet";
import { describe, expect, it } from "vitest";
import { PINGRESP_BYTES, writePingresp } from "../../protocols/mqtt/encode.ts";
import { connackReturnCode, REASON, type Version } from "../../protocols/mqtt/errors.ts";
import { encodeStatement, type Statement } from "../../protocols/mqtt/statement.ts";

function parse(bytes: Buffer | undefined, version: Version): Parsed {
  const packets: Parsed[] = [];
  const reader = parser({ protocolVersion: version });
  reader.on("packet", (packet) => packets.push(packet));
  reader.on("error", (error: unknown) => {
    throw error;
  });
  reader.parse(bytes ?? Buffer.alloc(0));
  const [packet] = packets;
  if (packet === undefined) throw new Error("no packet");
  return packet;
}

const connack = (code: number, properties = {}): Statement => ({
  type: "connack",
  sessionPresent: false,
  code,
  properties,
});

describe("what an MQTT server says", () => {
  it.each<[string, Statement, Version, string]>([
    ["a CONNACK of 3.1.1", { type: "connack", sessionPresent: true, code: 0 }, 4, "20020100"],
    ["a refusing CONNACK of 3.1", connack(5), 3, "20020005"],
    ["a CONNACK of 5.0 [MQTT-2.2.2-1]", connack(0), 5, "2003000000"],
    ["a CONNACK of 5.0 with flags", connack(0, { retainAvailable: 0, maximumQoS: 1 }), 5, "200700000424012500"],
    ["a SUBACK of 3.1.1", { type: "suback", packetId: 258, codes: [0, 2, 128] }, 4, "90050102000280"],
    [
      "a SUBACK of 5.0",
      { type: "suback", packetId: 1, codes: [0x8f], properties: { reasonString: "r" } },
      5,
      "90080001041f0001728f",
    ],
    ["an UNSUBACK of 3.1.1", { type: "unsuback", packetId: 1, codes: [0, 0] }, 4, "b0020001"],
    ["an UNSUBACK of 5.0", { type: "unsuback", packetId: 1, codes: [0, 0x11] }, 5, "b0050001000011"],
    ["a DISCONNECT of 5.0", { type: "disconnect", code: REASON.sessionTakenOver }, 5, "e0028e00"],
    ["an AUTH", { type: "auth", code: 0x18, properties: { authenticationMethod: "m" } }, 5, "f00618041500016d"],
  ])("%s", (_what, statement, version, bytes) => {
    expect(encodeStatement(statement, version)?.toString("hex")).toBe(bytes);
  });

  it("has all properties of a CONNACK", () => {
    const properties = {
      sessionExpiryInterval: 0,
      receiveMaximum: 10,
      maximumQoS: 1,
      retainAvailable: 1,
      maximumPacketSize: 1000,
      assignedClientIdentifier: "auto-1",
      topicAliasMaximum: 0,
      reasonString: "why",
      wildcardSubscriptionAvailable: 1,
      subscriptionIdentifiersAvailable: 0,
      sharedSubscriptionAvailable: 1,
      serverKeepAlive: 0,
      responseInformation: "info",
      serverReference: "other:1883",
      authenticationMethod: "SCRAM-SHA-256",
      authenticationData: Buffer.from([0, 255]),
    };
    const userProperties = [
      ["a", "1"],
      ["b", ""],
      ["a", "2"],
      ["__proto__", "x"],
    ] as const;
    const packet = parse(encodeStatement(connack(0, { ...properties, userProperties }), 5), 5);
    expect(packet).toMatchObject({
      cmd: "connack",
      reasonCode: 0,
      properties: {
        ...properties,
        retainAvailable: true,
        wildcardSubscriptionAvailable: true,
        subscriptionIdentifiersAvailable: false,
        sharedSubscriptionAvailable: true,
        userProperties: { a: ["1", "2"], b: "" },
      },
    });
    expect(JSON.stringify(packet)).toContain('"__proto__":"x"');
  });

  it("leaves out reason string and user properties where the packet would be too large [MQTT-3.2.2-19] [MQTT-3.2.2-20]", () => {
    const properties = { reasonString: "x".repeat(50), userProperties: [["k", "v"]], receiveMaximum: 10 } as const;
    const whole = encodeStatement(connack(0, properties), 5);
    expect(encodeStatement(connack(0, properties), 5, whole?.length)).toEqual(whole);
    const short = encodeStatement(connack(0, properties), 5, (whole?.length ?? 0) - 1);
    expect(parse(short, 5)).toMatchObject({ properties: { receiveMaximum: 10 } });
    expect(short?.length).toBe(8);
    expect(encodeStatement(connack(0, properties), 5, 8)).toEqual(short);
  });

  it("says nothing where even that is too large [MQTT-3.1.2-24]", () => {
    expect(encodeStatement(connack(0, { receiveMaximum: 10 }), 5, 7)).toBeUndefined();
  });

  it("answers a PINGREQ", () => {
    const target = Buffer.alloc(4);
    expect(writePingresp(target, 1)).toBe(1 + PINGRESP_BYTES);
    expect(target.toString("hex")).toBe("00d00000");
  });

  it("has a return code of 3.1.1 for what it refuses with CONNACK, and none for what is a breach of the protocol", () => {
    expect(connackReturnCode(REASON.unsupportedProtocolVersion)).toBe(1);
    expect(connackReturnCode(REASON.clientIdentifierNotValid)).toBe(2);
    expect(connackReturnCode(REASON.serverUnavailable)).toBe(3);
    expect(connackReturnCode(REASON.badUserNameOrPassword)).toBe(4);
    expect(connackReturnCode(REASON.notAuthorized)).toBe(5);
    expect(connackReturnCode(REASON.malformedPacket)).toBeUndefined();
  });
});
