import type { Address } from "../../core/addresses/address.ts";
import { Spelling } from "../../core/addresses/spelling.ts";

/** AMQP 0-9-1 has names without levels; in this broker `a.b` is what STOMP calls `/queue/a.b`, MQTT `$queue/a/b`. */
export const spelling: Spelling = new Spelling({ separator: "." });

/** The address of a queue. Throws BrokerError("bad-address"). */
export function queueAddress(name: string): Address {
  return spelling.parse("queue", name);
}

/** What a queue is called. */
export function queueName(address: Address): string {
  return spelling.format(address.levels);
}

/** What a client consumes from to get answers to requests that name it as their reply-to (RabbitMQ's direct reply-to). */
export const DIRECT_REPLY_TO = "amq.rabbitmq.reply-to";
