/*
 * What the store keeps of sessions, all of it under the names of the virtual host and of the session:
 *
 *     kind session             host NUL id                            expiry, when it ended, whose it is, who had it last
 *     kind session-interest    host NUL id NUL pattern                what it wants of a pattern
 *                              host NUL id NUL group NUL pattern      the same, shared with a group
 *     kind session-state       host NUL id NUL key                    whatever its protocol puts there
 *
 * The messages that wait for a session are in its queue.
 */
import type { Subject } from "../access/access.ts";
import { readSubject, subjectRecord } from "../access/subject-record.ts";
import type { Engine } from "../engine.ts";
import type { Interest } from "./interests.ts";
import type { Pattern } from "../addresses/pattern.ts";
import { canonical } from "../addresses/spelling.ts";

const SESSION = "session";
const INTEREST = "session-interest";
const STATE = "session-state";

/** A session as the store has it. */
export interface SessionRecord {
  readonly user: string | undefined;
  /** Infinity: for ever. */
  readonly expiryMs: number;
  readonly connected: boolean;
  /** Since when it is connected, or is not: milliseconds since 1970. */
  readonly since: number;
  /** Messages of its queue up to this sequence may have been delivered by a run of the broker that was killed. */
  readonly doubtfulTo: number;
  /** Who had it last; undefined if nobody knows any more. */
  readonly subject: Subject | undefined;
}

/** An interest as the store has it. */
export interface InterestRecord {
  readonly id: string;
  readonly interest: Interest;
  /** With whom it is shared, if with anybody. */
  readonly group: string | undefined;
}

/** The sessions of one virtual host in the store. */
export class SessionRecords {
  private readonly engine: Engine;
  private readonly hostName: string;

  constructor(engine: Engine, hostName: string) {
    this.engine = engine;
    this.hostName = hostName;
  }

  put(id: string, { expiryMs, subject, ...record }: SessionRecord): void {
    const expiry = expiryMs === Number.POSITIVE_INFINITY ? null : expiryMs;
    const who = subject === undefined ? undefined : subjectRecord(subject);
    this.write(SESSION, this.key(id), { ...record, expiry, subject: who });
  }

  putInterest(id: string, { pattern, ...wanted }: Interest, group?: string): void {
    const { kind, text } = pattern;
    this.write(INTEREST, this.interestKey(id, pattern, group), { ...wanted, kind, text, group });
  }

  removeInterest(id: string, pattern: Pattern, group?: string): void {
    this.engine.removeRecord(INTEREST, this.interestKey(id, pattern, group));
  }

  putEntry(id: string, key: string, value: Uint8Array): void {
    this.engine.put(STATE, this.key(id, key), value);
  }

  removeEntry(id: string, key: string): void {
    this.engine.removeRecord(STATE, this.key(id, key));
  }

  /** What a session's protocol put there, by key. */
  entries(id: string): Map<string, Buffer> {
    const prefix = this.key(id, "");
    const found = new Map<string, Buffer>();
    for (const key of this.keys(STATE, prefix)) {
      const value = this.engine.store.get(STATE, key);
      if (value !== undefined) found.set(key.slice(prefix.length), value);
    }
    return found;
  }

  /** Forgets a session and all that belongs to it. */
  remove(id: string): void {
    this.engine.removeRecord(SESSION, this.key(id));
    for (const kind of [INTEREST, STATE]) {
      for (const key of Array.from(this.keys(kind, this.key(id, "")))) this.engine.removeRecord(kind, key);
    }
  }

  /** The sessions there are; one that cannot be read is left out. */
  *sessions(): Iterable<[id: string, record: SessionRecord]> {
    const prefix = this.key("");
    for (const key of this.keys(SESSION, prefix)) {
      const read = this.read(SESSION, key);
      if (read === undefined) continue;
      const { user, expiry, connected, since, doubtfulTo, subject } = read;
      yield [
        key.slice(prefix.length),
        {
          user: typeof user === "string" ? user : undefined,
          expiryMs: expiry === null ? Number.POSITIVE_INFINITY : Number(expiry),
          connected: connected === true,
          since: Number(since),
          doubtfulTo: typeof doubtfulTo === "number" ? doubtfulTo : 0,
          subject: readSubject(subject),
        },
      ];
    }
  }

  /** The interests of all sessions; one that cannot be read is left out. */
  *interests(): Iterable<InterestRecord> {
    const prefix = this.key("");
    for (const key of this.keys(INTEREST, prefix)) {
      const read = this.read(INTEREST, key);
      const interest = read === undefined ? undefined : interestOf(read);
      if (read === undefined || interest === undefined) continue;
      const { group } = read;
      const id = key.slice(prefix.length, key.indexOf("\0", prefix.length));
      yield { id, interest, group: typeof group === "string" ? group : undefined };
    }
  }

  private *keys(kind: string, prefix: string): Iterable<string> {
    for (const { key } of this.engine.store.keys(kind, prefix)) {
      if (!key.startsWith(prefix)) return;
      yield key;
    }
  }

  private read(kind: string, key: string): Record<string, unknown> | undefined {
    const bytes = this.engine.store.get(kind, key);
    const value: unknown = bytes === undefined ? undefined : JSON.parse(bytes.toString());
    return isRecord(value) ? value : undefined;
  }

  private write(kind: string, key: string, value: object): void {
    this.engine.put(kind, key, Buffer.from(JSON.stringify(value)));
  }

  private interestKey(id: string, { kind, text }: Pattern, group: string | undefined): string {
    const name = `${kind} ${text}`;
    return group === undefined ? this.key(id, name) : this.key(id, `${group}\0${name}`);
  }

  private key(id: string, name?: string): string {
    return name === undefined ? `${this.hostName}\0${id}` : `${this.hostName}\0${id}\0${name}`;
  }
}

function interestOf({ kind, text, quality, noLocal, retainAsPublished, tag }: Record<string, unknown>) {
  if ((kind !== "queue" && kind !== "topic") || typeof text !== "string") return undefined;
  if (quality !== 0 && quality !== 1 && quality !== 2) return undefined;
  const pattern = canonical.parsePattern(kind, text);
  const interest: Interest = {
    pattern,
    quality,
    noLocal: noLocal === true,
    retainAsPublished: retainAsPublished === true,
    tag: Number(tag),
  };
  return interest;
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null;
}
