import type { DurableSubscription } from "./durable-subscription.ts";
import type { Engine } from "../engine.ts";
import { DEFAULT_POLICY } from "../policy.ts";
import type { RetainedSource } from "./topic-feed.ts";

/** When the retained messages of a topic come to a session that becomes interested. */
export type RetainedHandling = "always" | "if-new" | "never";

/** Retained messages put into a queue in one turn. */
const AT_ONCE = 1000;
/** Milliseconds until more of them are tried when there was no room. */
const WAIT_MS = 20;

/** Gives a durable subscription retained messages, so many in a turn, while there is room and as long as they are wanted. */
export function offerRetained(
  engine: Engine,
  durable: DurableSubscription,
  source: RetainedSource,
  wanted: () => boolean,
): void {
  if (durable.queue.deleted || !wanted()) return;
  const again = (): void => offerRetained(engine, durable, source, wanted);
  if (engine.closedGate !== undefined || durable.queue.gate.closed) {
    engine.clock.after(WAIT_MS, again);
    return;
  }
  for (let i = 0; i < AT_ONCE; i++) {
    const { value: message, done } = source.next();
    if (done === true) return;
    if (message !== undefined) durable.offer(message, DEFAULT_POLICY, undefined);
  }
  engine.clock.after(0, again);
}
