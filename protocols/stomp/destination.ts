/*
 * How destinations are written in STOMP. Inside a name, levels are separated as everywhere in the broker (`.`).
 *
 *     /queue/a.b   queue://a.b   a.b   /amq/queue/a.b                    queue a.b
 *     /topic/a.b   topic://a.b   /exchange/amq.topic/a.b                 topic a.b
 *     /exchange/NAME/KEY   /exchange/NAME                                exchange, with a key or the empty one
 *     /temp-queue/x   temp-queue://x   /temp-topic/x   temp-topic://x    temporary, of this connection
 *     /dsub/name   dsub://name                                           durable subscription, to consume only
 *     /queue/a,/topic/b                                                  composite
 */
import { Address, type AddressKind } from "../../core/addresses/address.ts";
import { splitComposite } from "../../core/addresses/composite.ts";
import { BrokerError } from "../../core/errors.ts";
import { canonicalReserved, unescape } from "../../core/addresses/escape.ts";
import { Pattern } from "../../core/addresses/pattern.ts";
import { canonical, Spelling } from "../../core/addresses/spelling.ts";

/** Gives the global address of a temporary destination of this connection. */
export type Temporaries = (kind: AddressKind, name: string) => Address;

/** What a SUBSCRIBE names. */
export interface Source {
  readonly patterns: readonly Pattern[];
  readonly attachDurable: string | undefined;
}

type Part =
  | { readonly form: "address" | "temporary"; readonly kind: AddressKind; readonly name: string }
  | { readonly form: "exchange"; readonly levels: readonly [name: string, key: string] }
  | { readonly form: "durable"; readonly name: string };

/** Names of exchanges and keys are no levels: dots are as good in them as anything. */
const exchangeSpelling = new Spelling({ separator: "/", reserved: canonicalReserved.replace(".", "") });

const PREFIXES: readonly (readonly [string, (name: string) => Part])[] = [
  ["/queue/", (name) => ({ form: "address", kind: "queue", name })],
  ["/topic/", (name) => ({ form: "address", kind: "topic", name })],
  ["/dsub/", (name) => ({ form: "durable", name })],
  ["/temp-queue/", (name) => ({ form: "temporary", kind: "queue", name })],
  ["/temp-topic/", (name) => ({ form: "temporary", kind: "topic", name })],
  ["/amq/queue/", (name) => ({ form: "address", kind: "queue", name })],
  ["/exchange/", exchange],
  ["queue://", (name) => ({ form: "address", kind: "queue", name })],
  ["topic://", (name) => ({ form: "address", kind: "topic", name })],
  ["dsub://", (name) => ({ form: "durable", name })],
  ["temp-queue://", (name) => ({ form: "temporary", kind: "queue", name })],
  ["temp-topic://", (name) => ({ form: "temporary", kind: "topic", name })],
];

const TOPIC_EXCHANGE = "amq.topic/";

function exchange(rest: string): Part {
  if (rest.startsWith(TOPIC_EXCHANGE)) {
    return { form: "address", kind: "topic", name: rest.slice(TOPIC_EXCHANGE.length) };
  }
  const cut = rest.indexOf("/");
  const name = unescape(cut < 0 ? rest : rest.slice(0, cut));
  if (name === "") throw new BrokerError("bad-address", `Destination "/exchange/${rest}" names no exchange`);
  if (name === "amq.topic") {
    throw new BrokerError(
      "bad-address",
      `Destination "/exchange/${rest}" has no routing key; expected /exchange/amq.topic/KEY`,
    );
  }
  return { form: "exchange", levels: [name, cut < 0 ? "" : unescape(rest.slice(cut + 1))] };
}

function parsePart(text: string): Part {
  for (const [prefix, part] of PREFIXES) {
    if (!text.startsWith(prefix)) continue;
    const name = text.slice(prefix.length);
    if (name === "") throw new BrokerError("bad-address", `Destination "${text}" has no name after ${prefix}`);
    return part(name);
  }
  if (text === "") throw new BrokerError("bad-address", "A destination, or a part of a composite one, is empty");
  if (text.startsWith("/")) {
    const known = PREFIXES.map(([prefix]) => prefix).filter((prefix) => prefix.startsWith("/"));
    throw new BrokerError("bad-address", `Destination "${text}" begins with none of ${known.join(" ")}`);
  }
  return { form: "address", kind: "queue", name: text };
}

/** The addresses a SEND's destination names: several for a composite. */
export function parseTarget(text: string, temporary: Temporaries): Address[] {
  return splitComposite(text).map((spelled) => {
    const part = parsePart(spelled);
    if (part.form === "durable") {
      throw new BrokerError("bad-address", `Destination "${spelled}": a durable subscription cannot be sent to`);
    }
    if (part.form === "exchange") return new Address("exchange", part.levels);
    return part.form === "temporary" ? temporary(part.kind, part.name) : canonical.parse(part.kind, part.name);
  });
}

/** What a SUBSCRIBE's destination names. */
export function parseSource(text: string, temporary: Temporaries): Source {
  const parts = splitComposite(text).map(parsePart);
  const [only] = parts;
  if (parts.length === 1 && only?.form === "durable") return { patterns: [], attachDurable: only.name };
  const patterns = parts.map((part) => {
    if (part.form === "durable") {
      throw new BrokerError(
        "bad-address",
        `Destination "${text}": a durable subscription cannot be part of a composite`,
      );
    }
    if (part.form === "exchange") return new Pattern("exchange", part.levels);
    if (part.form === "temporary") return Pattern.of(temporary(part.kind, part.name));
    return canonical.parsePattern(part.kind, part.name);
  });
  return { patterns, attachDurable: undefined };
}

/** The destination header for an address; `parseTarget` gives the address back. */
export function formatAddress(address: Address): string {
  if (address.kind === "exchange") return `/exchange/${exchangeSpelling.format(address.levels)}`;
  return `/${address.kind}/${address.name}`;
}
