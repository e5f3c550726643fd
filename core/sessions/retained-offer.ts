import type { Engine } from "../engine.ts";
import type { Pattern } from "../addresses/pattern.ts";
import { DEFAULT_POLICY } from "../policy.ts";
import type { SessionState } from "./session-state.ts";
import type { RetainedSource } from "../topic/topic-feed.ts";

/** When the retained messages of a topic come to a session that becomes interested. */
export type RetainedHandling = "always" | "if-new" | "never";

/** Retained messages put into the queue of a session in one turn. */
const AT_ONCE = 1000;
/** Milliseconds until more of them are tried when there was no room. */
const WAIT_MS = 20;

/** Puts retained messages into the queue of a session, so many in a turn, while there is room and as long as it wants them. */
export function offerRetained(engine: Engine, state: SessionState, pattern: Pattern, source: RetainedSource): void {
  const { durable, interests } = state;
  if (durable === undefined || durable.queue.deleted || interests.get(pattern) === undefined) return;
  const again = (): void => offerRetained(engine, state, pattern, source);
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
