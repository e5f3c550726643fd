import type { Address } from "../../core/addresses/address.ts";
import type { Message, WireFormat } from "../../core/message.ts";
import { malformed } from "./errors.ts";
import type { Payload } from "./payload.ts";
import type { Sections } from "./sections.ts";

/** How messages that came by AMQP 1.0 are kept: the sections as they came, without delivery annotations. */
export const amqp10Format: WireFormat = {
  name: "amqp10",
  open() {
    throw malformed("not yet");
  },
};

/**
 * The message whose sections were found, as it was received at `now` for `address`. Its bytes stay where they lie, or are
 * copied where something is left out of them. Throws AmqpError("link") over a time of delivery that makes no sense.
 */
export function messageOf(_sections: Sections, _address: Address, _now: number): Message {
  throw malformed("not yet");
}

/** Fills `payload` with the sections of a message for its delivery number `deliveries` + 1 (amqp10 3.2). */
export function fillPayload(_payload: Payload, _message: Message, _deliveries: number, _now: number): void {
  throw malformed("not yet");
}
