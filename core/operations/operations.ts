/*
 * What an operator does to many messages at once. A message that goes from one queue to another does so within one turn,
 * which is one batch of the store: after a crash it is in one of them, never in both, never in none.
 *
 *     Walk over the source -> room at the target? -> Destination.publish -> out of the source, as "moved"
 *                                           no: the walk waits and asks again
 */
import type { Address } from "../addresses/address.ts";
import type { DurableSubscription } from "../topic/durable-subscription.ts";
import type { Engine } from "../engine.ts";
import { BrokerError } from "../errors.ts";
import type { Gate } from "../memory/gate.ts";
import type { LossReason } from "../ledger.ts";
import type { Annotation, Message } from "../message.ts";
import { type Choice, Operation, type Step } from "./operation.ts";
import { Queue } from "../queue/queue.ts";
import type { Destination } from "../routing/route.ts";
import { canonical } from "../addresses/spelling.ts";
import { isSystemTopic } from "../system-topics.ts";

/** What operations need of the virtual host whose queues they are about. */
export interface OperationsOptions {
  readonly engine: Engine;
  readonly durables: ReadonlyMap<string, DurableSubscription>;
  readonly find: (address: Address) => Destination | undefined;
  /** Makes what is not there. Throws BrokerError when it may not be made. */
  readonly create: (address: Address) => Destination;
}

/** Moves, copies, redrives and purges messages of the queues of one virtual host, several at a time if need be. */
export class Operations {
  private readonly options: OperationsOptions;
  private readonly engine: Engine;

  constructor(options: OperationsOptions) {
    this.options = options;
    this.engine = options.engine;
  }

  /** Moves messages to another destination; waits while that is full. Throws BrokerError when there is none. */
  move(from: Queue, to: Address, choice: Choice = {}): Operation {
    const target = this.target(from, to);
    return new Operation(this.engine, from, choice, (message) => this.hand(target, message, "moved"));
  }

  /** Like `move`, but the messages stay as well. */
  copy(from: Queue, to: Address, choice: Omit<Choice, "perSecond"> = {}): Operation {
    const target = this.target(from, to);
    return new Operation(this.engine, from, choice, (message) => this.hand(target, message, undefined));
  }

  /**
   * Sends dead letters back to the queue or the durable subscription they come from; waits while that is full. What says
   * why and when they became dead letters stays with them.
   */
  redrive(from: Queue, choice: Choice = {}): Operation {
    return new Operation(this.engine, from, choice, (message) => this.redriveOne(from, message));
  }

  /** Throws messages away; all of them at once, without reading them, if nothing is chosen. */
  purge(queue: Queue, choice: Choice = {}): Operation {
    const purge: Step = { do: "remove", reason: "purged", gate: undefined };
    const operation = new Operation(this.engine, queue, choice, () => purge);
    if (Object.values(choice).every((limit) => limit === undefined)) operation.moved += queue.purge();
    return operation;
  }

  private target(from: Queue, to: Address): Destination {
    if (isSystemTopic(to)) {
      throw new BrokerError("not-authorized", `Only the broker itself may send to ${to.name}: it is a system topic`);
    }
    const target = this.options.find(to) ?? this.options.create(to);
    if (target !== from) return target;
    throw new BrokerError("bad-request", `Messages of the ${from.subject} cannot be moved or copied to itself`);
  }

  private redriveOne(from: Queue, message: Message): Step {
    const origin = message.annotations.get("dead_letter_origin");
    if (typeof origin !== "string") return { do: "skip", why: "no-origin" };
    const target = this.origin(origin);
    if (target === undefined) return { do: "skip", why: "origin-gone" };
    if (target === from) return { do: "skip", why: "already-there" };
    return this.hand(target, redriven(message, this.engine.clock.now()), "moved");
  }

  /** What a dead letter's `dead_letter_origin` means: kind, colon, name. */
  private origin(origin: string): Destination | undefined {
    const cut = origin.indexOf(":");
    const name = origin.slice(cut + 1);
    if (origin.startsWith("dsub:")) return this.options.durables.get(name)?.queue;
    if (!origin.startsWith("queue:")) return undefined;
    try {
      const address = canonical.parse("queue", name);
      return this.options.find(address) ?? this.options.create(address);
    } catch (refusal) {
      if (refusal instanceof BrokerError) return undefined;
      throw refusal;
    }
  }

  /** Publishes a message to a target with room for it; it leaves its queue for the reason, or without one it stays. */
  private hand(target: Destination, message: Message, reason: LossReason | undefined): Step {
    if (target.deleted) return { do: "end", ended: "target-deleted" };
    const closed = this.closedGate(target);
    if (closed !== undefined) return { do: "wait", gate: closed };
    if (target instanceof Queue && target.refusal(message) !== undefined) return { do: "skip", why: "refused" };
    const gate = target instanceof Queue ? target.publish(message) : target.publish(message, undefined);
    return reason === undefined ? { do: "keep", gate } : { do: "remove", reason, gate };
  }

  private closedGate(target: Destination): Gate | undefined {
    return this.engine.closedGate ?? (target instanceof Queue && target.gate.closed ? target.gate : undefined);
  }
}

/** A dead letter as it goes back: as it expired before it became one, unless that is over. */
function redriven(message: Message, now: number): Message {
  const { annotations } = message;
  const times = annotations.get("redriven_count");
  const expiresAt = annotations.get("dead_letter_expires_at");
  const added = new Map<string, Annotation>([
    ["redriven_count", (typeof times === "number" ? times : 0) + 1],
    ["redriven_at", now],
  ]);
  return message.with({
    annotations: added,
    expiresAt: typeof expiresAt === "number" && expiresAt > now ? expiresAt : 0,
  });
}
