/*
 * MQTT packets from bytes, as a server receives them, for 3.1, 3.1.1 and 5.0.
 *
 *     type and flags | remaining length, 1 to 4 bytes | fields ... | payload
 *     start                                                        payloadStart   end
 *
 * A packet is read where it lies in the chunk, as offsets. One that does not end in its chunk moves, as far as it came,
 * to a buffer of its own, which grows with what comes in; nothing is read before the packet is whole.
 */
import { readU16, readVarint, varintSize } from "./bytes.ts";
import { connectVersion } from "./connect.ts";
import { CONTROL, readControl } from "./control.ts";
import { MqttError, malformed, protocolError, REASON, type Version } from "./errors.ts";
import { checkTopicName } from "./fields.ts";
import { type AckType, Packet } from "./packet.ts";
import { PLACE } from "./property-names.ts";

/** What a client may send at most; bytes of whole packets. */
export interface PacketLimits {
  readonly maxPacketBytes: number;
  /** Of the CONNECT: nobody knows yet who this is. */
  readonly maxConnectBytes: number;
}

const EMPTY: Buffer = Buffer.alloc(0);

const PUBLISH = 3;
const PINGREQ = 12;
const ACKS: readonly (AckType | undefined)[] = [
  undefined,
  undefined,
  undefined,
  undefined,
  "puback",
  "pubrec",
  "pubrel",
  "pubcomp",
];
const NAMES = [
  "reserved packet",
  "CONNECT",
  "CONNACK",
  "PUBLISH",
  "PUBACK",
  "PUBREC",
  "PUBREL",
  "PUBCOMP",
  "SUBSCRIBE",
  "SUBACK",
  "UNSUBSCRIBE",
  "UNSUBACK",
  "PINGREQ",
  "PINGRESP",
  "DISCONNECT",
  "AUTH",
];
/** The flags that each type must have; -1: never sent by a client, or looked at elsewhere. */
const FLAGS = [-1, 0, -1, -1, 0, 0, 2, 0, 2, -1, 2, -1, 0, -1, 0, 0];

/** [MQTT-3.4.2-1] [MQTT-3.5.2-1]: reason codes of PUBACK and PUBREC. */
const RECEIVED = new Set([0x00, 0x10, 0x80, 0x83, 0x87, 0x90, 0x91, 0x97, 0x99]);
/** [MQTT-3.6.2-1] [MQTT-3.7.2-1]: reason codes of PUBREL and PUBCOMP. */
const RELEASED = new Set([0x00, 0x92]);

const HASH = 35;
const PLUS = 43;
/** Bytes of the longest fixed header. */
const MOST_HEADER = 5;
/** The first room of a packet that does not end in its chunk. */
const FIRST_ROOM = 64 * 1024;

/** Turns chunks into packets. Throws `MqttError`; it is of no use after that. */
export class Decoder {
  readonly packet: Packet = new Packet();
  readonly #limits: PacketLimits;
  #version: Version | undefined = undefined;
  #asked: Version | undefined = undefined;
  #connected = false;
  #authenticating = false;
  #chunk: Buffer = EMPTY;
  #at = 0;
  #queue: Buffer[] = [];
  /** The beginning of a packet that did not end in its chunk, and how much of it is there. */
  #part: Buffer | undefined = undefined;
  #partBytes = 0;
  /** Bytes of that whole packet; 0 while its length is not known. */
  #wholeBytes = 0;

  constructor(limits: PacketLimits) {
    this.#limits = limits;
  }

  /** What CONNECT asked for; set even when the rest of it was refused, because the answer depends on it. */
  get askedVersion(): Version | undefined {
    return this.#asked;
  }

  /** From now on, until `agree`, only AUTH and DISCONNECT may come [MQTT-3.1.2-30], and no longer ones than a CONNECT. */
  authenticate(): void {
    this.#version = 5;
    this.#authenticating = true;
  }

  /** From now on packets are read by the rules of this version; before, only a CONNECT may come. */
  agree(version: Version): void {
    this.#version = version;
    this.#connected = true;
  }

  /** True when nothing is left of what was fed, not even a part of a packet. */
  get idle(): boolean {
    return this.#at === this.#chunk.length && this.#queue.length === 0 && this.#part === undefined;
  }

  /** Adds bytes; the decoder and the packets own them from now on. */
  feed(chunk: Buffer): void {
    if (this.#at < this.#chunk.length || this.#queue.length > 0) {
      this.#queue.push(chunk);
    } else {
      this.#chunk = chunk;
      this.#at = 0;
    }
  }

  /** The next whole packet; undefined when more bytes are needed. */
  next(): Packet | undefined {
    if (this.#part !== undefined) return this.#resume();
    const data = this.#chunk;
    const start = this.#at;
    const available = data.length - start;
    if (available < 2) return this.#more();
    const length = data[start + 1] ?? 0;
    // Nearly all packets are short: their length is one byte.
    if (length >= 0x80) return this.#nextLong(data, start);
    if (length + 2 > available) return this.#more();
    this.#at = start + 2 + length;
    return this.#read(data, start, start + 2, start + 2 + length);
  }

  #nextLong(data: Buffer, start: number): Packet | undefined {
    const first = data[start] ?? 0;
    this.#checkHeader(first >> 4, first & 15);
    const fieldsAt = headerEnd(data, start, data.length);
    if (fieldsAt < 0) return this.#more();
    const end = fieldsAt + this.#remaining(data, start, fieldsAt);
    if (end > data.length) return this.#more();
    this.#at = end;
    return this.#read(data, start, fieldsAt, end);
  }

  /** The chunk is used up, except for the beginning of a packet; goes on with the next one. */
  #more(): Packet | undefined {
    if (this.#at < this.#chunk.length) this.#carry();
    this.#at = 0;
    this.#chunk = this.#queue.shift() ?? EMPTY;
    if (this.#chunk.length > 0) return this.next();
    // An idle connection keeps nothing of what it said last.
    this.packet.forget();
    return undefined;
  }

  /** Moves the beginning of a packet out of its chunk, so that the chunk is not kept. */
  #carry(): void {
    const bytes = this.#chunk.length - this.#at;
    this.#measure(this.#chunk, this.#at, bytes);
    this.#part = Buffer.allocUnsafeSlow(this.#roomFor(bytes, 0));
    this.#partBytes = this.#chunk.copy(this.#part, 0, this.#at);
  }

  /** How much room to give to a part of so many bytes: what a packet announces is not believed before it comes. */
  #roomFor(bytes: number, before: number): number {
    if (this.#wholeBytes === 0) return MOST_HEADER;
    return Math.min(this.#wholeBytes, Math.max(FIRST_ROOM, bytes, before * 2));
  }

  /** Adds to the part what its packet still needs. */
  #resume(): Packet | undefined {
    for (let part = this.#part; part !== undefined; part = this.#part) {
      if (this.#wholeBytes > 0 && this.#partBytes === this.#wholeBytes) {
        this.#part = undefined;
        const end = this.#partBytes;
        return this.#read(part, 0, headerEnd(part, 0, end), end);
      }
      if (this.#at === this.#chunk.length) {
        this.#chunk = this.#queue.shift() ?? EMPTY;
        this.#at = 0;
        if (this.#chunk.length === 0) return undefined;
      }
      // Until the length is known byte by byte: what follows the packet is not to be copied.
      const wanted = this.#wholeBytes === 0 ? 1 : this.#wholeBytes - this.#partBytes;
      this.#add(part, Math.min(wanted, this.#chunk.length - this.#at));
    }
    return undefined;
  }

  #add(part: Buffer, bytes: number): void {
    const needed = this.#partBytes + bytes;
    let room = part;
    if (needed > part.length) {
      room = Buffer.allocUnsafeSlow(this.#roomFor(needed, part.length));
      part.copy(room, 0, 0, this.#partBytes);
      this.#part = room;
    }
    this.#chunk.copy(room, this.#partBytes, this.#at, this.#at + bytes);
    this.#partBytes = needed;
    this.#at += bytes;
    if (this.#wholeBytes === 0) this.#measure(room, 0, needed);
  }

  /** Refuses at once what can be refused before it is whole, and learns the packet's length. */
  #measure(data: Buffer, start: number, bytes: number): void {
    const first = data[start] ?? 0;
    this.#checkHeader(first >> 4, first & 15);
    const fieldsAt = headerEnd(data, start, start + bytes);
    this.#wholeBytes = fieldsAt < 0 ? 0 : fieldsAt - start + this.#remaining(data, start, fieldsAt);
  }

  /** The remaining length, which ends at `fieldsAt`. */
  #remaining(data: Buffer, start: number, fieldsAt: number): number {
    let length = 0;
    for (let at = fieldsAt - 1; at > start; at--) length = (length << 7) | ((data[at] ?? 0) & 0x7f);
    // [MQTT-1.5.5-1]: a rule of 5.0; before, longer forms were not forbidden.
    if (this.#version === 5) checkShortest(start, fieldsAt, length);
    const { maxPacketBytes, maxConnectBytes } = this.#limits;
    const bytes = fieldsAt - start + length;
    const most = this.#connected ? maxPacketBytes : Math.min(maxConnectBytes, maxPacketBytes);
    if (bytes > most) {
      // [MQTT-3.2.2-15]
      throw new MqttError(
        REASON.packetTooLarge,
        `Packet of ${bytes} bytes; ${most} are allowed (mqtt.${most === maxPacketBytes ? "max_packet_bytes" : "max_connect_bytes"})`,
      );
    }
    return length;
  }

  #read(data: Buffer, start: number, at: number, end: number): Packet {
    const packet = this.packet;
    const first = data[start] ?? 0;
    const type = first >> 4;
    packet.data = data;
    packet.start = start;
    packet.end = end;
    if (type === PUBLISH && this.#connected) {
      this.#readPublish(first & 15, at, end);
      return packet;
    }
    this.#checkHeader(type, first & 15);
    const ack = ACKS[type];
    if (ack !== undefined) this.#readAck(ack, at, end);
    else if (type === PINGREQ) this.#readPing(at, end);
    else this.#readControl(type, start, at, end);
    return packet;
  }

  #checkHeader(type: number, flags: number): void {
    if (!this.#connected) this.#checkOpening(type);
    // [MQTT-3.1.0-2]
    if (this.#connected && type === CONTROL.connect) throw protocolError("A second CONNECT; only one is allowed");
    if (type === PUBLISH) {
      this.#checkPublishFlags(flags);
      return;
    }
    const expected = FLAGS[type] ?? -1;
    if (type === CONTROL.auth && this.#version !== 5 && this.#connected) {
      throw protocolError("An AUTH, which only MQTT 5.0 has");
    }
    if (expected < 0) throw protocolError(`A ${NAMES[type]}, which is not a packet of clients`);
    // mqtt31 2.1: there DUP tells that a PUBREL, SUBSCRIBE or UNSUBSCRIBE is sent again.
    const relevant = this.#version === 3 && expected === 2 ? flags & 7 : flags;
    // [MQTT-2.1.3-1] [MQTT-3.6.1-1] [MQTT-3.8.1-1] [MQTT-3.10.1-1] [MQTT-3.14.1-1] [MQTT-3.15.1-1]
    if (relevant !== expected) throw malformed(`The flags of a ${NAMES[type]} are ${flags}; expected ${expected}`);
  }

  #checkOpening(type: number): void {
    if (this.#authenticating) {
      // [MQTT-3.1.2-30]
      if (type === CONTROL.auth || type === CONTROL.disconnect) return;
      throw protocolError(`A ${NAMES[type]} during the authentication; expected an AUTH or a DISCONNECT`);
    }
    // [MQTT-3.1.0-1]
    if (type !== CONTROL.connect) throw protocolError(`The first packet is a ${NAMES[type]}; expected a CONNECT`);
  }

  #checkPublishFlags(flags: number): void {
    // [MQTT-3.3.1-4]
    if ((flags & 6) === 6) throw malformed("A PUBLISH has QoS 3; expected 0, 1 or 2");
    // [MQTT-3.3.1-2]; 3.1 gives DUP no meaning there.
    if ((flags & 14) === 8 && this.#version !== 3) throw malformed("A PUBLISH of QoS 0 has the DUP flag");
  }

  #readPublish(flags: number, fieldsAt: number, end: number): void {
    const packet = this.packet;
    const data = packet.data;
    if ((flags & 14) === 8 || (flags & 6) === 6) this.#checkPublishFlags(flags);
    packet.type = "publish";
    packet.retain = (flags & 1) !== 0;
    packet.dup = (flags & 8) !== 0;
    let at = fieldsAt + 2;
    if (at > end) throw endsWithin("topic");
    const topicEnd = at + readU16(data, fieldsAt);
    if (topicEnd > end) throw endsWithin("topic");
    packet.topicStart = at;
    packet.topicEnd = topicEnd;
    for (; at < topicEnd; at++) {
      const byte = data[at] ?? 0;
      // [MQTT-3.3.2-1] [MQTT-3.3.2-2]: most topics are ASCII, and are looked at once.
      if (byte < 0x80 && byte > PLUS) continue;
      if (byte >= 0x80 || byte === 0 || byte === HASH || byte === PLUS) {
        checkTopicName(data, packet.topicStart, topicEnd);
        at = topicEnd;
        break;
      }
    }
    if ((flags & 6) === 0) {
      packet.qos = 0;
      // [MQTT-2.2.1-2]
      packet.packetId = 0;
    } else {
      packet.qos = (flags & 2) !== 0 ? 1 : 2;
      if (at + 2 > end) throw endsWithin("packet identifier");
      packet.packetId = readU16(data, at);
      at += 2;
      // [MQTT-2.2.1-3]
      if (packet.packetId === 0) throw protocolError("The packet identifier of a PUBLISH is 0; expected 1 to 65535");
    }
    if (this.#version === 5) at = this.#readPublishProperties(at, end);
    else packet.propertiesStart = packet.propertiesEnd = at;
    packet.payloadStart = at;
    packet.payloadEnd = end;
    if (topicEnd === packet.topicStart && packet.properties.topicAlias === 0) {
      // [MQTT-4.7.3-1]; mqtt5 3.3.2.1: empty only where an alias stands for it.
      throw protocolError("The topic of a PUBLISH is empty and there is no topic alias");
    }
  }

  #readPublishProperties(at: number, end: number): number {
    const { data } = this.packet;
    if (at < end && data[at] === 0) {
      this.packet.properties.clear();
      this.packet.propertiesStart = this.packet.propertiesEnd = at + 1;
      return at + 1;
    }
    return this.#readProperties("PUBLISH", at, end, PLACE.publish);
  }

  /** Reads the properties whose length is at `at`; returns where they end. */
  #readProperties(name: string, at: number, end: number, place: typeof PLACE.publish | typeof PLACE.ack): number {
    const packet = this.packet;
    const length = readVarint(packet.data, at, end);
    if (length < 0) throw malformed(`The length of the properties of a ${name} is not a variable byte integer`);
    const start = at + varintSize(length);
    if (start + length > end) throw malformed(`The properties of a ${name} end behind the packet`);
    packet.propertiesStart = start;
    packet.propertiesEnd = start + length;
    packet.properties.take(packet.data, start, start + length, place);
    return start + length;
  }

  #readAck(type: AckType, at: number, end: number): void {
    const packet = this.packet;
    const length = end - at;
    packet.type = type;
    packet.reasonCode = 0;
    packet.properties.clear();
    packet.propertiesStart = packet.propertiesEnd = end;
    if (length < 2 || (length > 2 && this.#version !== 5)) {
      throw malformed(`A ${type.toUpperCase()} has ${length} bytes after its header; expected 2`);
    }
    packet.packetId = readU16(packet.data, at);
    if (packet.packetId === 0) {
      throw protocolError(`The packet identifier of a ${type.toUpperCase()} is 0; expected 1 to 65535`);
    }
    // mqtt5 3.4.2.1: left out, the reason code is success and there are no properties.
    if (length === 2) return;
    packet.reasonCode = packet.data[at + 2] ?? 0;
    const codes = type === "puback" || type === "pubrec" ? RECEIVED : RELEASED;
    if (!codes.has(packet.reasonCode)) {
      throw protocolError(`A ${type.toUpperCase()} has reason code ${packet.reasonCode}, which it cannot have`);
    }
    if (length > 3 && this.#readProperties(type.toUpperCase(), at + 3, end, PLACE.ack) !== end) {
      throw malformed(`Bytes are left over at the end of a ${type.toUpperCase()}`);
    }
  }

  #readPing(at: number, end: number): void {
    if (at !== end) throw malformed(`A PINGREQ has ${end - at} bytes after its header; expected none`);
    this.packet.type = "pingreq";
  }

  #readControl(type: number, start: number, at: number, end: number): void {
    const packet = this.packet;
    if (type === CONTROL.connect) {
      this.#asked = connectVersion(packet.data, at, end);
      if (this.#asked === 5) checkShortest(start, at, end - at);
    }
    // A copy: what is kept of it must not keep the chunk.
    const bytes = Buffer.allocUnsafeSlow(end - start);
    packet.data.copy(bytes, 0, start, end);
    // What 3.1 allows besides is unknown to `mqtt-packet`.
    bytes[0] = (type << 4) | (FLAGS[type] ?? 0);
    packet.control = readControl(type, bytes, at - start, this.#version ?? this.#asked ?? 4);
    packet.type = "control";
  }
}

/** Where the fixed header that begins at `start` ends; -1 when it does not end before `limit`. */
function headerEnd(data: Buffer, start: number, limit: number): number {
  const last = Math.min(limit, start + MOST_HEADER);
  for (let at = start + 1; at < last; at++) if ((data[at] ?? 0) < 0x80) return at + 1;
  if (last === start + MOST_HEADER) throw malformed("The remaining length has more than 4 bytes");
  return -1;
}

function checkShortest(start: number, fieldsAt: number, length: number): void {
  if (fieldsAt - start - 1 === varintSize(length)) return;
  throw malformed(`The remaining length ${length} is written in more bytes than it needs`);
}

function endsWithin(what: string): MqttError {
  return malformed(`A PUBLISH ends within its ${what}`);
}
