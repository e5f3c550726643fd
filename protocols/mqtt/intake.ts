import { Arena } from "../../core/memory/arena.ts";
import { type Envelope, Message } from "../../core/message.ts";
import { mqtt5Format, mqttFormat } from "./convert.ts";
import { type Outgoing, publishSize, writePublish } from "./encode.ts";
import type { Version } from "./errors.ts";
import type { Packet, Qos, Will } from "./packet.ts";
import type { PropertyBlock } from "./properties.ts";
import { encodeProperties } from "./property-writer.ts";

const NOTHING: Buffer = Buffer.alloc(0);

/** What a message is made of that is not a packet as it came. */
interface Parts {
  readonly topic: Buffer;
  readonly payload: Buffer;
  readonly payloadStart: number;
  readonly payloadEnd: number;
  readonly qos: Qos;
  readonly retain: boolean;
  readonly properties: PropertyBlock;
}

/** Makes messages of the PUBLISH packets of one session. */
export class Intake {
  readonly #version: Version;
  readonly #arena: Arena;

  constructor(version: Version, arena: Arena) {
    this.#version = version;
    this.#arena = arena;
  }

  /** The message of a PUBLISH; `topic` are the bytes that a topic alias stands for. */
  message(packet: Packet, envelope: Envelope, topic: Buffer | undefined): Message {
    const { properties } = packet;
    // Nearly always: the packet is the message, where it lies.
    if (topic === undefined && properties.topicAlias === 0 && properties.messageExpiry < 0) {
      const format = this.#version === 5 ? mqtt5Format : mqttFormat;
      const { data, start, end } = packet;
      const message = new Message(format, envelope, data, start, end, packet.payloadStart, packet.payloadEnd);
      // A large packet came in a buffer of its own.
      message.detached = start === 0 && data.length <= end + (end >> 2);
      return message;
    }
    return this.#build(envelope, {
      topic: topic ?? packet.data.subarray(packet.topicStart, packet.topicEnd),
      payload: packet.data,
      payloadStart: packet.payloadStart,
      payloadEnd: packet.payloadEnd,
      qos: packet.qos,
      retain: packet.retain,
      properties,
    });
  }

  /** The message of a will. */
  will({ topic, payload, qos, retain, properties }: Will, envelope: Envelope): Message {
    const parts = { payload, payloadStart: 0, payloadEnd: payload.length, qos, retain, properties };
    return this.#build(envelope, { topic: Buffer.from(topic), ...parts });
  }

  /** Writes a packet anew, without what is not to be kept. */
  #build(envelope: Envelope, parts: Parts): Message {
    const properties = this.#version === 5 ? kept(parts.properties) : NOTHING;
    const outgoing: Outgoing = {
      ...parts,
      version: this.#version,
      topicStart: 0,
      topicEnd: parts.topic.length,
      properties,
      propertiesStart: 0,
      propertiesEnd: properties.length,
      packetId: 1,
      dup: false,
    };
    const start = this.#arena.reserve(publishSize(outgoing));
    const { buffer } = this.#arena;
    const end = writePublish(buffer, start, outgoing);
    this.#arena.advance(end);
    const payloadStart = end - (parts.payloadEnd - parts.payloadStart);
    const format = this.#version === 5 ? mqtt5Format : mqttFormat;
    return new Message(format, envelope, buffer, start, end, payloadStart, end);
  }
}

/** The properties that travel with a message [MQTT-3.3.2-4] [MQTT-3.3.2-15] [MQTT-3.3.2-16] [MQTT-3.3.2-17] [MQTT-3.3.2-20]. */
function kept(block: PropertyBlock): Buffer {
  if (block.empty) return NOTHING;
  const userProperties = block.userProperties();
  return encodeProperties({
    payloadFormatIndicator: block.number("payloadFormatIndicator"),
    contentType: block.text("contentType"),
    responseTopic: block.text("responseTopic"),
    correlationData: block.bytes("correlationData"),
    userProperties: userProperties.length > 0 ? userProperties : undefined,
  });
}
