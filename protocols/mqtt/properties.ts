/*
 * The properties of MQTT 5.0 in the order they stand in a packet (mqtt5 2.2.2):
 *
 *     length  id value  id value ...         value: byte | u16 | u32 | varint | u16 length + bytes | two of those
 *             |start                  |end
 *
 * They are walked once, when the packet is read; afterwards each is found where the walk saw it.
 */
import { sameBytes } from "../../core/memory/bytes.ts";
import { isText, readU16, readU32, readVarint, varintSize } from "./bytes.ts";
import { MqttError, malformed, protocolError, REASON } from "./errors.ts";
import {
  BY_ID,
  type BytesProperty,
  type NumberProperty,
  type Place,
  PROPERTIES,
  type PropertyRule,
  propertyRule,
  type TextProperty,
} from "./property-names.ts";

const EMPTY: Buffer = Buffer.alloc(0);
const USER = propertyRule("userProperties");
const SUBSCRIPTION = propertyRule("subscriptionIdentifier");
const RESPONSE_TOPIC = propertyRule("responseTopic");
const PAYLOAD_FORMAT = propertyRule("payloadFormatIndicator");
const MESSAGE_EXPIRY = propertyRule("messageExpiryInterval");
const TOPIC_ALIAS = propertyRule("topicAlias");

/** The name of the user property that says a message's priority. */
export const PRIORITY_NAME = "message-priority";
const PRIORITY = Buffer.from(PRIORITY_NAME);
/** The priority of a message that says nothing of it. */
const ORDINARY = 4;
const ZERO = 48;
const HASH = 35;
const PLUS = 43;

/** The properties of one packet: checked, and read from the packet's bytes only when asked for. */
export class PropertyBlock {
  data: Buffer = EMPTY;
  /** The properties without their length: `data[start, end)`. */
  start = 0;
  end = 0;
  /** The bits of the properties that are there. */
  known = 0;
  /** 0 without one. */
  topicAlias = 0;
  /** Seconds; -1 without one. */
  messageExpiry = -1;
  /** 1 when the payload is said to be UTF-8. */
  payloadFormat = 0;
  /** By number: where the value of the first property of that name is. */
  #places: Int32Array | undefined = undefined;

  /** Whether there are none. */
  get empty(): boolean {
    return this.known === 0;
  }

  /** Forgets them all. */
  clear(): void {
    if (this.known === 0) return;
    this.data = EMPTY;
    this.known = this.start = this.end = this.topicAlias = this.payloadFormat = 0;
    this.messageExpiry = -1;
  }

  /**
   * Takes the properties in `data[start, end)`. Throws `MqttError` when one of them may not stand there, is there twice
   * or is not formed as it should be.
   */
  take(data: Buffer, start: number, end: number, place: Place): void {
    this.clear();
    this.data = data;
    this.start = start;
    this.end = end;
    this.#places ??= new Int32Array(PROPERTIES.length);
    const places = this.#places;
    for (let at = start; at < end; ) {
      const id = data[at++] ?? 0;
      const rule = BY_ID[id];
      if (rule === undefined) throw malformed(`Property ${id} is not one of MQTT 5.0`);
      if ((rule.places & place) === 0) throw malformed(`The property ${rule.name} may not stand in this packet`);
      if ((this.known & rule.bit) === 0) {
        this.known |= rule.bit;
        places[rule.number] = at;
      } else if ((rule.repeatable & place) === 0) {
        throw protocolError(`The property ${rule.name} is there twice, and may be there once`);
      }
      at = skip(rule, data, at, end);
    }
    this.#note();
  }

  #note(): void {
    const { data, known } = this;
    if ((known & TOPIC_ALIAS.bit) !== 0) this.topicAlias = readU16(data, this.#placeOf(TOPIC_ALIAS));
    if ((known & MESSAGE_EXPIRY.bit) !== 0) this.messageExpiry = readU32(data, this.#placeOf(MESSAGE_EXPIRY));
    if ((known & PAYLOAD_FORMAT.bit) !== 0) this.payloadFormat = data[this.#placeOf(PAYLOAD_FORMAT)] ?? 0;
  }

  /** Where the value of the first property of this name begins; -1 when there is none. */
  find(rule: PropertyRule): number {
    return (this.known & rule.bit) === 0 ? -1 : this.#placeOf(rule);
  }

  number(name: NumberProperty): number | undefined {
    const rule = propertyRule(name);
    const at = this.find(rule);
    return at < 0 ? undefined : readNumber(rule, this.data, at, this.end);
  }

  text(name: TextProperty): string | undefined {
    const at = this.find(propertyRule(name));
    return at < 0 ? undefined : readText(this.data, at);
  }

  /** A part of the packet's bytes, not a copy of them. */
  bytes(name: BytesProperty): Buffer | undefined {
    const at = this.find(propertyRule(name));
    return at < 0 ? undefined : this.data.subarray(at + 2, at + 2 + readU16(this.data, at));
  }

  /** In their order, which is kept [MQTT-3.3.2-18]. */
  userProperties(): [string, string][] {
    const pairs: [string, string][] = [];
    this.#each(USER, (at) => {
      pairs.push([readText(this.data, at), readText(this.data, at + 2 + readU16(this.data, at))]);
    });
    return pairs;
  }

  /** The priority that a user property gives to a message; 4 without one that is a digit. */
  priority(): number {
    for (let at = this.find(USER); at >= 0; at = this.#next(USER, at)) {
      const valueAt = at + 2 + readU16(this.data, at);
      if (!sameBytes(PRIORITY, this.data, at + 2, valueAt)) continue;
      const digit = readU16(this.data, valueAt) === 1 ? (this.data[valueAt + 2] ?? 0) - ZERO : -1;
      return digit >= 0 && digit <= 9 ? digit : ORDINARY;
    }
    return ORDINARY;
  }

  subscriptionIdentifiers(): number[] {
    const identifiers: number[] = [];
    this.#each(SUBSCRIPTION, (at) => {
      identifiers.push(readVarint(this.data, at, this.end));
    });
    return identifiers;
  }

  #placeOf(rule: PropertyRule): number {
    return this.#places?.[rule.number] ?? 0;
  }

  /** Calls `found` with where each value of this name begins. */
  #each(wanted: PropertyRule, found: (at: number) => void): void {
    for (let at = this.find(wanted); at >= 0; at = this.#next(wanted, at)) found(at);
  }

  /** Where the next value of this name begins, behind one at `before`; -1 when there is none. */
  #next(wanted: PropertyRule, before: number): number {
    let rule: PropertyRule | undefined = wanted;
    for (let at = before; rule !== undefined; ) {
      at = skip(rule, this.data, at, this.end);
      if (at >= this.end) return -1;
      rule = BY_ID[this.data[at++] ?? 0];
      if (rule === wanted) return at;
    }
    return -1;
  }
}

function readNumber(rule: PropertyRule, data: Buffer, at: number, end: number): number {
  if (rule.kind === "byte") return data[at] ?? 0;
  if (rule.kind === "u16") return readU16(data, at);
  return rule.kind === "u32" ? readU32(data, at) : readVarint(data, at, end);
}

function readText(data: Buffer, at: number): string {
  return data.toString("utf8", at + 2, at + 2 + readU16(data, at));
}

/** Checks the value at `at` and returns where it ends. */
function skip(rule: PropertyRule, data: Buffer, at: number, end: number): number {
  switch (rule.kind) {
    case "byte":
    case "u16":
    case "u32":
    case "varint":
      return skipNumber(rule, data, at, end);
    case "utf8":
      return skipText(rule, data, at, end);
    case "pair":
      // [MQTT-1.5.7-1]
      return skipText(rule, data, skipText(rule, data, at, end), end);
    case "binary":
      return skipBytes(rule, data, at, end);
  }
}

function skipNumber(rule: PropertyRule, data: Buffer, at: number, end: number): number {
  const size =
    rule.kind === "byte" ? 1 : rule.kind === "u16" ? 2 : rule.kind === "u32" ? 4 : varintLength(rule, data, at, end);
  if (at + size > end) throw cut(rule);
  const value = readNumber(rule, data, at, end);
  if (value < rule.least || value > rule.most) {
    const text = `The property ${rule.name} is ${value}; expected ${rule.least} to ${rule.most}`;
    // [MQTT-3.3.2-8]
    throw rule === TOPIC_ALIAS ? new MqttError(REASON.topicAliasInvalid, text) : protocolError(text);
  }
  return at + size;
}

function varintLength(rule: PropertyRule, data: Buffer, at: number, end: number): number {
  const value = readVarint(data, at, end);
  if (value < 0) throw malformed(`The property ${rule.name} is not a variable byte integer`);
  return varintSize(value);
}

function skipBytes(rule: PropertyRule, data: Buffer, at: number, end: number): number {
  if (at + 2 > end) throw cut(rule);
  const next = at + 2 + readU16(data, at);
  if (next > end) throw cut(rule);
  return next;
}

function skipText(rule: PropertyRule, data: Buffer, at: number, end: number): number {
  const next = skipBytes(rule, data, at, end);
  // [MQTT-1.5.4-1] [MQTT-1.5.4-2] [MQTT-3.3.2-13] [MQTT-3.3.2-19]
  if (!isText(data, at + 2, next)) throw malformed(`The property ${rule.name} is not UTF-8 without U+0000`);
  if (rule === RESPONSE_TOPIC) checkResponseTopic(data, at + 2, next);
  return next;
}

function checkResponseTopic(data: Buffer, start: number, end: number): void {
  // [MQTT-4.7.3-1]
  if (start === end) throw protocolError("The property responseTopic is empty; expected a topic");
  for (let at = start; at < end; at++) {
    // [MQTT-3.3.2-14]
    if (data[at] === HASH || data[at] === PLUS) throw protocolError("The property responseTopic has a wildcard in it");
  }
}

function cut(rule: PropertyRule): MqttError {
  return malformed(`The property ${rule.name} does not end within the properties`);
}
