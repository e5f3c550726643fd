import type { Address } from "../../core/addresses/address.ts";
import { Spelling } from "../../core/addresses/spelling.ts";

/** AMQP 0-9-1 has names without levels; in this broker `a.b` is what STOMP calls `/queue/a.b`, MQTT `$queue/a/b`. */
const spelling = new Spelling({ separator: "." });

/** The address of a queue. Throws BrokerError("bad-address"). */
export function queueAddress(name: string): Address {
  return spelling.parse("queue", name);
}

/** What a queue is called. */
export function queueName(address: Address): string {
  return spelling.format(address.levels);
}
