/*
 * How addresses are written in AMQP 1.0. Inside a name, levels are separated as everywhere in the broker (`.`).
 *
 *     queue://a.b   /queue/a.b   /amq/queue/a.b                     queue a.b
 *     /queues/NAME                                                  the same, percent-encoded, as RabbitMQ 4 has it
 *     topic://a.b   /topic/a.b   /exchange/amq.topic/a.b            topic a.b
 *     /exchanges/NAME/KEY   /exchanges/NAME                         exchange, both percent-encoded
 *     /exchange/NAME/KEY                                            exchange, as written
 *     temp-queue://x   /temp-queue/x   temp-topic://x   ...         temporary, of this connection
 *     dsub://name   /dsub/name                                      durable subscription, to receive from only
 *     a.b                                                           what the link's capabilities or the configuration say
 *     queue://a,topic://b                                           composite
 */
import type { Address, AddressKind } from "../../core/addresses/address.ts";
import { BrokerError } from "../../core/errors.ts";
import type { Pattern } from "../../core/addresses/pattern.ts";

/** Gives the global address of a temporary destination of this connection. */
export type Temporaries = (kind: AddressKind, name: string) => Address;

/** What the address of a receiver's source names. */
export interface Origin {
  readonly patterns: readonly Pattern[];
  readonly attachDurable: string | undefined;
}

/** What a plain name is, by the capabilities of a source or a target; undefined when they do not say. */
export function kindOf(_capabilities: readonly string[] | undefined): AddressKind | undefined {
  return undefined;
}

/** The addresses that a sender's target names, several for a composite; a plain name is of the kind `plain`. Throws BrokerError. */
export function parseTarget(_text: string, _plain: AddressKind, _temporary: Temporaries): Address[] {
  throw new BrokerError("internal", "not yet");
}

/** What a receiver's source names, wildcards too. Throws BrokerError. */
export function parseSource(_text: string, _plain: AddressKind, _temporary: Temporaries): Origin {
  throw new BrokerError("internal", "not yet");
}

/** The text of an address; `parseTarget` gives the address back, whatever a plain name is. */
export function formatAddress(address: Address): string {
  return `${address.kind}://${address.name}`;
}
