/*
 * Wills: what is published for a client whose connection ended with its will still set.
 *
 *     client.will = w      kept in the store, so that a broker that died publishes it once it is back
 *     connection ends      clean: the protocol has cleared it, and it is forgotten
 *                          else: published at once or, if the session lives on, after its delay
 *     session comes back   before that: forgotten        session ends before that: published
 *
 *     record               kind "will", key: the host's name, NUL, the client's id
 *     value                u32 length, JSON with all but the message; the message as the store encodes it
 */
import type { Subject } from "../access/access.ts";
import { readSubject, subjectRecord } from "../access/subject-record.ts";
import { type Address, isAddressKind } from "../addresses/address.ts";
import type { Client } from "../client.ts";
import { Deadlines } from "../time/deadlines.ts";
import type { Engine } from "../engine.ts";
import type { Message } from "../message.ts";
import { canonical } from "../addresses/spelling.ts";

/** The store's kind of these records. */
const KIND = "will";
const LENGTH_BYTES = 4;

/** A message for the case that a client goes without a word. */
export interface Will {
  readonly address: Address;
  readonly message: Message;
  /** How long it waits for the client's session to come back; a session that ends sooner ends the wait. */
  readonly delayMs: number;
  /** Milliseconds from its publication until it expires; never if absent, whatever the message says. */
  readonly ttlMs?: number | undefined;
  /** Whether its topic also retains it, or with "remove" retains nothing any more. */
  readonly retain?: "set" | "remove" | undefined;
}

/** A will with what it takes to carry it out. */
interface Testament {
  /** Of its record. */
  readonly key: string;
  readonly will: Will;
  readonly subject: Subject;
  readonly session: string | undefined;
  /** Milliseconds since 1970; 0 while the client is there. */
  readonly publishAt: number;
}

/** What the wills of one virtual host are made with. */
export interface WillsOptions {
  readonly engine: Engine;
  readonly hostName: string;
  /** Publishes a will for whoever left it; false if that is not allowed, or not possible. */
  readonly publish: (will: Will, subject: Subject) => boolean;
}

/** The wills of one virtual host's clients: those that are set, and those that wait to be carried out. */
export class Wills {
  /** Published, and not published because that was refused. */
  published = 0;
  refused = 0;
  private readonly options: WillsOptions;
  /** Of clients that are gone, by key. */
  private readonly waiting = new Map<string, Testament>();
  /** Keys of the same by the session that may come back. */
  private readonly bySession = new Map<string, string>();
  private readonly deadlines: Deadlines;

  constructor(options: WillsOptions) {
    this.options = options;
    this.deadlines = new Deadlines(options.engine.clock, (key) => {
      const testament = this.waiting.get(key);
      if (testament !== undefined) this.carryOut(testament);
    });
  }

  /** Those that wait for the end of their delay. */
  get count(): number {
    return this.waiting.size;
  }

  /** A client sets its will, or with undefined has none any more. */
  set(client: Client, will: Will | undefined): void {
    const key = this.keyOf(client);
    if (will === undefined) {
      this.options.engine.removeRecord(KIND, key);
      return;
    }
    this.options.engine.slab.keep(will.message);
    this.put({ key, will, subject: client.permissions.subject, session: client.session?.id, publishAt: 0 });
  }

  /** A client is gone, and its session has been told. */
  left(client: Client, sessionLeftMs: number): void {
    const { will, session } = client;
    const { subject } = client.permissions;
    if (will === undefined) return;
    const { clock } = this.options.engine;
    const testament = { key: this.keyOf(client), will, subject, session: session?.id };
    const delayMs = Math.min(will.delayMs, sessionLeftMs);
    if (delayMs > 0) this.wait({ ...testament, publishAt: clock.now() + delayMs }, true);
    else this.carryOut({ ...testament, publishAt: 0 });
  }

  /** A session came back: what its last connection left is not carried out. */
  cancel(session: string): void {
    const testament = this.ofSession(session);
    if (testament !== undefined) this.forget(testament);
  }

  /** A session ended: what its last connection left does not wait any longer. */
  release(session: string): void {
    const testament = this.ofSession(session);
    if (testament !== undefined) this.carryOut(testament);
  }

  /** Takes over what the store has; `sessionLeftMs` tells how long a session may still come back. After recovery. */
  recover(sessionLeftMs: (id: string) => number): void {
    const { engine } = this.options;
    const prefix = `${this.options.hostName}\0`;
    const keys = Array.from(engine.store.keys(KIND, prefix), ({ key }) => key).filter((key) => key.startsWith(prefix));
    for (const key of keys) {
      const record = engine.store.get(KIND, key);
      const testament = record === undefined ? undefined : this.read(key, record);
      if (testament === undefined) {
        engine.removeRecord(KIND, key);
        continue;
      }
      const { will, session, publishAt } = testament;
      const wait = session === undefined ? 0 : Math.min(will.delayMs, sessionLeftMs(session));
      const at = publishAt === 0 ? engine.clock.now() + wait : publishAt;
      this.wait({ ...testament, publishAt: at }, publishAt === 0);
    }
  }

  /** Carries out nothing any more in this run. */
  close(): void {
    this.deadlines.clear();
    this.waiting.clear();
    this.bySession.clear();
  }

  private ofSession(session: string): Testament | undefined {
    const key = this.bySession.get(session);
    return key === undefined ? undefined : this.waiting.get(key);
  }

  private wait(testament: Testament, changed: boolean): void {
    const { key, session, publishAt } = testament;
    if (changed) this.put(testament);
    this.waiting.set(key, testament);
    if (session !== undefined) this.bySession.set(session, key);
    this.deadlines.set(key, publishAt);
  }

  /** Its record goes in the turn in which it is published. */
  private carryOut(testament: Testament): void {
    const { will, subject } = testament;
    this.forget(testament);
    const now = this.options.engine.clock.now();
    const { ttlMs } = will;
    const message = will.message.with({ receivedAt: now, expiresAt: ttlMs === undefined ? 0 : now + ttlMs });
    if (this.options.publish({ ...will, message }, subject)) this.published++;
    else this.refused++;
  }

  private forget({ key, session }: Testament): void {
    this.options.engine.removeRecord(KIND, key);
    this.waiting.delete(key);
    this.deadlines.delete(key);
    if (session !== undefined && this.bySession.get(session) === key) this.bySession.delete(session);
  }

  private keyOf({ id }: Client): string {
    return `${this.options.hostName}\0${id}`;
  }

  private put({ key, will, subject, session, publishAt }: Testament): void {
    const { address, message, delayMs, ttlMs, retain } = will;
    const { kind, name } = address;
    const { traits } = message;
    const head = { kind, name, delayMs, ttlMs, retain, traits, ...subjectRecord(subject), session, publishAt };
    const json = Buffer.from(JSON.stringify(head));
    const length = Buffer.alloc(LENGTH_BYTES);
    length.writeUInt32LE(json.length);
    this.options.engine.put(KIND, key, Buffer.concat([length, json, this.options.engine.store.encode(message)]));
  }

  private read(key: string, record: Buffer): Testament | undefined {
    const end = LENGTH_BYTES + record.readUInt32LE();
    const head: unknown = JSON.parse(record.toString("utf8", LENGTH_BYTES, end));
    if (!isRecord(head)) return undefined;
    const { kind, name, delayMs, ttlMs, retain, traits, session, publishAt } = head;
    const subject = readSubject({ principals: [], ...head });
    if (!isAddressKind(kind) || typeof name !== "string" || subject === undefined) return undefined;
    const message = this.options.engine.store.decode(record.subarray(end));
    return {
      key,
      will: {
        address: canonical.parse(kind, name),
        // The store keeps only those traits that last.
        message: message.with({ traits: Number(traits) }),
        delayMs: Number(delayMs),
        ttlMs: typeof ttlMs === "number" ? ttlMs : undefined,
        retain: retain === "set" || retain === "remove" ? retain : undefined,
      },
      subject,
      session: typeof session === "string" ? session : undefined,
      publishAt: Number(publishAt),
    };
  }
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null;
}
