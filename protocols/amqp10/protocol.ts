import type { AddressKind } from "../../core/addresses/address.ts";
import type { Broker } from "../../core/broker.ts";
import type { Peer, Protocol, Session } from "../../core/protocol.ts";
import type { FrameLimits } from "./codec.ts";
import { Containers } from "./containers.ts";
import { Amqp10Session } from "./session.ts";

/** Settings of an AMQP 1.0 adapter: sizes in bytes, times in milliseconds. */
export interface Amqp10Options extends FrameLimits {
  /** From the connection's beginning to its OPEN. */
  readonly connectTimeoutMs: number;
  /** A client that is silent for so long is gone; 0 for never. */
  readonly idleTimeoutMs: number;
  /** Sessions of one connection, links of one session. */
  readonly maxSessions: number;
  readonly maxLinks: number;
  /** Bytes of one message. */
  readonly maxMessageBytes: number;
  /** Messages that one sending link may be ahead. */
  readonly credit: number;
  /** Frames with messages that one session may be ahead. */
  readonly window: number;
  /** Deliveries to one session that it has yet to settle. */
  readonly maxUnsettled: number;
  /** Open at once in one connection. */
  readonly maxTransactions: number;
  /** Answers not yet written to a client before the broker stops reading from it. */
  readonly maxAnswersWaiting: number;
  /** How long a peer may take to answer CLOSE. */
  readonly closeTimeoutMs: number;
  /** What an address is that says neither queue nor topic. */
  readonly plainAddress: AddressKind;
}

/** `AMQP`, 0 for AMQP or 2 for TLS or 3 for SASL, and the major version: what AMQP 0-9-1 never has there. */
const OPENING = Buffer.from("AMQP");
const VERSION_AT = 5;

/** AMQP 1.0. Its connections share what is known of containers. */
export function createAmqp10(options: Amqp10Options): Protocol {
  const containers = new Containers();
  return {
    name: "amqp10",
    subprotocols: ["amqp"],
    recognitionBytes: 8,
    recognizes,
    accept: (peer: Peer, broker: Broker): Session => new Amqp10Session(peer, broker, options, containers),
  };
}

function recognizes(head: Uint8Array): boolean | undefined {
  for (let i = 0; i < OPENING.length; i++) {
    if (i >= head.length) return undefined;
    if (head[i] !== OPENING[i]) return false;
  }
  const protocolId = head[VERSION_AT - 1];
  const major = head[VERSION_AT];
  if (protocolId === undefined || major === undefined) return undefined;
  // Other versions of it are refused by the session in the protocol's words.
  return protocolId === 0 ? major === 1 : protocolId === 2 || protocolId === 3;
}
