/*
 * How addresses are written in AMQP 0-9-1. As exchange and routing key:
 *
 *     queue a.b     ""           "a.b"
 *     topic a.b     "amq.topic"  "a.b"
 *     exchange      its name     the key
 *
 * In reply-to, which RabbitMQ's clients take for the name of a queue; STOMP's spelling for everything else:
 *
 *     a.b   /queue/a.b   /topic/a.b   /exchange/amq.topic/a.b   /exchange/NAME/KEY
 */
import { Address } from "../../core/addresses/address.ts";
import { keySpelling } from "../../core/exchanges/routing-key.ts";
import { cutShort, shortSize, writeShort } from "./strings.ts";

const TOPIC_EXCHANGE = "amq.topic";
const QUEUE = "/queue/";
const TOPIC = "/topic/";
const EXCHANGE = "/exchange/";

/** The exchange and the routing key of an address, as two short strings: what does not fit into 255 bytes is cut. */
export function encodeNames(address: Address): Buffer {
  const [exchange, key] = namesOf(address).map(cutShort);
  const names = Buffer.alloc(shortSize(exchange ?? "") + shortSize(key ?? ""));
  writeShort(names, writeShort(names, 0, exchange ?? ""), key ?? "");
  return names;
}

/** The exchange and the routing key of an address. */
export function namesOf({ kind, levels }: Address): readonly [string, string] {
  if (kind === "queue") return ["", keySpelling.format(levels)];
  if (kind === "topic") return [TOPIC_EXCHANGE, keySpelling.format(levels)];
  return [levels[0] ?? "", levels[1] ?? ""];
}

/** An address for reply-to; `parseReplyTo` gives it back. */
export function formatReplyTo(address: Address): string {
  const [exchange, key] = namesOf(address);
  if (address.kind === "topic") return TOPIC + key;
  if (address.kind !== "queue") return `${EXCHANGE}${exchange}/${key}`;
  return [QUEUE, TOPIC, EXCHANGE].some((prefix) => key.startsWith(prefix)) ? QUEUE + key : key;
}

/** The address that a reply-to names; undefined when it names none. */
export function parseReplyTo(text: string): Address | undefined {
  try {
    return replyAddress(text);
  } catch {
    // Clients may put anything there; it then stays what it is, a text.
    return undefined;
  }
}

function replyAddress(text: string): Address | undefined {
  if (text === "") return undefined;
  if (text.startsWith(QUEUE)) return keySpelling.parse("queue", text.slice(QUEUE.length));
  if (text.startsWith(TOPIC)) return keySpelling.parse("topic", text.slice(TOPIC.length));
  if (!text.startsWith(EXCHANGE)) return keySpelling.parse("queue", text);
  const slash = text.indexOf("/", EXCHANGE.length);
  if (slash < 0) return undefined;
  const exchange = text.slice(EXCHANGE.length, slash);
  const key = text.slice(slash + 1);
  if (exchange === TOPIC_EXCHANGE) return keySpelling.parse("topic", key);
  return new Address("exchange", [exchange, key]);
}
