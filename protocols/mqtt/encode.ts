import { copyBytes } from "../../core/memory/bytes.ts";
import { varintSize, writeU16, writeVarint } from "./bytes.ts";
import type { Version } from "./errors.ts";
import type { AckType, Qos } from "./packet.ts";

/** A PUBLISH to be written; may be used again for the next one. */
export interface Outgoing {
  readonly version: Version;
  /** The bytes of the topic: `topic[topicStart, topicEnd)`; empty where a topic alias stands for it. */
  readonly topic: Buffer;
  readonly topicStart: number;
  readonly topicEnd: number;
  /** Written properties without their length; only of use in 5.0. */
  readonly properties: Buffer;
  readonly propertiesStart: number;
  readonly propertiesEnd: number;
  readonly payload: Buffer;
  readonly payloadStart: number;
  readonly payloadEnd: number;
  readonly qos: Qos;
  /** Not used at QoS 0. */
  readonly packetId: number;
  readonly dup: boolean;
  readonly retain: boolean;
}

/** Bytes behind the fixed header. */
function remainingLength(publish: Outgoing): number {
  const topic = 2 + publish.topicEnd - publish.topicStart;
  const rest = publish.payloadEnd - publish.payloadStart + (publish.qos > 0 ? 2 : 0);
  if (publish.version !== 5) return topic + rest;
  const properties = publish.propertiesEnd - publish.propertiesStart;
  return topic + rest + varintSize(properties) + properties;
}

/** Bytes of a PUBLISH. */
export function publishSize(publish: Outgoing): number {
  const remaining = remainingLength(publish);
  return 1 + varintSize(remaining) + remaining;
}

/** Writes a PUBLISH; returns where it ends. */
export function writePublish(target: Buffer, at: number, publish: Outgoing): number {
  const payloadAt = writePublishHead(target, at, publish);
  return copyBytes(publish.payload, publish.payloadStart, publish.payloadEnd, target, payloadAt);
}

/** Writes a PUBLISH without its payload, which is to follow; returns where it ends. */
export function writePublishHead(target: Buffer, at: number, publish: Outgoing): number {
  const { qos } = publish;
  // [MQTT-3.3.1-2]: at QoS 0 DUP is 0.
  const flags = (publish.retain ? 1 : 0) | (qos << 1) | (publish.dup && qos > 0 ? 8 : 0);
  target[at] = 0x30 | flags;
  let to = writeVarint(target, at + 1, remainingLength(publish));
  to = writeU16(target, to, publish.topicEnd - publish.topicStart);
  to = copyBytes(publish.topic, publish.topicStart, publish.topicEnd, target, to);
  // [MQTT-2.2.1-2]
  if (qos > 0) to = writeU16(target, to, publish.packetId);
  if (publish.version !== 5) return to;
  // [MQTT-2.2.2-1]: their length is there even when they are not.
  if (publish.propertiesStart === publish.propertiesEnd) {
    target[to] = 0;
    return to + 1;
  }
  to = writeVarint(target, to, publish.propertiesEnd - publish.propertiesStart);
  return copyBytes(publish.properties, publish.propertiesStart, publish.propertiesEnd, target, to);
}

/** The first bytes, with the flags that each type must have [MQTT-3.6.1-1]. */
const ACK_HEADS: Readonly<Record<AckType, number>> = { puback: 0x40, pubrec: 0x50, pubrel: 0x62, pubcomp: 0x70 };

/** Bytes of a PUBACK, PUBREC, PUBREL or PUBCOMP; `propertyBytes` of written properties, without their length. */
export function ackSize(reasonCode: number, version: Version, propertyBytes = 0): number {
  if (version !== 5 || (reasonCode === 0 && propertyBytes === 0)) return 4;
  if (propertyBytes === 0) return 5;
  const remaining = 3 + varintSize(propertyBytes) + propertyBytes;
  return 1 + varintSize(remaining) + remaining;
}

/** Writes a PUBACK, PUBREC, PUBREL or PUBCOMP; returns where it ends. Before 5.0 there is no reason code on the wire. */
export function writeAck(
  target: Buffer,
  at: number,
  type: AckType,
  packetId: number,
  reasonCode: number,
  version: Version,
  properties?: Buffer,
): number {
  target[at] = ACK_HEADS[type];
  const propertyBytes = properties === undefined ? 0 : properties.length;
  if (version !== 5 || (reasonCode === 0 && propertyBytes === 0)) {
    target[at + 1] = 2;
    return writeU16(target, at + 2, packetId);
  }
  const remaining = propertyBytes === 0 ? 3 : 3 + varintSize(propertyBytes) + propertyBytes;
  let to = writeVarint(target, at + 1, remaining);
  to = writeU16(target, to, packetId);
  target[to++] = reasonCode;
  if (properties === undefined || propertyBytes === 0) return to;
  return copyBytes(properties, 0, propertyBytes, target, writeVarint(target, to, propertyBytes));
}

/** Bytes of a PINGRESP. */
export const PINGRESP_BYTES = 2;

/** Writes a PINGRESP; returns where it ends. */
export function writePingresp(target: Buffer, at: number): number {
  target[at] = 0xd0;
  target[at + 1] = 0;
  return at + PINGRESP_BYTES;
}
