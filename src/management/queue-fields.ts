import { type Static, Type } from "typebox";
import type { Ledger, LossReason } from "../../core/ledger.ts";
import type { Link } from "../../core/queue/lane.ts";
import type { Queue } from "../../core/queue/queue.ts";
import { type Field, Table } from "./table.ts";
import { nullable, words } from "./schemas.ts";

/** The account of a destination: received = consumed + stored + lost. */
export function ledgerFields<T>(ledgerOf: (item: T) => Ledger): Readonly<Record<string, Field<T>>> {
  const counter = (description: string, read: (ledger: Ledger) => number): Field<T> => ({
    schema: Type.Integer({ description }),
    read: (item) => read(ledgerOf(item)),
  });
  return {
    received: counter("Messages that came.", (ledger) => ledger.received),
    received_bytes: counter("Bytes of them.", (ledger) => ledger.receivedBytes),
    delivered: counter("Deliveries, repeated ones included.", (ledger) => ledger.delivered),
    delivered_bytes: counter("Bytes of them.", (ledger) => ledger.deliveredBytes),
    consumed: counter("Messages that were consumed.", (ledger) => ledger.consumed),
    returned: counter("Deliveries that came back.", (ledger) => ledger.returned),
    expired: counter("Messages whose time was over.", lostFor(["expired"])),
    dead_lettered: counter("Messages that went to the dead letters.", lostFor(["dead-lettered"])),
    dropped: counter("Messages there was no room for.", lostFor(["dropped-oldest", "dropped-newest", "refused"])),
    lost: counter("Messages that were never consumed here, for all reasons together.", (ledger) => ledger.lostTotal),
  };
}

function lostFor(reasons: readonly LossReason[]): (ledger: Ledger) => number {
  return (ledger) => {
    let sum = 0;
    for (const reason of reasons) sum += ledger.lost.get(reason) ?? 0;
    return sum;
  };
}

/** What there is to know of a queue, whatever it is the queue of. */
export function queueFields<T>(queueOf: (item: T) => Queue): Readonly<Record<string, Field<T>>> {
  const count = (description: string, read: (queue: Queue) => number): Field<T> => ({
    schema: Type.Integer({ description }),
    read: (item) => read(queueOf(item)),
  });
  const when = (description: string, read: (queue: Queue) => number): Field<T> => ({
    schema: nullable(
      Type.Integer(),
      `${description}, in milliseconds since 1970; null for none since the broker started.`,
    ),
    read: (item) => {
      const at = read(queueOf(item));
      return at === 0 ? null : at;
    },
  });
  return {
    state: {
      schema: words(["running", "paused"]),
      read: (item) => (queueOf(item).paused ? "paused" : "running"),
    },
    messages: count("Messages here now, those that wait for settlement included.", (queue) => queue.count),
    bytes: count("Bytes of them.", (queue) => queue.bytes),
    ready: count("Messages that nobody holds and that may be delivered now.", (queue) =>
      Math.max(0, queue.count - queue.held - queue.resting),
    ),
    held: count("Messages delivered and not settled.", (queue) => queue.held),
    resting: count("Messages that wait for the time of their next delivery.", (queue) => queue.resting),
    memory_bytes: count("Bytes of messages in memory; the others are in the store only.", (queue) => queue.memoryBytes),
    consumers: count("Consumers now.", (queue) => queue.consumerCount),
    browsers: count("Browsers now.", (queue) => queue.browserCount),
    groups: count("Message groups it remembers.", (queue) => queue.groupCount),
    blocked_producers: count("Clients that wait for room in it.", (queue) =>
      queue.gate.closed ? queue.gate.waiting : 0,
    ),
    full: {
      schema: Type.Boolean({ description: "Whether senders have to wait." }),
      read: (item) => queueOf(item).gate.closed,
    },
    last_sequence: count("The place of the newest message.", (queue) => queue.lastSequence),
    last_received_at: when("When the last message came", (queue) => queue.lastReceivedAt),
    last_consumed_at: when("When the last one was consumed", (queue) => queue.lastConsumedAt),
    last_used: count("When it was last in use, in milliseconds since 1970.", (queue) => queue.lastUsed),
    ...ledgerFields<T>((item) => queueOf(item).ledger),
  };
}

/** The losses of a destination by their reasons. */
export const LostByReason = Type.Record(Type.String(), Type.Integer(), {
  description: "Messages that were never consumed here, by the reason.",
});

/** What `LostByReason` describes. */
export function lostByReason({ lost }: Ledger): Static<typeof LostByReason> {
  return Object.fromEntries(lost);
}

const texts = (description: string) => Type.String({ description });

/** The consumers of a queue. */
export const CONSUMERS: Table<Link> = new Table<Link>("Consumer", "connection", {
  connection: { schema: texts("The connection's id."), read: ({ subscription }) => subscription.client.id },
  subscription: { schema: Type.Integer(), read: ({ subscription }) => subscription.id },
  user: {
    schema: nullable(Type.String()),
    read: ({ subscription }) => subscription.client.user ?? null,
  },
  protocol: { schema: Type.String(), read: ({ subscription }) => subscription.client.protocol },
  address: {
    schema: texts("Where it is connected from."),
    read: ({ subscription }) => subscription.client.peer.remoteAddress,
  },
  selector: { schema: nullable(Type.String()), read: ({ selector }) => selector?.text ?? null },
  priority: { schema: Type.Integer(), read: ({ subscription }) => subscription.priority },
  exclusive: { schema: Type.Boolean(), read: ({ subscription }) => subscription.exclusive },
  settling: {
    schema: Type.Boolean({ description: "Whether it has to settle what it is given." }),
    read: ({ subscription }) => subscription.settling,
  },
  credit_messages: { schema: Type.Integer(), read: ({ subscription }) => subscription.credit.messages },
  credit_bytes: { schema: Type.Integer(), read: ({ subscription }) => subscription.credit.bytes },
  held: { schema: Type.Integer({ description: "Messages it has not settled yet." }), read: ({ held }) => held },
  delivered: { schema: Type.Integer(), read: ({ subscription }) => subscription.delivered },
  accepted: { schema: Type.Integer(), read: ({ subscription }) => subscription.accepted },
  waiting_on: {
    schema: words(["consumer", "producer", "load", "dispatch", "standby"], {
      description: "Why it is given nothing right now: it has no room, or there is nothing for it, and so on.",
    }),
    read: ({ waitingOn }) => waitingOn,
  },
});

/** The consumers of a queue as something to list. */
export function consumersOf(queue: Queue): { readonly size: number; values(): Iterable<Link> } {
  return { size: queue.consumerCount, values: () => queue.links() };
}
