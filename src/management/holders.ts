import { canonical } from "../../core/addresses/spelling.ts";
import type { Queue } from "../../core/queue/queue.ts";
import type { SubscribeOptions } from "../../core/subscription.ts";
import type { VirtualHost } from "../../core/virtual-host.ts";
import { durableOf } from "./routes/durable-subscriptions.ts";
import { queueOf } from "./routes/queues.ts";

/** What holds messages and is named in a path: queues and durable subscriptions have the same routes for those. */
export interface HolderKind {
  /** The segment of the path. */
  readonly segment: "queues" | "durable-subscriptions";
  readonly tag: string;
  readonly noun: string;
  /** In the audit log: `queue.move`. */
  readonly word: "queue" | "dsub";
  /** Throws BrokerError when it is not there. */
  find(host: VirtualHost, name: string): Queue;
  /** How to subscribe to one that is there. */
  subscribe(name: string): Pick<SubscribeOptions, "patterns" | "attachDurable">;
}

/** The kinds there are. */
export const HOLDER_KINDS: readonly HolderKind[] = [
  {
    segment: "queues",
    tag: "queues",
    noun: "queue",
    word: "queue",
    find: queueOf,
    subscribe: (name) => ({ patterns: [canonical.parsePattern("queue", canonical.parse("queue", name).name)] }),
  },
  {
    segment: "durable-subscriptions",
    tag: "durable subscriptions",
    noun: "durable subscription",
    word: "dsub",
    find: (host, id) => durableOf(host, id).queue,
    subscribe: (id) => ({ patterns: [], attachDurable: id }),
  },
];
