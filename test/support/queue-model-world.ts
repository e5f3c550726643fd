import { expect } from "vitest";
import { BrokerError } from "../../core/errors.ts";
import type { ListNode } from "../../core/queue/entry.ts";
import { Message, TRAIT, type WireFormat } from "../../core/message.ts";
import { DEFAULT_POLICY, type Policy } from "../../core/policy.ts";
import type { Consumer, Delivery } from "../../core/protocol.ts";
import type { Queue } from "../../core/queue/queue.ts";
import { compileSelector, type Selector } from "../../core/selector/selector.ts";
import { canonical } from "../../core/addresses/spelling.ts";
import type { Subscription } from "../../core/subscription.ts";
import type { Transaction } from "../../core/transaction.ts";
import { MemoryStore } from "../../store/memory/store.ts";
import { expectEvenAccounts } from "./core-accounts.ts";
import { queueOf } from "./core-operations.ts";
import { type CoreBroker, coreBroker, parse, parsePattern, plainFormat, TestClient } from "./core-broker.ts";
import { ModelDisk } from "./queue-model-disk.ts";
import { expired, type ModelTaker, QueueModel, type Sent, wants } from "./queue-model.ts";
import { lateStore } from "./store-late.ts";
import { VirtualClock } from "./virtual-clock.ts";

/** Time moves in such steps, and what expires does so in the middle of one: every sweep is over before anybody looks. */
export const STEP_MS = 10_000;

/** What a queue is tried with. */
export interface ModelSetting {
  readonly policy: Partial<Policy>;
  /** Whether the store takes its time to answer. */
  readonly late: boolean;
  /** Whether messages have groups. */
  readonly groups?: boolean;
}

/** `group` and `number` are properties like any other. */
const format: WireFormat = {
  name: "model",
  open(message) {
    const content = plainFormat.open(message);
    const groupId = content.properties.get("group");
    if (typeof groupId !== "string") return content;
    return { ...content, groupId, groupSequence: content.properties.has("closes") ? -1 : 1 };
  },
};

/** The queue of dead letters, where the policy names one. */
export const DEAD = "dead";

const formats = new Map([[format.name, format]]);
const address = parse("queue:q");
const selectors = { even: compileSelector("parity = 'even'"), odd: compileSelector("parity = 'odd'") };

export function selectorOf(parity: Sent["parity"] | undefined): Selector | undefined {
  return parity === undefined ? undefined : selectors[parity];
}

/** The id of a message. */
function idOf(message: Message): number {
  return Number.parseInt(message.body.toString(), 10);
}

/** What is sent of a message of the model. */
export function messageOf(item: Omit<Sent, "size">): Message {
  const { id, parity, key, group, closes, durable, priority, expiresAt } = item;
  const lines = [`parity=${parity}`, `key=${key}`];
  if (group !== undefined) lines.push(`group=${group}`);
  if (closes) lines.push("closes=true");
  const head = `${lines.join("\n")}\n\n`;
  const data = Buffer.from(`${head}${id}${" ".repeat((id * 37) % 300)}`);
  const traits = group === undefined ? 0 : TRAIT.grouped;
  const envelope = { address, durable, priority, expiresAt, receivedAt: 0, traits };
  return new Message(format, envelope, data, 0, data.length, head.length, data.length);
}

/** A consumer that tells the model of everything it is given. */
export class ModelConsumer implements Consumer, ModelTaker {
  readonly groups = new Set<string>();
  readonly held: { sent: Sent; delivery: Delivery }[] = [];
  readonly client: TestClient;
  readonly wants: Sent["parity"] | undefined;
  readonly settling: boolean;
  readonly exclusive: boolean;
  readonly priority: number;
  readonly subscription: Subscription;
  private readonly taken = new Map<Delivery, Sent>();
  /** What it settles once it commits. */
  transaction: { readonly core: Transaction; readonly items: Sent[] } | undefined = undefined;
  private readonly world: QueueWorld;

  constructor(
    world: QueueWorld,
    options: {
      readonly credit: number;
      readonly wants: Sent["parity"] | undefined;
      readonly settling: boolean;
      readonly exclusive: boolean;
      readonly priority: number;
    },
  ) {
    this.world = world;
    this.client = new TestClient(world.core.broker);
    this.wants = options.wants;
    this.settling = options.settling;
    this.exclusive = options.exclusive;
    this.priority = options.priority;
    world.model.attach(this);
    this.subscription = this.client.core.subscribe({
      patterns: [parsePattern("queue:q")],
      settling: options.settling,
      credit: { messages: options.credit, bytes: 0 },
      selector: selectorOf(options.wants),
      exclusive: options.exclusive,
      priority: options.priority,
      consumer: this,
    });
    const settle = this.subscription.settle.bind(this.subscription);
    this.subscription.settle = (delivery, outcome) => {
      const sent = this.taken.get(delivery);
      if (!world.doomed && sent !== undefined) world.model.settled(sent, outcome);
      settle(delivery, outcome);
    };
  }

  get receptive(): boolean {
    return this.subscription.receptive;
  }

  deliver(message: Message, delivery: Delivery | undefined, deliveries: number, firstOfGroup = false): boolean {
    if (this.world.doomed) return true;
    const sent = this.world.model.delivered(this, idOf(message), deliveries, firstOfGroup);
    if (delivery === undefined) return true;
    expect(delivery.sequence, `the sequence of ${sent.id}`).toBe(sent.sequence);
    this.taken.set(delivery, sent);
    this.held.push({ sent, delivery });
    return true;
  }

  cancelled(): void {}
}

/** A browser that asks the model whether what it is shown is what comes next. */
export class ModelBrowser implements Consumer {
  readonly subscription: Subscription;
  over = false;
  private readonly seen = new Set<number>();
  readonly wants: Sent["parity"] | undefined;
  private readonly world: QueueWorld;
  private readonly end: boolean;
  private readonly from: number;
  private readonly until: number;

  constructor(
    world: QueueWorld,
    options: { readonly wants: Sent["parity"] | undefined; credit: number; end: boolean; from: number },
  ) {
    this.world = world;
    this.wants = options.wants;
    this.end = options.end;
    this.from = options.from;
    this.until = options.end ? world.queue.lastSequence : Number.POSITIVE_INFINITY;
    this.subscription = new TestClient(world.core.broker).core.subscribe({
      patterns: [parsePattern("queue:q")],
      settling: true,
      credit: { messages: options.credit, bytes: 0 },
      selector: selectorOf(options.wants),
      browse: { end: options.end, fromSequence: options.from },
      consumer: this,
    });
  }

  deliver(message: Message, delivery: Delivery | undefined): boolean {
    if (this.world.doomed) return true;
    const { model } = this.world;
    const item = model.sent[idOf(message)];
    if (item === undefined) throw new Error("A browser saw what nobody sent");
    expect(delivery?.sequence, "the sequence of what was seen").toBe(item.sequence);
    expect(this.seen.has(item.id), `${item.id} was seen before`).toBe(false);
    expect(wants(this, item), "it wants what it sees").toBe(true);
    model.refresh();
    const before = this.missed().find((other) => {
      const band = model.bandOf(other) - model.bandOf(item);
      return band > 0 || (band === 0 && other.sequence < item.sequence);
    });
    expect(before?.id, `what should have been seen before ${item.id}`).toBe(undefined);
    this.seen.add(item.id);
    return true;
  }

  exhausted(): void {
    if (this.world.doomed) return;
    expect(this.end && !this.over, "it has an end, once").toBe(true);
    this.over = true;
    expect(this.missed().map(({ id }) => id)).toEqual([]);
  }

  cancelled(): void {}

  /** At rest: it has seen all there is, unless it cannot take it. */
  check(): void {
    if (!this.subscription.receptive) return;
    if (this.end) expect(this.over, "a receptive browser with an end has come to it").toBe(true);
    else expect(this.missed().map(({ id }) => id)).toEqual([]);
  }

  /** What is there, is to be seen and was not. */
  private missed(): Sent[] {
    const now = this.world.core.clock.now();
    return this.world.model.live.filter((item) => {
      if (item.sequence < this.from || item.sequence > this.until || this.seen.has(item.id)) return false;
      return wants(this, item) && !expired(item, now);
    });
  }
}

/** A queue in its broker, with everybody who has to do with it, and the model that it is held against. */
export class QueueWorld {
  readonly policy: Policy;
  readonly model: QueueModel;
  readonly grouped: boolean;
  consumers: ModelConsumer[] = [];
  browsers: ModelBrowser[] = [];
  core: CoreBroker;
  queue: Queue;
  producer: TestClient;
  /** What happens now will not have happened: the broker is about to crash. */
  doomed = false;
  private readonly setting: ModelSetting;
  private readonly disk: ModelDisk;
  /** Carried out and found right. */
  commands = 0;
  private tokens = 0;

  private constructor(setting: ModelSetting, disk: ModelDisk, core: CoreBroker) {
    this.setting = setting;
    this.disk = disk;
    this.core = core;
    this.grouped = setting.groups ?? false;
    this.policy = { ...DEFAULT_POLICY, ...setting.policy };
    this.model = new QueueModel(this.policy, { now: () => this.core.clock.now() }, !setting.late);
    this.queue = this.heardQueue();
    this.producer = new TestClient(core.broker);
  }

  static async open(setting: ModelSetting): Promise<QueueWorld> {
    const disk = new ModelDisk();
    return new QueueWorld(setting, disk, await start(setting, disk, new VirtualClock()));
  }

  /** The broker is gone at once, and another one starts over what is on the disk. */
  async crash(): Promise<void> {
    this.consumers = [];
    this.browsers = [];
    const stored = new Map<number, { readonly deliveries: number }>();
    const dead = new Set<number>();
    for (const { message, deliveries } of this.disk.messages()) {
      if (message.annotations.has("dead_letter_reason")) dead.add(idOf(message));
      else stored.set(idOf(message), { deliveries });
    }
    this.core = await start(this.setting, this.disk, new VirtualClock(this.core.clock.now()));
    this.queue = this.heardQueue();
    this.producer = new TestClient(this.core.broker);
    this.doomed = false;
    this.model.crashed(stored, dead);
    this.expectThere();
    // What expired while somebody held it is found at the next look.
    this.core.clock.advance(STEP_MS);
  }

  /** Sends it, and sees to it that it is confirmed. */
  send(item: Sent, message: Message): void {
    this.model.sent[item.id] = item;
    const { full, maxMessages } = this.policy;
    const refused = full === "reject" && this.model.over(item.size);
    if (!this.doomed) same(this.queue.refusal(message) !== undefined, refused, "whether it is refused");
    try {
      this.producer.core.publish(this.producer.core.route([address]), message);
      const used = full === "block" && maxMessages > 0 && this.queue.count >= maxMessages;
      if (used && this.model.live.includes(item)) same(this.queue.gate.closed, true, "whether it is full");
    } catch (refusal) {
      if (full !== "reject" || !(refusal instanceof BrokerError) || refusal.code !== "full") throw refusal;
    }
  }

  /** Gives back all that a consumer has, as its client ends. */
  leave(consumer: ModelConsumer): void {
    this.consumers.splice(this.consumers.indexOf(consumer), 1);
    this.model.detach(consumer);
    for (const { sent } of consumer.held) this.model.settled(sent, "failed");
    for (const sent of consumer.transaction?.items ?? []) this.model.settled(sent, "failed");
    consumer.client.core.close();
  }

  /** Lets all that is under way come to its end, and compares. */
  check(): void {
    const { core, queue, model, producer } = this;
    const token = ++this.tokens;
    producer.core.confirm(token);
    core.settle();
    same(producer.confirms.at(-1), token, "what was confirmed last");
    model.refresh();
    expectEvenAccounts(core.broker);
    expectSoundList(queue);
    same(queue.count, model.live.length, "messages in the queue");
    let held = 0;
    let resting = 0;
    let bytes = 0;
    for (const { state, size } of model.live) {
      bytes += size;
      if (state === "held") held++;
      if (state === "resting") resting++;
    }
    same(queue.bytes, bytes, "their bytes");
    same(queue.held, held, "messages held");
    same(queue.resting, resting, "messages that rest");
    same(queue.ledger.consumed, model.consumed, "messages consumed");
    const { full, maxMessages } = this.policy;
    if (full === "block" && model.live.length < maxMessages * 0.9) same(queue.gate.closed, false, "whether it is full");
    if (this.dead !== undefined) same(this.dead.count, model.buried.length, "dead letters");
    model.expectNothingWaits();
    for (const browser of this.browsers) browser.check();
  }

  /** Consumes or throws away whatever is left; nothing stays in memory. */
  finish(): void {
    const { core, queue, model } = this;
    if (model.paused) this.resume();
    for (const consumer of this.consumers.slice()) this.leave(consumer);
    for (const { subscription } of this.browsers) subscription.close();
    this.browsers = [];
    this.check();
    const rest = { credit: 1, wants: undefined, settling: false, exclusive: false, priority: 0 };
    this.consumers.push(new ModelConsumer(this, rest));
    this.check();
    this.expectThere();
    model.purged();
    queue.purge();
    model.buried = [];
    this.dead?.purge();
    this.check();
    same(core.broker.engine.memoryBytes, 0, "bytes in memory at the end");
  }

  resume(): void {
    this.model.paused = false;
    this.queue.resume();
  }

  /** Where dead letters go. */
  private get dead(): Queue | undefined {
    return this.policy.deadLetterQueue === undefined ? undefined : queueOf(this.core.broker, DEAD);
  }

  private heardQueue(): Queue {
    const queue = queueOf(this.core.broker, "q");
    const publish = queue.publish.bind(queue);
    queue.publish = (message, regardless) => {
      const item = this.model.sent[idOf(message)];
      if (!this.doomed && item !== undefined) this.model.arrives(item, queue.lastSequence + 1, message.expiresAt);
      return publish(message, regardless);
    };
    return queue;
  }

  /** All that should be there is, in its order, by browsers that see everything. */
  private expectThere(): void {
    const { model, dead } = this;
    model.refresh();
    const found = this.read(this.queue);
    // What expired while it rested is there until it would be delivered.
    const there = model.live.filter((item) => !expired(item, this.core.clock.now()));
    expect(found.map(({ id }) => id)).toEqual(there.map(({ id }) => id));
    for (const { id, message, delivery } of found) {
      const item = model.sent[id];
      same(delivery?.sequence, item?.sequence, `the sequence of ${id}`);
      same(delivery?.deliveries, item?.deliveries, `the delivery count of ${id}`);
      same(message.priority, item?.priority, `the priority of ${id}`);
      same(message.content.groupId, item?.group, `the group of ${id}`);
    }
    for (const { id, message } of dead === undefined ? [] : this.read(dead)) {
      const item = model.sent[id];
      same(message.annotations.get("dead_letter_reason"), item?.death, `the death of ${id}`);
      same(message.annotations.get("dead_letter_deliveries"), item?.deliveries, `the delivery count of ${id}`);
    }
  }

  private read(queue: Queue): { id: number; message: Message; delivery: Delivery | undefined }[] {
    const found: { id: number; message: Message; delivery: Delivery | undefined }[] = [];
    const subscription = new TestClient(this.core.broker).core.subscribe({
      patterns: [parsePattern(queue === this.queue ? "queue:q" : `queue:${DEAD}`)],
      settling: false,
      details: true,
      credit: { messages: 1, bytes: 0 },
      browse: { end: true, fromSequence: 0 },
      consumer: {
        deliver: (message, delivery) => {
          found.push({ id: idOf(message), message, delivery });
          return true;
        },
        cancelled: () => {},
      },
    });
    this.core.settle();
    same(subscription.browsers[0]?.finished, true, "it was seen to its end");
    subscription.close();
    return found;
  }
}

function start(setting: ModelSetting, disk: ModelDisk, clock: VirtualClock): Promise<CoreBroker> {
  const store = new MemoryStore({ formats, addresses: (name, kind) => canonical.parse(kind, name), clock });
  disk.restore(store);
  const heard = disk.under(store);
  const { memoryBytes = DEFAULT_POLICY.memoryBytes } = setting.policy;
  const policies = [
    { pattern: parsePattern("queue:q"), ...setting.policy },
    { pattern: parsePattern(`queue:${DEAD}`), memoryBytes },
  ];
  return coreBroker({ clock, store: setting.late ? lateStore(heard, clock) : heard, host: { policies } });
}

/** As `expect(actual).toBe(expected)`, which takes its time. */
function same(actual: unknown, expected: unknown, what: string): void {
  if (!Object.is(actual, expected)) expect(actual, what).toBe(expected);
}

/** The lists are in order, whoever stands somewhere stands in a list, and the accounts of memory are those of the entries. */
function expectSoundList(queue: Queue): void {
  for (const { backlog, lanes, cursors } of queue.allBands()) {
    let inMemory = 0;
    let parked = 0;
    let last = -1;
    let node: ListNode = backlog.first;
    for (; node.kind !== "end"; node = node.next) {
      if (node.sequence <= last) expect.fail(`${node.sequence} comes after ${last}`);
      last = node.kind === "range" ? node.to : node.sequence;
      parked += node.parked;
      if (node.kind === "entry" && node.message !== undefined) inMemory += node.size;
    }
    same(node, backlog.tail, "the end of the list");
    same(parked + node.parked, lanes.all.length + cursors.size, "who stands in the list");
    same(backlog.inMemory, inMemory, "bytes of entries in memory");
  }
}
