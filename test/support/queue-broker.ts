import { onTestFinished } from "vitest";
import type { Queue } from "../../core/queue/queue.ts";
import type { VirtualHost } from "../../core/virtual-host.ts";
import { startBroker, type TestBroker } from "./broker.ts";
import { expectEvenAccounts } from "./core-accounts.ts";
import { eventually } from "./eventually.ts";

/** A broker in this process whose queues a test looks into. */
export interface QueueBroker extends TestBroker {
  readonly host: VirtualHost;
  /** A queue that is there. */
  readonly queue: (name: string) => Queue;
  /** Waits until it has so many clients. */
  readonly clients: (count: number) => Promise<unknown>;
}

/** Starts a broker; when the test is over, all its ledgers must be even. */
export async function startQueueBroker(...settings: readonly string[]): Promise<QueueBroker> {
  const started = await startBroker(["shutdown.timeout=50ms", ...settings]);
  const { broker } = started.server;
  const host = broker.host(undefined);
  if (host === undefined) throw new Error("There is no virtual host");
  onTestFinished(() => eventually(() => expectEvenAccounts(broker)));
  return {
    ...started,
    host,
    queue: (name) => {
      const queue = host.queues.get(name);
      if (queue === undefined) throw new Error(`There is no queue ${name}`);
      return queue;
    },
    clients: (count) => eventually(() => host.clients.size === count),
  };
}
