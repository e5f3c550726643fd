import { BrokerError } from "../errors.ts";
import type { Exchange } from "./exchange.ts";
import { DEFAULT_EXCHANGE, exchangeAddress, TOPIC_EXCHANGE, topicPattern } from "./routing-key.ts";

/** What one must be allowed to send to, all of it, who has messages led on. */
export interface LeadingRight {
  readonly kind: "queue" | "topic" | "exchange";
  /** Canonical text of an address or a pattern; the name of an exchange. */
  readonly name: string;
}

const EVERYTHING = "**";

/**
 * For leading to an exchange with a key; without one messages keep their own, by which they may come to any queue of the default
 * exchange, and any topic of amq.topic.
 */
export function rightToLead(exchange: string, key?: string): LeadingRight {
  if (exchange !== DEFAULT_EXCHANGE && exchange !== TOPIC_EXCHANGE) return { kind: "exchange", name: exchange };
  const kind = exchange === DEFAULT_EXCHANGE ? "queue" : "topic";
  return { kind, name: key === undefined ? EVERYTHING : named(() => exchangeAddress(exchange, key).name) };
}

/** For a binding that leads from one exchange to another: to amq.topic only the topics of keys that come through it. */
export function rightToBind({ declaration: { type } }: Exchange, key: string, to: string): LeadingRight {
  if (to !== TOPIC_EXCHANGE || type === "fanout" || type === "headers") return rightToLead(to);
  return type === "direct" ? rightToLead(to, key) : { kind: "topic", name: named(() => topicPattern(key).text) };
}

/** A key of which no address is made leads nowhere, and takes the most there is. */
function named(name: () => string): string {
  try {
    return name();
  } catch (refusal) {
    if (refusal instanceof BrokerError) return EVERYTHING;
    throw refusal;
  }
}
