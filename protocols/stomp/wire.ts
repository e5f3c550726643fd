import type { Message } from "../../core/message.ts";
import { Arena } from "../../core/memory/arena.ts";
import { copyBytes } from "../../core/memory/bytes.ts";
import { writeNumber } from "./bytes.ts";
import type { Version } from "./escape.ts";

const BACKSLASH = 92;
const LF = 10;
const NUL = 0;

/** What `writeHead` writes at most besides the form's start and `more`. */
export const HEAD_BYTES = 96;

/** The same object for all subscriptions that are sent byte for byte the same: a message is encoded once for them. */
export interface WireForm {
  readonly version: Version;
  /** `MESSAGE` and what follows it for every message of these subscriptions. */
  readonly start: Buffer;
  readonly key: string;
  users: number;
}

/** What the sessions of one protocol instance share. */
export class SharedWire {
  /** Encodings that several sessions send. */
  readonly encoded = new Arena();
  /** Messages as they came in; apart from the encodings, so that those lie behind each other. */
  readonly received = new Arena();
  readonly #forms = new Map<string, WireForm>();

  /** The form of subscriptions with this id, spelled as on the wire; give it back with `release`. */
  form(version: Version, spelledId: string | undefined): WireForm {
    const key = `${version} ${spelledId ?? ""}`;
    let form = this.#forms.get(key);
    if (form === undefined) {
      form = { version, key, start: formStart(spelledId, ""), users: 0 };
      this.#forms.set(key, form);
    }
    form.users++;
    return form;
  }

  release(form: WireForm): void {
    if (--form.users === 0) this.#forms.delete(form.key);
  }
}

/** The first bytes of every MESSAGE of a subscription. */
export function formStart(spelledId: string | undefined, more: string): Buffer {
  const subscription = spelledId === undefined || spelledId === "" ? "" : `subscription:${spelledId}\n`;
  return Buffer.from(`MESSAGE\n${subscription}${more}`, "latin1");
}

const REDELIVERED = Buffer.from("redelivered:true\nredeliveries:");
const EXPIRES = Buffer.from("expires:");

/**
 * Writes the headers that the broker says; they come first, and the first one of a name counts. `more` are lines for
 * this consumer alone, one character a byte.
 */
export function writeHead(
  target: Buffer,
  to: number,
  start: Buffer,
  tag: number,
  message: Message,
  deliveries: number,
  more: string,
): number {
  let at = copyBytes(start, 0, start.length, target, to);
  if (tag > 0) {
    at = writeNumber(target, at, tag);
    target[at++] = LF;
  }
  if (deliveries > 0) {
    at = writeNumber(target, copyBytes(REDELIVERED, 0, REDELIVERED.length, target, at), deliveries);
    target[at++] = LF;
  }
  if (message.expiresAt > 0) {
    at = writeNumber(target, copyBytes(EXPIRES, 0, EXPIRES.length, target, at), message.expiresAt);
    target[at++] = LF;
  }
  if (more !== "") at += target.write(more, at, "latin1");
  return at;
}

/** True when the header lines of a stored STOMP frame mean the same in every version. */
export function isPlain(message: Message): boolean {
  const { data, bodyStart } = message;
  for (let i = message.start; i < bodyStart; i++) {
    if (data[i] === BACKSLASH) return false;
  }
  return true;
}

/** What `writeEnd` writes. */
export const END_BYTES = 2;

/** Ends a frame as `encodeFrame` does. */
export function writeEnd(target: Buffer, at: number): number {
  target[at] = NUL;
  target[at + 1] = LF;
  return at + END_BYTES;
}
