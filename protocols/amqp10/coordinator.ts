/*
 * Transactions of one connection (amqp10 part 4):
 *
 *     message to the coordinator    declare -> declared, with an id        discharge -> accepted, or rejected when rolled back
 *     transfers and dispositions    with transactional-state: held in the core's transaction until it is discharged
 */
import type { Client } from "../../core/client.ts";
import { BrokerError } from "../../core/errors.ts";
import type { Transaction } from "../../core/transaction.ts";
import { AmqpError, CONDITION } from "./errors.ts";
import { ACCEPTED, asComposite, type Composite, type DeliveryState } from "./performatives.ts";
import { Reader } from "./reader.ts";
import type { Sink } from "./receiver.ts";
import { Sections } from "./sections.ts";
import { Described } from "./values.ts";

const ID_BYTES = 4;

/** What becomes of deliveries whose settlement in a transaction was rolled back. */
const FAILED: DeliveryState = {
  type: "modified",
  deliveryFailed: true,
  undeliverableHere: false,
  messageAnnotations: undefined,
};

/** A transaction that was declared and is not discharged. */
export class OpenTransaction {
  readonly core: Transaction;
  /** Over whose link it was declared. */
  readonly coordinator: Coordinator;
  /** What is said of everything sent in it. */
  readonly accepted: DeliveryState;
  #tasks: ((ended: DeliveryState) => void)[] = [];

  constructor(core: Transaction, coordinator: Coordinator, txnId: Buffer) {
    this.core = core;
    this.coordinator = coordinator;
    this.accepted = { type: "transactional-state", txnId, outcome: { type: "accepted" } };
  }

  /** Does something when it has ended; `ended` is what has become of deliveries that were accepted in it. */
  atEnd(task: (ended: DeliveryState) => void): void {
    this.#tasks.push(task);
  }

  /** Carries everything out. Throws BrokerError when it cannot: then nothing is. */
  commit(): void {
    try {
      if (!this.core.open) throw new BrokerError("limit", "The transaction was rolled back: it grew over its limits");
      this.core.commit();
    } catch (refusal) {
      this.#end(FAILED);
      throw refusal;
    }
    this.#end(ACCEPTED);
  }

  rollBack(): void {
    this.core.abort();
    this.#end(FAILED);
  }

  #end(ended: DeliveryState): void {
    for (const task of this.#tasks) task(ended);
    this.#tasks = [];
  }
}

/** The open transactions of one connection, by their ids. */
export class Transactions {
  readonly #client: Client;
  readonly #most: number;
  readonly #open = new Map<number, OpenTransaction>();
  #lastId = 0;

  constructor(client: Client, most: number) {
    this.#client = client;
    this.#most = most;
  }

  /** Begins one; returns its id. Throws BrokerError when there are too many. */
  declare(coordinator: Coordinator): Buffer {
    if (this.#open.size >= this.#most) {
      const text = `This connection has ${this.#most} open transactions; no more are allowed (transactions.max_open)`;
      throw new BrokerError("limit", text);
    }
    const txnId = Buffer.alloc(ID_BYTES);
    this.#lastId = (this.#lastId + 1) >>> 0;
    txnId.writeUInt32BE(this.#lastId);
    this.#open.set(this.#lastId, new OpenTransaction(this.#client.begin(), coordinator, txnId));
    return txnId;
  }

  /** Throws AmqpError when there is none of this id. */
  find(txnId: Buffer): OpenTransaction {
    const transaction = txnId.length === ID_BYTES ? this.#open.get(txnId.readUInt32BE()) : undefined;
    if (transaction !== undefined) return transaction;
    const text = `There is no transaction ${txnId.toString("hex")}, or it has ended`;
    throw new AmqpError("link", CONDITION.unknownTransaction, text);
  }

  /** Takes one out, to be ended. Throws AmqpError when there is none of this id. */
  take(txnId: Buffer): OpenTransaction {
    const transaction = this.find(txnId);
    this.#open.delete(txnId.readUInt32BE());
    return transaction;
  }

  /** Rolls back what was declared over a link and is not discharged, over whichever. */
  rollBackOf(coordinator: Coordinator): void {
    for (const [id, transaction] of this.#open) {
      if (transaction.coordinator !== coordinator) continue;
      this.#open.delete(id);
      transaction.rollBack();
    }
  }
}

/** The target of a link for transactions (amqp10 4.1). Those that it has begun are rolled back when it goes. */
export class Coordinator implements Sink {
  readonly #transactions: Transactions;
  readonly #sections = new Sections();
  readonly #reader = new Reader(true);

  constructor(transactions: Transactions) {
    this.#transactions = transactions;
  }

  take(data: Buffer, start: number, end: number): DeliveryState | undefined {
    const request = this.#read(data, start, end);
    if (request?.type === "declare") {
      if (request.globalId !== undefined) {
        throw new AmqpError("link", CONDITION.notImplemented, "Distributed transactions (global-id) are not known");
      }
      return { type: "declared", txnId: this.#transactions.declare(this) };
    }
    if (request?.type === "discharge") {
      this.#discharge(request.txnId, request.fail);
      return undefined;
    }
    throw new AmqpError("link", CONDITION.decodeError, "A message to the coordinator is neither declare nor discharge");
  }

  left(): void {
    // amqp10 4.1: who has gone will not discharge them.
    this.#transactions.rollBackOf(this);
  }

  #discharge(txnId: Buffer, fail: boolean): void {
    const transaction = this.#transactions.take(txnId);
    if (fail) {
      transaction.rollBack();
      return;
    }
    try {
      transaction.commit();
    } catch (refusal) {
      if (!(refusal instanceof BrokerError)) throw refusal;
      throw new AmqpError("link", CONDITION.transactionRollback, refusal.message);
    }
  }

  #read(data: Buffer, start: number, end: number): Composite | undefined {
    const sections = this.#sections;
    sections.scan(data, start, end);
    if (sections.body !== "value") return undefined;
    const value = this.#reader.over(data, sections.bodyStart, sections.bodyEnd).read();
    return value instanceof Described ? asComposite(value.value) : undefined;
  }
}
