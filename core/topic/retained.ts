import { mayReceive, type Permissions } from "../access/access.ts";
import type { Address } from "../addresses/address.ts";
import type { Engine } from "../engine.ts";
import { type Message, TRAIT } from "../message.ts";
import type { Pattern } from "../addresses/pattern.ts";
import { AddressTree } from "../addresses/routing-tree.ts";
import { namesSystemTopics } from "../system-topics.ts";
import type { RetainedSource } from "./topic-feed.ts";

/** A topic that retains a message. */
export interface RetainedTopic {
  readonly address: Address;
  /** Of the message's record. */
  readonly bytes: number;
}

/** Of one topic: how large its retained message is and, while there is room, the message itself. */
interface Retained extends RetainedTopic {
  message: Message | undefined;
}

/** The store's kind of these records. */
const KIND = "retained";
/** Bytes of retained messages kept in memory per virtual host; others are read from the store when asked for. */
const CACHE_BYTES = 16 * 1024 * 1024;

/** The retained messages of a virtual host's topics: one each, on disk, the same for every protocol. */
export class RetainedMessages {
  private readonly engine: Engine;
  private readonly hostName: string;
  private readonly ownerOf: (address: Address) => Permissions | undefined;
  private readonly tree = new AddressTree<Retained>();
  /** Those of system topics: in memory only, and not counted. */
  private readonly announced = new AddressTree<Message>();
  private total = 0;
  private totalBytes = 0;
  private cached = 0;

  /** `ownerOf` tells whose alone a temporary topic is. */
  constructor(engine: Engine, hostName: string, ownerOf: (address: Address) => Permissions | undefined) {
    this.engine = engine;
    this.hostName = hostName;
    this.ownerOf = ownerOf;
  }

  get count(): number {
    return this.total;
  }

  get bytes(): number {
    return this.totalBytes;
  }

  /** Where a topic's record lies: the host's name never holds a NUL. */
  static key(hostName: string, address: Address): string {
    return `${hostName}\0${address.name}`;
  }

  /** Takes over what the store says it has, without reading it. */
  recover(address: Address, bytes: number): void {
    this.note({ address, bytes, message: undefined });
  }

  /** Replaces a topic's retained message, or with undefined removes it. */
  set(address: Address, message: Message | undefined): void {
    const key = RetainedMessages.key(this.hostName, address);
    if (message === undefined) {
      if (this.forget(address)) this.engine.removeRecord(KIND, key);
      return;
    }
    const record = this.engine.store.encode(markRetained(message));
    this.engine.put(KIND, key, record);
    this.discount(this.tree.get(address));
    const keep = this.cached + record.length <= CACHE_BYTES;
    this.note({ address, bytes: record.length, message: keep ? this.engine.store.decode(record) : undefined });
    if (keep) this.cached += record.length;
  }

  /** The topics of a pattern that retain a message, with its bytes, unread; undefined for what was looked at in vain. */
  *walk(pattern: Pattern): Generator<RetainedTopic | undefined> {
    yield* this.tree.walk(pattern);
  }

  /** Replaces the retained message of a system topic. */
  announce(message: Message): void {
    this.announced.set(message.address, markRetained(message));
  }

  /** The topic's retained message, with `TRAIT.retained`; undefined when there is none, or it expired. */
  get(address: Address): Message | undefined {
    const retained = this.tree.get(address);
    if (retained === undefined) return undefined;
    let message = retained.message;
    if (message === undefined) {
      const record = this.engine.store.get(KIND, RetainedMessages.key(this.hostName, address));
      if (record === undefined) return undefined;
      message = markRetained(this.engine.store.decode(record));
      if (this.cached + retained.bytes <= CACHE_BYTES) {
        retained.message = message;
        this.cached += retained.bytes;
      }
    }
    if (message.expiresAt === 0 || message.expiresAt > this.engine.clock.now()) return message;
    this.set(address, undefined);
    return undefined;
  }

  /**
   * The retained messages of the topics that patterns match and the reader may have, each once and looked up when its turn
   * comes; undefined for some that were looked at in vain.
   */
  *sources(
    patterns: readonly Pattern[],
    reader: Permissions | undefined,
    except: readonly Pattern[] = [],
  ): RetainedSource {
    for (const [at, pattern] of patterns.entries()) {
      if (pattern.kind !== "topic") continue;
      const others = [...except, ...patterns.slice(0, at)];
      for (const found of this.tree.walk(pattern)) {
        if (found === undefined) yield undefined;
        else if (others.some((other) => other.matches(found.address))) continue;
        else yield this.mayHave(reader, found.address) ? this.get(found.address) : undefined;
      }
      if (!namesSystemTopics(pattern)) continue;
      for (const message of this.announced.walk(pattern)) {
        if (message === undefined) yield undefined;
        else if (others.some((other) => namesSystemTopics(other) && other.matches(message.address))) continue;
        else yield mayReceive(reader, message.address) ? message : undefined;
      }
    }
  }

  private mayHave(reader: Permissions | undefined, address: Address): boolean {
    const owner = this.ownerOf(address);
    return owner === undefined ? mayReceive(reader, address) : owner === reader;
  }

  private note(retained: Retained): void {
    this.tree.set(retained.address, retained);
    this.total++;
    this.totalBytes += retained.bytes;
  }

  private forget(address: Address): boolean {
    const old = this.tree.get(address);
    this.discount(old);
    return old !== undefined && this.tree.delete(address);
  }

  private discount(old: Retained | undefined): void {
    if (old === undefined) return;
    this.total--;
    this.totalBytes -= old.bytes;
    if (old.message !== undefined) this.cached -= old.bytes;
  }
}

/** Also of records that say nothing of it, as earlier versions wrote them. */
function markRetained(message: Message): Message {
  const { traits } = message;
  return (traits & TRAIT.retained) === 0 ? message.with({ traits: traits | TRAIT.retained }) : message;
}
