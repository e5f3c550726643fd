import { describe, expect, it } from "vitest";
import { BrokerError } from "../../core/errors.ts";
import { Message } from "../../core/message.ts";
import type { Tracer } from "../../core/traffic.ts";
import { coreBroker, parse, parsePattern, plainFormat, testStore } from "../support/core-broker.ts";
import { DurabilityGate } from "../support/store-held.ts";
import { VirtualClock } from "../support/virtual-clock.ts";

const DATA = Buffer.from("\nx");

function messageAt(receivedAt: number, name = "queue:q"): Message {
  const envelope = { address: parse(name), durable: true, priority: 4, expiresAt: 0, receivedAt };
  return new Message(plainFormat, envelope, DATA, 0, 2, 1, 2);
}

/** Each look at it takes 90 microseconds. */
class PreciseClock extends VirtualClock {
  private looks = 0;

  precise(): number {
    return ++this.looks * 0.09;
  }
}

describe("how long messages take", () => {
  it("is measured from when they came to when they are first delivered, each of them where they are few", async () => {
    const core = await coreBroker();
    const { traffic } = core.broker.engine;
    const sender = core.client();
    const route = sender.core.route([parse("queue:q")]);
    for (let n = 0; n < 3; n++) sender.core.publish(route, messageAt(core.clock.now()));
    core.clock.advance(40);
    const consumer = core.client();
    consumer.subscribe("queue:q", { settling: true });
    core.settle();
    expect([traffic.latency.count, traffic.latency.sumMs]).toEqual([3, 120]);
    consumer.core.close();
    core.client().subscribe("queue:q", { settling: true });
    core.settle();
    expect(traffic.latency.count).toBe(3);
  });

  it("is measured of some where they are many, and again of each where they no longer are", async () => {
    const core = await coreBroker();
    const { traffic } = core.broker.engine;
    const { got } = core.client().subscribe("queue:q", { settling: false });
    const sender = core.client();
    const route = sender.core.route([parse("queue:q")]);
    const send = (count: number): void => {
      for (let n = 0; n < count; n++) sender.core.publish(route, messageAt(core.clock.now()));
      core.settle();
      core.clock.advance(1000);
    };
    send(25_600);
    const first = traffic.latency.count;
    send(25_650);
    const second = traffic.latency.count - first;
    expect(second).toBeGreaterThan(200);
    expect(second).toBeLessThan(300);
    core.clock.advance(1000);
    const before = traffic.latency.count;
    send(5);
    expect([traffic.latency.count - before, got.taken.length]).toEqual([5, 51_255]);
  });

  it("is measured in parts of a millisecond where that is all it takes", async () => {
    const clock = new PreciseClock();
    const core = await coreBroker({ clock });
    const { latency } = core.broker.engine.traffic;
    core.client().subscribe("topic:t", { settling: false });
    core.settle();
    const sender = core.client();
    const route = sender.core.route([parse("topic:t")]);
    for (let n = 0; n < 10; n++) sender.core.publish(route, messageAt(core.clock.now(), "topic:t"));
    expect([latency.count, latency.sumMs.toFixed(3)]).toEqual([10, "0.900"]);
    for (let second = 0; second < 3; second++) {
      core.clock.advance(1000);
      for (let n = 0; n < 5000; n++) sender.core.publish(route, messageAt(core.clock.now(), "topic:t"));
    }
    const [, upTo100Micros = 0] = latency.counts;
    expect(latency.count).toBeGreaterThan(5000);
    expect(upTo100Micros).toBe(latency.count);
  });

  it("says nothing of what a topic retained, or of who browses", async () => {
    const core = await coreBroker();
    const { traffic } = core.broker.engine;
    const sender = core.client();
    sender.core.retain(sender.core.route([parse("topic:t")]), messageAt(0, "topic:t"));
    sender.core.publish(sender.core.route([parse("queue:q")]), messageAt(0));
    const reader = core.client();
    const retained = reader.subscribe("topic:t");
    const browsed = reader.subscribe("queue:q", { browse: { end: true, fromSequence: 0 } });
    core.settle();
    expect([retained.got.taken.length, browsed.got.taken.length]).toEqual([1, 1]);
    expect(traffic.latency.count).toBe(0);
  });
});

it("how long clients wait for the disk is measured from when they ask until it is safe", async () => {
  const clock = new VirtualClock();
  const disk = new DurabilityGate();
  const core = await coreBroker({ clock, store: disk.under(testStore(clock)) });
  const { commits } = core.broker.engine.traffic;
  const senders = [core.client(), core.client()];
  disk.hold();
  for (const [token, sender] of senders.entries()) {
    sender.send("queue:q", "1", { durable: true });
    sender.core.confirm(token);
    clock.advance(30);
  }
  expect(commits.count).toBe(0);
  disk.letGo();
  expect([commits.count, commits.sumMs]).toEqual([1, 60]);
});

it("a tracer hears of what is published, refused and delivered", async () => {
  const heard: string[] = [];
  const tracer: Tracer = {
    published: (message, _client, refusal) =>
      heard.push(`${message.address.name} ${refusal instanceof BrokerError ? refusal.code : "published"}`),
    delivered: (message) => heard.push(`${message.address.name} delivered`),
  };
  const full = { pattern: parsePattern("queue:full"), maxMessages: 1, full: "reject" } as const;
  const core = await coreBroker({ broker: { tracer }, host: { policies: [full] } });
  for (let n = 0; n < 2; n++) core.client().subscribe("topic:t");
  core.settle();
  const sender = core.client();
  sender.send("topic:t", "1");
  sender.send("queue:full", "1");
  expect(() => sender.send("queue:full", "2")).toThrow(BrokerError);
  expect(heard).toEqual(["t delivered", "t delivered", "t published", "full published", "full full"]);
});
