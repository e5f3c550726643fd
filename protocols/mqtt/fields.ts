import { isText, readU16, readVarint, varintSize } from "./bytes.ts";
import { MqttError, malformed, protocolError, REASON } from "./errors.ts";
import { PropertyBlock } from "./properties.ts";
import type { Place } from "./property-names.ts";

/** Goes through the fields of one packet in `data[at, end)` and checks that each is what it should be. */
export class Fields {
  readonly data: Buffer;
  at: number;
  readonly end: number;
  /** The packet's name, for error texts. */
  readonly #packet: string;

  constructor(packet: string, data: Buffer, at: number, end: number) {
    this.#packet = packet;
    this.data = data;
    this.at = at;
    this.end = end;
  }

  get left(): number {
    return this.end - this.at;
  }

  byte(what: string): number {
    this.#need(1, what);
    return this.data[this.at++] ?? 0;
  }

  u16(what: string): number {
    this.#need(2, what);
    const value = readU16(this.data, this.at);
    this.at += 2;
    return value;
  }

  packetId(): number {
    const id = this.u16("packet identifier");
    // [MQTT-2.2.1-3]
    if (id === 0) throw protocolError(`The packet identifier of a ${this.#packet} is 0; expected 1 to 65535`);
    return id;
  }

  /** Goes past a field of bytes with their length before them. */
  binary(what: string): void {
    const length = this.u16(what);
    this.#need(length, what);
    this.at += length;
  }

  /** Goes past a text with its length before it. */
  text(what: string): void {
    const start = this.at + 2;
    this.binary(what);
    // [MQTT-1.5.4-1] [MQTT-1.5.4-2]
    if (isText(this.data, start, this.at)) return;
    throw malformed(`The ${what} of a ${this.#packet} is not UTF-8 without U+0000`);
  }

  /** A field of bytes with their length before them, as a part of the packet's. */
  bytes(what: string): Buffer {
    const start = this.at + 2;
    this.binary(what);
    return this.data.subarray(start, this.at);
  }

  /** A text with its length before it. */
  string(what: string): string {
    const start = this.at + 2;
    this.text(what);
    return this.data.toString("utf8", start, this.at);
  }

  properties(place: Place): PropertyBlock {
    const block = new PropertyBlock();
    const length = readVarint(this.data, this.at, this.end);
    if (length < 0) {
      throw malformed(`The length of the properties of a ${this.#packet} is not a variable byte integer`);
    }
    this.at += varintSize(length);
    this.#need(length, "properties");
    if (length > 0) block.take(this.data, this.at, this.at + length, place);
    this.at += length;
    return block;
  }

  /** Nothing may be left. */
  finish(): void {
    if (this.left > 0) throw malformed(`${this.left} bytes are left over at the end of a ${this.#packet}`);
  }

  #need(bytes: number, what: string): void {
    if (this.left >= bytes) return;
    throw malformed(`A ${this.#packet} ends within its ${what}: ${bytes} bytes expected, ${this.left} are there`);
  }
}

const HASH = 35;
const PLUS = 43;

/** Refuses what is no topic to publish to: throws `MqttError`. */
export function checkTopicName(data: Buffer, start: number, end: number): void {
  // [MQTT-1.5.4-1] [MQTT-1.5.4-2] [MQTT-3.3.2-1] [MQTT-4.7.3-2]
  if (!isText(data, start, end)) throw malformed("The topic is not UTF-8 without U+0000");
  // [MQTT-4.7.3-1]
  if (start === end) throw new MqttError(REASON.topicNameInvalid, "The topic is empty; expected one character or more");
  for (let at = start; at < end; at++) {
    if (data[at] !== HASH && data[at] !== PLUS) continue;
    // [MQTT-3.3.2-2] [MQTT-4.7.0-1]
    throw new MqttError(REASON.topicNameInvalid, "The topic has a wildcard in it; expected a topic without");
  }
}
