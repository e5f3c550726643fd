/*
 * System topics: what the broker says of itself. They are no destinations: nobody else may send there, and nothing of them
 * is stored. A message goes to those who are subscribed at that moment, and whoever comes later begins with the newest one.
 * Wildcards in the first place do not stand for them, so that who subscribes to everything is spared them.
 */
import type { Address } from "./addresses/address.ts";
import type { Pattern } from "./addresses/pattern.ts";

/** What their names begin with. */
export const SYSTEM = "$SYS";

/** Whether an address is that of a system topic. */
export function isSystemTopic({ kind, levels }: Address): boolean {
  return kind === "topic" && levels[0] === SYSTEM;
}

/** Whether a pattern may match system topics. */
export function namesSystemTopics({ kind, levels: [first] }: Pattern): boolean {
  if (kind !== "topic" || first === undefined) return false;
  return typeof first === "string" ? first === SYSTEM : "regex" in first;
}
