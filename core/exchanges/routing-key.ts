/*
 * Routing keys where an exchange is one with a name space of the broker: the words of a key, between its dots, are levels.
 *
 *     exchange ""           key a.b     the queue  "a" "b"
 *     exchange amq.topic    key a.b     the topic  "a" "b"       bound with a.* or a.#: the pattern of the same meaning
 *     any other             key a.b     the exchange's address, of two levels: its name, and the key as it is
 */
import { Address } from "../addresses/address.ts";
import { BrokerError } from "../errors.ts";
import type { Pattern } from "../addresses/pattern.ts";
import { Spelling } from "../addresses/spelling.ts";

/** The exchange that leads to the queue that a key names. */
export const DEFAULT_EXCHANGE = "";
/** The exchange that is one with the topics. */
export const TOPIC_EXCHANGE = "amq.topic";

/** The keys that lead to queues and topics, and the names of queues where AMQP 0-9-1 says them: two of them are never one. */
export const keySpelling: Spelling = new Spelling({ separator: ".", exact: true });

const bindingSpelling = new Spelling({ separator: ".", any: "*", restOrNone: "#", exact: true });

/** Where a message goes that is sent to an exchange with a key. Throws BrokerError("bad-address") for what is too long. */
export function exchangeAddress(exchange: string, key: string): Address {
  if (exchange === DEFAULT_EXCHANGE) return keySpelling.parse("queue", key);
  if (exchange === TOPIC_EXCHANGE) return keySpelling.parse("topic", key);
  return new Address("exchange", [exchange, key]);
}

/** The exchange and the key that `exchangeAddress` makes an address of. */
export function routingOf(address: Address): { readonly exchange: string; readonly key: string } {
  const [exchange = "", key = ""] = address.levels;
  if (address.kind === "exchange") return { exchange, key };
  return { exchange: address.kind === "queue" ? DEFAULT_EXCHANGE : TOPIC_EXCHANGE, key: keyOf(address) };
}

/** The topics that a binding of amq.topic is for. Throws BrokerError("bad-address"). */
export function topicPattern(key: string): Pattern {
  return bindingSpelling.parsePattern("topic", key);
}

/** The topic of a key; undefined when there can be none, as it has too many words. */
export function topicOf(key: string): Address | undefined {
  try {
    return keySpelling.parse("topic", key);
  } catch (refusal) {
    if (refusal instanceof BrokerError) return undefined;
    throw refusal;
  }
}

/** The key of a topic or a queue. */
export function keyOf({ levels }: Address): string {
  return keySpelling.format(levels);
}
