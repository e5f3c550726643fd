/*
 * All methods of AMQP 0-9-1 and of RabbitMQ's extensions: one table, from which they are read and written.
 *
 *     class id, 2 bytes | method id, 2 bytes | arguments in the order of the table; neighbouring bits share a byte
 *
 * For what is not hot; basic.publish, basic.ack and deliveries have code of their own.
 */
import type { Output } from "../../core/output.ts";
import { readU16, readU32, readU64, writeU16, writeU32, writeU64 } from "./bytes.ts";
import { AmqpError, syntaxError } from "./errors.ts";
import { checkTable, type FieldTable, tableAt, tableSize, writeTable } from "./field-table.ts";
import { FRAME_END, FRAME_OVERHEAD, FRAME_TYPE } from "./frame.ts";
import { cutShort, readText, writeShort } from "./strings.ts";

/** The types of arguments, as JavaScript has them. The reserved ones are written as nothing and overlooked when read. */
interface ArgumentTypes {
  readonly bit: boolean;
  readonly octet: number;
  readonly short: number;
  readonly long: number;
  /** Exact up to 2^53. */
  readonly longlong: number;
  readonly shortstr: string;
  readonly longstr: Buffer;
  readonly table: FieldTable;
}

type Kind = keyof ArgumentTypes;
type ArgumentValue = ArgumentTypes[Kind];
type Fields = Readonly<Record<string, Kind>>;

const NO_FIELDS: FieldTable = new Map();

const CLOSE = { replyCode: "short", replyText: "shortstr", classId: "short", methodId: "short" } as const;
const TUNE = { channelMax: "short", frameMax: "long", heartbeat: "short" } as const;
const EXCHANGE_BIND = {
  reserved1: "short",
  destination: "shortstr",
  source: "shortstr",
  routingKey: "shortstr",
  noWait: "bit",
  arguments: "table",
} as const;

/** Class id, method id and arguments of each method. */
const METHODS = {
  "connection.start": {
    id: [10, 10],
    fields: {
      versionMajor: "octet",
      versionMinor: "octet",
      serverProperties: "table",
      mechanisms: "longstr",
      locales: "longstr",
    },
  },
  "connection.start-ok": {
    id: [10, 11],
    fields: { clientProperties: "table", mechanism: "shortstr", response: "longstr", locale: "shortstr" },
  },
  "connection.secure": { id: [10, 20], fields: { challenge: "longstr" } },
  "connection.secure-ok": { id: [10, 21], fields: { response: "longstr" } },
  "connection.tune": { id: [10, 30], fields: TUNE },
  "connection.tune-ok": { id: [10, 31], fields: TUNE },
  "connection.open": { id: [10, 40], fields: { virtualHost: "shortstr", reserved1: "shortstr", reserved2: "bit" } },
  "connection.open-ok": { id: [10, 41], fields: { reserved1: "shortstr" } },
  "connection.close": { id: [10, 50], fields: CLOSE },
  "connection.close-ok": { id: [10, 51], fields: {} },
  "connection.blocked": { id: [10, 60], fields: { reason: "shortstr" } },
  "connection.unblocked": { id: [10, 61], fields: {} },
  "connection.update-secret": { id: [10, 70], fields: { newSecret: "longstr", reason: "shortstr" } },
  "connection.update-secret-ok": { id: [10, 71], fields: {} },

  "channel.open": { id: [20, 10], fields: { reserved1: "shortstr" } },
  "channel.open-ok": { id: [20, 11], fields: { reserved1: "longstr" } },
  "channel.flow": { id: [20, 20], fields: { active: "bit" } },
  "channel.flow-ok": { id: [20, 21], fields: { active: "bit" } },
  "channel.close": { id: [20, 40], fields: CLOSE },
  "channel.close-ok": { id: [20, 41], fields: {} },

  // Of 0-8 and 0-9; old clients still ask, and RabbitMQ answers.
  "access.request": {
    id: [30, 10],
    fields: { realm: "shortstr", exclusive: "bit", passive: "bit", active: "bit", write: "bit", read: "bit" },
  },
  "access.request-ok": { id: [30, 11], fields: { ticket: "short" } },

  "exchange.declare": {
    id: [40, 10],
    fields: {
      reserved1: "short",
      exchange: "shortstr",
      type: "shortstr",
      passive: "bit",
      durable: "bit",
      autoDelete: "bit",
      internal: "bit",
      noWait: "bit",
      arguments: "table",
    },
  },
  "exchange.declare-ok": { id: [40, 11], fields: {} },
  "exchange.delete": {
    id: [40, 20],
    fields: { reserved1: "short", exchange: "shortstr", ifUnused: "bit", noWait: "bit" },
  },
  "exchange.delete-ok": { id: [40, 21], fields: {} },
  "exchange.bind": { id: [40, 30], fields: EXCHANGE_BIND },
  "exchange.bind-ok": { id: [40, 31], fields: {} },
  "exchange.unbind": { id: [40, 40], fields: EXCHANGE_BIND },
  "exchange.unbind-ok": { id: [40, 51], fields: {} },

  "queue.declare": {
    id: [50, 10],
    fields: {
      reserved1: "short",
      queue: "shortstr",
      passive: "bit",
      durable: "bit",
      exclusive: "bit",
      autoDelete: "bit",
      noWait: "bit",
      arguments: "table",
    },
  },
  "queue.declare-ok": { id: [50, 11], fields: { queue: "shortstr", messageCount: "long", consumerCount: "long" } },
  "queue.bind": {
    id: [50, 20],
    fields: {
      reserved1: "short",
      queue: "shortstr",
      exchange: "shortstr",
      routingKey: "shortstr",
      noWait: "bit",
      arguments: "table",
    },
  },
  "queue.bind-ok": { id: [50, 21], fields: {} },
  "queue.purge": { id: [50, 30], fields: { reserved1: "short", queue: "shortstr", noWait: "bit" } },
  "queue.purge-ok": { id: [50, 31], fields: { messageCount: "long" } },
  "queue.delete": {
    id: [50, 40],
    fields: { reserved1: "short", queue: "shortstr", ifUnused: "bit", ifEmpty: "bit", noWait: "bit" },
  },
  "queue.delete-ok": { id: [50, 41], fields: { messageCount: "long" } },
  "queue.unbind": {
    id: [50, 50],
    fields: {
      reserved1: "short",
      queue: "shortstr",
      exchange: "shortstr",
      routingKey: "shortstr",
      arguments: "table",
    },
  },
  "queue.unbind-ok": { id: [50, 51], fields: {} },

  "basic.qos": { id: [60, 10], fields: { prefetchSize: "long", prefetchCount: "short", global: "bit" } },
  "basic.qos-ok": { id: [60, 11], fields: {} },
  "basic.consume": {
    id: [60, 20],
    fields: {
      reserved1: "short",
      queue: "shortstr",
      consumerTag: "shortstr",
      noLocal: "bit",
      noAck: "bit",
      exclusive: "bit",
      noWait: "bit",
      arguments: "table",
    },
  },
  "basic.consume-ok": { id: [60, 21], fields: { consumerTag: "shortstr" } },
  "basic.cancel": { id: [60, 30], fields: { consumerTag: "shortstr", noWait: "bit" } },
  "basic.cancel-ok": { id: [60, 31], fields: { consumerTag: "shortstr" } },
  "basic.publish": {
    id: [60, 40],
    fields: { reserved1: "short", exchange: "shortstr", routingKey: "shortstr", mandatory: "bit", immediate: "bit" },
  },
  "basic.return": {
    id: [60, 50],
    fields: { replyCode: "short", replyText: "shortstr", exchange: "shortstr", routingKey: "shortstr" },
  },
  "basic.deliver": {
    id: [60, 60],
    fields: {
      consumerTag: "shortstr",
      deliveryTag: "longlong",
      redelivered: "bit",
      exchange: "shortstr",
      routingKey: "shortstr",
    },
  },
  "basic.get": { id: [60, 70], fields: { reserved1: "short", queue: "shortstr", noAck: "bit" } },
  "basic.get-ok": {
    id: [60, 71],
    fields: {
      deliveryTag: "longlong",
      redelivered: "bit",
      exchange: "shortstr",
      routingKey: "shortstr",
      messageCount: "long",
    },
  },
  "basic.get-empty": { id: [60, 72], fields: { reserved1: "shortstr" } },
  "basic.ack": { id: [60, 80], fields: { deliveryTag: "longlong", multiple: "bit" } },
  "basic.reject": { id: [60, 90], fields: { deliveryTag: "longlong", requeue: "bit" } },
  "basic.recover-async": { id: [60, 100], fields: { requeue: "bit" } },
  "basic.recover": { id: [60, 110], fields: { requeue: "bit" } },
  "basic.recover-ok": { id: [60, 111], fields: {} },
  "basic.nack": { id: [60, 120], fields: { deliveryTag: "longlong", multiple: "bit", requeue: "bit" } },

  "confirm.select": { id: [85, 10], fields: { noWait: "bit" } },
  "confirm.select-ok": { id: [85, 11], fields: {} },

  "tx.select": { id: [90, 10], fields: {} },
  "tx.select-ok": { id: [90, 11], fields: {} },
  "tx.commit": { id: [90, 20], fields: {} },
  "tx.commit-ok": { id: [90, 21], fields: {} },
  "tx.rollback": { id: [90, 30], fields: {} },
  "tx.rollback-ok": { id: [90, 31], fields: {} },
} as const satisfies Readonly<Record<string, { readonly id: readonly [number, number]; readonly fields: Fields }>>;

/** `queue.declare`: class and method as the specification writes them. */
export type MethodName = keyof typeof METHODS;

type FieldsOf<N extends MethodName> = (typeof METHODS)[N]["fields"];

/** The arguments of one method, without the reserved ones. */
export type Arguments<N extends MethodName> = {
  readonly [F in keyof FieldsOf<N> as F extends `reserved${number}` ? never : F]: FieldsOf<N>[F] extends Kind
    ? ArgumentTypes[FieldsOf<N>[F]]
    : never;
};

/** A method with its arguments; `name` tells which. */
export type Method = {
  [N in MethodName]: { readonly name: N; readonly arguments: Arguments<N> };
}[MethodName];

/** Class id and method id as one number. */
function methodCode(classId: number, methodId: number): number {
  return classId * 0x10000 + methodId;
}

/** The code of a method in the table. */
export function codeOf(name: MethodName): number {
  const [classId, methodId] = METHODS[name].id;
  return methodCode(classId, methodId);
}

/** What reading and writing need of a method. */
interface Layout {
  readonly name: MethodName;
  readonly code: number;
  readonly fields: readonly (readonly [string, Kind])[];
}

const LAYOUTS = new Map<string, Layout>();
const BY_CODE = new Map<number, Layout>();
for (const [name, { fields }] of Object.entries(METHODS)) {
  if (!isMethodName(name)) continue;
  const layout: Layout = { name, code: codeOf(name), fields: Object.entries(fields) };
  LAYOUTS.set(name, layout);
  BY_CODE.set(layout.code, layout);
}

function isMethodName(name: string): name is MethodName {
  return Object.hasOwn(METHODS, name);
}

/** What a method is called, for people: `queue.declare`, or its numbers. */
export function methodName(code: number): string {
  return BY_CODE.get(code)?.name ?? `${code >>> 16}.${code & 0xffff}`;
}

/** Reads the arguments in `data[start, end)`. Throws `AmqpError`. */
export function decodeMethod(code: number, data: Buffer, start: number, end: number): Method {
  const layout = BY_CODE.get(code);
  if (layout === undefined) {
    // amqp091 1.1 (540) is for what a broker might have; this nobody has.
    throw new AmqpError("COMMAND_INVALID", `there is no method ${methodName(code)}`);
  }
  const reader = new ArgumentReader(layout.name, data, start, end);
  const values: Record<string, ArgumentValue> = {};
  for (const [name, kind] of layout.fields) {
    const value = reader.read(name, kind);
    if (!isReserved(name)) values[name] = value;
  }
  reader.finish();
  // The table is what both the loop and the type follow; no guard could say more than it.
  return { name: layout.name, arguments: values } as Method;
}

/** Writes a whole frame with a method. */
export function writeMethod<N extends MethodName>(output: Output, channel: number, name: N, args: Arguments<N>): void {
  const layout = LAYOUTS.get(name);
  if (layout === undefined) return;
  const values = new Map<string, ArgumentValue>(Object.entries(args));
  const size = argumentsSize(layout, values);
  const start = output.reserve(size + FRAME_OVERHEAD + 4);
  const { buffer } = output;
  buffer[start] = FRAME_TYPE.method;
  let at = writeU16(buffer, start + 1, channel);
  at = writeU32(buffer, at, size + 4);
  at = writeU32(buffer, at, layout.code);
  at = writeArguments(buffer, at, layout, values);
  buffer[at] = FRAME_END;
  output.advance(at + 1);
}

function isReserved(name: string): boolean {
  return name.startsWith("reserved");
}

/** Reads arguments one after the other. */
class ArgumentReader {
  private readonly method: string;
  private readonly data: Buffer;
  private readonly end: number;
  private at: number;
  /** The bit that comes next of the byte before `at`; 8: of the next byte. */
  private bit = 8;

  constructor(method: string, data: Buffer, start: number, end: number) {
    this.method = method;
    this.data = data;
    this.at = start;
    this.end = end;
  }

  read(name: string, kind: Kind): ArgumentValue {
    const { data } = this;
    if (kind === "bit") return this.readBit(name);
    this.bit = 8;
    switch (kind) {
      case "octet":
        return data[this.take(1, name)] ?? 0;
      case "short":
        return readU16(data, this.take(2, name));
      case "long":
        return readU32(data, this.take(4, name));
      case "longlong":
        return readU64(data, this.take(8, name));
      case "shortstr":
        return this.readShort(name);
      case "longstr": {
        const length = readU32(data, this.take(4, name));
        const from = this.take(length, name);
        // A copy: what is kept of it must not keep the chunk.
        return Buffer.from(data.subarray(from, from + length));
      }
      case "table": {
        const at = this.at;
        this.at = checkTable(data, at, this.end);
        return tableAt(data, at);
      }
    }
  }

  finish(): void {
    if (this.at === this.end) return;
    throw syntaxError(`a ${this.method} has ${this.end - this.at} bytes after its arguments; expected none`);
  }

  private readBit(name: string): boolean {
    if (this.bit === 8) {
      this.take(1, name);
      this.bit = 0;
    }
    return (((this.data[this.at - 1] ?? 0) >> this.bit++) & 1) !== 0;
  }

  private readShort(name: string): string {
    const length = this.data[this.take(1, name)] ?? 0;
    const from = this.take(length, name);
    const text = readText(this.data, from, from + length);
    if (text === undefined) throw syntaxError(`${name} of a ${this.method} is not UTF-8`);
    return text;
  }

  /** Passes so many bytes; returns where they begin. */
  private take(bytes: number, name: string): number {
    const from = this.at;
    if (bytes > this.end - from) throw syntaxError(`a ${this.method} ends within its ${name}`);
    this.at = from + bytes;
    return from;
  }
}

const FIXED_SIZES = { octet: 1, short: 2, long: 4, longlong: 8 } as const;

function argumentsSize({ fields }: Layout, values: ReadonlyMap<string, ArgumentValue>): number {
  let size = 0;
  let bits = 0;
  for (const [name, kind] of fields) {
    if (kind === "bit") {
      if (bits++ % 8 === 0) size++;
      continue;
    }
    bits = 0;
    const value = values.get(name);
    if (kind === "shortstr") size += 1 + (typeof value === "string" ? Buffer.byteLength(cutShort(value)) : 0);
    else if (kind === "longstr") size += 4 + (Buffer.isBuffer(value) ? value.length : 0);
    else if (kind === "table") size += value instanceof Map ? tableSize(value) : 4;
    else size += FIXED_SIZES[kind];
  }
  return size;
}

function writeArguments(
  target: Buffer,
  start: number,
  { fields }: Layout,
  values: ReadonlyMap<string, ArgumentValue>,
): number {
  let at = start;
  let bits = 0;
  for (const [name, kind] of fields) {
    const value = values.get(name);
    if (kind !== "bit") {
      bits = 0;
      at = writeArgument(target, at, kind, value);
      continue;
    }
    const bit = bits++ % 8;
    if (bit === 0) target[at++] = 0;
    if (value === true) target[at - 1] = (target[at - 1] ?? 0) | (1 << bit);
  }
  return at;
}

function writeArgument(
  target: Buffer,
  at: number,
  kind: Exclude<Kind, "bit">,
  value: ArgumentValue | undefined,
): number {
  const number = typeof value === "number" ? value : 0;
  switch (kind) {
    case "octet":
      target[at] = number;
      return at + 1;
    case "short":
      return writeU16(target, at, number);
    case "long":
      return writeU32(target, at, number);
    case "longlong":
      return writeU64(target, at, number);
    case "shortstr":
      return writeShort(target, at, typeof value === "string" ? cutShort(value) : "");
    case "longstr":
      return Buffer.isBuffer(value)
        ? writeU32(target, at, value.length) + value.copy(target, at + 4)
        : writeU32(target, at, 0);
    case "table":
      return writeTable(target, at, value instanceof Map ? value : NO_FIELDS);
  }
}
