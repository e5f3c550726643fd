import { Decoder, type PacketLimits } from "../../protocols/mqtt/codec.ts";
import type { Version } from "../../protocols/mqtt/errors.ts";
import type { Packet } from "../../protocols/mqtt/packet.ts";
import type { PropertyBlock } from "../../protocols/mqtt/properties.ts";
import {
  type BytesProperty,
  type NumberProperty,
  PROPERTIES,
  type TextProperty,
} from "../../protocols/mqtt/property-names.ts";

/** A packet or a part of one as a test sees it: bytes as latin1 text. */
export interface Read {
  readonly [field: string]: unknown;
}

export const LIMITS: PacketLimits = { maxPacketBytes: 200_000, maxConnectBytes: 100_000 };

/** Everything in these chunks, by the rules of a version; undefined: as the first packets of a connection. */
export function readPackets(chunks: readonly Buffer[], version?: Version, limits: PacketLimits = LIMITS): Read[] {
  const decoder = new Decoder(limits);
  if (version !== undefined) decoder.agree(version);
  const packets: Read[] = [];
  for (const chunk of chunks) {
    decoder.feed(chunk);
    for (let packet = decoder.next(); packet !== undefined; packet = decoder.next()) {
      packets.push(shown(packet));
      if (packet.control?.type === "connect") decoder.agree(packet.control.version);
    }
  }
  return packets;
}

function shown(packet: Packet): Read {
  const { type, data, packetId, reasonCode, control } = packet;
  switch (type) {
    case "publish": {
      const { qos, dup, retain } = packet;
      return {
        type,
        topic: data.toString("utf8", packet.topicStart, packet.topicEnd),
        payload: data.toString("latin1", packet.payloadStart, packet.payloadEnd),
        qos,
        ...(qos > 0 ? { packetId } : {}),
        ...(dup ? { dup } : {}),
        ...(retain ? { retain } : {}),
        ...withProperties(packet.properties),
      };
    }
    case "pingreq":
      return { type };
    case "control":
      return control === undefined ? {} : shownControl(control);
    default:
      return { type, packetId, reasonCode, ...withProperties(packet.properties) };
  }
}

function shownControl(control: object): Read {
  const fields = Object.entries(control).filter(([name, value]) => name !== "properties" && value !== undefined);
  const read: Record<string, unknown> = {};
  for (const [name, value] of fields) {
    if (Buffer.isBuffer(value)) read[name] = value.toString("latin1");
    else read[name] = name === "will" && typeof value === "object" && value !== null ? shownControl(value) : value;
  }
  if ("properties" in control && isBlock(control.properties)) Object.assign(read, withProperties(control.properties));
  return read;
}

function isBlock(value: unknown): value is PropertyBlock {
  return typeof value === "object" && value !== null && "userProperties" in value;
}

function withProperties(block: PropertyBlock): Read {
  return block.empty ? {} : { properties: shownProperties(block) };
}

const NUMBERS = ["byte", "u16", "u32", "varint"];

function isNumber(name: string): name is NumberProperty {
  return PROPERTIES.some((rule) => rule.name === name && NUMBERS.includes(rule.kind));
}

function isText(name: string): name is TextProperty {
  return PROPERTIES.some((rule) => rule.name === name && rule.kind === "utf8");
}

function isBytes(name: string): name is BytesProperty {
  return PROPERTIES.some((rule) => rule.name === name && rule.kind === "binary");
}

/** Those that are there; bytes as latin1 text, and subscription identifiers as a list. */
export function shownProperties(block: PropertyBlock): Read {
  const read: Record<string, unknown> = {};
  for (const { name } of PROPERTIES) {
    const value =
      name === "subscriptionIdentifier"
        ? orNone(block.subscriptionIdentifiers())
        : isNumber(name)
          ? block.number(name)
          : isText(name)
            ? block.text(name)
            : isBytes(name)
              ? block.bytes(name)?.toString("latin1")
              : orNone(block.userProperties());
    if (value !== undefined) read[name] = value;
  }
  return read;
}

function orNone<T>(list: T[]): T[] | undefined {
  return list.length === 0 ? undefined : list;
}

/** The bytes in a buffer that begins somewhere in a bigger one, with noise around them. */
export function embedded(bytes: Buffer): Buffer {
  const around = Buffer.alloc(bytes.length + 64, "\x30\x05noise");
  bytes.copy(around, 13);
  return around.subarray(13, 13 + bytes.length);
}

/** These bytes in chunks of one size. */
export function pieces(bytes: Buffer, size: number): Buffer[] {
  const all: Buffer[] = [];
  for (let at = 0; at < bytes.length; at += size) all.push(embedded(bytes.subarray(at, at + size)));
  return all;
}

/** All the ways to cut these bytes that a table row is tried with: whole, byte by byte, in two at every place. */
export function* cuttings(bytes: Buffer): Generator<readonly Buffer[]> {
  yield [Buffer.from(bytes)];
  yield [embedded(bytes)];
  if (bytes.length > 4000) {
    yield pieces(bytes, 1000);
    return;
  }
  yield pieces(bytes, 1);
  for (let cut = 1; cut < bytes.length; cut++) {
    yield [embedded(bytes.subarray(0, cut)), embedded(bytes.subarray(cut))];
  }
}
