import type { Address, AddressKind } from "../addresses/address.ts";
import type { Engine } from "../engine.ts";
import type { Message } from "../message.ts";
import { canonical } from "../addresses/spelling.ts";
import type { KeysRead } from "./pass.ts";
import {
  dueOf,
  numberOf,
  readScheduled,
  type ScheduledHeader,
  type ScheduledPlan,
  scheduledKey,
  withRemaining,
  writeScheduled,
} from "./record.ts";

/** The store's kind of scheduled messages, of where those lie that were moved, and of the sums of a host. */
const KIND = "scheduled";
const PLACES = "scheduled-place";
const SUMS = "scheduled-sums";
const SUMS_BYTES = 24;
/** Above every key. */
const END = "g";

/** A record that was read, with its key. */
export interface Scheduled {
  readonly id: string;
  readonly key: string;
  readonly header: ScheduledHeader;
  readonly value: Buffer;
  readonly address: Address;
}

/** The scheduled messages of one virtual host in the store. Keys are without the host's name. */
export class ScheduledRecords {
  count = 0;
  /** Of the frames. */
  bytes = 0;
  private readonly engine: Engine;
  private readonly hostName: string;
  private readonly prefix: string;
  private lastNumber = 0;
  private changed = false;
  private lastAddress: Address | undefined = undefined;

  constructor(engine: Engine, hostName: string) {
    this.engine = engine;
    this.hostName = hostName;
    this.prefix = `${hostName}\0`;
  }

  /** Learns the sums from the store. */
  open(): void {
    const value = this.engine.store.get(SUMS, this.hostName);
    if (value?.length === SUMS_BYTES) {
      this.count = value.readDoubleLE(0);
      this.bytes = value.readDoubleLE(8);
      this.lastNumber = value.readDoubleLE(16);
      return;
    }
    // They were damaged, or there are none yet.
    for (const key of this.keys()) {
      this.count++;
      this.bytes += this.get(key)?.header.bytes ?? 0;
      this.lastNumber = Math.max(this.lastNumber, numberOf(key));
    }
  }

  /** Writes the sums down if they changed; to be called in every turn that may have done so. */
  save(): void {
    if (!this.changed) return;
    this.changed = false;
    const value = Buffer.allocUnsafe(SUMS_BYTES);
    value.writeDoubleLE(this.count, 0);
    value.writeDoubleLE(this.bytes, 8);
    value.writeDoubleLE(this.lastNumber, 16);
    this.engine.put(SUMS, this.hostName, value);
  }

  /** Adds a record and returns its key; `record` is the message as the store encodes it, with a frame of `bytes`. */
  add(plan: ScheduledPlan, address: Address, message: { bytes: number; record: Buffer }): string {
    const key = scheduledKey(plan.firstDue, ++this.lastNumber);
    this.engine.put(KIND, this.prefix + key, writeScheduled(plan, address, message));
    this.count++;
    this.bytes += message.bytes;
    this.changed = true;
    return key;
  }

  /** Moves a record to another time and returns its key there. */
  move({ id, key, value }: Scheduled, to: { due: number; remaining: number }): string {
    const next = scheduledKey(to.due, numberOf(key));
    this.engine.removeRecord(KIND, this.prefix + key);
    this.engine.put(KIND, this.prefix + next, withRemaining(value, to.remaining));
    this.engine.put(PLACES, this.prefix + id, Buffer.from(next));
    return next;
  }

  remove({ id, key, header }: Scheduled): void {
    this.engine.removeRecord(KIND, this.prefix + key);
    if (id !== key) this.engine.removeRecord(PLACES, this.prefix + id);
    this.count--;
    this.bytes -= header.bytes;
    this.changed = true;
  }

  /** Removes a record that cannot be read. */
  removeDamaged(key: string): void {
    this.engine.removeRecord(KIND, this.prefix + key);
    this.count = Math.max(this.count - 1, 0);
    // How large it was is not known any more.
    if (this.count === 0) this.bytes = 0;
    this.changed = true;
  }

  /** All keys from one on. */
  *keys(from = ""): Generator<string> {
    for (const { key } of this.engine.store.keys(KIND, this.prefix + from)) {
      if (!key.startsWith(this.prefix)) return;
      yield key.slice(this.prefix.length);
    }
  }

  /** Up to so many keys from one on, below another. */
  read(from: string, end = END, most = 0): KeysRead {
    const keys = new Set<string>();
    for (const key of this.keys(from)) {
      if (key >= end || keys.size === most) return { keys, next: key };
      keys.add(key);
    }
    return { keys, next: undefined };
  }

  /** Where the message of an id lies, or would lie. */
  placeOf(id: string): string {
    return this.engine.store.get(PLACES, this.prefix + id)?.toString() ?? id;
  }

  /** What lies under a key; undefined if that is nothing, or cannot be read. */
  get(key: string): Scheduled | undefined {
    const value = this.engine.store.get(KIND, this.prefix + key);
    const header = value && readScheduled(value);
    if (value === undefined || header === undefined) return undefined;
    const address = this.addressOf(header.kind, header.name);
    if (address === undefined) return undefined;
    const id = header.firstDue === dueOf(key) ? key : scheduledKey(header.firstDue, numberOf(key));
    return { id, key, header, value, address };
  }

  /** The message of a record; undefined if it cannot be read. */
  decode({ header, value }: Scheduled): Message | undefined {
    try {
      return this.engine.store.decode(value.subarray(header.messageAt));
    } catch {
      return undefined;
    }
  }

  private addressOf(kind: AddressKind, name: string): Address | undefined {
    const last = this.lastAddress;
    if (last?.kind === kind && last.name === name) return last;
    try {
      this.lastAddress = canonical.parse(kind, name);
      return this.lastAddress;
    } catch {
      return undefined;
    }
  }
}
