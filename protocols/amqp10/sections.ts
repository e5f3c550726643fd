/*
 * The sections of a message (amqp10 3.2), found where they lie:
 *
 *     header | delivery annotations | message annotations | properties | application properties | body ... | footer
 *
 * Each is a described value, or not there; the body is data sections, sequences, or one value. All of a message is looked
 * through once, when it comes in, so that whoever takes it apart later finds nothing wrong with it.
 */
import { sameBytes } from "../../core/memory/bytes.ts";
import { type AmqpError, malformed } from "./errors.ts";
import { ABSENT } from "./frame.ts";
import { FieldList, type HeaderFields } from "./frequent.ts";
import { Reader } from "./reader.ts";
import { CODE, Scalar, type Value } from "./values.ts";

const EMPTY: Buffer = Buffer.alloc(0);

/** The codes of the descriptors of sections. */
export const SECTION = {
  header: 0x70,
  deliveryAnnotations: 0x71,
  messageAnnotations: 0x72,
  properties: 0x73,
  applicationProperties: 0x74,
  data: 0x75,
  sequence: 0x76,
  value: 0x77,
  footer: 0x78,
} as const;

const NAMES = [
  "header:list",
  "delivery-annotations:map",
  "message-annotations:map",
  "properties:list",
  "application-properties:map",
  "data:binary",
  "amqp-sequence:list",
  "amqp-value:*",
  "footer:map",
];

/** The fields of `properties` by their places in it (amqp10 3.2.4). */
export const PROPERTY = {
  messageId: 0,
  userId: 1,
  to: 2,
  subject: 3,
  replyTo: 4,
  correlationId: 5,
  contentType: 6,
  contentEncoding: 7,
  absoluteExpiryTime: 8,
  creationTime: 9,
  groupId: 10,
  groupSequence: 11,
  replyToGroupId: 12,
} as const;

const MOST_PROPERTIES = 13;

/** Annotations and application properties that the broker carries out, wherever they stand. */
export const KNOWN = [
  "x-opt-delivery-time",
  "x-opt-delivery-delay",
  "AMQ_SCHEDULED_DELAY",
  "AMQ_SCHEDULED_PERIOD",
  "AMQ_SCHEDULED_REPEAT",
  "AMQ_SCHEDULED_CRON",
  "x-opt-duplicate-id",
  "duplicate-id",
  "_AMQ_DUPL_ID",
] as const;

/** The name of one of these. */
export type KnownName = (typeof KNOWN)[number];

/** By their lengths: most names that come have another one. */
const KNOWN_BY_LENGTH: readonly (readonly (readonly [Buffer, number])[])[] = Array.from({ length: 32 }, (_, length) =>
  KNOWN.flatMap((name, i) => (name.length === length ? [[Buffer.from(name), i] as const] : [])),
);

/** Where the sections of a message lie; of no length where one is not there. Used again for the next one. */
export class Sections implements HeaderFields {
  data: Buffer = EMPTY;
  /** Where the message begins without header and delivery annotations: those are for one hop only. */
  start = 0;
  end = 0;
  durable = false;
  /** 0 to 9. */
  priority = 4;
  /** Milliseconds; `ABSENT` when it is not there. */
  ttl = ABSENT;
  /** Behind the descriptor of each section, where its map or list begins; 0 when it is not there. */
  messageAnnotationsAt = 0;
  messageAnnotationsEnd = 0;
  applicationPropertiesAt = 0;
  /** The properties with their descriptor. */
  propertiesStart = 0;
  propertiesEnd = 0;
  /** The body's sections with their descriptors. */
  bodyStart = 0;
  bodyEnd = 0;
  body: "data" | "sequence" | "value" | "none" = "none";
  bodySections = 0;
  /** Behind the descriptor of the last section of the body. */
  bodyAt = 0;
  /** Where fields of the properties are, by their places; 0 for those that are null or left out. */
  readonly propertyAt: number[] = Array.from({ length: MOST_PROPERTIES }, () => 0);
  /** Where the values of the known names are, by their places in `KNOWN`; 0 for those that are not there. */
  readonly knownAt: number[] = Array.from(KNOWN, () => 0);
  /** Whether any of the known names is there. */
  hasKnown = false;
  readonly #fields = new FieldList();
  readonly #reader = new Reader(false);
  /** The code of the last section that was found. */
  #last = 0;

  /** Finds the sections of a whole message. Throws AmqpError(amqp:decode-error) when it is none. */
  scan(data: Buffer, start: number, end: number): void {
    this.#clear(data, start, end);
    for (let at = start; at < end; ) at = this.#section(at);
  }

  /** The value at a place; null for 0. */
  read(at: number): Value {
    return at === 0 ? null : this.#reader.over(this.data, at, this.end).read();
  }

  /** The value of one of the known names; null when it is not there. */
  known(name: KnownName): Value {
    return this.read(this.knownAt[KNOWN.indexOf(name)] ?? 0);
  }

  #clear(data: Buffer, start: number, end: number): void {
    this.data = data;
    this.start = start;
    this.end = end;
    this.durable = false;
    this.priority = 4;
    this.ttl = ABSENT;
    this.messageAnnotationsAt = this.messageAnnotationsEnd = 0;
    this.applicationPropertiesAt = 0;
    this.propertiesStart = this.propertiesEnd = 0;
    this.bodyStart = this.bodyEnd = end;
    this.body = "none";
    this.bodySections = 0;
    this.bodyAt = 0;
    this.propertyAt.fill(0);
    if (this.hasKnown) this.knownAt.fill(0);
    this.hasKnown = false;
    this.#last = 0;
  }

  /** One section; returns where it ends. */
  #section(at: number): number {
    const { data, end } = this;
    let code = 0;
    let valueAt = at + 3;
    if (data[at] === CODE.described && data[at + 1] === CODE.smallUlong && valueAt < end) {
      code = data[at + 2] ?? 0;
    } else {
      const reader = this.#reader.over(data, at + 1, end);
      if (data[at] === CODE.described) code = codeOf(reader.read());
      valueAt = reader.at;
    }
    if (code < SECTION.header || code > SECTION.footer)
      throw malformed("Something stands in a message that is no section");
    this.#checkOrder(code);
    const constructor = data[valueAt] ?? 0;
    switch (code) {
      case SECTION.header:
        this.start = this.#fields.header(this, data, valueAt, end);
        return this.start;
      case SECTION.deliveryAnnotations:
        this.start = this.#map(code, constructor, valueAt, false);
        return this.start;
      case SECTION.messageAnnotations:
        this.messageAnnotationsAt = valueAt;
        this.messageAnnotationsEnd = this.#map(code, constructor, valueAt, true);
        return this.messageAnnotationsEnd;
      case SECTION.properties:
        this.propertiesStart = at;
        this.propertiesEnd = this.#properties(valueAt);
        return this.propertiesEnd;
      case SECTION.applicationProperties:
        this.applicationPropertiesAt = valueAt;
        return this.#map(code, constructor, valueAt, true);
      case SECTION.footer:
        return this.#map(code, constructor, valueAt, false);
      default:
        return this.#body(code, constructor, at, valueAt);
    }
  }

  /** The order is fixed, and only data and sequences may come again (amqp10 3.2). */
  #checkOrder(code: number): void {
    const last = this.#last;
    this.#last = code;
    if (code > last && !(isBody(code) && isBody(last))) return;
    if (code === last && (code === SECTION.data || code === SECTION.sequence)) return;
    throw malformed(`The section ${nameOf(code)} cannot stand behind ${nameOf(last)}`);
  }

  #body(code: number, constructor: number, at: number, valueAt: number): number {
    if (code === SECTION.data && constructor !== CODE.binary8 && constructor !== CODE.binary32) throw mistyped(code);
    if (code === SECTION.sequence && !isList(constructor)) throw mistyped(code);
    if (this.bodySections === 0) this.bodyStart = at;
    this.bodySections++;
    this.body = code === SECTION.data ? "data" : code === SECTION.sequence ? "sequence" : "value";
    this.bodyAt = valueAt;
    this.bodyEnd = this.#skip(valueAt);
    return this.bodyEnd;
  }

  #properties(at: number): number {
    const reader = this.#reader.over(this.data, at, this.end);
    const count = isList(reader.peek()) ? reader.open() : -1;
    const { inner } = reader;
    if (count < 0) throw mistyped(SECTION.properties);
    if (count > MOST_PROPERTIES) {
      throw malformed(`The properties of a message have ${count} fields; expected ${MOST_PROPERTIES} at most`);
    }
    for (let i = 0; i < count; i++) {
      if (reader.peek() !== CODE.null) this.propertyAt[i] = reader.at;
      reader.skip();
    }
    if (reader.at !== inner) throw mistyped(SECTION.properties);
    return reader.at;
  }

  /** A map; `known` names in it are noted. */
  #map(code: number, constructor: number, at: number, known: boolean): number {
    if (constructor !== CODE.map8 && constructor !== CODE.map32) throw mistyped(code);
    if (!known) return this.#skip(at);
    const reader = this.#reader.over(this.data, at, this.end);
    const count = reader.open();
    const { inner } = reader;
    for (let i = 0; i < count; i += 2) {
      const keyAt = reader.at;
      reader.skip();
      this.#note(keyAt, reader.at);
      reader.skip();
    }
    if (reader.at !== inner) throw mistyped(code);
    return reader.at;
  }

  /** Notes where a value begins if its key is one of those that the broker looks for. */
  #note(keyAt: number, valueAt: number): void {
    const { data } = this;
    const code = data[keyAt];
    if (code !== CODE.symbol8 && code !== CODE.string8) return;
    const candidates = KNOWN_BY_LENGTH[data[keyAt + 1] ?? 0];
    if (candidates === undefined) return;
    for (const [name, i] of candidates) {
      if (data[valueAt] === CODE.null || !sameBytes(name, data, keyAt + 2, valueAt)) continue;
      this.knownAt[i] ||= valueAt;
      this.hasKnown = true;
    }
  }

  #skip(at: number): number {
    const reader = this.#reader.over(this.data, at, this.end);
    reader.skip();
    return reader.at;
  }
}

function isBody(code: number): boolean {
  return code >= SECTION.data && code <= SECTION.value;
}

function isList(constructor: number): boolean {
  return constructor === CODE.list8 || constructor === CODE.list32 || constructor === CODE.list0;
}

/** The code of a section by its descriptor; 0 for any other. */
function codeOf(descriptor: Value): number {
  const value = descriptor instanceof Scalar ? descriptor.value : undefined;
  if (typeof value === "bigint") return value < 0x100n ? Number(value) : 0;
  const place = typeof value === "string" ? NAMES.indexOf(value.replace(/^amqp:/, "")) : -1;
  return place < 0 ? 0 : SECTION.header + place;
}

function nameOf(code: number): string {
  return (NAMES[code - SECTION.header] ?? "nothing").replace(/:.*/, "");
}

function mistyped(code: number): AmqpError {
  const [name = "", type = ""] = (NAMES[code - SECTION.header] ?? "").split(":");
  return malformed(`The section ${name} of a message is no ${type}`);
}
