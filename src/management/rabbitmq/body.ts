/*
 * Bodies of requests, read as RabbitMQ reads them: any value may be a text, "true" is true, and keys that mean nothing are
 * passed over.
 */
import { BrokerError } from "../../../core/errors.ts";

/** What a request said. */
export class Body {
  private readonly fields: Readonly<Record<string, unknown>>;

  /** Throws BrokerError for what is no object; nothing at all is an empty one. */
  constructor(value: unknown) {
    if (value === undefined || value === null || value === "") this.fields = {};
    else if (isRecord(value)) this.fields = value;
    else throw new BrokerError("bad-request", "The body is no JSON object");
  }

  has(name: string): boolean {
    return this.fields[name] !== undefined && this.fields[name] !== null;
  }

  /** Throws BrokerError when it is absent and there is no `otherwise`, or is no text. */
  text(name: string, otherwise?: string): string {
    const value = this.fields[name];
    if (typeof value === "string") return value;
    if ((value === undefined || value === null) && otherwise !== undefined) return otherwise;
    throw new BrokerError("bad-request", `${name}: expected a text, found ${found(value)}`);
  }

  /** For a sentence: a text as it is, anything else in words. */
  shown(name: string): string {
    const value = this.fields[name];
    return typeof value === "string" ? value : found(value);
  }

  flag(name: string, otherwise: boolean): boolean {
    const value = this.fields[name];
    if (value === undefined || value === null || value === "") return otherwise;
    if (value === true || value === "true") return true;
    if (value === false || value === "false") return false;
    throw new BrokerError("bad-request", `${name}: expected true or false, found ${found(value)}`);
  }

  integer(name: string, otherwise: number): number {
    const value = this.fields[name];
    if (value === undefined || value === null) return otherwise;
    const number = typeof value === "string" && value.trim() !== "" ? Number(value) : value;
    if (typeof number === "number" && Number.isSafeInteger(number)) return number;
    throw new BrokerError("bad-request", `${name}: expected a whole number, found ${found(value)}`);
  }

  /** What is in an object; empty when it is absent. */
  group(name: string): Readonly<Record<string, unknown>> {
    const value = this.fields[name];
    // An empty table of Erlang may be written as an empty list.
    if (value === undefined || value === null || (Array.isArray(value) && value.length === 0)) return {};
    if (isRecord(value)) return value;
    throw new BrokerError("bad-request", `${name}: expected an object, found ${found(value)}`);
  }

  list(name: string): readonly Body[] {
    const value = this.fields[name];
    if (value === undefined || value === null) return [];
    if (Array.isArray(value)) return value.map((item) => new Body(isRecord(item) ? item : {}));
    throw new BrokerError("bad-request", `${name}: expected a list, found ${found(value)}`);
  }

  /** A list of texts, or one text with commas. */
  words(name: string): string[] {
    const value = this.fields[name];
    const words = typeof value === "string" ? value.split(",") : Array.isArray(value) ? value.map(String) : [];
    return words.map((word) => word.trim()).filter((word) => word !== "");
  }
}

/** Of arguments those that can mean something: texts, numbers and flags. */
export function scalars(given: Readonly<Record<string, unknown>>): Map<string, string | number | boolean> {
  const kept = new Map<string, string | number | boolean>();
  for (const [name, value] of Object.entries(given)) {
    if (typeof value === "string" || typeof value === "number" || typeof value === "boolean") kept.set(name, value);
  }
  return kept;
}

function found(value: unknown): string {
  if (value === undefined || value === null) return "nothing";
  if (Array.isArray(value)) return "a list";
  return typeof value === "object" ? "an object" : JSON.stringify(value);
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
