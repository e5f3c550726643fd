import { onTestFinished } from "vitest";
import { type FieldValue, Typed } from "../../protocols/amqp091/field-table.ts";
import type { BasicProperties } from "../../protocols/amqp091/properties.ts";
import { AmqpWire } from "../support/amqp091-wire.ts";
import { bodyLines, type Dialect, type Place, showLifetime, showText, type Voice } from "./tongue.ts";

/** What a basic.publish or a basic.deliver says. */
export interface Amqp091Said {
  readonly properties?: Omit<BasicProperties, "headers">;
  readonly headers?: Readonly<Record<string, FieldValue>>;
  readonly body?: Buffer;
}

/** Types of values by their letters. */
const TYPES: Readonly<Record<string, string>> = {
  b: "byte",
  B: "unsigned byte",
  s: "short",
  u: "unsigned short",
  I: "int",
  i: "unsigned int",
  l: "long",
  f: "float",
  d: "double",
  D: "decimal",
  T: "timestamp",
};

class Amqp091Voice implements Voice<Amqp091Said> {
  readonly #wire: AmqpWire;

  constructor(wire: AmqpWire) {
    this.#wire = wire;
  }

  async say({ kind, name }: Place, { properties, headers, body = Buffer.from("x") }: Amqp091Said): Promise<void> {
    const table = headers === undefined ? {} : { headers: new Map(Object.entries(headers)) };
    await this.#wire.publish(kind === "queue" ? "" : "amq.topic", name, body, { ...properties, ...table });
    await this.#wire.expect("basic.ack");
  }

  async hear(): Promise<Amqp091Said> {
    await this.#wire.expect("basic.deliver");
    const header = await this.#wire.next();
    if (header.type !== "header") throw new Error(`Expected a content header, received a ${header.type} frame`);
    const parts: Buffer[] = [];
    for (let bytes = 0; bytes < header.size; bytes += parts.at(-1)?.length ?? 0) {
      const frame = await this.#wire.next();
      if (frame.type !== "body") throw new Error(`Expected a body frame, received a ${frame.type} frame`);
      parts.push(frame.data);
    }
    const { headers = new Map<string, FieldValue>(), ...properties } = header.properties;
    return { properties, headers: Object.fromEntries(headers), body: Buffer.concat(parts) };
  }
}

export const amqp091: Dialect<Amqp091Said> = {
  name: "AMQP 0-9-1",
  async connect(port, places) {
    const wire = await AmqpWire.channel(port);
    onTestFinished(() => wire[Symbol.dispose]());
    for (const { kind, name } of places) {
      const queue = await wire.declare(kind === "queue" ? name : "", { exclusive: kind === "topic" });
      if (kind === "topic") {
        const binding = { queue, exchange: "amq.topic", routingKey: name };
        await wire.ask(1, "queue.bind", binding, "queue.bind-ok");
      }
      await wire.consume(queue, { noAck: true });
    }
    if (places.length === 0) await wire.ask(1, "confirm.select", {}, "confirm.select-ok");
    return new Amqp091Voice(wire);
  },
  lines({ properties = {}, headers = {}, body }) {
    const { deliveryMode, expiration, timestamp: _background, ...others } = properties;
    return [
      ...(deliveryMode === 2 ? ["delivery-mode 2"] : []),
      ...(expiration === undefined ? [] : [`expiration ${showLifetime(Number(expiration))}`]),
      ...Object.entries(others).flatMap(([name, value]) =>
        value === undefined ? [] : [`${wireName(name)} ${typeof value === "string" ? showText(value) : String(value)}`],
      ),
      ...Object.entries(headers).map(([name, value]) => `header ${showName(name)} ${showField(value)}`),
      ...bodyLines(body),
    ];
  },
};

function showField(value: FieldValue): string {
  if (value === null) return "void";
  if (typeof value === "string") return showText(value);
  if (typeof value === "boolean") return String(value);
  if (typeof value === "bigint") return `long ${value}`;
  if (typeof value === "number") {
    return `${value === (value | 0) ? "int" : Number.isSafeInteger(value) ? "long" : "double"} ${value}`;
  }
  if (value instanceof Uint8Array) return `bytes ${value.toString("hex")}`;
  if (value instanceof Typed) {
    const { type, value: bare } = value;
    return `${TYPES[type] ?? type} ${bare instanceof Uint8Array ? bare.toString("hex") : String(bare)}`;
  }
  if (value instanceof Map) {
    const fields: ReadonlyMap<string, FieldValue> = value;
    return `table {${Array.from(fields, ([name, item]) => `${name}: ${showField(item)}`).join(", ")}}`;
  }
  return Array.isArray(value) ? `array [${value.map(showField).join(", ")}]` : "?";
}

/** `contentType` as the specification spells it. */
function wireName(name: string): string {
  return name.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
}

function showName(name: string): string {
  return /^[\w-]+$/.test(name) && name.length < 100 ? name : showText(name);
}
