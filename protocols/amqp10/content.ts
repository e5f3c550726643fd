import type { Address, AddressKind } from "../../core/addresses/address.ts";
import { BrokerError } from "../../core/errors.ts";
import { encodeBody } from "../../core/body.ts";
import type { BodyKind, Content, Message, PropertyValue, Timing } from "../../core/message.ts";
import { parseTarget } from "./address.ts";
import { AmqpError } from "./errors.ts";
import { idText } from "./message-id.ts";
import { Reader } from "./reader.ts";
import { KNOWN, PROPERTY, Sections } from "./sections.ts";
import { readDuplicateId, readTiming } from "./traits.ts";
import { CODE, Described, isList, plain, Scalar, type Value } from "./values.ts";

const TEXTUAL = /^text\/|[/+](json|xml|yaml)\b|;\s*charset\s*=/i;
const KNOWN_NAMES: ReadonlySet<string> = new Set(KNOWN);

/** What x-opt-jms-msg-type says (AMQP JMS 3.2.1.2). */
const JMS_BYTES = 3;
const JMS_TEXT = 5;
/** What x-opt-jms-reply-to says, by number: queue, topic, temporary queue, temporary topic. */
const JMS_KINDS: readonly AddressKind[] = ["queue", "topic", "queue", "topic"];

const strictUtf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** Whether bytes are UTF-8. */
export function isText(bytes: Uint8Array): boolean {
  try {
    strictUtf8.decode(bytes);
    return true;
  } catch {
    return false;
  }
}

/** What a stored message says, each field read when it is asked for. Places count from its start: its bytes may move. */
export class AmqpContent implements Content {
  readonly timing: Timing | undefined;
  readonly duplicateId: string | undefined;
  readonly #message: Message;
  readonly #annotationsAt: number;
  readonly #applicationAt: number;
  readonly #propertyAt: readonly number[];
  readonly #body: Sections["body"];
  readonly #bodySections: number;
  readonly #bodyStart: number;
  readonly #bodyEnd: number;
  readonly #bodyAt: number;
  #properties: ReadonlyMap<string, PropertyValue> | undefined = undefined;

  constructor(message: Message) {
    const sections = new Sections();
    const { start } = message;
    sections.scan(message.data, start, message.end);
    const place = (at: number): number => (at === 0 ? ABSENT : at - start);
    this.#message = message;
    this.#annotationsAt = place(sections.messageAnnotationsAt);
    this.#applicationAt = place(sections.applicationPropertiesAt);
    this.#propertyAt = sections.propertyAt.map(place);
    this.#body = sections.body;
    this.#bodySections = sections.bodySections;
    this.#bodyStart = sections.bodyStart - start;
    this.#bodyEnd = sections.bodyEnd - start;
    this.#bodyAt = place(sections.bodyAt);
    this.timing = sections.hasKnown ? orUndefined(() => readTiming(sections, message.receivedAt)) : undefined;
    this.duplicateId = sections.hasKnown ? orUndefined(() => readDuplicateId(sections)) : undefined;
  }

  get messageId(): string | undefined {
    return idText(this.#field(PROPERTY.messageId));
  }

  get correlationId(): string | undefined {
    return idText(this.#field(PROPERTY.correlationId));
  }

  get replyTo(): Address | undefined {
    const text = this.#text(PROPERTY.replyTo);
    if (text === undefined || text === "") return undefined;
    const type = this.#annotation("x-opt-jms-reply-to");
    return readReplyTo(text, JMS_KINDS[Number(type)] ?? "queue");
  }

  get subject(): string | undefined {
    return this.#text(PROPERTY.subject);
  }

  get contentType(): string | undefined {
    return this.#text(PROPERTY.contentType);
  }

  get contentEncoding(): string | undefined {
    return this.#text(PROPERTY.contentEncoding);
  }

  get userId(): string | undefined {
    const bytes = this.#field(PROPERTY.userId);
    return bytes instanceof Uint8Array ? Buffer.from(bytes).toString() : undefined;
  }

  get groupId(): string | undefined {
    return this.#text(PROPERTY.groupId);
  }

  get groupSequence(): number | undefined {
    return readGroupSequence(this.#field(PROPERTY.groupSequence));
  }

  get bodyKind(): BodyKind {
    if (this.#body === "sequence") return "list";
    if (this.#body === "value") return kindOfValue(this.#codeAt(this.#bodyAt));
    if (this.#bodySections !== 1) return "bytes";
    const type = this.#annotation("x-opt-jms-msg-type");
    const claimsText = type === JMS_TEXT || (type !== JMS_BYTES && TEXTUAL.test(this.contentType ?? ""));
    return claimsText && isText(this.#message.body) ? "text" : "bytes";
  }

  get value(): unknown {
    if (this.#body === "data" && this.#bodySections > 1) return Buffer.concat(this.#bodies().filter(isBytes));
    if (this.#body === "sequence") return this.#bodies().flatMap((list) => (isList(list) ? list.map(plain) : []));
    const kind = this.bodyKind;
    return this.#body !== "value" || kind === "bytes" || kind === "text" ? undefined : plain(this.#at(this.#bodyAt));
  }

  get properties(): ReadonlyMap<string, PropertyValue> {
    this.#properties ??= this.#readProperties();
    return this.#properties;
  }

  lookup(name: string): PropertyValue | undefined {
    if (this.#properties !== undefined) return this.#properties.get(name);
    const value = this.#find(this.#applicationAt, name);
    return value === undefined ? undefined : asProperty(value);
  }

  #readProperties(): ReadonlyMap<string, PropertyValue> {
    const properties = new Map<string, PropertyValue>();
    const map = this.#at(this.#applicationAt);
    if (map instanceof Map) {
      const entries: ReadonlyMap<Value, Value> = map;
      for (const [key, value] of entries) {
        const name = nameOf(key);
        if (name !== undefined && !KNOWN_NAMES.has(name)) properties.set(name, asProperty(value));
      }
    }
    const replyTo = this.#text(PROPERTY.replyTo);
    // Clients may put anything there; it then stays what it is, a text.
    if (replyTo !== undefined && replyTo !== "" && this.replyTo === undefined) properties.set("reply-to", replyTo);
    return properties;
  }

  /** The values of all sections of the body. */
  #bodies(): Value[] {
    const { data, start } = this.#message;
    const reader = new Reader(false).over(data, start + this.#bodyStart, start + this.#bodyEnd);
    const values: Value[] = [];
    while (!reader.done) {
      const section = reader.read();
      if (section instanceof Described) values.push(section.value);
    }
    return values;
  }

  #field(place: number): Value {
    return this.#at(this.#propertyAt[place] ?? ABSENT);
  }

  #text(place: number): string | undefined {
    return nameOf(this.#field(place));
  }

  #annotation(name: string): unknown {
    const value = this.#find(this.#annotationsAt, name);
    return value === undefined ? undefined : plain(value);
  }

  #at(place: number): Value {
    if (place === ABSENT) return null;
    const { data, start, end } = this.#message;
    return new Reader(false).over(data, start + place, end).read();
  }

  #codeAt(place: number): number {
    return this.#message.data[this.#message.start + place] ?? 0;
  }

  /** The value under a name in the map at a place: no other value of it is read. */
  #find(place: number, name: string): Value | undefined {
    if (place === ABSENT) return undefined;
    const { data, start, end } = this.#message;
    const reader = new Reader(false).over(data, start + place, end);
    for (let left = reader.open(); left > 0; left -= 2) {
      const keyAt = reader.at;
      reader.skip();
      if (isName(data, keyAt, reader.at, name)) return reader.read();
      reader.skip();
    }
    return undefined;
  }
}

/** A field that is not there, as a place. */
const ABSENT = -1;

/** The sequence number of a group (amqp10 3.2.14), whose last message has -1 in JMS. */
export function readGroupSequence(value: Value): number | undefined {
  return value instanceof Scalar && typeof value.value === "number" ? value.value | 0 : undefined;
}

/** A string or a symbol as a text. */
function nameOf(value: Value): string | undefined {
  if (typeof value === "string") return value;
  return value instanceof Scalar && typeof value.value === "string" ? value.value : undefined;
}

/** Whether the string or symbol in `data[at, end)` is this name. */
function isName(data: Buffer, at: number, end: number, name: string): boolean {
  const code = data[at];
  const short = code === CODE.string8 || code === CODE.symbol8;
  if (!short && code !== CODE.string32 && code !== CODE.symbol32) return false;
  const start = at + (short ? 2 : 5);
  const plainLength = end - start === name.length;
  for (let i = 0; i < name.length; i++) {
    const letter = name.charCodeAt(i);
    if (letter >= 0x80) return data.toString("utf8", start, end) === name;
    if (data[start + i] !== letter) return false;
  }
  return plainLength;
}

/** An application property as the core has them: times as milliseconds, what has a structure as JSON. */
function asProperty(value: Value): PropertyValue {
  const said = plain(value);
  switch (typeof said) {
    case "string":
    case "number":
    case "bigint":
    case "boolean":
      return said;
    default:
      if (said instanceof Date) return said.getTime();
      if (said === null || said === undefined) return null;
      return said instanceof Uint8Array ? said : encodeBody(said).toString();
  }
}

function kindOfValue(code: number): BodyKind {
  switch (code) {
    case CODE.string8:
    case CODE.string32:
      return "text";
    // A message without a body, as JMS has it, is one of no bytes.
    case CODE.null:
    case CODE.binary8:
    case CODE.binary32:
      return "bytes";
    case CODE.map8:
    case CODE.map32:
      return "map";
    case CODE.list0:
    case CODE.list8:
    case CODE.list32:
    case CODE.array8:
    case CODE.array32:
      return "list";
    default:
      return "value";
  }
}

function isBytes(value: Value): value is Uint8Array {
  return value instanceof Uint8Array;
}

function readReplyTo(text: string, plainKind: AddressKind): Address | undefined {
  try {
    const [address, ...others] = parseTarget(text, plainKind, () => {
      throw new BrokerError("bad-address", "a temporary name means something to its own connection only");
    });
    return others.length === 0 ? address : undefined;
  } catch (error) {
    if (error instanceof BrokerError) return undefined;
    throw error;
  }
}

/** What was refused when it came in may have been kept before it had a meaning. */
function orUndefined<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch (error) {
    if (error instanceof AmqpError) return undefined;
    throw error;
  }
}
