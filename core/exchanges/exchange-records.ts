/*
 * What the store knows of exchanges, as JSON:
 *
 *     kind "exchange"   key: name of the host, NUL, name of the exchange escaped     value: the declaration
 *     kind "binding"    key: name of the host, NUL, number in base 36, ten digits    value: from where, to where, by what
 */
import type { Subject } from "../access/access.ts";
import { readSubject, subjectRecord } from "../access/subject-record.ts";
import { escapeCanonical } from "../addresses/escape.ts";
import type { DeclaredArguments } from "../queue/queue-declaration.ts";
import type { Engine } from "../engine.ts";
import type { BindingDeclaration, ExchangeDeclaration, ExchangeType } from "./exchange.ts";
import type { PropertyValue } from "../message.ts";

const EXCHANGES = "exchange";
const BINDINGS = "binding";
const NUMBER_DIGITS = 10;

/** What a stored binding leads to: the levels of a queue's address, or the name of an exchange. */
export type StoredDestination = { readonly queue: readonly string[] } | { readonly exchange: string };

/** A binding as the store has it. */
export interface StoredBinding extends BindingDeclaration {
  readonly record: number;
  readonly destination: StoredDestination;
}

/** The records of one virtual host's exchanges and their bindings. */
export class ExchangeRecords {
  private readonly engine: Engine;
  private readonly prefix: string;
  private readonly report: (sentence: string) => void;
  private lastNumber = 0;

  constructor(engine: Engine, hostName: string, report: (sentence: string) => void) {
    this.engine = engine;
    this.prefix = `${hostName}\0`;
    this.report = report;
  }

  putExchange(declaration: ExchangeDeclaration): void {
    const { maker } = declaration;
    const given = Object.fromEntries(declaration.arguments);
    const value = { ...declaration, arguments: given, maker: maker && subjectRecord(maker) };
    this.engine.put(EXCHANGES, this.exchangeKey(declaration.name), Buffer.from(JSON.stringify(value)));
  }

  removeExchange(name: string): void {
    this.engine.removeRecord(EXCHANGES, this.exchangeKey(name));
  }

  /** In place of the record of a number, or as a new one; returns its number. */
  putBinding(declaration: BindingDeclaration, destination: StoredDestination, before = 0): number {
    const { source, key, maker } = declaration;
    const record = before === 0 ? ++this.lastNumber : before;
    const given = encodeArguments(declaration.arguments);
    const value = { source, key, arguments: given, destination, maker: maker && subjectRecord(maker) };
    this.engine.put(BINDINGS, this.bindingKey(record), Buffer.from(JSON.stringify(value)));
    return record;
  }

  removeBinding(record: number): void {
    this.engine.removeRecord(BINDINGS, this.bindingKey(record));
  }

  /** All exchanges that the store has. */
  exchanges(): ExchangeDeclaration[] {
    return this.readAll(EXCHANGES, (_name, value) => readExchange(value));
  }

  /** All bindings that the store has, in the order in which they were made. */
  bindings(): StoredBinding[] {
    const makers = new Map<string, Subject>();
    return this.readAll(BINDINGS, (name, value) => {
      const record = Number.parseInt(name, 36);
      if (!Number.isSafeInteger(record)) return undefined;
      this.lastNumber = Math.max(this.lastNumber, record);
      return readBinding(record, value, makers);
    });
  }

  private readAll<T>(kind: string, read: (name: string, value: unknown) => T | undefined): T[] {
    const found: T[] = [];
    for (const { key } of this.engine.store.keys(kind, this.prefix)) {
      if (!key.startsWith(this.prefix)) break;
      const bytes = this.engine.store.get(kind, key);
      if (bytes === undefined) continue;
      const text = bytes.toString();
      const item = read(key.slice(this.prefix.length), parse(text));
      if (item !== undefined) found.push(item);
      else
        this.report(
          `The store has a record of the kind ${kind} that this version cannot read; it is left out: ${text}`,
        );
    }
    return found;
  }

  private exchangeKey(name: string): string {
    return this.prefix + escapeCanonical(name);
  }

  private bindingKey(record: number): string {
    return this.prefix + record.toString(36).padStart(NUMBER_DIGITS, "0");
  }
}

/** Text that is the same for the same arguments, in whatever order they were written. */
export function argumentsText(given: BindingDeclaration["arguments"]): string {
  return given.size === 0 ? "" : JSON.stringify(encodeArguments(given).sort(([a], [b]) => (a < b ? -1 : 1)));
}

type EncodedArgument = readonly [name: string, type: string, value: string | number | boolean | null];

function encodeArguments(given: BindingDeclaration["arguments"]): EncodedArgument[] {
  return Array.from(given, ([name, value]) => {
    if (typeof value === "bigint") return [name, "long", String(value)];
    if (value instanceof Uint8Array) return [name, "bytes", Buffer.from(value).toString("base64")];
    // JSON knows neither infinity nor NaN.
    if (typeof value === "number") return [name, "number", String(value)];
    return [name, "", value];
  });
}

function decodeArguments(read: unknown): Map<string, PropertyValue> {
  const found = new Map<string, PropertyValue>();
  if (!Array.isArray(read)) return found;
  for (const item of read) {
    if (!Array.isArray(item)) continue;
    const [name, type, value]: unknown[] = item;
    const argument = decodeArgument(type, value);
    if (argument !== undefined) found.set(String(name), argument);
  }
  return found;
}

function decodeArgument(type: unknown, value: unknown): PropertyValue | undefined {
  if (type === "long") return BigInt(String(value));
  if (type === "bytes") return Buffer.from(String(value), "base64");
  if (type === "number") return Number(value);
  return typeof value === "string" || typeof value === "boolean" || value === null ? value : undefined;
}

function readExchange(read: unknown): ExchangeDeclaration | undefined {
  if (!isRecord(read) || typeof read.name !== "string" || !isType(read.type)) return undefined;
  return {
    name: read.name,
    type: read.type,
    durable: true,
    autoDelete: read.autoDelete === true,
    internal: read.internal === true,
    alternate: typeof read.alternate === "string" ? read.alternate : undefined,
    delayed: read.delayed === true,
    arguments: readScalars(read.arguments),
    maker: readSubject(read.maker),
  };
}

function readBinding(record: number, read: unknown, makers: Map<string, Subject>): StoredBinding | undefined {
  if (!isRecord(read) || typeof read.source !== "string" || typeof read.key !== "string") return undefined;
  const destination = readDestination(read.destination);
  if (destination === undefined) return undefined;
  const { source, key, maker } = read;
  return {
    record,
    source,
    key,
    arguments: decodeArguments(read.arguments),
    destination,
    maker: readMaker(maker, makers),
  };
}

/** One and the same for all that somebody made. */
function readMaker(value: unknown, makers: Map<string, Subject>): Subject | undefined {
  if (value === undefined) return undefined;
  const text = JSON.stringify(value);
  const maker = makers.get(text) ?? readSubject(value);
  if (maker !== undefined) makers.set(text, maker);
  return maker;
}

function readDestination(read: unknown): StoredDestination | undefined {
  if (!isRecord(read)) return undefined;
  if (typeof read.exchange === "string") return { exchange: read.exchange };
  return Array.isArray(read.queue) ? { queue: read.queue.map(String) } : undefined;
}

function readScalars(read: unknown): DeclaredArguments {
  const found = new Map<string, string | number | boolean>();
  if (!isRecord(read)) return found;
  for (const [name, value] of Object.entries(read)) {
    if (typeof value === "string" || typeof value === "number" || typeof value === "boolean") found.set(name, value);
  }
  return found;
}

function isType(value: unknown): value is ExchangeType {
  return value === "direct" || value === "fanout" || value === "topic" || value === "headers";
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null;
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
