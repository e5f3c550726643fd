import { onTestFinished } from "vitest";
import type { Login } from "../../core/access/access.ts";
import { type Address, type AddressKind, isAddressKind } from "../../core/addresses/address.ts";
import { Broker, type BrokerOptions } from "../../core/broker.ts";
import type { Client } from "../../core/client.ts";
import { type Content, Message, type PropertyValue, type Timing, TRAIT, type WireFormat } from "../../core/message.ts";
import { Output } from "../../core/output.ts";
import type { Pattern } from "../../core/addresses/pattern.ts";
import type { ClientListener, Consumer, Delivery, Peer } from "../../core/protocol.ts";
import { canonical } from "../../core/addresses/spelling.ts";
import type { Store } from "../../core/store.ts";
import type { Subscription, SubscribeOptions } from "../../core/subscription.ts";
import type { HostSettings } from "../../core/virtual-host.ts";
import { MemoryStore } from "../../store/memory/store.ts";
import { expectEvenAccounts } from "./core-accounts.ts";
import { CountingRandom, VirtualClock } from "./virtual-clock.ts";

/** A format for tests: `name=value` lines, an empty line, the body. Some names say what a message asks for. */
export const plainFormat: WireFormat = {
  name: "plain",
  open(message: Message): Content {
    const head = message.data.toString("utf8", message.start, message.bodyStart);
    const properties = new Map<string, PropertyValue>();
    for (const line of head.split("\n")) {
      const cut = line.indexOf("=");
      if (cut > 0) properties.set(line.slice(0, cut), line.slice(cut + 1));
    }
    return {
      messageId: undefined,
      correlationId: undefined,
      replyTo: undefined,
      subject: undefined,
      contentType: undefined,
      contentEncoding: undefined,
      userId: undefined,
      groupId: textOf(properties.get("group")),
      groupSequence: properties.has("group-sequence") ? Number(properties.get("group-sequence")) : undefined,
      duplicateId: textOf(properties.get("duplicate-id")),
      timing: timingOf(textOf(properties.get("timing"))),
      bodyKind: "text",
      properties,
    };
  },
};

function textOf(value: PropertyValue | undefined): string | undefined {
  return typeof value === "string" ? value : undefined;
}

function timingOf(value: string | undefined): Timing | undefined {
  if (value === undefined) return undefined;
  const [deliverAt, periodMs, repeats, cron] = value.split(" ");
  return {
    deliverAt: deliverAt === "" ? undefined : Number(deliverAt),
    periodMs: periodMs === "" ? undefined : Number(periodMs),
    repeats: Number(repeats),
    cron: cron === "" ? undefined : cron?.replaceAll("_", " "),
  };
}

/** The formats that stores in tests know. */
export const testFormats: ReadonlyMap<string, WireFormat> = new Map([[plainFormat.name, plainFormat]]);

/** What a message in a test is, where that matters. */
export interface MessageOptions {
  readonly durable?: boolean;
  readonly priority?: number;
  readonly expiresAt?: number;
  readonly properties?: Readonly<Record<string, string>>;
  readonly group?: string;
  readonly duplicateId?: string;
  readonly timing?: Partial<Timing>;
}

export function plainMessage(address: Address, body: string, options: MessageOptions = {}): Message {
  const { group, duplicateId, timing } = options;
  const properties = { ...options.properties };
  if (group !== undefined) properties.group = group;
  if (duplicateId !== undefined) properties["duplicate-id"] = duplicateId;
  if (timing !== undefined) {
    const { deliverAt = "", periodMs = "", repeats = 0, cron = "" } = timing;
    properties.timing = `${deliverAt} ${periodMs} ${repeats} ${cron.replaceAll(" ", "_")}`;
  }
  const head = Object.entries(properties)
    .map(([name, value]) => `${name}=${value}\n`)
    .join("");
  const data = Buffer.from(`${head}\n${body}`);
  const bodyStart = Buffer.byteLength(head) + 1;
  const envelope = {
    address,
    durable: options.durable ?? false,
    priority: options.priority ?? 4,
    expiresAt: options.expiresAt ?? 0,
    receivedAt: 0,
    traits:
      (group === undefined ? 0 : TRAIT.grouped) |
      (duplicateId === undefined ? 0 : TRAIT.identified) |
      (timing === undefined ? 0 : TRAIT.timed),
  };
  return new Message(plainFormat, envelope, data, 0, data.length, bodyStart, data.length);
}

/** One message as a consumer was given it. */
export interface Taken {
  readonly body: string;
  readonly message: Message;
  readonly delivery: Delivery | undefined;
  readonly deliveries: number;
  readonly firstOfGroup: boolean;
}

/** A consumer that keeps what it is given, until told to be full. */
export class Collector implements Consumer {
  readonly taken: Taken[] = [];
  cancelReason: string | undefined = undefined;
  /** Messages it takes before it says that it is full. */
  room = Number.POSITIVE_INFINITY;

  deliver(message: Message, delivery: Delivery | undefined, deliveries: number, firstOfGroup = false): boolean {
    this.taken.push({ body: message.body.toString(), message, delivery, deliveries, firstOfGroup });
    return --this.room > 0;
  }

  cancelled(reason: string): void {
    this.cancelReason = reason;
  }

  get bodies(): string[] {
    return this.taken.map((item) => item.body);
  }

  /** The oldest delivery that was not asked for yet. */
  next(): Delivery {
    const delivery = this.taken.shift()?.delivery;
    if (delivery === undefined) throw new Error("Nothing was delivered for settlement");
    return delivery;
  }
}

/** One client of a core under test, with what it was told. */
export class TestClient implements ClientListener {
  readonly confirms: (string | number)[] = [];
  unblocks = 0;
  evictedFor: string | undefined = undefined;
  readonly core: Client;

  constructor(broker: Broker, login: Login = { user: "tester", groups: [] }) {
    const host = broker.host(undefined);
    if (host === undefined) throw new Error("There is no default host");
    this.core = host.connect({ peer: silentPeer(), login, protocol: "test", listener: this });
  }

  confirmed(token: string | number): void {
    this.confirms.push(token);
  }

  unblocked(): void {
    this.unblocks++;
  }

  evicted(reason: string): void {
    this.evictedFor = reason;
  }

  send(destination: string, body: string, options: MessageOptions = {}): void {
    const address = parse(destination);
    this.core.publish(this.core.route([address]), plainMessage(address, body, options));
  }

  subscribe(
    destinations: string,
    options: Partial<SubscribeOptions> = {},
  ): { subscription: Subscription; got: Collector } {
    const got = new Collector();
    const subscription = this.core.subscribe({
      patterns: destinations === "" ? [] : destinations.split(" ").map(parsePattern),
      settling: true,
      credit: { messages: 1000, bytes: 0 },
      consumer: got,
      ...options,
    });
    return { subscription, got };
  }
}

/** `queue:a.b`, `topic:a.b`, or `exchange:NAME.KEY`. */
export function parse(text: string): Address {
  const [kind, name] = split(text);
  return canonical.parse(kind, name);
}

export function parsePattern(text: string): Pattern {
  const [kind, name] = split(text);
  return canonical.parsePattern(kind, name);
}

function split(text: string): [AddressKind, string] {
  const cut = text.indexOf(":");
  const kind = text.slice(0, cut);
  if (!isAddressKind(kind)) throw new Error(`No kind of address in ${text}`);
  return [kind, text.slice(cut + 1)];
}

/** A peer that says nothing. */
export function silentPeer(): Peer {
  return {
    id: "test",
    output: new Output(1 << 20, () => {}),
    remoteAddress: "127.0.0.1:1",
    localAddress: "127.0.0.1:2",
    listener: "test",
    transport: "tcp",
    subprotocol: undefined,
    lastReceivedAt: 0,
    lastWrittenAt: 0,
    bytesReceived: 0,
    bytesWritten: 0,
    pause() {},
    resume() {},
    close() {},
    identify() {},
  };
}

export const HOST: HostSettings = {
  name: "default",
  aliases: [],
  policies: [],
  autoCreate: true,
  maxDestinations: 100_000,
  transactionBytes: 1 << 20,
};

export interface CoreBroker {
  readonly broker: Broker;
  readonly clock: VirtualClock;
  readonly store: Store;
  readonly failures: Error[];
  client(): TestClient;
  /** Ends turns until nothing is left to do. */
  settle(): void;
}

export function testStore(clock: VirtualClock): MemoryStore {
  return new MemoryStore({ formats: testFormats, addresses: (name, kind) => canonical.parse(kind, name), clock });
}

/**
 * A whole core on a virtual clock, over a store in memory unless another one is given. When the test is over, its accounts
 * must be even.
 */
export async function coreBroker(
  options: { clock?: VirtualClock; store?: Store; host?: Partial<HostSettings>; broker?: Partial<BrokerOptions> } = {},
): Promise<CoreBroker> {
  const clock = options.clock ?? new VirtualClock();
  const store = options.store ?? testStore(clock);
  const failures: Error[] = [];
  const broker = new Broker({
    clock,
    random: new CountingRandom(),
    store,
    authenticator: { login: () => Promise.resolve({ user: "tester", groups: [] }) },
    name: "delos",
    version: "test",
    hosts: [{ ...HOST, ...options.host }],
    unknownHost: "refuse",
    memoryBytes: 64 << 20,
    failed: (cause) => failures.push(cause),
    report: () => {},
    ...options.broker,
  });
  await broker.open();
  clock.settle();
  onTestFinished(() => expectEvenAccounts(broker));
  return { broker, clock, store, failures, client: () => new TestClient(broker), settle: () => clock.settle() };
}
