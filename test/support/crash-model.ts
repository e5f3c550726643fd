/*
 * What a broker that is killed again and again may and may not do, by what its clients said and were told.
 *
 *     message   held in a transaction -> sent -> confirmed by a receipt        (its unit: the transaction, or its SEND)
 *     copy      none -> ACK sent -> ACK confirmed                              (one in every place it went to)
 *
 * After a restart a copy that was confirmed and for which no ACK was sent must be there, one whose ACK was confirmed must
 * not, everything between may or may not: but a unit is there whole or not at all, in order, and nothing is there twice.
 */

/** A queue or a durable subscription. */
export class Place {
  readonly name: string;
  /** What may still be there, by message. */
  readonly copies = new Map<number, Copy>();
  /** Messages that must never come again. */
  readonly gone = new Set<number>();
  /** How many consumers went away without settling what they held, and how many transactions with ACKs were aborted. */
  endings = 0;
  /** The same when the broker was started: it may notice an ending later than it happened, but in the same life. */
  endingsAtStart = 0;

  constructor(name: string) {
    this.name = name;
  }
}

/** What takes effect as a whole: the sends and ACKs of a transaction, or one SEND to all its places. */
export class Unit {
  state: "open" | "sent" | "confirmed" | "aborted" = "open";
  readonly sends: Copy[] = [];
  readonly settles: Copy[] = [];
  /** What shows that it took effect, and that it did not. */
  done: string | undefined = undefined;
  undone: string | undefined = undefined;
}

/** A consumer's connection: what it holds goes to others when it has ended. */
export interface Holder {
  readonly ended: boolean;
}

/** One message in one place. */
export interface Copy {
  readonly id: number;
  readonly place: Place;
  readonly producer: number;
  /** Grows along what one producer sent; set when its unit is. */
  order: number;
  unit: Unit;
  settlement: "none" | "sent" | "confirmed";
  settledBy: Unit | undefined;
  holder: Holder | undefined;
  /** Bounds of its delivery count. */
  least: number;
  most: number;
  /** What `least` is when the broker forgets what it did not confirm. */
  durableLeast: number;
  readonly endingsBefore: number;
}

/** A message as a consumer got it. */
export interface Found {
  readonly id: number;
  readonly deliveries: number;
}

/** Knows what was said, and finds out what must not be. */
export class Model {
  /** One sentence each. */
  readonly problems: string[] = [];
  confirmed = 0;
  settled = 0;
  private lastId = 0;
  private lastOrder = 0;

  /** A SEND to some places, alone or in a transaction; returns the id of the message. */
  send(places: readonly Place[], producer: number, unit: Unit): number {
    const id = ++this.lastId;
    for (const place of places) {
      const copy: Copy = {
        id,
        place,
        producer,
        order: 0,
        unit,
        settlement: "none",
        settledBy: undefined,
        holder: undefined,
        least: 0,
        most: 0,
        durableLeast: 0,
        endingsBefore: place.endingsAtStart,
      };
      unit.sends.push(copy);
      place.copies.set(id, copy);
    }
    return id;
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
      copy.least++;
      copy.most++;
    }
  }

  nackConfirmed(copies: readonly Copy[]): void {
    for (const copy of copies) copy.durableLeast++;
  }

  /** A consumer was given a message while the broker runs. */
  delivered(place: Place, { id, deliveries }: Found, holder: Holder): Copy | undefined {
    const copy = place.copies.get(id);
    if (copy === undefined) {
      this.unknown(place, id);
      return undefined;
    }
    const name = nameOf(copy);
    if (copy.settlement === "confirmed") this.problems.push(`${name} came again after its ACK was confirmed`);
    if (copy.unit.state === "open" || copy.unit.state === "aborted") {
      this.problems.push(`${name} came out of a transaction that is ${copy.unit.state}`);
    }
    if (copy.holder?.ended === false) this.problems.push(`${name} came while another consumer held it`);
    this.checkCount(copy, deliveries, copy.least);
    if (copy.settlement === "sent") {
      copy.settlement = "none";
      if (copy.settledBy !== undefined) copy.settledBy.undone = `${name}, which it settled, came again`;
      copy.settledBy = undefined;
    }
    if (copy.unit.undone !== undefined) this.problems.push(`${name} came although ${copy.unit.undone}`);
    copy.holder = holder;
    return copy;
  }

  /** What was found in each place after a restart, in order. From then on exactly that is there. */
  restarted(found: ReadonlyMap<Place, readonly Found[]>): void {
    const units = new Set<Unit>();
    for (const [place, messages] of found) {
      this.checkOrder(place, messages);
      const present = new Map(messages.map((message) => [message.id, message]));
      for (const id of present.keys()) if (!place.copies.has(id)) this.unknown(place, id);
      for (const copy of place.copies.values()) this.judge(copy, present.get(copy.id), units);
    }
    for (const { done, undone } of units) {
      if (done !== undefined && undone !== undefined) {
        this.problems.push(`a transaction or SEND took effect by half: ${done}, but ${undone}`);
      }
    }
    for (const [place, messages] of found) this.settle(place, messages);
  }

  /** After the inspection: the consumer that made it holds what it found. */
  hold(place: Place, id: number, holder: Holder): Copy | undefined {
    const copy = place.copies.get(id);
    if (copy !== undefined) copy.holder = holder;
    return copy;
  }

  private judge(copy: Copy, message: Found | undefined, units: Set<Unit>): void {
    const { unit, settledBy } = copy;
    const name = nameOf(copy);
    units.add(unit);
    if (settledBy !== undefined) units.add(settledBy);
    if (message === undefined) {
      if (copy.settlement === "none") {
        if (unit.state === "confirmed") this.problems.push(`${name} is lost: its SEND or COMMIT was confirmed`);
        if (unit.state === "sent") unit.undone ??= `${name} is not there`;
      } else if (unit.state === "confirmed" && settledBy !== undefined) settledBy.done ??= `${name} was settled`;
      return;
    }
    if (copy.settlement === "confirmed") this.problems.push(`${name} is back after its ACK was confirmed`);
    if (unit.state === "open" || unit.state === "aborted") {
      this.problems.push(`${name} is there, of a transaction that was ${unit.state}`);
    }
    this.checkCount(copy, message.deliveries, copy.durableLeast);
    if (unit.state === "sent") unit.done ??= `${name} is there`;
    if (settledBy !== undefined) settledBy.undone ??= `${name} was not settled`;
  }

  private settle(place: Place, messages: readonly Found[]): void {
    place.endingsAtStart = place.endings;
    const present = new Map(messages.map((message) => [message.id, message]));
    for (const copy of place.copies.values()) {
      const message = present.get(copy.id);
      if (message === undefined) {
        place.copies.delete(copy.id);
        place.gone.add(copy.id);
        continue;
      }
      copy.unit = RECOVERED;
      copy.settlement = "none";
      copy.settledBy = undefined;
      copy.holder = undefined;
      copy.least = message.deliveries;
      copy.durableLeast = message.deliveries;
    }
  }

  private checkCount(copy: Copy, deliveries: number, least: number): void {
    const most = copy.most + copy.place.endings - copy.endingsBefore;
    if (deliveries >= least && deliveries <= most) return;
    this.problems.push(`${nameOf(copy)} has a delivery count of ${deliveries}; expected ${least} to ${most}`);
  }

  private checkOrder(place: Place, messages: readonly Found[]): void {
    const last = new Map<number, Copy>();
    const seen = new Set<number>();
    for (const { id } of messages) {
      if (seen.has(id)) this.problems.push(`message ${id} is in ${place.name} twice`);
      seen.add(id);
      const copy = place.copies.get(id);
      if (copy === undefined) continue;
      const before = last.get(copy.producer);
      if (before !== undefined && before.order > copy.order) {
        this.problems.push(`${nameOf(copy)} comes behind message ${before.id}, which its producer sent later`);
      }
      last.set(copy.producer, copy);
    }
  }

  private unknown(place: Place, id: number): void {
    const what = place.gone.has(id) ? "came again after it was settled or lost" : "was never sent there";
    this.problems.push(`message ${id} in ${place.name} ${what}`);
  }
}

/** Of everything that was there after a restart. */
const RECOVERED = new Unit();
RECOVERED.state = "confirmed";

function nameOf(copy: Copy): string {
  return `message ${copy.id} of producer ${copy.producer} in ${copy.place.name}`;
}

/** The body of a message; from a few bytes to several of the store's segments. */
export function bodyOf(id: number): string {
  const kind = id % 97;
  const length = kind === 0 ? 90_000 : kind < 5 ? 20_000 : (Math.imul(id, 2_654_435_761) >>> 0) % 900;
  return `${id} ${`${id};`.repeat(length / 6)}`;
}
