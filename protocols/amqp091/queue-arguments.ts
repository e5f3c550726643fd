import type { DeclaredArguments } from "../../core/queue/queue-declaration.ts";
import type { Policy } from "../../core/policy.ts";
import { AmqpError } from "./errors.ts";
import { type FieldTable, type FieldValue, plain } from "./field-table.ts";

/** What the arguments of queue.declare say. */
export interface QueueArguments {
  readonly policy: Partial<Policy>;
  readonly expiresMs: number;
  readonly given: DeclaredArguments;
}

type Draft = { -readonly [F in keyof Policy]?: Policy[F] };

/** Collects what arguments say. */
class Reading {
  readonly policy: Draft = {};
  expiresMs = 0;
}

type Reader = (reading: Reading, name: string, value: FieldValue) => void;

/** The most priorities a queue can be declared with. */
const MOST_PRIORITY = 255;

/** The arguments of RabbitMQ that mean something here; all others are kept and mean nothing. */
const READERS: ReadonlyMap<string, Reader> = new Map<string, Reader>([
  ["x-message-ttl", (reading, name, value) => (reading.policy.maxTtlMs = ttl(name, value))],
  ["x-expires", (reading, name, value) => (reading.expiresMs = integer(name, value, 1))],
  ["x-max-length", (reading, name, value) => (reading.policy.maxMessages = most(name, value))],
  ["x-max-length-bytes", (reading, name, value) => (reading.policy.maxBytes = most(name, value))],
  ["x-overflow", (reading, name, value) => (reading.policy.full = overflow(name, value))],
  ["x-dead-letter-exchange", (reading, name, value) => (reading.policy.deadLetterExchange = text(name, value))],
  ["x-dead-letter-routing-key", (reading, name, value) => (reading.policy.deadLetterRoutingKey = text(name, value))],
  ["x-max-priority", (reading, name, value) => (reading.policy.maxPriority = integer(name, value, 0, MOST_PRIORITY))],
  ["x-single-active-consumer", (reading, name, value) => (reading.policy.singleActiveConsumer = flag(name, value))],
  ["x-delivery-limit", (reading, name, value) => (reading.policy.maxDeliveries = integer(name, value, -1) + 1)],
  ["x-queue-type", (_reading, name, value) => checkType(name, value)],
  ["x-queue-mode", (_reading, name, value) => oneOf(name, value, ["default", "lazy"])],
]);

/** Reads the arguments of a queue; throws `AmqpError` PRECONDITION_FAILED, with `where` naming the queue, for a value that makes no sense. */
export function readQueueArguments(table: FieldTable, where: string): QueueArguments {
  const reading = new Reading();
  const given = readArguments(table);
  for (const [name, value] of table) {
    const reader = READERS.get(name);
    if (reader === undefined) continue;
    try {
      reader(reading, name, value);
    } catch (refusal) {
      if (!(refusal instanceof Unacceptable)) throw refusal;
      throw new AmqpError("PRECONDITION_FAILED", `invalid arg '${name}' for ${where}: ${refusal.message}`);
    }
  }
  const { policy } = reading;
  if (policy.deadLetterRoutingKey !== undefined && policy.deadLetterExchange === undefined) {
    throw new AmqpError(
      "PRECONDITION_FAILED",
      `invalid arg 'x-dead-letter-routing-key' for ${where}: expected x-dead-letter-exchange beside it`,
    );
  }
  if (policy.maxMessages !== undefined || policy.maxBytes !== undefined) {
    // As in RabbitMQ, where such a queue makes room for the new message unless it says otherwise.
    policy.countsHeld = false;
    policy.full ??= "drop-head";
  }
  return { policy, expiresMs: reading.expiresMs, given };
}

/** Of the arguments of a declaration those that a listing can show: texts, numbers, flags. */
export function readArguments(table: FieldTable): DeclaredArguments {
  const given = new Map<string, string | number | boolean>();
  for (const [name, value] of table) {
    const known = plain(value);
    if (typeof known === "string" || typeof known === "number" || typeof known === "boolean") given.set(name, known);
  }
  return given;
}

/** Why a value was refused. */
class Unacceptable extends Error {}

function integer(name: string, value: FieldValue, least: number, greatest = Number.MAX_SAFE_INTEGER): number {
  const number = plain(value);
  if (typeof number !== "number" || !Number.isInteger(number)) {
    throw new Unacceptable(`expected an integer, found ${kindOf(number)}`);
  }
  if (number < least || number > greatest) {
    const range = greatest === Number.MAX_SAFE_INTEGER ? `${least} or more` : `${least} to ${greatest}`;
    throw new Unacceptable(`expected ${range} for ${name}, found ${number}`);
  }
  return number;
}

/** A policy has no word for "at once": its 0 is without limit. */
function ttl(name: string, value: FieldValue): number {
  return Math.max(1, integer(name, value, 0));
}

/** Nor has it one for a queue that holds nothing. */
function most(name: string, value: FieldValue): number {
  return Math.max(1, integer(name, value, 0));
}

function text(_name: string, value: FieldValue): string {
  const found = plain(value);
  if (typeof found !== "string") throw new Unacceptable(`expected a text, found ${kindOf(found)}`);
  return found;
}

function flag(_name: string, value: FieldValue): boolean {
  const found = plain(value);
  if (typeof found !== "boolean") throw new Unacceptable(`expected true or false, found ${kindOf(found)}`);
  return found;
}

function oneOf(name: string, value: FieldValue, choices: readonly string[]): string {
  const found = text(name, value);
  if (!choices.includes(found)) throw new Unacceptable(`expected one of ${choices.join(", ")}, found '${found}'`);
  return found;
}

function overflow(name: string, value: FieldValue): Policy["full"] {
  const found = oneOf(name, value, ["drop-head", "reject-publish", "reject-publish-dlx"]);
  if (found === "drop-head") return "drop-head";
  return found === "reject-publish" ? "reject" : "reject-dead-letter";
}

/** All of them are the one type of queue that there is; streams are another thing. */
function checkType(name: string, value: FieldValue): void {
  oneOf(name, value, ["classic", "quorum"]);
}

function kindOf(value: unknown): string {
  if (value === null) return "nothing";
  if (typeof value === "object") return value instanceof Map ? "a table" : Array.isArray(value) ? "an array" : "bytes";
  return typeof value === "number" ? "a fraction" : `a ${typeof value}`;
}
