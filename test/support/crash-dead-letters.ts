/*
 * Dead letters: a message leaves its place for another, by itself.
 *
 *     home --- failed so often, or expired --> dead letters --- found there after a restart --> there for good
 *       ^-------------- crash ----------------------'
 */
import { type Copy, type Death, type Found, mostFailures, nameOf, type Place, startOfCount } from "./crash-copy.ts";

/** The copy of a message that is in a place, or just came there as a dead letter. */
export function copyIn(place: Place, found: Found, problems: string[]): Copy | undefined {
  const copy = place.copies.get(found.id);
  if (copy !== undefined) return copy;
  for (const origin of place.origins) {
    const buried = origin.copies.get(found.id);
    if (buried === undefined) continue;
    if (buried.holder?.ended === false) problems.push(`${nameOf(buried)} is a dead letter while a consumer holds it`);
    bury(buried, place, problems);
    return buried;
  }
  return undefined;
}

/** What the broker says of a message, if it is a dead letter, is what it should. */
export function checkDeath(copy: Copy, { death, at }: Found, problems: string[]): void {
  const { burial } = copy.home;
  const name = nameOf(copy);
  if (burial === undefined || copy.place === copy.home) {
    if (death !== undefined) problems.push(`${name} has the annotations of a dead letter`);
    return;
  }
  const { expiresAt } = copy.sending.traits;
  const asExpected =
    death?.complete === true &&
    death.origin === burial.origin &&
    death.count === 1 &&
    (death.reason === "expired"
      ? expiresAt > 0 && at >= expiresAt
      : death.reason === "delivery-limit" && death.deliveries === burial.limit);
  if (!asExpected) problems.push(`${name} is a dead letter with ${JSON.stringify(death)}`);
}

/** After a restart: each message is in one place only, and a dead letter whose move was not safe may be back. */
export function reconcile(found: ReadonlyMap<Place, readonly Found[]>, problems: string[]): void {
  for (const [place, messages] of found) {
    if (place.origins.length === 0) continue;
    const ids = new Set(messages.map(({ id }) => id));
    for (const message of messages) copyIn(place, message, problems);
    for (const origin of place.origins) {
      for (const { id } of found.get(origin) ?? []) {
        const copy = place.copies.get(id);
        if (copy === undefined || copy.home !== origin) continue;
        if (ids.has(id)) problems.push(`${nameOf(copy)} is in ${origin.name} too`);
        else returnHome(copy, problems);
      }
    }
    for (const id of ids) {
      const copy = place.copies.get(id);
      if (copy !== undefined) copy.countAtHome = undefined;
    }
  }
}

/** A dead letter is not found among them after a restart: if its move was not safe, it may come at home. */
export function forgetBurial(copy: Copy): void {
  if (copy.countAtHome === undefined) return;
  move(copy, copy.home);
  copy.count = copy.countAtHome;
  copy.countAtHome = undefined;
}

/** The annotations in the headers of a MESSAGE. */
export function readDeath(headers: ReadonlyMap<string, string>): Death | undefined {
  const reason = headers.get("dead_letter_reason");
  if (reason === undefined) return undefined;
  const others = ["dead_letter_sequence", "dead_letter_at", "dead_letter_first_at"];
  return {
    reason,
    origin: headers.get("dead_letter_origin"),
    deliveries: Number(headers.get("dead_letter_deliveries")),
    count: Number(headers.get("dead_letter_count")),
    complete: others.every((name) => Number(headers.get(name)) > 0),
  };
}

function bury(copy: Copy, place: Place, problems: string[]): void {
  const { burial } = copy.home;
  const { expiresAt } = copy.sending.traits;
  const failed = burial !== undefined && mostFailures(copy) >= burial.limit;
  const expired = expiresAt > 0 && Date.now() >= expiresAt;
  if (!failed && !expired) problems.push(`${nameOf(copy)} is a dead letter without a reason`);
  move(copy, place);
  copy.countAtHome = copy.count;
  copy.count = startOfCount(place);
}

function returnHome(copy: Copy, problems: string[]): void {
  if (copy.countAtHome === undefined) problems.push(`${nameOf(copy)} is back in ${copy.home.name}`);
  copy.countAtHome ??= startOfCount(copy.home);
  forgetBurial(copy);
}

function move(copy: Copy, place: Place): void {
  copy.place.copies.delete(copy.sending.id);
  place.copies.set(copy.sending.id, copy);
  copy.place = place;
}
