import { onTestFinished } from "vitest";
import { Reader } from "../../protocols/amqp10/reader.ts";
import { PROPERTY, SECTION } from "../../protocols/amqp10/sections.ts";
import { Described, isList, Scalar, symbol, TypedArray, type Value } from "../../protocols/amqp10/values.ts";
import { encodeValue } from "../../protocols/amqp10/writer.ts";
import { Amqp10Wire } from "../support/amqp10-wire.ts";
import { bodyLines, type Dialect, type Place, showBytes, showLifetime, showText, type Voice } from "./tongue.ts";

type PropertyName = keyof typeof PROPERTY;

/** The sections of a body. */
type Body =
  | { readonly data: Buffer }
  | { readonly value: Value }
  | { readonly sequence: readonly Value[] }
  | { readonly parts: readonly Buffer[] };

/** What the sections of a message say. */
export interface Amqp10Said {
  readonly durable?: boolean;
  readonly priority?: number;
  readonly ttlMs?: number;
  readonly annotations?: Readonly<Record<string, Value>>;
  readonly properties?: Readonly<Partial<Record<PropertyName, Value>>>;
  readonly application?: Readonly<Record<string, Value>>;
  readonly body?: Body;
}

const ORDINARY_PRIORITY = 4;
const ORDINARY_BODY: Body = { value: "x" };
const NAMES = new Map(Object.entries(PROPERTY).map(([name, place]): [number, string] => [place, name]));
/** What everything says that did not come by AMQP 1.0. */
const OWN: ReadonlySet<string> = new Set(["to", "creationTime", "absoluteExpiryTime"]);
const MOST_PAYLOAD = 100_000;
const RECEIVED = 1000;

class Amqp10Voice implements Voice<Amqp10Said> {
  readonly #wire: Amqp10Wire;
  readonly #handles = new Map<string, number>();

  constructor(wire: Amqp10Wire) {
    this.#wire = wire;
  }

  async say(place: Place, said: Amqp10Said): Promise<void> {
    const address = amqp10Name(place);
    let handle = this.#handles.get(address);
    if (handle === undefined) {
      handle = 10 + this.#handles.size;
      this.#handles.set(address, handle);
      await this.#wire.sender(address, { handle });
    }
    const bytes = encode(said);
    const first = bytes.subarray(0, MOST_PAYLOAD);
    const deliveryId = await this.#wire.transfer(first, { handle, more: bytes.length > MOST_PAYLOAD });
    for (let at = MOST_PAYLOAD; at < bytes.length; at += MOST_PAYLOAD) {
      const part = bytes.subarray(at, at + MOST_PAYLOAD);
      await this.#wire.say({ type: "transfer", handle, more: at + MOST_PAYLOAD < bytes.length }, 0, part);
    }
    const { performative } = await this.#wire.expect("disposition");
    if (performative.first !== deliveryId || performative.state?.type !== "accepted") {
      throw new Error(`Not accepted: ${JSON.stringify(performative)}`);
    }
  }

  async hear(): Promise<Amqp10Said> {
    const parts: Buffer[] = [];
    for (;;) {
      const { performative, payload } = await this.#wire.expect("transfer");
      parts.push(payload);
      if (!performative.more) return decode(Buffer.concat(parts));
    }
  }
}

export const amqp10: Dialect<Amqp10Said> = {
  name: "AMQP 1.0",
  async connect(port, places) {
    const windows = { nextOutgoingId: 0, incomingWindow: 1 << 30, outgoingWindow: 1 << 30 };
    const wire = await Amqp10Wire.connect(port, { begin: windows });
    onTestFinished(() => wire[Symbol.dispose]());
    for (const [handle, place] of places.entries()) {
      await wire.receiver(amqp10Name(place), 0, { handle, sndSettleMode: 1 });
      await wire.credit(RECEIVED, handle, { incomingWindow: 1 << 30 });
    }
    return new Amqp10Voice(wire);
  },
  lines({
    durable = false,
    priority,
    ttlMs,
    annotations = {},
    properties = {},
    application = {},
    body = ORDINARY_BODY,
  }) {
    return [
      ...(durable ? ["durable"] : []),
      ...(priority === undefined || priority === ORDINARY_PRIORITY ? [] : [`priority ${priority}`]),
      ...(ttlMs === undefined ? [] : [`ttl ${showLifetime(ttlMs)}`]),
      ...Object.entries(annotations).map(([name, value]) => `message annotation ${name} ${showValue(value)}`),
      ...Object.entries(properties).flatMap(([name, value]) =>
        OWN.has(name) ? [] : [`${wireName(name)} ${showField(value)}`],
      ),
      ...Object.entries(application).map(
        ([name, value]) => `application property ${showName(name)} ${showValue(value)}`,
      ),
      ...showBody(body),
    ];
  },
};

function encode({ durable, priority, ttlMs, annotations, properties, application, body }: Amqp10Said): Buffer {
  const sections: Buffer[] = [];
  const add = (code: number, value: Value): void => {
    sections.push(encodeValue(new Described(new Scalar("ulong", BigInt(code)), value)));
  };
  const ubyte = priority === undefined ? null : new Scalar("ubyte", priority);
  const uint = ttlMs === undefined ? null : new Scalar("uint", ttlMs);
  add(SECTION.header, [durable ?? null, ubyte, uint]);
  if (annotations !== undefined) {
    add(SECTION.messageAnnotations, new Map(Object.entries(annotations).map(([name, value]) => [symbol(name), value])));
  }
  if (properties !== undefined) {
    const fields = Array.from({ length: NAMES.size }, (): Value => null);
    for (const [place, name] of NAMES) if (isProperty(name)) fields[place] = properties[name] ?? null;
    add(SECTION.properties, fields);
  }
  if (application !== undefined) add(SECTION.applicationProperties, new Map(Object.entries(application)));
  addBody(add, body ?? ORDINARY_BODY);
  return Buffer.concat(sections);
}

function addBody(add: (code: number, value: Value) => void, body: Body): void {
  if ("data" in body) add(SECTION.data, body.data);
  else if ("value" in body) add(SECTION.value, body.value);
  else if ("sequence" in body) add(SECTION.sequence, body.sequence);
  else for (const part of body.parts) add(SECTION.data, part);
}

function decode(payload: Buffer): Amqp10Said {
  const reader = new Reader(true).over(payload, 0, payload.length);
  const sections = new Map<number, Value[]>();
  while (!reader.done) {
    const section = reader.read();
    if (!(section instanceof Described) || !(section.descriptor instanceof Scalar)) throw new Error("Not a section");
    const code = Number(section.descriptor.value);
    sections.set(code, [...(sections.get(code) ?? []), section.value]);
  }
  const one = (code: number): Value => sections.get(code)?.[0] ?? null;
  const [durable = null, priority = null, ttl = null] = listOf(one(SECTION.header));
  const fields = listOf(one(SECTION.properties)).flatMap((value, place): [string, Value][] =>
    value === null ? [] : [[NAMES.get(place) ?? String(place), value]],
  );
  const annotations = entriesOf(one(SECTION.messageAnnotations)).filter(([name]) => !name.startsWith("x-opt-jms-"));
  return {
    durable: durable === true,
    ...(priority instanceof Scalar ? { priority: Number(priority.value) } : {}),
    ...(ttl instanceof Scalar ? { ttlMs: Number(ttl.value) } : {}),
    annotations: Object.fromEntries(annotations),
    properties: Object.fromEntries(fields),
    application: Object.fromEntries(entriesOf(one(SECTION.applicationProperties))),
    body: bodyOf(sections),
  };
}

function bodyOf(sections: ReadonlyMap<number, readonly Value[]>): Body {
  const parts = sections.get(SECTION.data)?.flatMap((part) => (part instanceof Uint8Array ? [Buffer.from(part)] : []));
  const [data] = parts ?? [];
  if (parts !== undefined && data !== undefined) return parts.length === 1 ? { data } : { parts };
  const [sequence] = sections.get(SECTION.sequence) ?? [];
  if (sequence !== undefined) return { sequence: listOf(sequence) };
  return { value: sections.get(SECTION.value)?.[0] ?? null };
}

function listOf(value: Value): readonly Value[] {
  return isList(value) ? value : [];
}

function entriesOf(value: Value): [string, Value][] {
  if (!(value instanceof Map)) return [];
  const entries: ReadonlyMap<Value, Value> = value;
  return Array.from(entries, ([key, item]) => [
    key instanceof Scalar ? String(key.value) : typeof key === "string" ? key : showValue(key),
    item,
  ]);
}

function isProperty(name: string): name is PropertyName {
  return name in PROPERTY;
}

function showBody(body: Body): string[] {
  if ("data" in body) return [`data ${showBytes(body.data)}`];
  if ("parts" in body) return [`data ${body.parts.map(showBytes).join(", data ")}`];
  if ("sequence" in body) return [`amqp-sequence ${showValue(body.sequence)}`];
  const { value } = body;
  if (typeof value === "string") return bodyLines(Buffer.from(value), "amqp-value string");
  return [`amqp-value ${showValue(value)}`];
}

/** A field of the properties, most of which have one type. */
function showField(value: Value): string {
  if (value instanceof Scalar && (value.type === "symbol" || value.type === "uint")) {
    return typeof value.value === "string" ? showText(value.value) : String(value.value);
  }
  return value instanceof Uint8Array ? `binary ${showBytes(value)}` : showValue(value);
}

function showValue(value: Value): string {
  if (value === null || typeof value === "boolean") return String(value);
  if (typeof value === "string") return showText(value);
  if (typeof value === "bigint") return `long ${value}`;
  if (typeof value === "number") return `${value === (value | 0) ? "int" : "double"} ${value}`;
  if (value instanceof Uint8Array) return `binary ${Buffer.from(value).toString("hex")}`;
  if (value instanceof Scalar) {
    return `${value.type} ${value.value instanceof Uint8Array ? value.value.toString("hex") : String(value.value)}`;
  }
  if (value instanceof TypedArray) return `array [${value.items.map(showValue).join(", ")}]`;
  if (value instanceof Described) return `described ${showValue(value.value)}`;
  if (value instanceof Map) {
    const entries: ReadonlyMap<Value, Value> = value;
    return `map {${Array.from(entries, ([key, item]) => `${showValue(key)}: ${showValue(item)}`).join(", ")}}`;
  }
  return isList(value) ? `list [${value.map(showValue).join(", ")}]` : "?";
}

/** `contentType` as the specification spells it. */
function wireName(name: string): string {
  return name.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
}

function showName(name: string): string {
  return /^[\w-]+$/.test(name) && name.length < 100 ? name : showText(name);
}

/** A place as an address. */
function amqp10Name({ kind, name }: Place): string {
  return `${kind}://${name}`;
}
