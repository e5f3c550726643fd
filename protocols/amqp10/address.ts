/*
 * How addresses are written in AMQP 1.0. Inside a name, levels are separated as everywhere in the broker (`.`).
 *
 *     queue://a.b   /queue/a.b   /amq/queue/a.b             queue a.b
 *     /queues/NAME                                          the same, as RabbitMQ 4 writes it: percent-encoded, no wildcards
 *     topic://a.b   /topic/a.b   /exchange/amq.topic/a.b    topic a.b
 *     /exchange/NAME/KEY                                    exchange, the key may have slashes
 *     /exchanges/NAME/KEY   /exchanges/NAME                 the same as RabbitMQ 4 writes it: percent-encoded
 *     temp-queue://x  /temp-queue/x  temp-topic://x  ...    temporary, of this connection
 *     dsub://name   /dsub/name                              durable subscription, to receive from only
 *     a.b                                                   what the link's capabilities or the configuration say
 *     queue://a,topic://b                                   composite
 */
import type { Address, AddressKind } from "../../core/addresses/address.ts";
import { splitComposite } from "../../core/addresses/composite.ts";
import { BrokerError } from "../../core/errors.ts";
import { Pattern } from "../../core/addresses/pattern.ts";
import { canonical, quote } from "../../core/addresses/spelling.ts";
import { exchangeAddress, keySpelling, TOPIC_EXCHANGE } from "../../core/exchanges/routing-key.ts";

/** Gives the global address of a temporary destination of this connection. */
export type Temporaries = (kind: AddressKind, name: string) => Address;

/** What the address of a receiver's source names. */
export interface Origin {
  readonly patterns: readonly Pattern[];
  readonly attachDurable: string | undefined;
}

type Part =
  | { readonly form: "name" | "temporary"; readonly kind: AddressKind; readonly name: string }
  | { readonly form: "exact"; readonly address: Address }
  | { readonly form: "durable"; readonly name: string };

const PREFIXES: readonly (readonly [string, (name: string, text: string) => Part])[] = [
  ["queue://", (name) => ({ form: "name", kind: "queue", name })],
  ["topic://", (name) => ({ form: "name", kind: "topic", name })],
  ["temp-queue://", (name) => ({ form: "temporary", kind: "queue", name })],
  ["temp-topic://", (name) => ({ form: "temporary", kind: "topic", name })],
  ["dsub://", (name) => ({ form: "durable", name })],
  ["/queue/", (name) => ({ form: "name", kind: "queue", name })],
  ["/topic/", (name) => ({ form: "name", kind: "topic", name })],
  ["/queues/", (name, text) => exact(keySpelling.parse("queue", percentDecoded(name, text)))],
  ["/exchanges/", exchanges],
  ["/exchange/", exchange],
  ["/amq/queue/", (name) => ({ form: "name", kind: "queue", name })],
  ["/temp-queue/", (name) => ({ form: "temporary", kind: "queue", name })],
  ["/temp-topic/", (name) => ({ form: "temporary", kind: "topic", name })],
  ["/dsub/", (name) => ({ form: "durable", name })],
];

/** Capabilities by which JMS clients say what an address is, those of temporary ones too. */
const KINDS: ReadonlyMap<string, AddressKind> = new Map<string, AddressKind>([
  ["queue", "queue"],
  ["topic", "topic"],
  ["temporary-queue", "queue"],
  ["temporary-topic", "topic"],
]);

/** What a plain name is, by the capabilities of a source or a target; undefined when they do not say. */
export function kindOf(capabilities: readonly string[] | undefined): AddressKind | undefined {
  for (const capability of capabilities ?? []) {
    const kind = KINDS.get(capability);
    if (kind !== undefined) return kind;
  }
  return undefined;
}

/**
 * The addresses that a sender's target, or the `to` of a message, names: several for a composite; a plain name is of the
 * kind `plain`. Throws BrokerError.
 */
export function parseTarget(text: string, plain: AddressKind, temporary: Temporaries): Address[] {
  return splitComposite(text).map((spelled) => {
    const part = parsePart(spelled, plain);
    switch (part.form) {
      case "exact":
        return part.address;
      case "temporary":
        return temporary(part.kind, part.name);
      case "durable":
        throw new BrokerError("bad-address", `Address ${quote(spelled)}: a durable subscription cannot be sent to`);
      default:
        return canonical.parse(part.kind, part.name);
    }
  });
}

/** What a receiver's source names, wildcards too. Throws BrokerError. */
export function parseSource(text: string, plain: AddressKind, temporary: Temporaries): Origin {
  const parts = splitComposite(text).map((spelled) => parsePart(spelled, plain));
  const [only] = parts;
  if (parts.length === 1 && only?.form === "durable") return { patterns: [], attachDurable: only.name };
  const patterns = parts.map((part) => {
    switch (part.form) {
      case "exact":
        return Pattern.of(part.address);
      case "temporary":
        return Pattern.of(temporary(part.kind, part.name));
      case "durable":
        throw new BrokerError(
          "bad-address",
          `Address ${quote(text)}: a durable subscription cannot be part of a composite`,
        );
      default:
        return canonical.parsePattern(part.kind, part.name);
    }
  });
  return { patterns, attachDurable: undefined };
}

/** The text of an address; `parseTarget` gives the address back, whatever a plain name is. */
export function formatAddress(address: Address): string {
  if (address.kind !== "exchange") return `${address.kind}://${address.name}`;
  const [name = "", key = ""] = address.levels;
  return `/exchanges/${encodeURIComponent(name)}${key === "" ? "" : `/${encodeURIComponent(key)}`}`;
}

function parsePart(text: string, plain: AddressKind): Part {
  for (const [prefix, part] of PREFIXES) {
    if (!text.startsWith(prefix)) continue;
    const name = text.slice(prefix.length);
    if (name === "") throw new BrokerError("bad-address", `Address ${quote(text)} has no name after ${prefix}`);
    return part(name, text);
  }
  if (text === "") throw new BrokerError("bad-address", "An address, or a part of a composite one, is empty");
  return { form: "name", kind: plain, name: text };
}

function exact(address: Address): Part {
  return { form: "exact", address };
}

/** `/exchange/NAME/KEY`, as AMQP 1.0 clients of RabbitMQ 3 write it. */
function exchange(rest: string): Part {
  const slash = rest.indexOf("/");
  const name = slash < 0 ? rest : rest.slice(0, slash);
  const key = slash < 0 ? "" : rest.slice(slash + 1);
  // As written, so that receivers may have wildcards of this broker in it.
  if (name === TOPIC_EXCHANGE && key !== "") return { form: "name", kind: "topic", name: key };
  return exact(exchangeAddress(name, key));
}

/** `/exchanges/NAME/KEY`, as AMQP 1.0 clients of RabbitMQ 4 write it. */
function exchanges(rest: string, text: string): Part {
  const [name = "", key = "", ...others] = rest.split("/");
  if (others.length > 0) {
    throw new BrokerError("bad-address", `Address ${quote(text)}: expected a "/" in the key to be written as %2F`);
  }
  return exact(exchangeAddress(percentDecoded(name, text), percentDecoded(key, text)));
}

function percentDecoded(name: string, text: string): string {
  try {
    return decodeURIComponent(name);
  } catch {
    throw new BrokerError("bad-address", `Address ${quote(text)} is not percent-encoded UTF-8`);
  }
}
