import type { Broker } from "../../core/broker.ts";
import type { Peer, Protocol, Session } from "../../core/protocol.ts";
import type { FrameLimits } from "./codec.ts";
import { StompSession } from "./session.ts";
import type { SubscriptionLimits } from "./subscriptions.ts";
import { SharedWire } from "./wire.ts";

/** Settings of a STOMP adapter: sizes in bytes, times in milliseconds. */
export interface StompOptions extends FrameLimits, SubscriptionLimits {
  /** From the connection's beginning to its CONNECT. */
  readonly connectTimeoutMs: number;
  /** How often the broker can send a heart-beat, and wants to receive one; 0 for never. */
  readonly heartBeatSendMs: number;
  readonly heartBeatReceiveMs: number;
  /** A peer is given up after so many times the agreed interval. */
  readonly heartBeatGrace: number;
  /** How long a peer may take to close after an ERROR frame. */
  readonly errorCloseDelayMs: number;
  /** Receipts that may wait in a full output before the broker stops listening to a client that does not read them. */
  readonly maxReceiptsWaiting: number;
  /** Open at once in one connection. */
  readonly maxTransactions: number;
}

/** Ends of line that clients may send before CONNECT. */
const MAX_LEADING_EOLS = 8;
const OPENINGS = [Buffer.from("CONNECT"), Buffer.from("STOMP")];

const LF = 10;
const CR = 13;

/** STOMP 1.0, 1.1 and 1.2. Its sessions share what they encode alike. */
export function createStomp(options: StompOptions): Protocol {
  const wire = new SharedWire();
  return {
    name: "stomp",
    subprotocols: ["v12.stomp", "v11.stomp", "v10.stomp", "stomp"],
    recognitionBytes: MAX_LEADING_EOLS + 8,
    recognizes,
    accept: (peer: Peer, broker: Broker): Session => new StompSession(peer, broker, options, wire),
  };
}

function recognizes(head: Uint8Array): boolean | undefined {
  let start = 0;
  while (start < head.length && (head[start] === LF || head[start] === CR)) start++;
  if (start > MAX_LEADING_EOLS) return false;
  let undecided = false;
  for (const opening of OPENINGS) {
    const found = matches(head, start, opening);
    if (found === true) return true;
    if (found === undefined) undecided = true;
  }
  return undecided ? undefined : false;
}

/** Whether the command stands here with the end of its line behind it; undefined when there are too few bytes. */
function matches(head: Uint8Array, start: number, opening: Uint8Array): boolean | undefined {
  for (let i = 0; i < opening.length; i++) {
    if (start + i === head.length) return undefined;
    if (head[start + i] !== opening[i]) return false;
  }
  const next = head[start + opening.length];
  return next === undefined ? undefined : next === LF || next === CR;
}
