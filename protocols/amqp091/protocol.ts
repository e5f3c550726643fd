import type { Broker } from "../../core/broker.ts";
import type { Peer, Protocol, Session } from "../../core/protocol.ts";
import { SharedWire } from "./delivery-writer.ts";
import { Amqp091Session } from "./session.ts";

/** Settings of an AMQP 0-9-1 adapter: sizes in bytes, times in milliseconds. */
export interface Amqp091Options {
  /** From the connection's beginning until its virtual host is opened. */
  readonly connectTimeoutMs: number;
  /** Between heartbeats, as the broker proposes it; 0 for none. */
  readonly heartbeatMs: number;
  /** The highest channel of a connection. */
  readonly channelMax: number;
  /** Of whole frames. */
  readonly maxFrameBytes: number;
  /** Of the body of a message. */
  readonly maxBodyBytes: number;
  /** Of all messages of a connection that are not there as a whole. */
  readonly maxUnfinishedBytes: number;
  /** Of one connection. */
  readonly maxConsumers: number;
  /** What a consumer without a prefetch count is sent ahead of its acknowledgements. */
  readonly creditMessages: number;
  readonly creditBytes: number;
  /** Deliveries of one channel that wait to be acknowledged. */
  readonly maxUnacked: number;
  /** Answers that may wait in a full output, or for the disk, before the broker stops listening to a client. */
  readonly maxAnswersWaiting: number;
  /** How long a client may take to agree to the end of its connection. */
  readonly closeTimeoutMs: number;
}

const NAME = Buffer.from("AMQP");
/** How the headers of AMQP 1.0 go on: who speaks (AMQP, TLS, SASL), then the version. */
const LATER = [
  [0, 1],
  [2, 1],
  [3, 1],
];

/** AMQP 0-9-1. Its sessions share what they encode alike. */
export function createAmqp091(options: Amqp091Options): Protocol {
  const wire = new SharedWire();
  return {
    name: "amqp091",
    subprotocols: ["amqp"],
    recognitionBytes: NAME.length + 2,
    recognizes,
    accept: (peer: Peer, broker: Broker): Session => new Amqp091Session(peer, broker, options, wire),
  };
}

/** Any header of AMQP but those of 1.0: other versions are answered with the one that is spoken [4.2.2]. */
function recognizes(head: Uint8Array): boolean | undefined {
  for (let at = 0; at < NAME.length; at++) {
    const byte = head[at];
    if (byte === undefined) return undefined;
    if (byte !== NAME[at]) return false;
  }
  const who = head[NAME.length];
  const major = head[NAME.length + 1];
  if (who === undefined || major === undefined) return undefined;
  return !LATER.some(([one, two]) => who === one && major === two);
}
