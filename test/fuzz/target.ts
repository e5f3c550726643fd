import { expect } from "vitest";
import { DurableSubscription } from "../../core/topic/durable-subscription.ts";
import type { VirtualHost } from "../../core/virtual-host.ts";
import { startBroker, type TestBroker } from "../support/broker.ts";
import { eventually } from "../support/eventually.ts";
import { StompWire } from "../support/stomp-wire.ts";
import { Wire } from "../support/wire.ts";

const NEIGHBOUR = "queue neighbour";
const TURNS_TO_READ = 3;
const TURNS_TO_ANSWER = 50;

/** How a client goes: with a FIN after its last byte, or as a crash does. */
export type Leaving = "finish" | "reset";

/** A broker that anything may be thrown at, and a client of it that behaves well beside that. */
export class FuzzTarget {
  readonly broker: TestBroker;
  readonly host: VirtualHost;
  private readonly neighbour: StompWire;
  private checks = 0;

  private constructor(broker: TestBroker, host: VirtualHost, neighbour: StompWire) {
    this.broker = broker;
    this.host = host;
    this.neighbour = neighbour;
  }

  static async start(settings: readonly string[] = []): Promise<FuzzTarget> {
    const broker = await startBroker(settings);
    const host = broker.server.broker.host(undefined);
    if (host === undefined) throw new Error("there is no default host");
    const neighbour = await StompWire.connect(broker.port);
    await neighbour.request("SUBSCRIBE", { id: "1", destination: "/queue/neighbour", ack: "client" });
    return new FuzzTarget(broker, host, neighbour);
  }

  /** Sends chunks one after the other and goes; returns what the broker said until it closed. */
  async attack(chunks: readonly Uint8Array[], leaving: Leaving): Promise<Buffer> {
    using wire = await Wire.connect(this.broker.port);
    for (const chunk of chunks) {
      // The broker may have closed already: then there is nobody to send to.
      await wire.send(chunk).catch(() => undefined);
      // The broker, which runs in this very process, reads it by itself and not with the next one.
      for (let turn = 0; turn < TURNS_TO_READ; turn++) await nextTurn();
    }
    if (leaving === "reset") {
      // Not before the broker has had the time to handle something.
      for (let turn = 0; turn < TURNS_TO_ANSWER && wire.collected.length === 0; turn++) await nextTurn();
      wire.reset();
      return wire.collected;
    }
    wire.finish();
    return await wire.closed();
  }

  /** The neighbour is served, nothing of the others is left, and nothing happened that the broker did not expect. */
  async check(): Promise<void> {
    const body = `check ${++this.checks}`;
    await this.neighbour.request("SEND", { destination: "/queue/neighbour" }, body);
    const message = await this.neighbour.message();
    expect(message.body.toString()).toBe(body);
    await this.neighbour.ack(message);
    await eventually(() => expect([...this.host.clients].length).toBe(1));
    expect(this.leftOver()).toEqual([]);
    expect(this.faults()).toEqual([]);
    this.broker.log.length = 0;
  }

  /** Throws away what was sent, so that the next thing found is of the next ones. */
  clear(): void {
    for (const queue of this.host.queues.values()) {
      if (queue.address !== undefined && queue.subject !== NEIGHBOUR) this.host.deleteQueue(queue.address);
    }
    for (const { queue } of this.host.durables.values()) queue.purge();
  }

  /** Consumers that their connections have left behind, and messages that these hold. */
  private leftOver(): string[] {
    const { durables, queues, topics } = this.host;
    const all = [...queues.values(), ...[...durables.values()].map(({ queue }) => queue)];
    const others = all.filter(({ subject }) => subject !== NEIGHBOUR);
    return [
      ...others.filter(({ consumerCount }) => consumerCount > 0).map(({ subject }) => `a consumer of ${subject}`),
      ...others.filter(({ held }) => held > 0).map(({ subject }) => `held messages of ${subject}`),
      ...[...topics.values()]
        .filter(({ targets }) => targets.some((target) => !(target instanceof DurableSubscription)))
        .map(({ address }) => `a subscriber of topic ${address.name}`),
    ];
  }

  /** Lines of the log that tell of a fault of the broker's own: errors, and reasons with a stack. */
  private faults(): string[] {
    return this.broker.log.filter((line) => /"level":[56]0|\\n {4}at |internal error|The broker failed/.test(line));
  }
}

function nextTurn(): Promise<void> {
  return new Promise((resolve) => {
    setImmediate(resolve);
  });
}
