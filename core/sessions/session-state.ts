import type { Permissions } from "../access/access.ts";
import type { DurableSubscription, TopicGuard } from "../topic/durable-subscription.ts";
import { Interests } from "./interests.ts";
import type { Message } from "../message.ts";
import type { Pattern } from "../addresses/pattern.ts";
import type { Policy } from "../policy.ts";
import type { HostSession } from "./session.ts";
import type { SharedSubscription } from "./shares.ts";

/** What there is of a session whether or not it is connected. */
export class SessionState implements TopicGuard {
  readonly id: string;
  /** Whose it is; undefined when nobody had to log in. */
  readonly user: string | undefined;
  readonly interests = new Interests();
  /** By id. */
  readonly shares = new Map<string, SharedSubscription>();
  /** What waits for it; undefined when it ends with its connection. */
  readonly durable: DurableSubscription | undefined;
  /** What its durable subscription is bound to; undefined without one. */
  readonly topicPatterns: Pattern[] | undefined;
  /** How long it outlives its connection; Infinity: for ever. */
  expiryMs: number;
  /** Since when it is connected, or is not: milliseconds since 1970. */
  since: number;
  /** Messages of its queue up to this sequence may have been delivered by a run of the broker that was killed. */
  doubtfulTo = 0;
  connection: HostSession | undefined = undefined;
  private owner: Permissions | undefined = undefined;
  /** Small things of its protocol; undefined until they were read back. */
  entries: Map<string, Buffer> | undefined = undefined;

  constructor(options: {
    readonly id: string;
    readonly user: string | undefined;
    readonly expiryMs: number;
    readonly since: number;
    readonly durable: DurableSubscription | undefined;
  }) {
    this.id = options.id;
    this.user = options.user;
    this.expiryMs = options.expiryMs;
    this.since = options.since;
    this.durable = options.durable;
    this.topicPatterns = this.durable === undefined ? undefined : [];
    if (this.durable === undefined || this.topicPatterns === undefined) return;
    this.durable.guard = this;
    this.durable.patterns = this.topicPatterns;
  }

  /** Of whoever has it, or had it last; undefined if nobody knows any more. */
  get permissions(): Permissions | undefined {
    return this.owner;
  }

  set permissions(permissions: Permissions | undefined) {
    this.owner = permissions;
    if (this.durable !== undefined) this.durable.reader = permissions;
  }

  /** Whether it may outlive a connection: what it has is in the store. */
  get kept(): boolean {
    return this.durable !== undefined;
  }

  /** What its queue takes: while it is away, only what is to come surely. */
  admit(message: Message, sender: unknown, { subscriberBytes }: Policy): Message | undefined {
    const { connection, interests, durable } = this;
    if (interests.someNoLocal && connection !== undefined && sender === connection.client) {
      if (interests.grantOf(message.address)?.noLocal === true) return undefined;
    }
    // What a divert or a mirror brought has the address where it was sent to.
    const reliable = message.durable && (interests.grantOf(message.address)?.quality ?? interests.highest) > 0;
    if (reliable) return message;
    if (connection === undefined) {
      durable?.queue.ledger.turnAway(message.size, "no-subscriber");
      return undefined;
    }
    if (connection.subscription.receptive) return message;
    if (durable !== undefined && durable.queue.bytes > subscriberBytes && connection.stuck) {
      durable.queue.ledger.turnAway(message.size, "dropped-newest");
      return undefined;
    }
    // Handed on at once it is never stored; if it has to wait, it must not be either.
    return message.durable ? message.with({ durable: false }) : message;
  }
}
