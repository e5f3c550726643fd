import type { Message } from "../../core/message.ts";
import type { Output } from "../../core/output.ts";
import type { CancelCause, Consumer as CoreConsumer, Delivery } from "../../core/protocol.ts";
import type { Subscription } from "../../core/subscription.ts";
import type { Connection } from "./connection.ts";
import type { DeliveryWriter } from "./delivery-writer.ts";
import type { Prefetch } from "./prefetch.ts";
import type { Recipient, Unacked } from "./unacked.ts";
import { writeShort } from "./strings.ts";

/** What a consumer needs of its channel. */
export interface ConsumerOwner {
  readonly number: number;
  readonly connection: Connection;
  readonly unacked: Unacked;
  readonly prefetch: Prefetch;
  /** The broker ended the consumer. */
  cancelled(consumer: Consumer, reason: string, cause: CancelCause | undefined): void;
}

/** One basic.consume: turns deliveries into basic.deliver. */
export class Consumer implements CoreConsumer, Recipient {
  readonly tag: string;
  readonly noAck: boolean;
  readonly counted: boolean;
  core: Subscription | undefined = undefined;
  /** True while it waits for room in the output. */
  waiting = false;
  readonly #owner: ConsumerOwner;
  readonly #channel: number;
  readonly #writer: DeliveryWriter;
  readonly #output: Output;
  readonly #unacked: Unacked;
  readonly #prefetch: Prefetch;
  readonly #tagBytes: Buffer;

  constructor(owner: ConsumerOwner, tag: string, noAck: boolean) {
    this.tag = tag;
    this.noAck = noAck;
    this.counted = !noAck;
    this.#owner = owner;
    this.#channel = owner.number;
    this.#writer = owner.connection.writer;
    this.#output = owner.connection.output;
    this.#unacked = owner.unacked;
    this.#prefetch = owner.prefetch;
    const bytes = Buffer.alloc(1 + Buffer.byteLength(tag));
    writeShort(bytes, 0, tag);
    this.#tagBytes = bytes;
  }

  deliver(message: Message, delivery: Delivery | undefined, deliveries: number): boolean {
    const settled = delivery === undefined;
    const tag = settled ? this.#unacked.skip() : this.#unacked.add(this, delivery);
    this.#writer.deliver(this.#channel, this.#tagBytes, tag, deliveries > 0, message);
    const open = settled ? this.#prefetch.flowing : this.#prefetch.given();
    if (!this.#output.full) return open;
    this.#owner.connection.stalled(this);
    return false;
  }

  cancelled(reason: string, cause?: CancelCause): void {
    this.#owner.cancelled(this, reason, cause);
  }

  /** One of the reasons to deliver nothing has gone: goes on if there is no other. */
  goOn(): void {
    if (!this.waiting && this.#prefetch.admits(this)) this.core?.ready();
  }
}
