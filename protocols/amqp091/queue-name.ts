import type { Address } from "../../core/addresses/address.ts";
import { keyOf, keySpelling } from "../../core/exchanges/routing-key.ts";

/**
 * The address of a queue. AMQP 0-9-1 has names without levels; in this broker `a.b` is what STOMP calls `/queue/a.b`, MQTT
 * `$queue/a/b`. Throws BrokerError("bad-address").
 */
export function queueAddress(name: string): Address {
  return keySpelling.parse("queue", name);
}

/** What a queue is called. */
export function queueName(address: Address): string {
  return keyOf(address);
}

/** What a client consumes from to get answers to requests that name it as their reply-to (RabbitMQ's direct reply-to). */
export const DIRECT_REPLY_TO = "amq.rabbitmq.reply-to";
