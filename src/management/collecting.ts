import type { Client } from "../../core/client.ts";
import { BrokerError } from "../../core/errors.ts";
import type { Message } from "../../core/message.ts";
import type { Delivery } from "../../core/protocol.ts";
import type { SubscribeOptions, Subscription } from "../../core/subscription.ts";
import type { Clock } from "../../core/time/clock.ts";
import type { Limits } from "../net/limits.ts";
import { showMessage } from "./shown-message.ts";

/** How long to wait for what is on its way: it may be read from the store, or its queue paused. */
const PATIENCE_MS = 1000;

/** Who is told what is taken, and may not take more than so much in a second. */
type Charging = Pick<Limits, "check" | "charge">;

/** What to collect. */
export interface Collecting extends Pick<SubscribeOptions, "patterns" | "attachDurable" | "selector"> {
  readonly max: number;
  /** Bytes of messages beyond which no further one is taken, and that none of them may have by itself. */
  readonly maxBytes: number;
  readonly limits: Charging;
  /** How long to wait for the first message. */
  readonly waitMs: number;
  /** Whether what is taken has to be settled; otherwise it is consumed as it is taken. */
  readonly settling: boolean;
  /** Aborted, with the reason, when nobody will read the reply, or it cannot be had any more. */
  readonly gone: AbortSignal;
}

type Shown = ReturnType<typeof showMessage>;

/** Messages that were taken and are still to be settled. */
export interface Collected {
  readonly messages: readonly Shown[];
  readonly subscription: Subscription;
  /** By the place of each in its queue. */
  readonly deliveries: ReadonlyMap<number, Delivery>;
}

/**
 * Takes messages as a consumer: those that are there, or the first that come within the time. Rejects with BrokerError when
 * what it consumes is deleted, a message is too large, or whoever asked has gone; what was taken then goes back with the client.
 */
export function collect(clock: Clock, client: Client, wanted: Collecting): Promise<Collected> {
  const { patterns, attachDurable, selector, max, maxBytes, limits, waitMs, settling, gone } = wanted;
  limits.check(client, "out");
  const messages: Shown[] = [];
  const deliveries = new Map<number, Delivery>();
  const { promise, resolve, reject } = Promise.withResolvers<Collected>();
  let bytes = 0;
  let draining = false;
  const end = (): void => resolve({ messages, subscription, deliveries });
  // Whatever can be had right now comes before the end of that.
  const drain = (): void => {
    if (draining) return;
    draining = true;
    timer.cancel();
    timer = clock.after(PATIENCE_MS, end);
    clock.endOfTurn(() => subscription.drain());
  };
  const deliver = (message: Message, delivery: Delivery | undefined, count: number): boolean => {
    const place = { sequence: delivery?.sequence ?? 0, deliveries: count };
    if (message.size > maxBytes) {
      draining = true;
      reject(tooLarge(message, place.sequence, maxBytes));
      return false;
    }
    messages.push(showMessage(message, place, Number.POSITIVE_INFINITY, "auto"));
    if (delivery !== undefined) deliveries.set(delivery.sequence, delivery);
    bytes += message.size;
    limits.charge(client, "out", 1, message.size);
    if (messages.length < max && bytes < maxBytes) {
      drain();
      return true;
    }
    draining = true;
    end();
    return false;
  };
  const subscription = client.subscribe({
    patterns,
    attachDurable,
    selector,
    settling,
    details: true,
    retained: false,
    credit: { messages: max, bytes: 0 },
    consumer: {
      deliver,
      drained: end,
      cancelled: (reason) => reject(new BrokerError("not-found", reason)),
    },
  });
  let timer = clock.after(waitMs, drain);
  if (gone.aborted) reject(gone.reason);
  gone.addEventListener("abort", () => reject(gone.reason));
  void promise.finally(() => timer.cancel()).catch(() => {});
  return promise;
}

function tooLarge({ size }: Message, sequence: number, maxBytes: number): BrokerError {
  return new BrokerError(
    "too-large",
    `The message at place ${sequence} has ${size} bytes, and over HTTP they have at most ${maxBytes} (management.max_body); ` +
      "consume it over another protocol, or move it away",
  );
}
