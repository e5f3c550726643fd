import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Address, AddressKind } from "../../core/addresses/address.ts";
import { type Annotation, Message, type WireFormat } from "../../core/message.ts";
import { canonical } from "../../core/addresses/spelling.ts";
import type { Loaded, QueueKey, Recovered, Store, StoredEntry } from "../../core/store.ts";
import { LmdbStore, type LmdbStoreOptions } from "../../store/lmdb/store.ts";
import { MemoryStore } from "../../store/memory/store.ts";
import { VirtualClock } from "./virtual-clock.ts";

/** The format that the stores under test know. */
export const testFormat: WireFormat = {
  name: "test",
  open: (message) => ({
    messageId: message.body.toString(),
    correlationId: undefined,
    replyTo: undefined,
    subject: undefined,
    contentType: undefined,
    contentEncoding: undefined,
    userId: undefined,
    groupId: undefined,
    groupSequence: undefined,
    bodyKind: "text",
    properties: new Map(),
  }),
};

const addresses = new Map<string, Address>();

/** One object per kind and name. */
export function testAddress(name: string, kind: AddressKind = "queue"): Address {
  const key = `${kind} ${name}`;
  let address = addresses.get(key);
  if (address === undefined) {
    address = canonical.parse(kind, name);
    addresses.set(key, address);
  }
  return address;
}

/** An entry as the core would have it. */
export interface TestEntry extends StoredEntry {
  readonly sequence: number;
}

/** What a test may say about a message. */
export interface TestMessage {
  readonly body?: string;
  readonly address?: Address;
  readonly format?: WireFormat;
  readonly durable?: boolean;
  readonly priority?: number;
  readonly expiresAt?: number;
  readonly traits?: number;
  readonly annotations?: Readonly<Record<string, Annotation>>;
}

/** A message in the middle of a larger buffer, as it comes from the network: frame `<body>`. */
export function testMessage(options: TestMessage = {}): Message {
  const { body = "hello", expiresAt = 0, durable = true, priority = 4, traits = 0, annotations } = options;
  const bytes = Buffer.byteLength(body);
  const chunk = Buffer.alloc(bytes + 20, "x");
  chunk.write(`<${body}>`, 7);
  const address = options.address ?? testAddress("a.b");
  const envelope = { address, durable, priority, expiresAt, traits, receivedAt: 1234.5 };
  const message = new Message(options.format ?? testFormat, envelope, chunk, 7, 9 + bytes, 8, 8 + bytes);
  return annotations === undefined ? message : message.with({ annotations: new Map(Object.entries(annotations)) });
}

export function testEntry(sequence: number, message: Message = testMessage({ body: `m${sequence}` })): TestEntry {
  return { sequence, message, deliveries: 0, batch: 0, place: undefined };
}

/** A store with somebody who listens, on a clock that turns by hand. */
export class StoreHarness {
  readonly clock = new VirtualClock();
  readonly damage: string[] = [];
  store: Store;
  recovered: Recovered = { queues: [], damage: [] };
  durable: number[] = [];
  failures: Error[] = [];
  congestion: boolean[] = [];
  private readonly make: () => Store;
  private waiting: (() => void)[] = [];

  constructor(make: (harness: StoreHarness) => Store) {
    this.make = () => make(this);
    this.store = this.make();
  }

  async open(): Promise<void> {
    this.recovered = await this.store.open({
      durable: (batch) => this.told(() => this.durable.push(batch)),
      failed: (cause) => this.told(() => this.failures.push(cause)),
      congested: (congested) => this.congestion.push(congested),
    });
  }

  /** Ends the turn without waiting for anything. */
  turn(): void {
    this.clock.settle();
  }

  /** Ends the turn and waits until all that was said is on disk, or the store failed. */
  async commit(): Promise<void> {
    this.clock.settle();
    while (this.failures.length === 0 && this.store.durable < this.store.gathering - 1) {
      await new Promise<void>((resolve) => this.waiting.push(resolve));
    }
  }

  /** Closes the store and opens it as another process would. */
  async reopen(): Promise<void> {
    await this.store.close();
    if (!(this.store instanceof MemoryStore)) this.store = this.make();
    this.durable = [];
    await this.open();
  }

  enqueue(key: QueueKey, ...entries: TestEntry[]): TestEntry[] {
    for (const entry of entries) this.store.enqueue(key, entry);
    return entries;
  }

  load(key: QueueKey, from = 0, to = 2 ** 47, maxBytes = 2 ** 40): Loaded {
    let loaded: Loaded | undefined;
    this.store.load(key, from, to, maxBytes, (found) => {
      loaded = found;
    });
    if (loaded === undefined) throw new Error("the store did not answer a load");
    return loaded;
  }

  /** Entries read back, as the core would wrap them. */
  entries(key: QueueKey, from?: number, to?: number): TestEntry[] {
    return this.load(key, from, to).entries.map((entry) => ({ ...entry, batch: -1 }));
  }

  /** Sequences and bodies read back, and forgotten at once. */
  bodies(key: QueueKey, from?: number, to?: number): string[] {
    const entries = this.entries(key, from, to);
    const found = entries.map((entry) => `${entry.sequence}:${entry.message?.body.toString()}`);
    for (const entry of entries) this.store.release(key, entry);
    return found;
  }

  private told(note: () => void): void {
    note();
    const waiting = this.waiting;
    this.waiting = [];
    for (const go of waiting) go();
  }
}

/** A directory that is gone when the test is over. */
export function temporaryDirectory(): { path: string; [Symbol.dispose](): void } {
  const path = mkdtempSync(join(tmpdir(), "delos-store-"));
  return { path, [Symbol.dispose]: () => rmSync(path, { recursive: true, force: true }) };
}

const formats = new Map([[testFormat.name, testFormat]]);

export function memoryHarness(): StoreHarness {
  return new StoreHarness(({ clock }) => new MemoryStore({ formats, addresses: testAddress, clock }));
}

export function lmdbHarness(directory: string, more: Partial<LmdbStoreOptions> = {}): StoreHarness {
  return new StoreHarness(
    ({ clock, damage }) =>
      new LmdbStore({
        directory,
        formats,
        addresses: testAddress,
        clock,
        onDamage: (sentence) => damage.push(sentence),
        ...more,
      }),
  );
}
