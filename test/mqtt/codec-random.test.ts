import { isUtf8 } from "node:buffer";
import * as fc from "fast-check";
import { generate, type IPublishPacket, type Packet as Parsed, parser } from "mqtt-packet";
import { describe, expect, it } from "vitest";
import { isText, readVarint, varintSize, writeVarint } from "../../protocols/mqtt/bytes.ts";
import { Decoder } from "../../protocols/mqtt/codec.ts";
import {
  ackSize,
  type Outgoing,
  publishSize,
  writeAck,
  writePublish,
  writePublishHead,
} from "../../protocols/mqtt/encode.ts";
import { MqttError, type Version } from "../../protocols/mqtt/errors.ts";
import type { AckType } from "../../protocols/mqtt/packet.ts";
import { PropertyBlock } from "../../protocols/mqtt/properties.ts";
import { PLACE, PROPERTIES, type PropertyKind } from "../../protocols/mqtt/property-names.ts";
import { encodeProperties, type Properties, propertiesSize } from "../../protocols/mqtt/property-writer.ts";
import { ACK_ROWS, bytesOf, CONNECT_ROWS, CONTROL_ROWS, PUBLISH_ROWS } from "./codec-table.ts";
import { embedded, LIMITS, pieces, type Read, readPackets, shownProperties } from "./reading.ts";

const versions = fc.constantFrom<Version>(3, 4, 5);
const text = fc.string({ maxLength: 20, unit: "binary" }).map((each) => each.replaceAll("\0", "0"));
const topic = text.map((each) => each.replace(/[+#]/g, "/") || "t");
const bytes = fc.uint8Array({ maxLength: 60 }).map((each) => Buffer.from(each));
const u32 = fc.nat(0xffff_ffff);
const flag = fc.nat(1);
const pairs = fc.array(fc.tuple(text, text), { minLength: 1, maxLength: 4 });

/** What a client may put on a PUBLISH. */
const messageProperties = fc.record(
  {
    payloadFormatIndicator: flag,
    messageExpiryInterval: u32,
    contentType: text,
    responseTopic: topic,
    correlationData: bytes,
    topicAlias: fc.integer({ min: 1, max: 65535 }),
    userProperties: pairs,
  },
  { requiredKeys: [] },
);
const answerProperties = fc.record({ reasonString: text, userProperties: pairs }, { requiredKeys: [] });

const message = fc.record({
  topic,
  payload: fc.oneof(
    bytes,
    fc.constantFrom(0, 110, 120, 130, 16_300, 16_400).map((size) => Buffer.alloc(size, "x")),
  ),
  qos: fc.constantFrom<0 | 1 | 2>(0, 1, 2),
  packetId: fc.integer({ min: 1, max: 65535 }),
  dup: fc.boolean(),
  retain: fc.boolean(),
  properties: messageProperties,
});
type Message = Omit<typeof message extends fc.Arbitrary<infer T> ? T : never, "properties"> & {
  properties: Properties;
};

function outgoing(from: Message, version: Version, properties: Properties = from.properties): Outgoing {
  const name = embedded(Buffer.from(from.topic));
  const block = version === 5 ? encodeProperties(properties) : Buffer.alloc(0);
  return {
    ...from,
    version,
    topic: name,
    topicStart: 0,
    topicEnd: name.length,
    properties: block,
    propertiesStart: 0,
    propertiesEnd: block.length,
    payloadStart: 0,
    payloadEnd: from.payload.length,
  };
}

function written(publish: Outgoing): Buffer {
  const target = Buffer.alloc(publishSize(publish) + 20, 0xee);
  const end = writePublish(target, 7, publish);
  expect(end - 7).toBe(publishSize(publish));
  return target.subarray(7, end);
}

/** What the decoder should say of a message. */
function expected(from: Message, version: Version): Read {
  const { topic: name, payload, qos, packetId, dup, retain, properties } = from;
  const shown = shownOf(properties);
  return {
    type: "publish",
    topic: name,
    payload: payload.toString("latin1"),
    qos,
    ...(qos > 0 ? { packetId } : {}),
    ...(dup && qos > 0 ? { dup } : {}),
    ...(retain ? { retain } : {}),
    ...(version === 5 && Object.keys(shown).length > 0 ? { properties: shown } : {}),
  };
}

/** Properties as `reading.ts` shows them. */
function shownOf(properties: Properties): Read {
  return Object.fromEntries(
    Object.entries(properties)
      .filter(([, value]) => value !== undefined)
      .map(([name, value]) => [name, Buffer.isBuffer(value) ? value.toString("latin1") : value]),
  );
}

/** Properties as `mqtt-packet` has them: flags as booleans, user properties by name, one value not in a list. */
function theirs(properties: Properties): Record<string, unknown> {
  const shown: Record<string, unknown> = {};
  for (const { name, kind, most } of PROPERTIES) {
    const value = properties[name];
    if (value === undefined) continue;
    if (name === "userProperties") shown[name] = grouped(properties.userProperties ?? []);
    else shown[name] = kind === "byte" && most === 1 && name !== "maximumQoS" ? value === 1 : value;
  }
  return shown;
}

function grouped(list: readonly (readonly [string, string])[]): Record<string, string | string[]> {
  const byName: Record<string, string | string[]> = {};
  for (const [name, value] of list) {
    const before = Object.hasOwn(byName, name) ? byName[name] : undefined;
    const all = before === undefined ? value : Array.isArray(before) ? [...before, value] : [before, value];
    Object.defineProperty(byName, name, { value: all, enumerable: true, configurable: true, writable: true });
  }
  return byName;
}

/** `mqtt-packet` loses the order of user properties, and takes the first empty value of a name for none. */
function sayableToThem(properties: Properties): Properties {
  const list = properties.userProperties?.map(([name, value], i): [string, string] => [`${i}k${name}`, value]);
  return list === undefined ? properties : { ...properties, userProperties: list };
}

function parseTheirs(packet: Buffer, version: Version): Parsed {
  const reader = parser({ protocolVersion: version });
  const packets: Parsed[] = [];
  reader.on("packet", (each) => packets.push(each));
  reader.on("error", (error: unknown) => {
    throw error;
  });
  reader.parse(packet);
  const [first] = packets;
  if (first === undefined || packets.length > 1) throw new Error(`${packets.length} packets`);
  return first;
}

function publishOf(from: Message, properties: Properties, version: Version): IPublishPacket {
  const packet: IPublishPacket = {
    cmd: "publish",
    topic: from.topic,
    payload: from.payload,
    qos: from.qos,
    dup: from.dup && from.qos > 0,
    retain: from.retain,
    messageId: from.packetId,
  };
  return version === 5 ? Object.assign(packet, { properties: theirs(properties) }) : packet;
}

const ACKS: readonly AckType[] = ["puback", "pubrec", "pubrel", "pubcomp"];
const ack = fc
  .record({
    type: fc.constantFrom(...ACKS),
    packetId: fc.integer({ min: 1, max: 65535 }),
    properties: answerProperties,
  })
  .chain((each) => {
    const received = each.type === "puback" || each.type === "pubrec";
    return fc.record({
      type: fc.constant(each.type),
      packetId: fc.constant(each.packetId),
      properties: fc.constant(each.properties),
      reasonCode: received ? fc.constantFrom(0, 16, 128, 131, 135, 144, 145, 151, 153) : fc.constantFrom(0, 146),
    });
  });
type Ack = Omit<typeof ack extends fc.Arbitrary<infer T> ? T : never, "properties"> & { properties: Properties };

function writtenAck({ type, packetId, reasonCode, properties }: Ack, version: Version): Buffer {
  const block = encodeProperties(properties);
  const target = Buffer.alloc(600, 0xee);
  const end = writeAck(target, 5, type, packetId, reasonCode, version, block);
  expect(end - 5).toBe(ackSize(reasonCode, version, block.length));
  return target.subarray(5, end);
}

describe("the MQTT codec beside mqtt-packet", () => {
  it("writes a PUBLISH as mqtt-packet does", () => {
    fc.assert(
      fc.property(message, versions, (from, version) => {
        const properties = sayableToThem(from.properties);
        const ours = written(outgoing(from, version, properties));
        const packet = publishOf(from, properties, version);
        expect(ours.equals(generate(packet, { protocolVersion: version }))).toBe(true);
      }),
      { numRuns: 500 },
    );
  });

  it("writes a PUBLISH that mqtt-packet reads, subscription identifiers too", () => {
    const identifiers = fc.array(fc.integer({ min: 1, max: 268_435_455 }), { maxLength: 4 });
    fc.assert(
      fc.property(message, versions, identifiers, (from, version, subscriptionIdentifier) => {
        const properties: Properties = { ...sayableToThem(from.properties), subscriptionIdentifier };
        const packet = parseTheirs(written(outgoing(from, version, properties)), version);
        if (packet.cmd !== "publish") throw new Error(packet.cmd);
        const [single] = subscriptionIdentifier;
        const few = subscriptionIdentifier.length > 1 ? subscriptionIdentifier : single;
        const wanted = theirs({ ...properties, subscriptionIdentifier: few });
        expect({ ...packet, payload: packet.payload.toString("latin1"), properties: plain(packet.properties) }).toEqual(
          expect.objectContaining({
            topic: from.topic,
            payload: from.payload.toString("latin1"),
            qos: from.qos,
            retain: from.retain,
            dup: from.dup && from.qos > 0,
            properties: plain(version === 5 ? wanted : {}),
          }),
        );
      }),
      { numRuns: 500 },
    );
  });

  it("reads a PUBLISH that mqtt-packet wrote", () => {
    fc.assert(
      fc.property(message, versions, (from, version) => {
        const properties = sayableToThem(from.properties);
        const packet = generate(publishOf(from, properties, version), { protocolVersion: version });
        expect(readPackets([embedded(packet)], version)).toEqual([expected({ ...from, properties }, version)]);
      }),
      { numRuns: 500 },
    );
  });

  it("writes PUBACK, PUBREC, PUBREL and PUBCOMP that mqtt-packet reads, and reads those that it writes", () => {
    fc.assert(
      fc.property(ack, versions, ({ properties, ...from }, version) => {
        const sayable = sayableToThem(properties);
        const ours = parseTheirs(writtenAck({ ...from, properties: sayable }, version), version);
        const { type, packetId, reasonCode } = from;
        expect(ours).toMatchObject({ cmd: type, messageId: packetId });
        const said = version === 5 ? { reasonCode, properties: plain(theirs(sayable)) } : { properties: {} };
        expect({ ...ours, properties: plain("properties" in ours ? ours.properties : {}) }).toMatchObject(said);
        const packet = { cmd: type, messageId: packetId, reasonCode, properties: theirs(sayable) };
        const bytesOfTheirs = generate(packet, { protocolVersion: version });
        const shown = shownOf(sayable);
        expect(readPackets([bytesOfTheirs], version)).toEqual([
          {
            type,
            packetId,
            reasonCode: version === 5 ? reasonCode : 0,
            ...(version === 5 && Object.keys(shown).length > 0 ? { properties: shown } : {}),
          },
        ]);
      }),
      { numRuns: 500 },
    );
  });

  it("never takes a mutated PUBLISH or answer for something else than mqtt-packet does", () => {
    const valid = fc.oneof(
      fc.tuple(message, versions).map(([from, version]) => ({ packet: written(outgoing(from, version)), version })),
      fc.tuple(ack, versions).map(([from, version]) => ({ packet: writtenAck(from, version), version })),
    );
    const mutations = fc.array(fc.tuple(fc.nat(80), fc.nat(255)), { minLength: 1, maxLength: 3 });
    let read = 0;
    fc.assert(
      fc.property(valid, mutations, ({ packet: whole, version }, changes) => {
        const packet = Buffer.from(whole);
        for (const [at, byte] of changes) if (at !== 1 && at < packet.length) packet[at] = byte;
        const decoder = new Decoder(LIMITS);
        decoder.agree(version);
        decoder.feed(packet);
        const ours = attempt(() => decoder.next());
        if (ours === undefined || ours.type === "control" || ours.type === "pingreq") return;
        read++;
        const same = Buffer.from(packet.subarray(0, ours.end));
        // mqtt31 2.1: it may have DUP, which `mqtt-packet` does not know.
        if (version === 3 && ours.type === "pubrel") same[0] = Number(same[0]) & ~8;
        const other = parseTheirs(same, version);
        expect(other.cmd).toBe(ours.type);
        if (other.cmd !== "publish") {
          expect(other.messageId).toBe(ours.packetId);
          return;
        }
        expect(other.topic).toBe(ours.data.toString("utf8", ours.topicStart, ours.topicEnd));
        expect(other.payload.toString("latin1")).toBe(ours.data.toString("latin1", ours.payloadStart, ours.payloadEnd));
        const names = Object.keys(shownProperties(ours.properties)).toSorted();
        expect(Object.keys(other.properties ?? {}).toSorted()).toEqual(names);
      }),
      { numRuns: 1000 },
    );
    expect(read).toBeGreaterThan(100);
  });
});

/** A comparable form: null prototypes and bytes of any kind made plain. */
function plain(value: object | undefined): unknown {
  return JSON.parse(
    JSON.stringify(value ?? {}, (_name, each: unknown) =>
      Array.isArray(each) && each.length === 0 ? undefined : each,
    ),
  );
}

function attempt<T>(what: () => T): T | undefined {
  try {
    return what();
  } catch (error) {
    expect(error).toBeInstanceOf(MqttError);
    return undefined;
  }
}

describe("the MQTT codec, with anything", () => {
  it("gives back what it wrote, however it is cut", () => {
    const anything = fc.array(
      fc.oneof(
        message.map((from) => ({ from })),
        ack.map((answer) => ({ answer })),
      ),
      {
        maxLength: 8,
      },
    );
    fc.assert(
      fc.property(anything, versions, fc.array(fc.nat(300)), (all, version, cuts) => {
        const wanted: Read[] = [];
        const parts: Buffer[] = [];
        for (const each of all) {
          if ("from" in each) {
            wanted.push(expected(each.from, version));
            parts.push(written(outgoing(each.from, version)));
          } else {
            const { type, packetId, reasonCode } = each.answer;
            const properties = shownOf(each.answer.properties);
            wanted.push({
              type,
              packetId,
              reasonCode: version === 5 ? reasonCode : 0,
              ...(version === 5 && Object.keys(properties).length > 0 ? { properties } : {}),
            });
            parts.push(writtenAck(each.answer, version));
          }
        }
        const stream = Buffer.concat(parts);
        const chunks: Buffer[] = [];
        let at = 0;
        for (const cut of cuts) {
          chunks.push(embedded(stream.subarray(at, at + cut)));
          at += cut;
        }
        chunks.push(embedded(stream.subarray(at)));
        expect(readPackets(chunks, version)).toEqual(wanted);
      }),
      { numRuns: 300 },
    );
  });

  it("writes the head of a PUBLISH whose payload follows by reference", () => {
    fc.assert(
      fc.property(message, versions, (from, version) => {
        const publish = outgoing(from, version);
        const target = Buffer.alloc(publishSize(publish));
        const end = writePublishHead(target, 0, publish);
        expect(Buffer.concat([target.subarray(0, end), from.payload]).equals(written(publish))).toBe(true);
      }),
    );
  });

  it("meets mutated packets with a MqttError or with packets", () => {
    const rows = [...CONNECT_ROWS, ...PUBLISH_ROWS, ...ACK_ROWS, ...CONTROL_ROWS].filter((row) => row.packets);
    const mutation = fc.array(fc.tuple(fc.nat(100), fc.nat(255)), { minLength: 1, maxLength: 5 });
    fc.assert(
      fc.property(
        fc.constantFrom(...rows),
        mutation,
        versions,
        fc.integer({ min: 1, max: 40 }),
        (row, changes, version, size) => {
          const packet = bytesOf(row);
          for (const [at, byte] of changes) if (at < packet.length) packet[at] = byte;
          attempt(() => readPackets(pieces(packet, size), row.version === undefined ? undefined : version));
        },
      ),
      { numRuns: 3000 },
    );
  });

  it("meets random bytes with a MqttError or with packets, and takes none that is larger than its limits", () => {
    const limits = { maxPacketBytes: 300, maxConnectBytes: 100 };
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 500 }), fc.option(versions), (random, version) => {
        const decoder = new Decoder(limits);
        if (version !== null) decoder.agree(version);
        decoder.feed(Buffer.from(random));
        attempt(() => {
          for (let packet = decoder.next(); packet !== undefined; packet = decoder.next()) {
            expect(packet.end - packet.start).toBeLessThanOrEqual(version === null ? 100 : 300);
          }
        });
      }),
      { numRuns: 2000 },
    );
  });
});

const MOST: Partial<Record<PropertyKind, number>> = { byte: 255, u16: 65_535, u32: 0xffff_ffff };

describe("MQTT properties", () => {
  it("are read as they were written, each of them [MQTT-3.3.2-18]", () => {
    const all = fc.record(
      Object.fromEntries(
        PROPERTIES.map((rule) => {
          const most = Math.min(rule.most, MOST[rule.kind] ?? 268_435_455);
          const number = fc.integer({ min: rule.least, max: most });
          if (rule.name === "subscriptionIdentifier")
            return [rule.name, fc.array(number, { minLength: 1, maxLength: 3 })];
          if (rule.name === "responseTopic") return [rule.name, topic];
          if (rule.kind === "pair") return [rule.name, pairs];
          return [rule.name, rule.kind === "utf8" ? text : rule.kind === "binary" ? bytes : number];
        }),
      ),

      { requiredKeys: [] },
    );
    fc.assert(
      fc.property(all, (properties: Properties) => {
        for (const [, place] of Object.entries(PLACE)) {
          const here: Properties = Object.fromEntries(
            Object.entries(properties)
              .filter(([name]) => PROPERTIES.some((rule) => rule.name === name && (rule.places & place) !== 0))
              .map(([name, value]) => [
                name,
                name === "subscriptionIdentifier" && place !== PLACE.delivery && Array.isArray(value)
                  ? value.slice(0, 1)
                  : value,
              ]),
          );
          const encoded = embedded(encodeProperties(here));
          expect(encoded.length).toBe(propertiesSize(here));
          const block = new PropertyBlock();
          block.take(encoded, 0, encoded.length, place);
          expect(shownProperties(block)).toEqual(shownOf(here));
        }
      }),
      { numRuns: 200 },
    );
  });

  it("cannot be written with what they cannot hold", () => {
    expect(() => encodeProperties({ receiveMaximum: 0 })).toThrow(/receiveMaximum cannot be 0: expected 1 to 65535/);
    expect(() => encodeProperties({ topicAlias: 65_536 })).toThrow(RangeError);
    expect(() => encodeProperties({ messageExpiryInterval: 1.5 })).toThrow(RangeError);
    expect(() => encodeProperties({ contentType: "x".repeat(65_536) })).toThrow(/contentType has 65536 bytes/);
  });
});

describe("the bytes of MQTT", () => {
  it("are UTF-8 exactly where the platform says so and there is no U+0000 [MQTT-1.5.4-1] [MQTT-1.5.4-2]", () => {
    const nearText = fc.array(
      fc.constantFrom(
        0x41,
        0x7f,
        0x80,
        0x8f,
        0x90,
        0x9f,
        0xa0,
        0xbf,
        0xc0,
        0xc1,
        0xc2,
        0xdf,
        0xe0,
        0xed,
        0xef,
        0xf0,
        0xf4,
        0xf5,
        0xff,
      ),
      { maxLength: 6 },
    );
    fc.assert(
      fc.property(fc.oneof(nearText, fc.array(fc.nat(255), { maxLength: 6 })), (list) => {
        const some = embedded(Buffer.from(list));
        expect(isText(some, 0, some.length)).toBe(isUtf8(some) && !some.includes(0));
      }),
      { numRuns: 5000 },
    );
  });

  it("hold numbers in the fewest bytes [MQTT-1.5.5-1]", () => {
    const edges = [0, 1, 127, 128, 16_383, 16_384, 2_097_151, 2_097_152, 268_435_455];
    fc.assert(
      fc.property(fc.oneof(fc.constantFrom(...edges), fc.nat(268_435_455)), (value) => {
        const target = Buffer.alloc(6);
        const end = writeVarint(target, 1, value);
        expect(end - 1).toBe(varintSize(value));
        expect(readVarint(target, 1, end)).toBe(value);
        expect(readVarint(target, 1, end - 1)).toBe(-1);
      }),
    );
    expect(readVarint(Buffer.from([0x80, 0]), 0, 2)).toBe(-1);
    expect(readVarint(Buffer.from([0xff, 0xff, 0xff, 0xff, 1]), 0, 5)).toBe(-1);
  });
});
