import type { Client } from "../../core/client.ts";
import type { Delivery, Outcome } from "../../core/protocol.ts";
import { AmqpError } from "./errors.ts";
import type { LocalTransaction } from "./local-transaction.ts";
import type { Prefetch } from "./prefetch.ts";
import type { Recipient, Unacked } from "./unacked.ts";

/** What one channel's client says of what it was delivered. */
export class Acknowledgements {
  /** Set in transactional mode: what is said is held until tx.commit. */
  transaction: LocalTransaction | undefined = undefined;
  readonly #client: Client;
  readonly #unacked: Unacked;
  readonly #prefetch: Prefetch;

  constructor(client: Client, unacked: Unacked, prefetch: Prefetch) {
    this.#client = client;
    this.#unacked = unacked;
    this.#prefetch = prefetch;
  }

  /** basic.ack. Throws `AmqpError`. */
  onBasicAck(tag: number, multiple: boolean): void {
    this.#say(tag, multiple, "accepted");
  }

  /** basic.nack. Throws `AmqpError`. */
  onBasicNack(tag: number, multiple: boolean, requeue: boolean): void {
    this.#say(tag, multiple, requeue ? "failed" : "rejected");
  }

  /** basic.reject. Throws `AmqpError`. */
  onBasicReject(tag: number, requeue: boolean): void {
    this.#say(tag, false, requeue ? "failed" : "rejected");
  }

  /** basic.recover: everything comes again, to whoever is next. */
  recover(): void {
    const upTo = this.#unacked.last;
    for (;;) {
      const delivery = this.#unacked.takeOldest(upTo);
      if (delivery === undefined) return;
      this.#settle(this.#unacked.recipient, delivery, "failed");
    }
  }

  /** tx.commit: what was held is part of what is committed. */
  commit(transaction: LocalTransaction): void {
    for (const { recipient, delivery, outcome } of transaction.takeAcknowledgements()) {
      if (recipient.core !== undefined) this.#client.settle(recipient.core, delivery, outcome, transaction.open());
      if (recipient.counted) this.#prefetch.returned(1);
    }
  }

  /** tx.rollback: what was held may be said anew; nothing comes again by that alone (amqp091 tx.rollback). */
  rollback(transaction: LocalTransaction): void {
    const held = transaction.takeAcknowledgements();
    if (held.length > 0) this.#unacked.restore(held);
  }

  /** The channel closes: everything that waits, also for tx.commit, goes to others. */
  close(): void {
    const held = this.transaction?.takeAcknowledgements() ?? [];
    this.transaction = undefined;
    for (const { recipient, delivery } of held) this.#settle(recipient, delivery, "failed");
    this.recover();
  }

  #say(tag: number, multiple: boolean, outcome: Outcome): void {
    const unacked = this.#unacked;
    if (!multiple) {
      const delivery = unacked.take(tag);
      if (delivery === undefined) throw unknownTag(tag);
      this.#conclude(delivery, outcome);
      return;
    }
    // amqp091 basic.ack: with multiple, 0 is all there are.
    if (tag !== 0 && !unacked.has(tag)) throw unknownTag(tag);
    // What comes meanwhile is not meant.
    const upTo = tag === 0 ? unacked.last : tag;
    for (;;) {
      const delivery = unacked.takeOldest(upTo);
      if (delivery === undefined) return;
      this.#conclude(delivery, outcome);
    }
  }

  #conclude(delivery: Delivery, outcome: Outcome): void {
    const { recipient, tag } = this.#unacked;
    if (this.transaction === undefined) this.#settle(recipient, delivery, outcome);
    else if (recipient !== undefined) this.transaction.acknowledge({ tag, recipient, delivery, outcome });
  }

  #settle(recipient: Recipient | undefined, delivery: Delivery, outcome: Outcome): void {
    if (recipient?.core === undefined) return;
    // First, for what is settled may make room for the next delivery.
    if (recipient.counted) this.#prefetch.returned(1);
    this.#client.settle(recipient.core, delivery, outcome);
  }
}

function unknownTag(tag: number): AmqpError {
  return new AmqpError("PRECONDITION_FAILED", `unknown delivery tag ${tag}`);
}
