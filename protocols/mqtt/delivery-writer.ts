/*
 * Messages to PUBLISH packets. Most of what is delivered at QoS 0 came by the same version, and then the stored packet goes
 * out as it is, by reference; a copy with other flags and another packet identifier where it came and goes at QoS 1 or 2.
 * Everything else is written anew; once for all subscribers where many get the same.
 */
import type { Address } from "../../core/addresses/address.ts";
import { Arena } from "../../core/memory/arena.ts";
import type { Message } from "../../core/message.ts";
import { TRAIT } from "../../core/message.ts";
import type { Output } from "../../core/output.ts";
import { copyBytes } from "../../core/memory/bytes.ts";
import { writeU16 } from "./bytes.ts";
import { mqtt5Format, mqttFormat, storedQos, topicEnd } from "./convert.ts";
import { type Outgoing, publishSize, writePublish, writePublishHead } from "./encode.ts";
import type { Version } from "./errors.ts";
import { type Manner, OutgoingDelivery } from "./outgoing-delivery.ts";
import { SentAliases } from "./sent-aliases.ts";
import { formatTopic } from "./topic.ts";

/** From this size on a payload is written by reference. */
const LARGE = 16 * 1024;
const PUBLISH = 0x30;

/** What the sessions of one adapter share: encodings that several of them send. */
export class SharedWire {
  readonly received = new Arena();
  readonly encoded = new Arena();
  readonly outgoing = new OutgoingDelivery();
  /** For which deliveries an encoding serves: those at QoS 0 without anything of their own, by version and retain flag. */
  readonly #forms = { old: {}, oldRetained: {}, five: {}, fiveRetained: {} };
  readonly #topics = new WeakMap<Address, Buffer>();

  form(version: Version, retain: boolean): object {
    if (version === 5) return retain ? this.#forms.fiveRetained : this.#forms.five;
    return retain ? this.#forms.oldRetained : this.#forms.old;
  }

  /** The bytes of an address's topic. */
  topic(address: Address): Buffer {
    let bytes = this.#topics.get(address);
    if (bytes === undefined) {
      bytes = Buffer.from(formatTopic(address));
      this.#topics.set(address, bytes);
    }
    return bytes;
  }
}

/** To whom deliveries are written. */
export interface Recipient {
  readonly version: Version;
  readonly now: () => number;
  /** Topics that may be sent by a number; 0 for none. */
  readonly topicAliases: number;
}

/** Writes deliveries to one connection. */
export class DeliveryWriter {
  readonly #output: Output;
  readonly #wire: SharedWire;
  readonly #version: Version;
  readonly #now: () => number;
  /** Of stored packets that can be sent as they are; undefined when none can, because of the aliases. */
  readonly #format: typeof mqttFormat | undefined;
  readonly #aliases: SentAliases | undefined;

  constructor(output: Output, wire: SharedWire, { version, now, topicAliases }: Recipient) {
    this.#output = output;
    this.#wire = wire;
    this.#version = version;
    this.#now = now;
    this.#aliases = topicAliases === 0 ? undefined : new SentAliases(topicAliases);
    const format = version === 5 ? mqtt5Format : mqttFormat;
    this.#format = topicAliases === 0 ? format : undefined;
  }

  /** True when the stored packet is what goes out at QoS 0 to whoever has no wishes. */
  fitsAsIs(message: Message): boolean {
    return (
      message.format === this.#format &&
      message.data[message.start] === PUBLISH &&
      message.traits === 0 &&
      message.expiresAt === 0 &&
      message.annotationBytes === undefined
    );
  }

  /** Sends the stored packet as it is. */
  pass(message: Message): void {
    this.#output.append(message.data, message.start, message.end);
  }

  /** Writes a PUBLISH; false, and nothing, when it would be larger than the client takes [MQTT-3.1.2-24]. */
  write(given: Message, manner: Manner, maxBytes: number): boolean {
    const message = given.flat;
    if (this.#aliases !== undefined && this.#writeAliased(message, manner, maxBytes, this.#aliases)) return true;
    if (manner.qos === 0 && message.shared && manner.tags.length === 0 && maxBytes === Number.POSITIVE_INFINITY) {
      this.#writeShared(message, manner);
      return true;
    }
    if (manner.qos > 0 && this.#patches(message, manner)) return this.#patch(message, manner, maxBytes);
    const outgoing = this.#outgoing(message, manner);
    const size = publishSize(outgoing);
    if (size > maxBytes) return false;
    this.#write(outgoing, size);
    return true;
  }

  /** False, and nothing written, when there is no alias for the topic or no room for it. */
  #writeAliased(message: Message, manner: Manner, maxBytes: number, aliases: SentAliases): boolean {
    const alias = aliases.of(message.address);
    if (alias === undefined) return false;
    const outgoing = this.#outgoing(message, manner, alias.number);
    // [MQTT-3.3.2-12]
    if (alias.known) outgoing.topicEnd = outgoing.topicStart;
    const size = publishSize(outgoing);
    if (size > maxBytes) return false;
    this.#write(outgoing, size);
    if (!alias.known) aliases.told(message.address);
    return true;
  }

  /** Whether a stored packet needs only other flags and another identifier. */
  #patches(message: Message, { tags }: Manner): boolean {
    return (
      message.format === this.#format &&
      storedQos(message) > 0 &&
      tags.length === 0 &&
      (message.traits & TRAIT.readdressed) === 0 &&
      message.annotationBytes === undefined &&
      (message.expiresAt === 0 || this.#version !== 5)
    );
  }

  #patch(message: Message, manner: Manner, maxBytes: number): boolean {
    const { data, start, end } = message;
    const size = end - start;
    if (size > maxBytes) return false;
    const output = this.#output;
    const large = message.bodyEnd - message.bodyStart >= LARGE;
    const headEnd = large ? message.bodyStart : end;
    const at = output.reserve(headEnd - start);
    const to = copyBytes(data, start, headEnd, output.buffer, at);
    output.buffer[at] = PUBLISH | (manner.retain ? 1 : 0) | (manner.qos << 1) | (manner.dup ? 8 : 0);
    writeU16(output.buffer, at + topicEnd(message) - start, manner.packetId);
    output.advance(to);
    if (large) output.append(data, message.bodyStart, end);
    return true;
  }

  #write(outgoing: Outgoing, size: number): void {
    const output = this.#output;
    const payloadBytes = outgoing.payloadEnd - outgoing.payloadStart;
    if (payloadBytes < LARGE) {
      const at = output.reserve(size);
      output.advance(writePublish(output.buffer, at, outgoing));
      return;
    }
    const at = output.reserve(size - payloadBytes);
    output.advance(writePublishHead(output.buffer, at, outgoing));
    output.append(outgoing.payload, outgoing.payloadStart, outgoing.payloadEnd);
  }

  /** Encodes a message once for all who get it so. */
  #writeShared(message: Message, manner: Manner): void {
    const form = this.#wire.form(this.#version, manner.retain);
    if (message.wireKey !== form || message.wire === undefined) {
      const outgoing = this.#outgoing(message, manner);
      const size = publishSize(outgoing);
      if (size >= LARGE) {
        this.#write(outgoing, size);
        return;
      }
      const arena = this.#wire.encoded;
      const at = arena.reserve(size);
      const end = writePublish(arena.buffer, at, outgoing);
      arena.advance(end);
      message.wireKey = form;
      message.wire = arena.buffer;
      message.wireStart = at;
      message.wireEnd = end;
    }
    if (message.wire !== undefined) this.#output.append(message.wire, message.wireStart, message.wireEnd);
  }

  #outgoing(message: Message, manner: Manner, alias = 0): OutgoingDelivery {
    const { outgoing } = this.#wire;
    const { format, traits } = message;
    const own = (format === mqttFormat || format === mqtt5Format) && (traits & TRAIT.readdressed) === 0;
    outgoing.set(message, this.#version, manner, own ? undefined : this.#wire.topic(message.address));
    if (this.#version === 5) outgoing.setProperties(message, manner.tags, alias, this.#now);
    return outgoing;
  }
}

/** Whether a message comes because its topic retains it. */
export function isRetained(message: Message): boolean {
  return (message.traits & TRAIT.retained) !== 0;
}

/** Whether a message was published with the retain flag, for those who asked to see it. */
export function retainsAsPublished(message: Message): boolean {
  const own = message.format === mqttFormat || message.format === mqtt5Format;
  if (own) return ((message.data[message.start] ?? 0) & 1) !== 0;
  return (message.traits & TRAIT.retainAsked) !== 0;
}
