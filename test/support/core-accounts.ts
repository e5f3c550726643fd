import { expect } from "vitest";
import type { Broker } from "../../core/broker.ts";
import type { Ledger } from "../../core/ledger.ts";
import type { Queue } from "../../core/queue/queue.ts";

/** Checks that every ledger of every virtual host is even, and that the accounts of memory add up to the broker's. */
export function expectEvenAccounts(broker: Broker): void {
  let memory = 0;
  for (const host of broker.hosts.values()) {
    const queues = new Set<Queue>([...host.queues.values(), ...[...host.durables.values()].map(({ queue }) => queue)]);
    for (const client of host.clients) {
      for (const { id, feed } of client.subscriptions) {
        if (feed === undefined) continue;
        expect(feed.stored).toBeGreaterThanOrEqual(0);
        expectEven(`subscriber ${client.id}/${id}`, feed.ledger, feed.stored);
        memory += feed.pendingBytes;
        if (feed.spillQueue !== undefined) queues.add(feed.spillQueue);
      }
    }
    for (const queue of queues) {
      expectEven(queue.subject, queue.ledger, queue.count);
      memory += queue.memoryBytes;
      if (queue.count === 0) expect([queue.bytes, queue.memoryBytes, queue.held], queue.subject).toEqual([0, 0, 0]);
    }
    expectEven("the schedule", host.schedule.ledger, host.schedule.count);
    expectEven("what is unroutable", host.unroutable, 0);
    for (const { name, ledger } of host.exchanges.all()) expectEven(`exchange ${name}`, ledger, 0);
    for (const topic of host.topics.values()) expectEven(`topic ${topic.address.name}`, topic.ledger, 0);
  }
  expect(broker.engine.memoryBytes, "bytes in memory").toBe(memory);
}

function expectEven(name: string, ledger: Ledger, stored: number): void {
  expect(ledger.received, `${name}: received = consumed + stored + lost`).toBe(
    ledger.consumed + stored + ledger.lostTotal,
  );
}
