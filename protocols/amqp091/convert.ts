import type { Address } from "../../core/addresses/address.ts";
import type { Envelope, Message, WireFormat } from "../../core/message.ts";
import type { Publish } from "./publish.ts";

/** How messages that came by AMQP 0-9-1 are kept. */
export const amqp091Format: WireFormat = {
  name: "amqp091",
  open(message) {
    throw new Error(String(message));
  },
};

/** What the core must know of a publish that was received at `now`. Throws `AmqpError` PRECONDITION_FAILED over values that make no sense. */
export function envelopeOf(publish: Publish, address: Address, now: number): Envelope {
  throw new Error(String([publish, address, now]));
}

/** The message of a publish, where it lies. */
export function messageOf(publish: Publish, envelope: Envelope): Message {
  throw new Error(String([publish, envelope]));
}

/** Further routing keys: those of the headers CC and BCC. Empty for nearly all. */
export function copiesOf(publish: Publish): readonly string[] {
  throw new Error(String(publish));
}

/** Puts another reply-to into a publish, which moves to a buffer of its own: for direct reply-to. */
export function replaceReplyTo(publish: Publish, replyTo: string): void {
  throw new Error(String([publish, replyTo]));
}

/** Takes the header BCC out of a publish, if it has one; it then moves to a buffer of its own. */
export function removeBcc(publish: Publish): void {
  throw new Error(String(publish));
}
