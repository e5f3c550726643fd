import { unescape } from "./escape.ts";
import { headerNumber, type HeaderName, identifyHeader, KNOWN_HEADERS, LAST_BIT } from "./header-names.ts";

/** What clients say, the frequent ones first. */
export const CLIENT_COMMANDS = [
  "SEND",
  "ACK",
  "NACK",
  "SUBSCRIBE",
  "UNSUBSCRIBE",
  "BEGIN",
  "COMMIT",
  "ABORT",
  "DISCONNECT",
  "CONNECT",
  "STOMP",
] as const;
/** What servers say. */
export const SERVER_COMMANDS = ["CONNECTED", "MESSAGE", "RECEIPT", "ERROR"] as const;

/** The commands of STOMP, of clients and of servers. */
export type Command = (typeof CLIENT_COMMANDS)[number] | (typeof SERVER_COMMANDS)[number];

const FIELDS = 5;
const EMPTY: Buffer = Buffer.alloc(0);

/** One frame, used again for the next one: valid until the decoder is asked for more. Its bytes stay. */
export class Frame {
  command: Command = "SEND";
  data: Buffer = EMPTY;
  start = 0;
  headersStart = 0;
  bodyStart = 0;
  bodyEnd = 0;
  /** Behind the NUL. */
  end = 0;
  /** Bytes before `start` that belong to this frame alone. */
  headroom = 0;
  /** True when the header lines are not spelled as STOMP 1.2 would: CR, blanks around them, unescaped backslashes. */
  irregular = false;
  /** Number of headers. */
  count = 0;
  /** A bit for each known header that is there. */
  known = 0;
  /** Five numbers a header: key start, key end, value start, value end, (known number << 1 | escaped). */
  bounds = new Int32Array(16 * FIELDS);
  /** By known number: the place of the first header of that name, or -1. */
  readonly #first = new Int16Array(KNOWN_HEADERS).fill(-1);

  /** Forgets the frame before. */
  clear(): void {
    for (let place = 0; place < this.count; place++) {
      const number = this.numberOf(place);
      if (number >= 0) this.#first[number] = -1;
    }
    this.count = 0;
    this.known = 0;
    this.irregular = false;
  }

  /** Adds a header by where it lies. */
  add(keyStart: number, keyEnd: number, valueStart: number, valueEnd: number, escaped: boolean): void {
    const number = identifyHeader(this.data, keyStart, keyEnd);
    const at = this.count * FIELDS;
    if (at + FIELDS > this.bounds.length) {
      const grown = new Int32Array(this.bounds.length * 2);
      grown.set(this.bounds);
      this.bounds = grown;
    }
    this.bounds[at] = keyStart;
    this.bounds[at + 1] = keyEnd;
    this.bounds[at + 2] = valueStart;
    this.bounds[at + 3] = valueEnd;
    this.bounds[at + 4] = (number << 1) | (escaped ? 1 : 0);
    if (number >= 0) {
      this.known |= 1 << (number > LAST_BIT ? LAST_BIT + 1 : number);
      // stomp12 "Repeated Header Entries": the first one counts.
      if ((this.#first[number] ?? 0) < 0) this.#first[number] = this.count;
    }
    this.count++;
  }

  /** The place of the first header with this known number, or -1. */
  find(number: number): number {
    return this.#first[number] ?? -1;
  }

  /** The known number of a header by its place, or -1. */
  numberOf(place: number): number {
    return (this.bounds[place * FIELDS + 4] ?? -1) >> 1;
  }

  keyStart(place: number): number {
    return this.bounds[place * FIELDS] ?? 0;
  }

  keyEnd(place: number): number {
    return this.bounds[place * FIELDS + 1] ?? 0;
  }

  valueStart(place: number): number {
    return this.bounds[place * FIELDS + 2] ?? 0;
  }

  valueEnd(place: number): number {
    return this.bounds[place * FIELDS + 3] ?? 0;
  }

  /** A header's name by its place. */
  key(place: number): string {
    return this.#text(place * FIELDS, this.bounds[place * FIELDS + 4] ?? 0);
  }

  /** A header's value by its place. */
  value(place: number): string {
    return this.#text(place * FIELDS + 2, this.bounds[place * FIELDS + 4] ?? 0);
  }

  /** The value of the first header of this name. */
  header(name: HeaderName): string | undefined {
    const place = this.find(headerNumber(name));
    return place < 0 ? undefined : this.value(place);
  }

  /** The first value of a name as it was spelled, one character a byte: to send it back to the same peer. */
  spelled(number: number): string | undefined {
    const place = this.find(number);
    return place < 0 ? undefined : this.data.toString("latin1", this.valueStart(place), this.valueEnd(place));
  }

  /** Follows the bytes to where they were moved. */
  shift(by: number): void {
    this.start += by;
    this.headersStart += by;
    this.bodyStart += by;
    this.bodyEnd += by;
    for (let place = 0; place < this.count; place++) {
      for (let field = 0; field < 4; field++) {
        const at = place * FIELDS + field;
        this.bounds[at] = (this.bounds[at] ?? 0) + by;
      }
    }
  }

  #text(at: number, flags: number): string {
    const start = this.bounds[at] ?? 0;
    const end = this.bounds[at + 1] ?? 0;
    return (flags & 1) === 0 ? this.data.toString("utf8", start, end) : unescape(this.data, start, end);
  }
}
