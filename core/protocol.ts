/*
 * The seams between a connection, a protocol and the core.
 *
 *     socket -> Peer -> Session.receive -> Client.publish / subscribe / settle -> ... -> Consumer.deliver -> Output -> socket
 */
import type { Route } from "./routing/route.ts";
import type { Broker } from "./broker.ts";
import type { BrokerError } from "./errors.ts";
import type { Message } from "./message.ts";
import type { Output } from "./output.ts";

/** One wire protocol. */
export interface Protocol {
  /** Lower case, as in the configuration and in logs: `stomp`. */
  readonly name: string;
  /** WebSocket subprotocols in order of preference; empty when the protocol has none. */
  readonly subprotocols: readonly string[];
  /** Most bytes `recognizes` needs to decide. */
  readonly recognitionBytes: number;
  /** Decides from the first bytes of a connection; undefined asks for more. */
  recognizes(head: Uint8Array): boolean | undefined;
  accept(peer: Peer, broker: Broker): Session;
}

/** The protocol's side of one connection. Driven by whoever owns the socket. */
export interface Session {
  /** Bytes from the peer; the chunk is the session's to keep and to change. Throws `ProtocolError` only. */
  receive(chunk: Buffer): void;
  /** The output went below its low-water mark, after `output.full`. */
  drained(): void;
  /** Says goodbye in the protocol's words and closes the peer. */
  shutdown(reason: string): void;
  /** The connection is gone. Called exactly once, whoever closed. */
  closed(reason: string): void;
}

/** Breach of a protocol by the peer: written to the wire in the protocol's words, then the connection is closed. */
export class ProtocolError extends Error {
  constructor(text: string) {
    super(text);
    this.name = "ProtocolError";
  }
}

/** What the certificate of a peer says that the broker has verified. */
export interface PeerCertificate {
  /** Its distinguished name as RFC 4514 writes it: `CN=pump-7,OU=Plant 2,O=Example`. */
  readonly subject: string;
  /** The subject's common name, without any escapes. */
  readonly commonName: string | undefined;
  /** Alternative names with their kinds: `DNS:pump-7.example`, `email:ann@example.org`, `URI:...`, `IP Address:...`. */
  readonly alternativeNames: readonly string[];
  readonly issuer: string;
  /** Hexadecimal, in lower case. */
  readonly serialNumber: string;
  /** SHA-256 of the certificate, hexadecimal, in lower case. */
  readonly fingerprint: string;
}

/** The broker's side of one connection, given to a session. */
export interface Peer {
  /** Unique in this process: `stomp-17`. */
  readonly id: string;
  readonly output: Output;
  /** `127.0.0.1:50312`, or what a trusted proxy said. */
  readonly remoteAddress: string;
  readonly localAddress: string;
  /** The listener's name in the configuration. */
  readonly listener: string;
  readonly transport: "tcp" | "tls" | "ws" | "wss";
  /** The peer's certificate; undefined without TLS, or when it has shown none. */
  readonly certificate?: PeerCertificate | undefined;
  /** The virtual host for a peer whose protocol names none; undefined for the default one. */
  readonly virtualHost?: string | undefined;
  /** Why this peer is not to be let in: its session is to say so in its own words when the peer logs in. */
  readonly refusal?: BrokerError | undefined;
  /** True while whoever took its request takes note of it in the audit trail: then the core does not do so as well. */
  readonly noted?: boolean;
  /** The limit that holds it up right now; undefined when none does. */
  readonly heldBy?: string | undefined;
  /** The subprotocol agreed on, over WebSocket. */
  readonly subprotocol: string | undefined;
  /** Stops reading from the peer, until `resume`. Chunks already read may still come. */
  pause(): void;
  resume(): void;
  /** When a byte was last received or written, milliseconds by the broker's clock: for heart-beats. */
  readonly lastReceivedAt: number;
  readonly lastWrittenAt: number;
  /** Bytes of the protocol so far, without what carries them. */
  readonly bytesReceived: number;
  readonly bytesWritten: number;
  /**
   * Writes what the output holds, then closes. The reason goes to the log. Nothing is received any more. With a patience
   * the peer may close first: many clients that see the end right behind the last words never report those.
   */
  close(reason: string, patienceMs?: number): void;
  /** What the log and management show of the session, as soon as it is known. */
  identify(identity: PeerIdentity): void;
}

/** Who is at the other end; the fields that are known. */
export interface PeerIdentity {
  readonly user?: string;
  readonly clientId?: string;
  readonly protocol?: string;
}

/** What becomes of a delivery, in AMQP 1.0's words (3.4). */
export type Outcome =
  /** Consumed. */
  | "accepted"
  /** Never handled: back to its place, the delivery count unchanged. */
  | "released"
  /** Handled without success: the delivery count grows; back to its place, or at the limit to the dead letters. */
  | "failed"
  /** As "released", and as "failed", but never to this consumer again: others have to take it. */
  | "elsewhere"
  | "failed-elsewhere"
  /** Never to be delivered again: to the dead letters at once or, where there are none, lost by that name. */
  | "rejected";

/** One message at one consumer, to be settled once. */
export interface Delivery {
  readonly message: Message | undefined;
  /** Bytes it counts for in credit. */
  readonly size: number;
  /** How often this message was delivered before. */
  readonly deliveries: number;
  /** Its position in its queue; 0 from a topic. */
  readonly sequence: number;
}

/** What a session gives to the core to receive messages. */
export interface Consumer {
  /**
   * Takes a message. `delivery` is undefined when nothing is to be settled, unless the subscription asked for `details`.
   * `firstOfGroup`: nothing of its message group was given to this consumer before. Returns false when no more should
   * come until `Subscription.ready()`; this one was taken all the same. Must not call back into the core.
   */
  deliver(message: Message, delivery: Delivery | undefined, deliveries: number, firstOfGroup?: boolean): boolean;
  /**
   * Asked before each delivery of a subscription that settles: false has this message handed over as one that needs no
   * settlement. If absent, all need it. Must not call back into the core.
   */
  settles?(message: Message): boolean;
  /** A browser with an end has seen everything there was, or there was nothing to pull. Must not call back into the core. */
  exhausted?(): void;
  /** All was delivered that could be after `Subscription.drain`; `left` messages of credit were not used. */
  drained?(left: number): void;
  /** The subscription was ended by the broker. */
  cancelled(reason: string, cause?: CancelCause): void;
}

/** What a session gives to the core to hear about its own sends and its state. */
export interface ClientListener {
  /** The sends that were given this token are safe: on disk, or consumed by everybody they were for. In order. */
  confirmed(token: string | number): void;
  /** A send may be tried again after `publish` reported that the client is blocked. */
  unblocked(): void;
  /** The ways that are kept to where it sends. None if absent. */
  routes?(): Iterable<Route>;
  /** The broker wants this client gone. */
  evicted(reason: string, cause?: EvictionCause): void;
}

/** Why the broker ended a subscription, if not because what it was for is gone. */
export type CancelCause =
  /** Its client may not receive that any more. */
  "not-authorized";

/** Why the broker wants a client gone. */
export type EvictionCause =
  /** The same session was opened by another connection. */
  | "taken-over"
  /** An operator asked for it. */
  | "administrative"
  /** It held up others for too long. */
  | "slow"
  /** It sent more than it may, and is not to be held up but to go. */
  | "too-fast"
  /** Its login counts no more: it expired, or whoever it is may not log in any longer. */
  | "expired"
  /** It may not have any more what it has. */
  | "not-authorized";
