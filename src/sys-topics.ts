/*
 * What the broker says of itself on the topics that Mosquitto has for it: each virtual host of itself, and of the process
 * what there is only one of (version, uptime, heap, sockets, alarms). Every value is retained in memory; it is sent when it has
 * changed. The rates are sent per minute, as means that forget exponentially over 1, 5 and 15 minutes.
 *
 * Messages are those that are published and delivered: other packets, which Mosquitto counts too, are not counted here.
 */
import { getHeapStatistics } from "node:v8";
import { Address } from "../core/addresses/address.ts";
import { ALARMS } from "../core/alarms.ts";
import type { Broker } from "../core/broker.ts";
import type { Timer } from "../core/time/clock.ts";
import { SYSTEM } from "../core/system-topics.ts";
import type { HostTotals } from "../core/totals.ts";
import type { VirtualHost } from "../core/virtual-host.ts";
import type { HostLooks } from "./metrics/host-looks.ts";
import { plainMessage } from "./plain-message.ts";

const MINUTE_MS = 60_000;
const WINDOWS = [1, 5, 15] as const;

/** What is told as a rate, by its topic below `load`. */
const RATES: Readonly<Record<string, (totals: HostTotals, sockets: number) => number>> = {
  "messages/received": ({ received }) => received,
  "messages/sent": ({ sent }) => sent,
  "publish/received": ({ received }) => received,
  "publish/sent": ({ sent }) => sent,
  "publish/dropped": ({ dropped }) => dropped,
  "bytes/received": ({ bytesReceived }) => bytesReceived,
  "bytes/sent": ({ bytesWritten }) => bytesWritten,
  connections: ({ connections }) => connections,
  sockets: (_totals, sockets) => sockets,
};

/** One value that grows, and how fast it did. */
interface Rate {
  before: number;
  /** Per minute, for each of `WINDOWS`. */
  readonly means: number[];
}

/** The system topics of one virtual host. */
interface Told {
  readonly host: VirtualHost;
  readonly rates: Map<string, Rate>;
  readonly addresses: Map<string, Address>;
  /** By topic, what was said last. */
  readonly values: Map<string, string>;
  /** When it was looked at last. */
  at: number;
}

/** Tells the totals of all virtual hosts, again and again. */
export class SysTopics {
  private readonly broker: Broker;
  private readonly intervalMs: number;
  private readonly sockets: () => number;
  private readonly looks: HostLooks;
  private readonly begun: number;
  private readonly hosts: Told[];
  private mostHeap = 0;
  private stopped = false;
  private timer: Timer | undefined = undefined;

  /** Begins at once. `sockets` says how many connections there were since the start. */
  constructor(broker: Broker, intervalMs: number, sockets: () => number, looks: HostLooks) {
    this.broker = broker;
    this.intervalMs = intervalMs;
    this.sockets = sockets;
    this.looks = looks;
    this.begun = broker.clock.now();
    this.hosts = [...broker.hosts.values()].map((host) => ({
      host,
      rates: new Map(),
      addresses: new Map(),
      values: new Map(),
      at: this.begun,
    }));
    this.tell();
  }

  stop(): void {
    this.stopped = true;
    this.timer?.cancel();
  }

  /** Says which alarms are raised; also without waiting until it is time. */
  tellAlarms(): void {
    const raised = new Set(this.broker.engine.alarms.active.map(({ name }) => name));
    for (const told of this.hosts) {
      for (const name of ALARMS) this.say(told, `alarms/${name}`, raised.has(name) ? 1 : 0);
    }
  }

  private tell(): void {
    // First, to tell again whatever becomes of this.
    this.timer = this.broker.clock.after(this.intervalMs, () => this.tell());
    const heap = getHeapStatistics().used_heap_size;
    this.mostHeap = Math.max(this.mostHeap, heap);
    for (const told of this.hosts) void this.tellHost(told, heap);
    this.tellAlarms();
  }

  private async tellHost(told: Told, heap: number): Promise<void> {
    const totals = await this.looks.of(told.host);
    if (this.stopped) return;
    const now = this.broker.clock.now();
    this.say(told, "version", `${this.broker.name} version ${this.broker.version}`);
    this.say(told, "uptime", `${Math.floor((now - this.begun) / 1000)} seconds`);
    this.say(told, "heap/current", heap);
    this.say(told, "heap/maximum", this.mostHeap);
    for (const [topic, value] of valuesOf(totals)) this.say(told, topic, value);
    this.sayRates(told, totals, now - told.at);
    told.at = now;
  }

  private sayRates(told: Told, totals: HostTotals, passedMs: number): void {
    for (const [topic, valueOf] of Object.entries(RATES)) {
      const value = valueOf(totals, this.sockets());
      const rate = told.rates.get(topic) ?? { before: value, means: WINDOWS.map(() => 0) };
      told.rates.set(topic, rate);
      const perMinute = passedMs > 0 ? ((value - rate.before) * MINUTE_MS) / passedMs : 0;
      rate.before = value;
      for (const [place, minutes] of WINDOWS.entries()) {
        const kept = Math.exp(-passedMs / (minutes * MINUTE_MS));
        const mean = perMinute + kept * ((rate.means[place] ?? 0) - perMinute);
        rate.means[place] = mean;
        this.say(told, `load/${topic}/${minutes}min`, mean.toFixed(2));
      }
    }
  }

  private say({ host, addresses, values }: Told, topic: string, value: string | number): void {
    const text = String(value);
    if (values.get(topic) === text) return;
    values.set(topic, text);
    let address = addresses.get(topic);
    if (address === undefined) {
      address = new Address("topic", [SYSTEM, "broker", ...topic.split("/")]);
      addresses.set(topic, address);
    }
    host.announce(plainMessage(address, text, this.broker.clock.now()));
  }
}

function valuesOf(totals: HostTotals): [topic: string, value: number][] {
  const { clients, sessionsAway } = totals;
  return [
    ["clients/total", clients + sessionsAway],
    ["clients/connected", clients],
    ["clients/disconnected", sessionsAway],
    ["clients/maximum", totals.mostClients],
    ["clients/expired", totals.sessionsExpired],
    ["messages/received", totals.received],
    ["messages/sent", totals.sent],
    ["messages/inflight", totals.inflight],
    ["messages/stored", totals.stored],
    ["publish/messages/received", totals.received],
    ["publish/messages/sent", totals.sent],
    ["publish/messages/dropped", totals.dropped],
    ["publish/bytes/received", totals.receivedBytes],
    ["publish/bytes/sent", totals.sentBytes],
    ["bytes/received", totals.bytesReceived],
    ["bytes/sent", totals.bytesWritten],
    ["subscriptions/count", totals.subscriptions],
    ["shared_subscriptions/count", totals.shares],
    ["retained messages/count", totals.retained],
    ["store/messages/count", totals.stored],
    ["store/messages/bytes", totals.storedBytes],
  ];
}
