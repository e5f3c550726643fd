/*
 * What a broker that is killed again and again may and may not do, by what its clients said and were told.
 *
 *     message   held in a transaction -> sent -> confirmed by a receipt        (its unit: the transaction, or its SEND)
 *     copy      none -> ACK sent -> ACK confirmed                              (one in every place it went to)
 *
 * After a restart a copy that was confirmed and for which no ACK was sent must be there, one whose ACK was confirmed must
 * not, everything between may or may not: but a unit is there whole or not at all, in order, and nothing is there twice.
 *
 * A copy that waits for its time need not be there yet, so that nothing follows from its absence: it must be there in the
 * end, as must one that has expired, among the dead letters.
 */
import {
  type Copy,
  type Found,
  type Holder,
  isElusive,
  mostFailures,
  nameOf,
  type Place,
  type Sending,
  startOfCount,
  type Traits,
  Unit,
} from "./crash-copy.ts";
import { checkDeath, copyIn, forgetBurial, reconcile } from "./crash-dead-letters.ts";
import { checkGroup, checkOrder } from "./crash-order.ts";

/**
 * Something to be sent again with the same ids: the broker has these and must find that out, or has not, or it has yet to
 * show.
 */
export interface Repeat {
  readonly sendings: readonly Sending[];
  readonly had: boolean | "unknown";
}

/** Confirmed sends that may be repeated. */
const RECENT = 50;

/** Knows what was said, and finds out what must not be. */
export class Model {
  /** One sentence each. */
  readonly problems: string[] = [];
  /** What the clients did not see confirmed before the last kill and know how to repeat. */
  readonly repeats: Repeat[] = [];
  /** What was confirmed and may be repeated all the same. */
  readonly recent: Repeat[] = [];
  confirmed = 0;
  settled = 0;
  repeated = 0;
  deadLetters = 0;
  private readonly places: readonly Place[];
  private lastId = 0;
  private lastOrder = 0;
  private lastDue = 0;

  constructor(places: readonly Place[]) {
    this.places = places;
  }

  /** A message to some places that is to be sent alone or in a transaction. */
  send(target: Pick<Sending, "destination" | "places">, producer: number, unit: Unit, traits: Traits): Sending {
    const { destination, places } = target;
    const sending: Sending = { id: ++this.lastId, destination, places, producer, traits };
    this.lastDue = Math.max(this.lastDue, traits.due, traits.expiresAt);
    this.include(sending, unit);
    return sending;
  }

  /** A producer is to send something again: what it does now. */
  repeat({ sendings, had }: Repeat, producer: number): Unit {
    const unit = new Unit();
    this.repeated += sendings.length;
    if (had === true) return unit;
    for (const sending of sendings) {
      // What was not had before is in the line of whoever sends it now.
      const again = had === false ? { ...sending, producer } : sending;
      unit.identified.push(again);
      if (had === false) this.include(again, unit);
      else for (const copy of this.copiesOf(again)) include(copy, unit);
    }
    return unit;
  }

  /** Its last frame was written: it may take effect from now on. */
  sent(unit: Unit): void {
    unit.state = "sent";
    for (const copy of unit.sends) copy.order = ++this.lastOrder;
    for (const copy of unit.settles) {
      copy.settlement = "sent";
      copy.settledBy = unit;
    }
  }

  confirm(unit: Unit): void {
    unit.state = "confirmed";
    this.confirmed += unit.sends.length;
    if (unit.undone !== undefined) this.problems.push(`a unit was confirmed although ${unit.undone}`);
    if (unit.identified.length > 0) this.recent.push({ sendings: unit.identified, had: true });
    if (this.recent.length > RECENT) this.recent.shift();
    for (const copy of unit.settles) {
      copy.settlement = "confirmed";
      this.settled++;
    }
  }

  abort(unit: Unit): void {
    unit.state = "aborted";
    for (const place of new Set(unit.settles.map((copy) => copy.place))) place.endings++;
    for (const copy of unit.settles) copy.holder = undefined;
  }

  ackSent(copies: readonly Copy[]): void {
    for (const copy of copies) copy.settlement = "sent";
  }

  ackConfirmed(copies: readonly Copy[]): void {
    this.settled += copies.length;
    for (const copy of copies) copy.settlement = "confirmed";
  }

  nackSent(copies: readonly Copy[]): void {
    for (const copy of copies) {
      copy.holder = undefined;
      copy.count.least++;
      copy.count.most++;
    }
  }

  /** What failed in a place may be among the dead letters by now. */
  nackConfirmed(place: Place, copies: readonly Copy[]): void {
    for (const copy of copies) {
      const count = copy.place === place ? copy.count : copy.countAtHome;
      if (count !== undefined) count.durableLeast++;
    }
  }

  /** A consumer was given a message while the broker runs. */
  delivered(place: Place, found: Found, holder: Holder): Copy | undefined {
    const copy = copyIn(place, found, this.problems);
    if (copy === undefined) {
      this.unknown(place, found.id);
      return undefined;
    }
    const name = nameOf(copy);
    if (copy.settlement === "confirmed") this.problems.push(`${name} came again after its ACK was confirmed`);
    if (copy.unit.state === "open" || copy.unit.state === "aborted") {
      this.problems.push(`${name} came out of a transaction that is ${copy.unit.state}`);
    }
    if (copy.holder?.ended === false) this.problems.push(`${name} came while another consumer held it`);
    checkGroup(copy, holder, this.problems);
    this.checkFound(copy, found, copy.count.least);
    if (copy.settlement === "sent") {
      copy.settlement = "none";
      if (copy.settledBy !== undefined) copy.settledBy.undone = `${name}, which it settled, came again`;
      copy.settledBy = undefined;
    }
    if (copy.unit.undone !== undefined) this.problems.push(`${name} came although ${copy.unit.undone}`);
    // Of an earlier life, so it was safe there.
    if (copy.unit.old && copy.unit.state === "sent") copy.unit.state = "confirmed";
    copy.holder = holder;
    copy.seen = true;
    return copy;
  }

  /** What was found in each place after a restart, in order. From then on exactly that is there, and what is to come. */
  restarted(found: ReadonlyMap<Place, readonly Found[]>): void {
    const units = new Set<Unit>();
    reconcile(found, this.problems);
    for (const [place, messages] of found) {
      if (place.origins.length > 0) this.deadLetters += messages.length;
      checkOrder(place, messages, this.problems);
      const present = new Map(messages.map((message) => [message.id, message]));
      for (const id of present.keys()) if (!place.copies.has(id)) this.unknown(place, id);
      for (const copy of place.copies.values()) this.judge(copy, present.get(copy.sending.id), units);
    }
    for (const { done, undone } of units) {
      if (done !== undefined && undone !== undefined) {
        this.problems.push(`a transaction or SEND took effect by half: ${done}, but ${undone}`);
      }
    }
    for (const [place, messages] of found) this.settle(place, messages);
    this.repeats.length = 0;
    for (const unit of units) this.consider(unit);
  }

  /** After the inspection: the consumer that made it holds what it found. */
  hold(place: Place, id: number, holder: Holder): Copy | undefined {
    const copy = place.copies.get(id);
    if (copy === undefined) return undefined;
    checkGroup(copy, holder, this.problems);
    copy.holder = holder;
    copy.seen = true;
    return copy;
  }

  /** Everything that waits for its time is due. */
  get allDue(): boolean {
    return Date.now() > this.lastDue;
  }

  /** What must still come, or came and is not settled for sure. */
  outstanding(): string[] {
    const copies = this.places.flatMap((place) => [...place.copies.values()]);
    const open = copies.filter(({ unit, settlement, holder }) => {
      const held = holder?.ended === false && settlement !== "confirmed";
      return held || (unit.state === "confirmed" && settlement === "none");
    });
    return open.map(nameOf);
  }

  private include(sending: Sending, unit: Unit): void {
    for (const place of sending.places) {
      const copy: Copy = {
        sending,
        home: place,
        place,
        order: 0,
        unit,
        settlement: "none",
        settledBy: undefined,
        holder: undefined,
        seen: false,
        count: startOfCount(place),
        countAtHome: undefined,
      };
      include(copy, unit);
      place.copies.set(sending.id, copy);
      place.gone.delete(sending.id);
    }
  }

  private *copiesOf({ id, places }: Sending): Iterable<Copy> {
    for (const home of places) {
      for (const place of [home, home.burial?.place]) {
        const copy = place?.copies.get(id);
        if (copy?.home === home) yield copy;
      }
    }
  }

  private judge(copy: Copy, message: Found | undefined, units: Set<Unit>): void {
    const { unit, settledBy } = copy;
    units.add(unit);
    if (settledBy !== undefined) units.add(settledBy);
    if (message === undefined) this.judgeAbsent(copy);
    else this.judgePresent(copy, message);
  }

  private judgeAbsent(copy: Copy): void {
    const { unit, settledBy, settlement } = copy;
    const name = nameOf(copy);
    // Its ACK was safe, so its SEND was.
    if (settlement === "confirmed" && unit.state === "sent") unit.done ??= `${name} was settled`;
    if (isElusive(copy)) return;
    if (settlement === "none") {
      if (unit.state === "confirmed") this.problems.push(`${name} is lost: its SEND or COMMIT was confirmed`);
      if (unit.state === "sent") unit.undone ??= `${name} is not there`;
    } else if (unit.state === "confirmed" && settledBy !== undefined) settledBy.done ??= `${name} was settled`;
  }

  private judgePresent(copy: Copy, message: Found): void {
    const { unit, settledBy, settlement } = copy;
    const name = nameOf(copy);
    if (settlement === "confirmed") this.problems.push(`${name} is back after its ACK was confirmed`);
    if (unit.state === "open" || unit.state === "aborted") {
      this.problems.push(`${name} is there, of a transaction that was ${unit.state}`);
    }
    this.checkFound(copy, message, copy.count.durableLeast);
    if (unit.state === "sent") unit.done ??= `${name} is there`;
    if (settledBy !== undefined) settledBy.undone ??= `${name} was not settled`;
  }

  private settle(place: Place, messages: readonly Found[]): void {
    place.endingsAtStart = place.endings;
    place.groups.clear();
    const present = new Map(messages.map((message) => [message.id, message]));
    for (const copy of place.copies.values()) {
      const message = present.get(copy.sending.id);
      if (message === undefined && !isToCome(copy)) {
        place.copies.delete(copy.sending.id);
        place.gone.set(copy.sending.id, epitaph(copy));
        continue;
      }
      copy.holder = undefined;
      copy.seen = false;
      if (message === undefined) {
        comeAgain(copy);
        continue;
      }
      copy.unit = RECOVERED;
      copy.settlement = "none";
      copy.settledBy = undefined;
      copy.count.least = message.deliveries;
      copy.count.durableLeast = message.deliveries;
    }
  }

  /** After a restart: what is to be sent again. */
  private consider(unit: Unit): void {
    const { state, identified: sendings, done, undone } = unit;
    unit.old = true;
    if (state === "confirmed" || sendings.length === 0) return;
    if (state === "sent" && done !== undefined) this.repeats.push({ sendings, had: true });
    else if (state !== "sent" || undone !== undefined) this.repeats.push({ sendings, had: false });
    else if (sendings.every((sending) => [...this.copiesOf(sending)].length === sending.places.length)) {
      // Where an ACK may have settled some of it, nobody knows what would come of it.
      this.repeats.push({ sendings, had: "unknown" });
    }
  }

  private checkFound(copy: Copy, found: Found, least: number): void {
    const name = nameOf(copy);
    const { deliveries, priority, at } = found;
    const { traits } = copy.sending;
    const most = mostFailures(copy);
    const limit = copy.place === copy.home ? copy.home.burial?.limit : undefined;
    if (deliveries < least || deliveries > most) {
      this.problems.push(`${name} has a delivery count of ${deliveries}; expected ${least} to ${most}`);
    }
    if (limit !== undefined && deliveries >= limit)
      this.problems.push(`${name} failed ${deliveries} times and is not a dead letter`);
    if (priority !== traits.priority)
      this.problems.push(`${name} came with priority ${priority}, not ${traits.priority}`);
    if (at < traits.due) this.problems.push(`${name} came ${traits.due - at} ms before its time`);
    checkDeath(copy, found, this.problems);
  }

  private unknown(place: Place, id: number): void {
    const gone = place.gone.get(id);
    const what = gone === undefined ? "was never sent there" : `came again: ${gone}`;
    this.problems.push(`message ${id} in ${place.name} ${what}`);
  }
}

/** Of everything that was there after a restart. */
const RECOVERED = new Unit();
RECOVERED.state = "confirmed";

/** Why a copy must not come again. */
function epitaph({ sending, unit, settlement }: Copy): string {
  const { traits, producer } = sending;
  const timed = traits.due > 0 ? ", timed" : "";
  const identified = unit.identified.length > 0 ? ", with an id" : "";
  return `it was ${unit.state}${timed}${identified}, its ACK ${settlement}, when it was missing; of producer ${producer}`;
}

/** Not there after a restart, but to come. */
function comeAgain(copy: Copy): void {
  if (copy.unit.done !== undefined) copy.unit = RECOVERED;
  if (copy.settledBy?.undone !== undefined) {
    copy.settlement = "none";
    copy.settledBy = undefined;
  }
  forgetBurial(copy);
  copy.count.least = copy.count.durableLeast;
}

function include(copy: Copy, unit: Unit): void {
  copy.unit = unit;
  unit.sends.push(copy);
}

/** Not there after a restart, and may come for all that. */
function isToCome(copy: Copy): boolean {
  const { unit, settlement, settledBy } = copy;
  if (!isElusive(copy) || settlement === "confirmed" || settledBy?.done !== undefined) return false;
  return unit.state === "confirmed" || (unit.state === "sent" && unit.undone === undefined);
}
