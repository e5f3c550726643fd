import { type Copy, type Found, type Holder, isElusive, nameOf, type Place } from "./crash-copy.ts";

/**
 * What waited in a place came in order: higher priorities first, and what one producer sent with one priority in the order
 * in which it was sent. Nothing came twice.
 */
export function checkOrder(place: Place, messages: readonly Found[], problems: string[]): void {
  const last = new Map<string, Copy>();
  const seen = new Set<number>();
  let lowest: Copy | undefined;
  for (const { id } of messages) {
    if (seen.has(id)) problems.push(`message ${id} is in ${place.name} twice`);
    seen.add(id);
    const copy = place.copies.get(id);
    // What came by itself came when it did.
    if (copy === undefined || isElusive(copy)) continue;
    const { priority } = copy.sending.traits;
    if (lowest !== undefined && lowest.sending.traits.priority < priority) {
      problems.push(`${nameOf(copy)}, of priority ${priority}, comes behind ${describe(lowest)}`);
    }
    lowest = copy;
    // Dead letters come in the order in which they died.
    if (copy.place !== copy.home) continue;
    const line = `${copy.sending.producer} ${priority}`;
    const before = last.get(line);
    if (before !== undefined && before.order > copy.order) {
      problems.push(`${nameOf(copy)} comes behind message ${before.sending.id}, which its producer sent later`);
    }
    last.set(line, copy);
  }
}

/** A consumer was given a message of a group: nobody else has one of it, and it is not behind a later one. */
export function checkGroup(copy: Copy, holder: Holder, problems: string[]): void {
  const { producer, traits } = copy.sending;
  const { place } = copy;
  if (traits.group === undefined) return;
  for (const other of place.copies.values()) {
    if (other.sending.traits.group !== traits.group || other.settlement !== "none") continue;
    if (other.holder === undefined || other.holder === holder || other.holder.ended) continue;
    problems.push(`${nameOf(copy)} came while another consumer held ${nameOf(other)}, of the same group`);
  }
  // What failed comes again, behind what was given out meanwhile; what waited for its time comes when it does.
  if (copy.seen || traits.due > 0) return;
  const line = `${producer} ${traits.group}`;
  const before = place.groups.get(line);
  if (before !== undefined && before.order > copy.order) {
    problems.push(`${nameOf(copy)} came behind ${nameOf(before)}, a later one of the same group`);
  }
  place.groups.set(line, copy);
}

function describe(copy: Copy): string {
  return `${nameOf(copy)}, of priority ${copy.sending.traits.priority}`;
}
