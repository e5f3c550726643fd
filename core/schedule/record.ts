/*
 * A scheduled message in the store, under a key that sorts by time:
 *
 *     key     name of the host, 0, 12 hexadecimal digits: due (ms since 1970), 12 of them: number
 *
 *     value   0 f64 first due                        28 i32 deliveries after the one that is due, -1 without end
 *             8 f64 period, 0 for none               32 u32 length of the message's frame
 *            16 f64 delay after each cron time       36 u16 length of the cron expression
 *            24 i32 repeats of a series              38 u16 length of the address
 *                                                    40 u8  kind of the address: 0 queue, 1 topic, 2 exchange
 *            41 cron expression, canonical name of the address, record of the message
 *
 * Its id is the part of its first key behind the host's name. A message that is due again moves to a new key; from then on
 * a record of its own leads from the id to where it lies.
 */
import { type Address, type AddressKind, kindCode, kindOfCode } from "../addresses/address.ts";

/** The latest time that a key can name: in the year 10889. */
export const LAST_DUE = 2 ** 48 - 1;

const DIGITS = 12;
const HEADER_BYTES = 41;
const REMAINING_AT = 28;

/** What a record says beside the message itself. Times in milliseconds. */
export interface ScheduledHeader {
  readonly firstDue: number;
  readonly periodMs: number;
  readonly cronDelayMs: number;
  readonly repeats: number;
  readonly remaining: number;
  /** Of the message's frame. */
  readonly bytes: number;
  readonly cron: string | undefined;
  readonly kind: AddressKind;
  readonly name: string;
  /** Where the message's record begins. */
  readonly messageAt: number;
}

/** What is to be written down. */
export type ScheduledPlan = Omit<ScheduledHeader, "bytes" | "kind" | "name" | "messageAt">;

/** The key, without the host's name, of what is due at a time. */
export function scheduledKey(due: number, number: number): string {
  return hexadecimal(due) + hexadecimal(number);
}

/** When what lies under a key is due. */
export function dueOf(key: string): number {
  return Number.parseInt(key.slice(0, DIGITS), 16);
}

/** What tells scheduled messages apart that are due at the same time. */
export function numberOf(key: string): number {
  return Number.parseInt(key.slice(DIGITS), 16);
}

/** True for text that may be the id of a scheduled message. */
export function isScheduledId(text: string): boolean {
  return /^[0-9a-f]{24}$/.test(text);
}

/** Writes a record; `bytes` is the length of the message's frame and `record` the message as the store encodes it. */
export function writeScheduled(
  plan: ScheduledPlan,
  address: Address,
  message: { bytes: number; record: Buffer },
): Buffer {
  const cron = plan.cron ?? "";
  const cronBytes = Buffer.byteLength(cron);
  const nameBytes = Buffer.byteLength(address.name);
  const messageAt = HEADER_BYTES + cronBytes + nameBytes;
  const value = Buffer.allocUnsafe(messageAt + message.record.length);
  value.writeDoubleLE(plan.firstDue, 0);
  value.writeDoubleLE(plan.periodMs, 8);
  value.writeDoubleLE(plan.cronDelayMs, 16);
  value.writeInt32LE(plan.repeats, 24);
  value.writeInt32LE(plan.remaining, REMAINING_AT);
  value.writeUInt32LE(message.bytes, 32);
  value.writeUInt16LE(cronBytes, 36);
  value.writeUInt16LE(nameBytes, 38);
  value[40] = kindCode(address.kind);
  value.write(cron, HEADER_BYTES);
  value.write(address.name, HEADER_BYTES + cronBytes);
  value.set(message.record, messageAt);
  return value;
}

/** Reads all but the message; undefined for what is no such record. */
export function readScheduled(value: Buffer): ScheduledHeader | undefined {
  if (value.length < HEADER_BYTES) return undefined;
  const nameAt = HEADER_BYTES + value.readUInt16LE(36);
  const messageAt = nameAt + value.readUInt16LE(38);
  if (messageAt > value.length) return undefined;
  return {
    firstDue: value.readDoubleLE(0),
    periodMs: value.readDoubleLE(8),
    cronDelayMs: value.readDoubleLE(16),
    repeats: value.readInt32LE(24),
    remaining: value.readInt32LE(REMAINING_AT),
    bytes: value.readUInt32LE(32),
    cron: nameAt === HEADER_BYTES ? undefined : value.toString("utf8", HEADER_BYTES, nameAt),
    kind: kindOfCode(value[40]),
    name: value.toString("utf8", nameAt, messageAt),
    messageAt,
  };
}

/** The same record with another count of deliveries that remain. */
export function withRemaining(value: Buffer, remaining: number): Buffer {
  const next = Buffer.from(value);
  next.writeInt32LE(remaining, REMAINING_AT);
  return next;
}

function hexadecimal(number: number): string {
  return number.toString(16).padStart(DIGITS, "0");
}
