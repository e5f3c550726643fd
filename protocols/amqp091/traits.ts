/*
 * What the headers of a message ask for beyond being delivered:
 *
 *     JMSXGroupID, JMSXGroupSeq                              its group
 *     x-deduplication-header, duplicate-id, _AMQ_DUPL_ID     the id by which a repeated send is found out
 *     x-delay, AMQ_SCHEDULED_DELAY                           milliseconds to wait
 *     CC, BCC                                                further routing keys
 *
 * Read from the bytes: of nearly all messages only the names of the headers are looked at, and not one is made a text.
 */
import { type QuickField, TRAIT } from "../../core/message.ts";
import { AmqpError } from "./errors.ts";
import { afterValue, type FieldValue, findField, plain, valueAt } from "./field-table.ts";
import type { Publish } from "./publish.ts";

const GROUP_ID = "JMSXGroupID";
const GROUP_SEQUENCE = "JMSXGroupSeq";
const DUPLICATE_IDS = ["x-deduplication-header", "duplicate-id", "_AMQ_DUPL_ID"];
const DELAYS = ["x-delay", "AMQ_SCHEDULED_DELAY"];
const COPIES = ["CC", "BCC"];

/** Headers that have a meaning here, and so are no properties for other protocols. */
export const TRAIT_HEADERS: ReadonlySet<string> = new Set([
  GROUP_ID,
  GROUP_SEQUENCE,
  ...DUPLICATE_IDS,
  ...DELAYS,
  ...COPIES,
]);

const BIT = { group: 1, duplicate: 2, delay: 4, copies: 8 } as const;

interface Known {
  readonly name: Buffer;
  readonly bit: number;
}

/** The names to look for, by their length. */
const KNOWN: readonly (readonly Known[])[] = Array.from({ length: 256 }, (_, length) =>
  [
    { bit: BIT.group, names: [GROUP_ID] },
    { bit: BIT.duplicate, names: DUPLICATE_IDS },
    { bit: BIT.delay, names: DELAYS },
    { bit: BIT.copies, names: COPIES },
  ].flatMap(({ bit, names }) =>
    names.filter((name) => name.length === length).map((name) => ({ name: Buffer.from(name), bit })),
  ),
);

const QUICK_NAMES: Readonly<Record<QuickField, readonly Buffer[]>> = {
  groupId: [Buffer.from(GROUP_ID)],
  groupSequence: [Buffer.from(GROUP_SEQUENCE)],
  duplicateId: DUPLICATE_IDS.map((name) => Buffer.from(name)),
};

const DELAY_NAMES = DELAYS.map((name) => Buffer.from(name));
const CC = Buffer.from("CC");
const BCC = Buffer.from("BCC");

/** One field of the content, from the headers that begin at `at`; -1 for none. */
export function quickField(data: Buffer, at: number, field: QuickField): string | undefined {
  return at < 0 ? undefined : firstOf(data, at, QUICK_NAMES[field], scalarText);
}

/** For how many milliseconds the headers that begin at `at` ask to wait; 0 for none. */
export function delayOf(data: Buffer, at: number): number {
  return at < 0 ? 0 : (firstOf(data, at, DELAY_NAMES, milliseconds) ?? 0);
}

/** Bits of `TRAIT` for the headers of a publish. */
export function traitsOf(publish: Publish): number {
  if (publish.headersStart === publish.headersEnd) return 0;
  const { data, headersStart } = publish;
  const known = knownHeaders(publish);
  if ((known & ~BIT.copies) === 0) return 0;
  let traits = 0;
  if ((known & BIT.group) !== 0 && (quickField(data, headersStart, "groupId") ?? "") !== "") traits |= TRAIT.grouped;
  if ((known & BIT.duplicate) !== 0 && (quickField(data, headersStart, "duplicateId") ?? "") !== "") {
    traits |= TRAIT.identified;
  }
  if ((known & BIT.delay) !== 0 && delayOf(data, headersStart) > 0) traits |= TRAIT.timed;
  return traits;
}

/** Further routing keys: those of the headers CC and BCC. Throws `AmqpError` PRECONDITION_FAILED if they are no lists of texts. */
export function copiesOf(publish: Publish): readonly string[] {
  if ((knownHeaders(publish) & BIT.copies) === 0) return [];
  return [...keysOf(publish, CC), ...keysOf(publish, BCC)];
}

/** Whether a publish has further routing keys that nobody is to see. */
export function hasBcc({ data, headersStart, headersEnd }: Publish): boolean {
  return headersStart < headersEnd && findField(data, headersStart, BCC) >= 0;
}

function keysOf({ data, headersStart }: Publish, name: Buffer): string[] {
  const at = findField(data, headersStart, name);
  if (at < 0) return [];
  const value = valueAt(data, at);
  if (!isArray(value)) throw notKeys(name);
  return value.map((key) => {
    if (typeof key !== "string") throw notKeys(name);
    return key;
  });
}

function notKeys(name: Buffer): AmqpError {
  return new AmqpError(
    "PRECONDITION_FAILED",
    `header ${name.toString()} is not an array of strings; expected routing keys`,
  );
}

/** Bits of `BIT` for the headers that a publish has. */
function knownHeaders({ data, headersStart, headersEnd }: Publish): number {
  let known = 0;
  for (let at = headersStart + 4; at < headersEnd; ) {
    const length = data[at] ?? 0;
    const candidates = KNOWN[length];
    if (candidates !== undefined && candidates.length > 0) {
      for (const { name, bit } of candidates) if (startsWith(data, at + 1, name)) known |= bit;
    }
    at = afterValue(data, at + 1 + length);
  }
  return known;
}

function startsWith(data: Buffer, at: number, name: Buffer): boolean {
  for (let i = 0; i < name.length; i++) if (data[at + i] !== name[i]) return false;
  return true;
}

function firstOf<T>(
  data: Buffer,
  at: number,
  names: readonly Buffer[],
  read: (value: FieldValue) => T | undefined,
): T | undefined {
  for (const name of names) {
    const found = findField(data, at, name);
    const value = found < 0 ? undefined : read(valueAt(data, found));
    if (value !== undefined) return value;
  }
  return undefined;
}

function scalarText(value: FieldValue): string | undefined {
  const known = plain(value);
  return typeof known === "string" || typeof known === "number" || typeof known === "bigint"
    ? String(known)
    : undefined;
}

/** A whole number, or a text of one; others and what is not above 0 mean nothing, as in RabbitMQ. */
function milliseconds(value: FieldValue): number | undefined {
  const known = plain(value);
  const number = typeof known === "string" && /^\d{1,15}$/.test(known) ? Number(known) : known;
  return typeof number === "number" && Number.isSafeInteger(number) && number > 0 ? number : undefined;
}

function isArray(value: FieldValue): value is readonly FieldValue[] {
  return Array.isArray(value);
}
