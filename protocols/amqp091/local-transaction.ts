import type { Client } from "../../core/client.ts";
import type { Message } from "../../core/message.ts";
import type { Delivery, Outcome } from "../../core/protocol.ts";
import type { Route } from "../../core/routing/route.ts";
import type { Transaction } from "../../core/transaction.ts";
import type { Recipient } from "./unacked.ts";

/** Something said of a delivery that waits for tx.commit. */
export interface HeldAcknowledgement {
  readonly tag: number;
  readonly recipient: Recipient;
  readonly delivery: Delivery;
  readonly outcome: Outcome;
}

/** A mandatory send that waits for tx.commit: only then it is known whether anybody gets it. */
export interface MandatorySend {
  readonly route: Route;
  readonly message: Message;
}

/** What a channel in transactional mode (tx.select) has said since its last tx.commit or tx.rollback. */
export class LocalTransaction {
  readonly #client: Client;
  #transaction: Transaction | undefined = undefined;
  #acknowledgements: HeldAcknowledgement[] = [];
  #mandatory: MandatorySend[] = [];

  constructor(client: Client) {
    this.#client = client;
  }

  /** The core's transaction, begun when there is something for it. */
  open(): Transaction {
    if (this.#transaction?.open !== true) this.#transaction = this.#client.begin();
    return this.#transaction;
  }

  /** Holds what was said of a delivery: the core would have it come again after a rollback. */
  acknowledge(held: HeldAcknowledgement): void {
    this.#acknowledgements.push(held);
  }

  /** Notes a mandatory send. */
  expectRoute(send: MandatorySend): void {
    this.#mandatory.push(send);
  }

  /** What was held, in the order of the tags; nothing is, after that. */
  takeAcknowledgements(): readonly HeldAcknowledgement[] {
    const held = this.#acknowledgements;
    this.#acknowledgements = [];
    return held;
  }

  /** Mandatory sends that nobody gets; none are noted, after that. */
  takeUnroutable(): readonly MandatorySend[] {
    const unroutable = this.#mandatory.filter(({ route, message }) => !route.reaches(message));
    this.#mandatory = [];
    return unroutable;
  }

  /** Carries everything out at once. Throws BrokerError, and nothing was done, when something is refused. */
  commit(): void {
    const transaction = this.#transaction;
    this.#transaction = undefined;
    transaction?.commit();
  }

  /** Forgets the sends. */
  rollback(): void {
    this.#mandatory = [];
    this.#transaction?.abort();
    this.#transaction = undefined;
  }
}
