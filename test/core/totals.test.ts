import { expect, it } from "vitest";
import type { HostTotals } from "../../core/totals.ts";
import { type CoreBroker, coreBroker, HOST, parse, parsePattern, testStore } from "../support/core-broker.ts";
import { VirtualClock } from "../support/virtual-clock.ts";

function totals({ broker }: CoreBroker): HostTotals {
  const host = broker.host(undefined);
  if (host === undefined) throw new Error("There is no default host");
  return host.totals.now;
}

/** What only grows. */
function flow({ received, sent, receivedBytes, sentBytes, dropped }: HostTotals): number[] {
  return [received, sent, receivedBytes, sentBytes, dropped];
}

it("the totals of a virtual host keep what clients and destinations did that are gone", async () => {
  const core = await coreBroker({
    host: { durablePolicies: [{ match: parsePattern("queue:full"), maxMessages: 1, full: "drop-tail" }] },
  });
  const consumer = core.client();
  consumer.subscribe("topic:t", { settling: false });
  consumer.subscribe("topic:t", { durable: "d", settling: false });
  consumer.subscribe("queue:q", { settling: false });
  const other = core.client();
  const full = other.subscribe("topic:t", { durable: "full", settling: false, credit: { messages: 0, bytes: 0 } });
  core.settle();
  full.subscription.close();
  const sender = core.client();
  for (const body of ["1", "2"]) {
    sender.send("topic:t", body);
    sender.send("queue:q", body);
  }
  core.settle();
  const before = totals(core);
  // Each frame is a line feed and one byte. Of the three for the topic one keeps what it gets, and has room for one.
  expect(flow(before)).toEqual([4, 6, 8, 12, 1]);
  expect([before.connections, before.clients, before.mostClients, before.stored]).toEqual([3, 3, 3, 1]);
  for (const id of ["d", "full"]) other.core.deleteDurable(id);
  for (const { core: client } of [consumer, sender, other]) client.close();
  core.settle();
  core.broker.host(undefined)?.deleteQueue(parse("queue:q"));
  core.clock.advance(120_000);
  expect(core.broker.host(undefined)?.topics.size).toBe(0);
  const after = totals(core);
  expect([after.received, after.sent, after.receivedBytes, after.dropped]).toEqual([4, 6, 8, 1]);
  expect([after.sentBytes, after.stored, after.clients, after.connections]).toEqual([before.sentBytes, 0, 0, 3]);
});

it("what is there when the broker starts was not received since", async () => {
  const clock = new VirtualClock();
  const store = testStore(clock);
  const first = await coreBroker({ clock, store, host: HOST });
  first.client().send("queue:q", "1", { durable: true });
  first.settle();
  await first.broker.close();
  const second = await coreBroker({ clock, store, host: HOST });
  const { receivedBytes, stored, storedBytes } = totals(second);
  expect([receivedBytes, stored, storedBytes]).toEqual([0, 1, 2]);
});

it("what is lost with a destination or a subscriber that goes stays in the totals, by the reason", async () => {
  const policies = [{ pattern: parsePattern("queue:few"), maxMessages: 1, full: "drop-tail" as const }];
  const core = await coreBroker({ host: { policies } });
  const consumer = core.client();
  const stuck = consumer.subscribe("topic:t", { credit: { messages: 0, bytes: 0 } });
  const holder = consumer.subscribe("queue:q", { settling: true });
  consumer.subscribe("topic:t", { durable: "d", credit: { messages: 0, bytes: 0 } });
  core.settle();
  const sender = core.client();
  for (const to of ["topic:t", "queue:q", "queue:q", "queue:few", "queue:few", "topic:nobody"]) sender.send(to, "1");
  core.settle();
  consumer.core.settle(holder.subscription, holder.got.next(), "failed");
  core.settle();
  stuck.subscription.close();
  consumer.core.close();
  sender.core.deleteDurable("d");
  for (const name of ["q", "few"]) core.broker.host(undefined)?.deleteQueue(parse(`queue:${name}`));
  core.clock.advance(120_000);
  const { lost, returned, protocols } = totals(core);
  expect(Object.fromEntries(lost)).toEqual({
    "subscriber-gone": 1,
    deleted: 4,
    "dropped-newest": 1,
    "no-subscriber": 1,
  });
  // The one that failed, and what was held when its consumer went.
  expect(returned).toBe(3);
  expect(Object.fromEntries(protocols)).toEqual({ test: { connections: 2, clients: 1, received: 6, sent: 3 } });
});
