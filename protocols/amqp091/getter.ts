import type { Address } from "../../core/addresses/address.ts";
import type { Message } from "../../core/message.ts";
import type { Consumer, Delivery } from "../../core/protocol.ts";
import type { Subscription } from "../../core/subscription.ts";
import type { Connection } from "./connection.ts";
import { writeMethod } from "./methods.ts";
import type { Recipient, Unacked } from "./unacked.ts";

/** What one basic.get is made of. */
export interface GetterOptions {
  readonly channel: number;
  readonly connection: Connection;
  readonly unacked: Unacked;
  readonly address: Address;
  readonly noAck: boolean;
  /** It was answered, after the core had to look for a message. */
  readonly answered: () => void;
}

/** One basic.get: receives a message or is told that there is none. */
export class Getter implements Consumer, Recipient {
  core: Subscription | undefined = undefined;
  readonly counted = false;
  answered = false;
  readonly #options: GetterOptions;

  constructor(options: GetterOptions) {
    this.#options = options;
  }

  deliver(message: Message, delivery: Delivery | undefined, deliveries: number): boolean {
    const { channel, connection, unacked, address, noAck } = this.#options;
    const tag = noAck || delivery === undefined ? unacked.skip() : unacked.add(this, delivery);
    const queue = connection.client.host.queues.get(address.name);
    const left = queue === undefined ? 0 : queue.count - queue.held;
    connection.writer.getOk(channel, tag, deliveries > 0, left, message);
    this.#end();
    return false;
  }

  exhausted(): void {
    const { channel, connection } = this.#options;
    writeMethod(connection.output, channel, "basic.get-empty", {});
    this.#end();
  }

  /** The queue was deleted meanwhile. */
  cancelled(): void {
    if (!this.answered) this.exhausted();
  }

  #end(): void {
    this.answered = true;
    this.#options.connection.returned();
    if (this.core !== undefined) this.#options.answered();
  }
}
