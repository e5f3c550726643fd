import type { Client } from "../../core/client.ts";
import type { Random } from "../../core/time/clock.ts";
import type { Output } from "../../core/output.ts";
import type { AnswerOwner } from "./answers.ts";
import type { Confirms, ConfirmedSends } from "./confirms.ts";
import type { Consumer } from "./consumer.ts";
import type { DeliveryWriter } from "./delivery-writer.ts";
import type { Capabilities } from "./greeting.ts";
import type { Amqp091Options } from "./protocol.ts";

/** What waits until what the client has said is safe. */
type Pending =
  | { readonly confirms: Confirms; readonly sends: ConfirmedSends }
  | { readonly confirms: undefined; readonly act: () => void };

/** Pending ones that were carried out before they are let go. */
const MOST_DONE = 1024;

/** What a connection is made of once its virtual host is open. */
export interface ConnectionParts {
  readonly client: Client;
  readonly output: Output;
  readonly writer: DeliveryWriter;
  readonly options: Amqp091Options;
  readonly capabilities: Capabilities;
  readonly random: Random;
  /** The virtual host as the client calls it. */
  readonly hostName: string;
  /** Answers do not wait any more: input may be handled again. */
  readonly relieved: () => void;
}

/** What the channels of one connection share. */
export class Connection implements AnswerOwner {
  readonly client: Client;
  readonly output: Output;
  readonly writer: DeliveryWriter;
  readonly options: Amqp091Options;
  readonly capabilities: Capabilities;
  readonly random: Random;
  readonly hostName: string;
  /** Milliseconds since 1970: when the bytes at hand were received. */
  now = 0;
  answersWaiting = 0;
  /** Consumers of all channels. */
  consumers = 0;
  /** Bytes of contents that are not there as a whole, of all channels. */
  unfinishedBytes = 0;
  /** Grows when the client has logged in anew: routes have to be asked for again. */
  logins = 0;
  readonly #relieved: () => void;
  /** Answers that were written while the output was full. */
  #unwritten = 0;
  #pending: Pending[] = [];
  #pendingFrom = 0;
  /** Those with sends since the last `gatherConfirms`. */
  #publishing: Confirms[] = [];
  #stalled: Consumer[] = [];

  constructor(parts: ConnectionParts) {
    this.client = parts.client;
    this.output = parts.output;
    this.writer = parts.writer;
    this.options = parts.options;
    this.capabilities = parts.capabilities;
    this.random = parts.random;
    this.hostName = parts.hostName;
    this.#relieved = parts.relieved;
  }

  /** Why no more input is to be handled now. */
  get busy(): boolean {
    return this.client.blocked || this.answersWaiting + this.#unwritten > this.options.maxAnswersWaiting;
  }

  /** Calls back, in order, once all that the client has said so far is safe: maybe at once. */
  whenSafe(act: () => void): void {
    this.#await({ confirms: undefined, act });
  }

  /** A channel in confirm mode has its first send since the last `gatherConfirms`. */
  publishing(confirms: Confirms): void {
    this.#publishing.push(confirms);
  }

  /** The chunk at hand was handled: what was sent in it is to be confirmed, by one basic.ack for each channel. */
  gatherConfirms(): void {
    const publishing = this.#publishing;
    if (publishing.length === 0) return;
    for (const confirms of publishing) {
      const sends = confirms.gather();
      if (sends !== undefined) this.#await({ confirms, sends });
    }
    // The same list again, as for `Output`: a new one for each chunk would be taken for long-lived.
    publishing.length = 0;
  }

  /** What waited longest is safe now. */
  confirmed(): void {
    const pending = this.#pending[this.#pendingFrom++];
    if (this.#pendingFrom === this.#pending.length) {
      this.#pending.length = 0;
      this.#pendingFrom = 0;
    } else if (this.#pendingFrom > MOST_DONE) {
      this.#pending = this.#pending.slice(this.#pendingFrom);
      this.#pendingFrom = 0;
    }
    if (pending === undefined) return;
    if (pending.confirms === undefined) {
      pending.act();
      this.#relieved();
    } else if (!pending.confirms.ended) {
      pending.confirms.confirm(pending.sends);
      this.answered();
    }
  }

  /** What had to wait for an answer may be handled now. Not from within the core. */
  relieve(): void {
    this.#relieved();
  }

  answered(): void {
    if (this.output.full) this.#unwritten++;
  }

  /** Something large was written that the client did not ask for: nothing more is handled while the output is full. */
  returned(): void {
    if (this.output.full) this.#unwritten = this.options.maxAnswersWaiting + 1;
  }

  /** A consumer took its last message for now. */
  stalled(consumer: Consumer): void {
    if (consumer.waiting) return;
    consumer.waiting = true;
    this.#stalled.push(consumer);
  }

  /** The output has room again. */
  drained(): void {
    this.#unwritten = 0;
    const stalled = this.#stalled;
    this.#stalled = [];
    for (const consumer of stalled) {
      consumer.waiting = false;
      consumer.goOn();
    }
  }

  #await(pending: Pending): void {
    this.#pending.push(pending);
    // The order says which one it is.
    this.client.confirm(0);
  }
}
