import type { Address } from "../../core/addresses/address.ts";
import type { Message } from "../../core/message.ts";
import type { Output } from "../../core/output.ts";

/** What the sessions of one adapter share: encodings that several of them send, and names as they are spelled. */
export class SharedWire {
  /** Exchange and routing key of an address, as two short strings. */
  names(address: Address): Buffer {
    throw new Error(String(address));
  }
}

/** Writes deliveries to one connection. */
export class DeliveryWriter {
  readonly #output: Output;
  readonly #wire: SharedWire;
  readonly #maxFrameBytes: number;

  /** `maxFrameBytes`: of whole frames, as agreed by tune-ok. */
  constructor(output: Output, wire: SharedWire, maxFrameBytes: number) {
    this.#output = output;
    this.#wire = wire;
    this.#maxFrameBytes = maxFrameBytes;
  }

  /** A basic.deliver with its content; `consumerTag` is a short string with its length. */
  deliver(channel: number, consumerTag: Buffer, deliveryTag: number, redelivered: boolean, message: Message): void {
    throw new Error(String([channel, consumerTag, deliveryTag, redelivered, message, this.#output, this.#wire]));
  }

  /** A basic.get-ok with its content; `left` messages are still in the queue. */
  getOk(channel: number, deliveryTag: number, redelivered: boolean, left: number, message: Message): void {
    throw new Error(String([channel, deliveryTag, redelivered, left, message, this.#maxFrameBytes]));
  }

  /** A basic.return with its content. */
  return(channel: number, replyCode: number, replyText: string, message: Message): void {
    throw new Error(String([channel, replyCode, replyText, message]));
  }
}
