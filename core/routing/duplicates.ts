/*
 * The ids that were sent to one address lately, as a ring of slots:
 *
 *     ordinal    1   2   3   4   5   6   7   8
 *     slot       1   2   3   0   1   2   3   0     with a size of 4
 *     in use                     ^   ^   ^   ^     the newest four; a slot is overwritten when the ring comes round
 *
 * The id of a durable message is a record in the store as well, put in the turn in which the message is: both are there
 * after a crash, or neither. The id of any other message is in memory only: the crash that loses it loses the message.
 *
 *     record     kind "duplicates", key: the address's key, NUL, slot in ten digits
 *     value      u48 ordinal, id in UTF-8
 *
 * What it costs: 20,000 ids of 36 bytes take 3 MB of memory, and with the longest ids there may be 8 MB; as much again on
 * disk. Reading so many back, on first use after a restart, takes about 0.15 s.
 */
import type { Engine } from "../engine.ts";
import { BrokerError } from "../errors.ts";
import type { Store } from "../store.ts";

/** The store's kind of these records. */
const KIND = "duplicates";
/** The longest id, in UTF-8. */
const MAX_ID_BYTES = 256;
const ORDINAL_BYTES = 6;
const SLOT_DIGITS = 10;

/** Finds repeated sends to one address among the last `size` ids. */
export class DuplicateWindow {
  private readonly engine: Engine;
  private readonly prefix: string;
  private readonly size: number;
  private loaded = false;
  /** Ids by slot. */
  private readonly ring: (string | undefined)[] = [];
  /** Of each id the ordinal of its record; 0 when it has none. */
  private readonly records = new Map<string, number>();
  private lastOrdinal = 0;
  /** The batch with the newest record. */
  private newestBatch = 0;

  /** `key` names the address in the whole store; nothing that belongs to another key begins with it and a NUL. */
  constructor(engine: Engine, key: string, size: number) {
    this.engine = engine;
    this.prefix = `${key}\0`;
    this.size = size;
  }

  /** True when a message with this id came before; else notes it. Throws BrokerError for an id that cannot be kept. */
  seen(id: string, durable: boolean): boolean {
    checkDuplicateId(id);
    const bytes = Buffer.from(id);
    if (this.size === 0) return false;
    if (!this.loaded) this.load();
    // A copy of its own, a byte for each of its bytes: the text may be a part of a long header that it would keep alive.
    const name = bytes.toString("latin1");
    const ordinal = this.records.get(name);
    if (ordinal === undefined) {
      this.note(name, bytes, durable);
      return false;
    }
    // The first send may not be safe yet, and whoever repeats it waits only for what is written on its behalf.
    if (ordinal !== 0 && this.newestBatch > this.engine.store.durable) this.put(ordinal, bytes);
    return true;
  }

  /** Whether a message with this id came before; notes nothing. */
  knows(id: string): boolean {
    if (this.size === 0) return false;
    if (!this.loaded) this.load();
    return this.records.has(Buffer.from(id).toString("latin1"));
  }

  /** Forgets every id, those in the store too: the address is deleted. */
  forget(): void {
    for (const key of this.keys()) this.engine.removeRecord(KIND, key);
    this.ring.length = 0;
    this.records.clear();
    this.lastOrdinal = 0;
    this.loaded = true;
  }

  private note(name: string, bytes: Buffer, durable: boolean): void {
    const ordinal = ++this.lastOrdinal;
    const slot = ordinal % this.size;
    const oldest = this.ring[slot];
    if (oldest !== undefined) {
      if (!durable && this.records.get(oldest) !== 0) this.engine.removeRecord(KIND, this.key(slot));
      this.records.delete(oldest);
    }
    this.place(slot, name);
    this.records.set(name, durable ? ordinal : 0);
    if (durable) this.put(ordinal, bytes);
  }

  private place(slot: number, name: string): void {
    // Without holes, which would make a slow and large array of it.
    while (this.ring.length < slot) this.ring.push(undefined);
    this.ring[slot] = name;
  }

  private put(ordinal: number, id: Buffer): void {
    const value = Buffer.allocUnsafe(ORDINAL_BYTES + id.length);
    value.writeUIntBE(ordinal, 0, ORDINAL_BYTES);
    id.copy(value, ORDINAL_BYTES);
    this.engine.put(KIND, this.key(ordinal % this.size), value);
    this.newestBatch = this.engine.store.gathering;
  }

  /** Reads what the store has. Where the size was another one, records move to their present slots. */
  private load(): void {
    this.loaded = true;
    const found: { key: string; ordinal: number; id: Buffer }[] = [];
    for (const key of this.keys()) {
      const value = this.engine.store.get(KIND, key);
      if (value === undefined || value.length <= ORDINAL_BYTES) this.engine.removeRecord(KIND, key);
      else found.push({ key, ordinal: value.readUIntBE(0, ORDINAL_BYTES), id: value.subarray(ORDINAL_BYTES) });
    }
    for (const { ordinal } of found) this.lastOrdinal = Math.max(this.lastOrdinal, ordinal);
    const oldest = this.lastOrdinal - this.size;
    const displaced = found.filter(({ key, ordinal }) => ordinal <= oldest || key !== this.key(ordinal % this.size));
    // All of them first: what one leaves may be where another one goes.
    for (const { key } of displaced) this.engine.removeRecord(KIND, key);
    for (const { ordinal, id } of displaced) if (ordinal > oldest) this.put(ordinal, id);
    found.sort((a, b) => (a.ordinal % this.size) - (b.ordinal % this.size));
    for (const { ordinal, id } of found) {
      if (ordinal <= oldest) continue;
      const name = id.toString("latin1");
      this.place(ordinal % this.size, name);
      this.records.set(name, ordinal);
    }
  }

  /** The keys of the records that the store has. */
  private keys(): string[] {
    const found: string[] = [];
    for (const { key } of this.engine.store.keys(KIND, this.prefix)) {
      if (!key.startsWith(this.prefix)) break;
      found.push(key);
    }
    return found;
  }

  private key(slot: number): string {
    return this.prefix + String(slot).padStart(SLOT_DIGITS, "0");
  }
}

/** The keys of the windows that the store has something of, of those that begin so. Costs what it finds. */
export function storedWindows(store: Store, beginning: string): string[] {
  const found: string[] = [];
  let from: string | undefined = beginning;
  while (from !== undefined) {
    const [first] = store.keys(KIND, from);
    from = undefined;
    if (first?.key.startsWith(beginning) !== true) break;
    const key = first.key.slice(0, first.key.lastIndexOf("\0"));
    found.push(key);
    // Behind all of its slots.
    from = `${key}\x01`;
  }
  return found;
}

/** Refuses an id that cannot be kept: throws BrokerError. */
export function checkDuplicateId(id: string): void {
  const length = Buffer.byteLength(id);
  if (length > 0 && length <= MAX_ID_BYTES) return;
  throw new BrokerError("bad-request", `The duplicate id has ${length} bytes, expected 1 to ${MAX_ID_BYTES}`);
}
