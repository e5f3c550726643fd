/*
 * What one protocol can say of a message, for matrices of all pairs of protocols. A row of the table of conversions has a
 * phrase for each protocol; who hears it must hear the phrase of its own protocol in that row, and nothing besides.
 */
import { createHash } from "node:crypto";

/** Where messages go: every name here is one that needs no escape anywhere. */
export interface Place {
  readonly kind: "queue" | "topic";
  readonly name: string;
}

/** What a row is in one protocol's words. */
export interface Phrase<S> {
  /** How it is said; absent when the protocol cannot say it. */
  readonly says?: S;
  /** How it is heard from other protocols, where that is something else: the same protocol hears what was said. */
  readonly hears?: S;
}

/** One protocol's connection to a broker. */
export interface Voice<S> {
  /** Sends a message and waits until the broker has it. */
  say(place: Place, said: S): Promise<void>;
  /** What comes next to the places that were subscribed to. */
  hear(): Promise<S>;
}

/** One protocol: how it is spoken, and how what it says is written down. */
export interface Dialect<S> {
  readonly name: string;
  /** Connects and subscribes to places. */
  connect(port: number, places: readonly Place[]): Promise<Voice<S>>;
  /** All that it says but an ordinary body, one line each. */
  lines(said: S): string[];
}

/** The body of messages that are about something else. */
const ORDINARY_BODY: Buffer = Buffer.from("x");

const LONGEST_SHOWN = 100;
const strictUtf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** A body as a line; none for the ordinary one. */
export function bodyLines(body: Buffer | undefined, kind = "body"): string[] {
  return body === undefined || body.equals(ORDINARY_BODY) ? [] : [`${kind} ${showBytes(body)}`];
}

/** Bytes as a text in quotes if they are one, else as hexadecimal. */
export function showBytes(bytes: Uint8Array): string {
  if (bytes.length > LONGEST_SHOWN) {
    return `of ${bytes.length} bytes (SHA-1 ${createHash("sha1").update(bytes).digest("hex").slice(0, 8)})`;
  }
  try {
    return showText(strictUtf8.decode(bytes));
  } catch {
    return Buffer.from(bytes).toString("hex");
  }
}

/** A text in quotes. */
export function showText(text: string): string {
  return text.length > LONGEST_SHOWN ? `of ${text.length} letters` : JSON.stringify(text);
}

/** A time to live that has begun to run, as it was. */
export function showLifetime(ms: number): string {
  return `${Math.round(ms / 100_000) * 100} s`;
}
