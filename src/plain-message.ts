import type { Address } from "../core/addresses/address.ts";
import { type Content, Message, type WireFormat } from "../core/message.ts";

const CONTENT: Content = {
  messageId: undefined,
  correlationId: undefined,
  replyTo: undefined,
  subject: undefined,
  contentType: "text/plain",
  contentEncoding: undefined,
  userId: undefined,
  groupId: undefined,
  groupSequence: undefined,
  bodyKind: "text",
  properties: new Map(),
};

/** Messages of the broker itself: a text and nothing else. */
export const plainFormat: WireFormat = { name: "plain", open: () => CONTENT };

/** A message of the broker itself, which is never on disk. */
export function plainMessage(address: Address, text: string, now: number): Message {
  const data = Buffer.from(text);
  const envelope = { address, durable: false, priority: 4, expiresAt: 0, receivedAt: now };
  const message = new Message(plainFormat, envelope, data, 0, data.length, 0, data.length);
  message.detached = true;
  return message;
}
