/** What a SEND asks for beyond being kept. */
export interface Traits {
  readonly priority: number;
  readonly group: string | undefined;
  /** Before this time, in milliseconds since 1970, it must not come; 0 for at once. */
  readonly due: number;
  /** From this time on it may be a dead letter; 0 for never. */
  readonly expiresAt: number;
  /** The headers that say so. */
  readonly headers: Readonly<Record<string, string>>;
}

export const ORDINARY: Traits = { priority: 4, group: undefined, due: 0, expiresAt: 0, headers: {} };

/** A message as it is sent, as often as that may be. */
export interface Sending {
  readonly id: number;
  readonly destination: string;
  readonly places: readonly Place[];
  readonly producer: number;
  readonly traits: Traits;
}

/** Where the dead letters of a place go, and when. */
export interface Burial {
  readonly place: Place;
  /** Deliveries that failed. */
  readonly limit: number;
  /** As the broker says it: "queue:orders". */
  readonly origin: string;
}

/** A queue or a durable subscription. */
export class Place {
  readonly name: string;
  readonly burial: Burial | undefined;
  /** Whose dead letters come here. */
  readonly origins: Place[] = [];
  /** What may still be there, by message. */
  readonly copies = new Map<number, Copy>();
  /** Messages that must never come again, and why. */
  readonly gone = new Map<number, string>();
  /** How many consumers went away without settling what they held, and how many transactions with ACKs were aborted. */
  endings = 0;
  /** The same when the broker was started: it may notice an ending later than it happened, but in the same life. */
  endingsAtStart = 0;
  /** What each producer's messages of a group, those given out in this life, have come to. */
  readonly groups = new Map<string, Copy>();

  constructor(name: string, burial?: Burial) {
    this.name = name;
    this.burial = burial;
    burial?.place.origins.push(this);
  }
}

/** What takes effect as a whole: the sends and ACKs of a transaction, or one SEND to all its places. */
export class Unit {
  state: "open" | "sent" | "confirmed" | "aborted" = "open";
  readonly sends: Copy[] = [];
  readonly settles: Copy[] = [];
  /** What was sent, if each has an id by which the broker finds what is sent again. */
  readonly identified: Sending[] = [];
  /** Sent in an earlier life of the broker, and it has not shown yet whether that took effect. */
  old = false;
  /** What shows that it took effect, and that it did not. */
  done: string | undefined = undefined;
  undone: string | undefined = undefined;
}

/** A consumer's connection: what it holds goes to others when it has ended. */
export interface Holder {
  readonly ended: boolean;
}

/** Bounds of a delivery count. */
export interface Count {
  least: number;
  most: number;
  /** What `least` is when the broker forgets what it did not confirm. */
  durableLeast: number;
  endingsBefore: number;
}

/** One message in one place. */
export interface Copy {
  readonly sending: Sending;
  /** Where it was sent. */
  readonly home: Place;
  /** Where it is: elsewhere when it is a dead letter. */
  place: Place;
  /** Grows along what one producer sent; set when its unit is. */
  order: number;
  unit: Unit;
  settlement: "none" | "sent" | "confirmed";
  settledBy: Unit | undefined;
  holder: Holder | undefined;
  /** Somebody had it in this life of the broker. */
  seen: boolean;
  count: Count;
  /** Its count at home, when it is a dead letter that may be back there after a crash. */
  countAtHome: Count | undefined;
}

/** A message as a consumer got it. */
export interface Found {
  readonly id: number;
  readonly deliveries: number;
  readonly priority: number;
  /** When it came. */
  readonly at: number;
  /** What the broker says of a dead letter. */
  readonly death: Death | undefined;
}

/** The annotations of a dead letter. */
export interface Death {
  readonly reason: string;
  readonly origin: string | undefined;
  readonly deliveries: number;
  readonly count: number;
  /** Whether what else is to be there is there. */
  readonly complete: boolean;
}

export function startOfCount(place: Place): Count {
  return { least: 0, most: 0, durableLeast: 0, endingsBefore: place.endingsAtStart };
}

/** How often its delivery may have failed, those included that a consumer does not know of. */
export function mostFailures({ count, place }: Copy): number {
  return count.most + place.endings - count.endingsBefore;
}

/** Whether it need not be where it was sent at once: it waits for its time, or is on its way to the dead letters. */
export function isElusive({ sending: { traits } }: Copy): boolean {
  return traits.due > 0 || (traits.expiresAt > 0 && Date.now() >= traits.expiresAt);
}

export function nameOf({ sending, place }: Copy): string {
  return `message ${sending.id} of producer ${sending.producer} in ${place.name}`;
}

/** The body of a message; from a few bytes to several of the store's segments. */
export function bodyOf(id: number): string {
  const kind = id % 97;
  const length = kind === 0 ? 90_000 : kind < 5 ? 20_000 : (Math.imul(id, 2_654_435_761) >>> 0) % 900;
  return `${id} ${`${id};`.repeat(length / 6)}`;
}
