/*
 * What a message has to pass on its way into one destination. Ordinary messages for ordinary destinations never come here
 * (see Route): the others are
 *
 *     check      before anybody has the message: too large, refused by a full queue, an id or a time that makes no sense
 *     publish    what a client sends: repeated -> counted and gone; for later -> the schedule
 *     enter      what the broker itself sends: diverted, mirrored, due by the schedule, a dead letter
 *     take       both: bounds of its time to live -> diverts -> the queue or the topic
 *
 * One may lead to the next in a circle, by configuration: a chain ends after MAX_HOPS.
 */
import { Address } from "../addresses/address.ts";
import { Bounds } from "./bounds.ts";
import type { Divert } from "./divert.ts";
import { checkDuplicateId, DuplicateWindow } from "./duplicates.ts";
import type { Engine } from "../engine.ts";
import { BrokerError } from "../errors.ts";
import type { Gate } from "../memory/gate.ts";
import type { Graves } from "./graves.ts";
import type { LossReason } from "../ledger.ts";
import { type Message, TRAIT } from "../message.ts";
import type { Policy } from "../policy.ts";
import { Queue } from "../queue/queue.ts";
import type { Destination } from "./route.ts";
import type { Schedule } from "../schedule/schedule.ts";

/** Destinations a message may be passed on through, one after the other. */
export const MAX_HOPS = 8;
/** What makes a message one that has to be looked at wherever it goes. */
export const SPECIAL_TRAITS: number = TRAIT.timed | TRAIT.identified;

/** What the admissions of one virtual host share. */
export interface AdmissionContext {
  readonly engine: Engine;
  readonly hostName: string;
  /** How many destinations the message that is just passed on has gone through. */
  hops: number;
  /** Whether it is a dead letter. */
  burying: boolean;
  readonly schedule: Schedule;
  readonly graves: Graves;
  /** The admission of any address; makes the destination if it is not there and asks nobody. */
  find(address: Address): Admission;
}

/** What an admission is made of. */
export interface AdmissionOptions {
  readonly context: AdmissionContext;
  readonly address: Address;
  readonly destination: Destination;
  readonly policy: Policy;
  readonly diverts: readonly Divert[];
  /** Where ids of sends are remembered, if not for this address alone. */
  readonly ids?: DuplicateWindow;
  /** The ways into queues behind it: what one of them refuses is refused here. */
  readonly guards?: readonly Admission[];
}

/** The way into one destination. */
export class Admission {
  readonly address: Address;
  readonly destination: Destination;
  /** Nothing to pass here, but for messages with `SPECIAL_TRAITS`. */
  readonly ordinary: boolean;
  /** Whether ids of sends are remembered here, by which repeated ones are found out. */
  remembersIds = false;
  private readonly context: AdmissionContext;
  private readonly policy: Policy;
  private readonly diverts: readonly Divert[];
  /** The topic that is one with this queue. */
  private readonly mirror: Address | undefined;
  private readonly bounds: Bounds | undefined;
  private readonly refuses: boolean;
  private readonly guards: readonly Admission[];
  private window: DuplicateWindow | undefined;

  constructor({ context, address, destination, policy, diverts, ids, guards = [] }: AdmissionOptions) {
    this.context = context;
    this.address = address;
    this.destination = destination;
    this.policy = policy;
    this.diverts = diverts;
    this.window = ids;
    this.guards = guards;
    const mirrored = policy.mirrored && address.kind === "queue" && !isTemporary(address);
    this.mirror = mirrored ? new Address("topic", address.levels) : undefined;
    this.bounds = Bounds.of(policy);
    const refuses = policy.full === "reject" || policy.full === "reject-dead-letter";
    this.refuses = refuses && (policy.maxMessages > 0 || policy.maxBytes > 0);
    this.ordinary =
      diverts.length === 0 && !mirrored && this.bounds === undefined && !this.refuses && guards.length === 0;
  }

  /** Whether it refuses messages of some size, or when it is full. */
  get selective(): boolean {
    return this.refuses || this.policy.maxMessageBytes > 0;
  }

  /** Refuses, before anybody has it, a message that may not be sent here: throws BrokerError. */
  check(message: Message): void {
    const { destination } = this;
    const excess = this.bounds?.excess(message);
    if (excess !== undefined) throw new BrokerError("too-large", `The ${destination.subject} ${excess}`);
    if ((message.traits & SPECIAL_TRAITS) !== 0) {
      const { duplicateId } = message;
      const { timing } = message;
      if (duplicateId !== undefined) checkDuplicateId(duplicateId);
      if (timing !== undefined) {
        // It needs no room before its time.
        if (!this.isRepeated(message)) this.context.schedule.check(message, timing);
        return;
      }
    }
    if (this.guards.length > 0 && !this.isRepeated(message)) for (const guard of this.guards) guard.check(message);
    const refusal = this.refusal(message);
    if (refusal === undefined || this.isRepeated(message)) return;
    if (this.policy.full === "reject-dead-letter" && destination instanceof Queue) {
      const { ledger } = destination;
      ledger.received++;
      ledger.receivedBytes += message.size;
      destination.turnAway(message);
    }
    throw new BrokerError("full", refusal);
  }

  /** Whether a message that comes due may go in now, or has to wait for room. */
  hasRoom(message: Message): boolean {
    if (this.refusal(message) !== undefined || !this.guards.every((guard) => guard.hasRoom(message))) return false;
    return !(this.destination instanceof Queue) || !this.destination.gate.closed || this.leaves(message);
  }

  /** Takes what a client sends and was checked; `alone` if it goes nowhere else. Returns a closed gate to wait at, if any. */
  publish(message: Message, sender: unknown, alone: boolean): Gate | undefined {
    if ((message.traits & SPECIAL_TRAITS) !== 0) {
      const fate = this.special(message);
      if (fate !== undefined) {
        this.destination.ledger.turnAway(message.size, fate);
        return undefined;
      }
    }
    if (this.mirror !== undefined) return this.forward(this.mirror, message, sender);
    const { bounds } = this;
    if (bounds === undefined) return this.pass(message, sender, true);
    const now = this.context.engine.clock.now();
    if (!alone) return this.pass(bounds.fitted(message, now), sender, true);
    message.expiresAt = bounds.expiry(message, now);
    return this.pass(message, sender, true);
  }

  /** Takes what the broker itself sends here; `regardless` even if there is no room. */
  enter(message: Message, sender: unknown, regardless = false): Gate | undefined {
    if (this.mirror !== undefined) return this.forward(this.mirror, message, sender);
    return this.take(message, sender, regardless);
  }

  /** Takes a dead letter, even if there is no room: the queues it comes to are known for that from now on. */
  bury(message: Message): void {
    const { context } = this;
    // A queue that makes room for one may have others go the same way.
    const { burying } = context;
    context.burying = true;
    try {
      this.enter(message, undefined, true);
    } finally {
      context.burying = burying;
    }
  }

  /** Takes what comes from elsewhere, a topic or the broker itself: what does not fit is dropped and counted. */
  take(message: Message, sender: unknown, regardless = false): Gate | undefined {
    const { bounds } = this;
    if (bounds === undefined) return this.pass(message, sender, regardless);
    if (!regardless && bounds.excess(message) !== undefined) {
      this.destination.ledger.turnAway(message.size, "refused");
      return undefined;
    }
    return this.pass(bounds.fitted(message, this.context.engine.clock.now()), sender, regardless);
  }

  /** The destination is gone for good: forgets what was remembered for it. */
  forget(): void {
    if (this.policy.duplicateWindow === 0) return;
    // Also what an earlier run noted; of a temporary destination nothing ever was.
    if (this.window !== undefined || !isTemporary(this.address)) this.duplicates.forget();
  }

  private get duplicates(): DuplicateWindow {
    const { engine, hostName } = this.context;
    const { kind, name } = this.address;
    this.window ??= new DuplicateWindow(engine, `${hostName}\0${kind} ${name}`, this.policy.duplicateWindow);
    return this.window;
  }

  /** Whether this was sent before: then it is confirmed however full it is here, perhaps of the first one. */
  private isRepeated({ duplicateId }: Message): boolean {
    return duplicateId !== undefined && this.policy.duplicateWindow > 0 && this.duplicates.knows(duplicateId);
  }

  /** What becomes of a message with special traits, unless it goes on like any other. */
  private special(message: Message): LossReason | undefined {
    const { address, context } = this;
    const { duplicateId } = message;
    if (duplicateId !== undefined && this.policy.duplicateWindow > 0) {
      const durable = message.durable && !isTemporary(address);
      this.remembersIds = true;
      if (this.duplicates.seen(duplicateId, durable)) return "duplicate";
    }
    const { timing } = message;
    if (timing === undefined) return undefined;
    context.schedule.add(address, message, timing, true);
    return "scheduled";
  }

  /** Why a full queue refuses a message that would stay in it, where the policy is to refuse. */
  private refusal(message: Message): string | undefined {
    const { destination } = this;
    if (!this.refuses || !(destination instanceof Queue) || this.leaves(message)) return undefined;
    return destination.refusal(message);
  }

  /** Whether a divert takes a message for itself. */
  private leaves(message: Message): boolean {
    return this.diverts.some(({ exclusive, selector }) => exclusive && selector?.matches(message) !== false);
  }

  private pass(message: Message, sender: unknown, regardless: boolean): Gate | undefined {
    const { destination, diverts } = this;
    let closed: Gate | undefined;
    for (const { targets, selector } of diverts) {
      if (selector?.matches(message) === false) continue;
      for (const target of targets) closed = this.forward(target, message, sender) ?? closed;
    }
    if (diverts.length > 0 && this.leaves(message)) {
      destination.ledger.turnAway(message.size, "diverted");
      return closed;
    }
    if (this.context.burying && destination instanceof Queue) this.context.graves.note(destination, this.address);
    const gate =
      destination instanceof Queue ? destination.publish(message, regardless) : destination.publish(message, sender);
    return gate ?? closed;
  }

  private forward(target: Address, message: Message, sender: unknown): Gate | undefined {
    const { context } = this;
    const admission = context.find(target);
    if (context.hops >= MAX_HOPS) {
      admission.destination.ledger.turnAway(message.size, "loop");
      return undefined;
    }
    context.hops++;
    try {
      return admission.enter(message, sender);
    } finally {
      context.hops--;
    }
  }
}

/** What the ids of clients look like, in the names of temporary destinations. */
const CLIENT_ID = /-[0-9a-z]+-[0-9a-f]+$/;

/** Whether an address is of a kind that lives with a client: `temp.default-2-1f.replies`. What else is called temp is not. */
export function isTemporary({ kind, levels }: Address): boolean {
  if (levels[0] !== "temp" || kind === "exchange" || levels.length > 3) return false;
  return CLIENT_ID.test(levels[1] ?? "");
}
