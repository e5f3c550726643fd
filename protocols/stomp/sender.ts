import { Address } from "../../core/addresses/address.ts";
import type { Client } from "../../core/client.ts";
import { BrokerError } from "../../core/errors.ts";
import { type Envelope, type Message, TRAIT } from "../../core/message.ts";
import { ProtocolError } from "../../core/protocol.ts";
import type { Route } from "../../core/routing/route.ts";
import type { Transaction } from "../../core/transaction.ts";
import { sameBytes } from "../../core/memory/bytes.ts";
import { readNumber } from "./bytes.ts";
import type { Frame } from "./frame.ts";
import { formatAddress, parseTarget } from "./destination.ts";
import { escape, type Version } from "./escape.ts";
import { headerBit, headerNumber } from "./header-names.ts";
import { Intake, type Replacements } from "./intake.ts";
import { readTraits, TRAIT_BITS } from "./traits.ts";
import type { SharedWire } from "./wire.ts";

/** Where a destination leads, or one part of a composite. */
interface Part {
  readonly route: Route;
  readonly address: Address;
  /** What the stored message names instead of what the client wrote; undefined when it is the same. */
  readonly replaced: Replacements | undefined;
}

/** A destination as this client writes it. */
interface Target {
  readonly spelled: Buffer;
  readonly first: Part;
  /** The other parts of a composite: each gets a message of its own, which names it as its destination. */
  readonly others: readonly Part[];
}

type Retain = "set" | "remove";

/** What a frame asks for besides what the envelope says. */
interface Special {
  readonly retain: Retain | undefined;
  readonly replyTo: Buffer | undefined;
}

const NOTHING_SPECIAL: Special = { retain: undefined, replyTo: undefined };

const DESTINATION = headerNumber("destination");
const PERSISTENT = headerNumber("persistent");
const PRIORITY = headerNumber("priority");
const EXPIRES = headerNumber("expires");
const TTL = headerNumber("ttl");

const PERSISTENT_BIT = headerBit("persistent");
const RETAIN_BIT = headerBit("retain");
const REPLY_TO_BIT = headerBit("reply-to");
const PRIORITY_BIT = headerBit("priority");
const EXPIRY_BITS = headerBit("expires") | headerBit("ttl");
const BROWSER_BIT = headerBit("browser");
const SPECIAL_BITS = PERSISTENT_BIT | RETAIN_BIT | REPLY_TO_BIT | PRIORITY_BIT | EXPIRY_BITS | TRAIT_BITS | BROWSER_BIT;

/** What is sent there is a new password or token of the client, and goes nowhere else. */
const LOGIN_DESTINATION = "/broker/login";
/** Places for targets that are found by their bytes alone; a power of two. */
const NEAR_TARGETS = 16;
/** Targets remembered in all. */
const MOST_TARGETS = 1000;

/** The sends of one session. */
export class Sender {
  /** Milliseconds since 1970: when the bytes at hand were received. */
  now = 0;
  readonly intake: Intake;
  readonly #client: Client;
  readonly #near: (Target | undefined)[] = Array.from<Target | undefined>({ length: NEAR_TARGETS });
  readonly #targets = new Map<string, Target>();
  readonly #envelope = new SendEnvelope();
  readonly #renew: (secret: string) => void;

  /** `renew` is given what is sent to the login destination. */
  constructor(client: Client, wire: SharedWire, version: Version, renew: (secret: string) => void) {
    this.#client = client;
    this.#renew = renew;
    this.intake = new Intake(wire.received, client.id, version);
  }

  /** The ways to the destinations it remembers. */
  *routes(): Iterable<Route> {
    for (const { first, others } of this.#targets.values()) {
      yield first.route;
      for (const { route } of others) yield route;
    }
  }

  /** What the client may do has changed: it is asked again where it sends. */
  forgetRoutes(): void {
    this.#targets.clear();
    this.#near.fill(undefined);
  }

  /** SEND. The frame's headers must not be read after it: a big message takes their place. */
  onSend(frame: Frame, transaction: Transaction | undefined): void {
    const place = frame.find(DESTINATION);
    if (place < 0) throw new ProtocolError("A SEND frame has no destination header");
    const { first, others } = this.#target(frame, place);
    const envelope = this.#envelope;
    envelope.receivedAt = this.now;
    if ((frame.known & SPECIAL_BITS) === 0 && others.length === 0) {
      envelope.durable = false;
      envelope.priority = 4;
      envelope.expiresAt = 0;
      envelope.traits = 0;
      this.#client.publish(
        first.route,
        this.intake.message(frame, envelope.at(first.address), first.replaced),
        transaction,
      );
    } else {
      const { retain, replyTo } = this.#readSpecial(frame);
      if (others.length > 0) this.#sendAll(frame, [first, ...others], retain, replyTo, transaction);
      else this.#sendOne(frame, first, retain, replyTo, transaction);
    }
  }

  /** Reads what a frame says besides where it goes: into the envelope, or returned. */
  #readSpecial(frame: Frame): Special {
    const { known } = frame;
    const envelope = this.#envelope;
    const persistent = (known & PERSISTENT_BIT) !== 0 ? frame.find(PERSISTENT) : -1;
    envelope.durable = persistent >= 0 && isTrue(frame, persistent);
    envelope.priority = (known & PRIORITY_BIT) === 0 ? 4 : readPriority(frame);
    envelope.expiresAt = (known & EXPIRY_BITS) === 0 ? 0 : this.#readExpiry(frame);
    envelope.traits = (known & TRAIT_BITS) === 0 ? 0 : readTraits(frame, this.now);
    if ((known & BROWSER_BIT) !== 0) refuseEnd(frame);
    const retain = (known & RETAIN_BIT) === 0 ? undefined : readRetain(frame);
    if (retain !== undefined && (envelope.traits & TRAIT.timed) !== 0) {
      throw new ProtocolError(`retain:${retain} cannot be delayed; expected either retain or a time of delivery`);
    }
    const replyTo = (known & REPLY_TO_BIT) === 0 ? undefined : this.#globalReplyTo(frame);
    if (retain === "set") envelope.traits |= TRAIT.retainAsked;
    return retain === undefined && replyTo === undefined ? NOTHING_SPECIAL : { retain, replyTo };
  }

  /** Nearly all persistent messages come this way. */
  #sendOne(
    frame: Frame,
    part: Part,
    retain: Retain | undefined,
    replyTo: Buffer | undefined,
    transaction: Transaction | undefined,
  ): void {
    if (retain !== undefined) checkRetains(part);
    const message = this.#messageFor(frame, part, replyTo);
    this.#publish(part.route, message, retain, transaction);
  }

  #sendAll(
    frame: Frame,
    parts: readonly Part[],
    retain: Retain | undefined,
    replyTo: Buffer | undefined,
    transaction: Transaction | undefined,
  ): void {
    if (retain !== undefined) for (const part of parts) checkRetains(part);
    // The frame is read once for each part, so that none may take its place.
    frame.headroom = 0;
    const sends = parts.map((part) => ({ route: part.route, message: this.#messageFor(frame, part, replyTo) }));
    // Before the first has it: a composite is refused as a whole. A transaction does the same when it commits.
    if (transaction === undefined) for (const { route, message } of sends) route.check(message);
    for (const { route, message } of sends) this.#publish(route, message, retain, transaction);
  }

  #messageFor(frame: Frame, { address, replaced }: Part, replyTo: Buffer | undefined): Message {
    const changes = replyTo === undefined ? replaced : { destination: replaced?.destination, replyTo };
    return this.intake.message(frame, this.#envelope.at(address), changes);
  }

  #publish(route: Route, message: Message, retain: Retain | undefined, transaction: Transaction | undefined): void {
    if (retain !== undefined) this.#client.retain(route, retain === "set" ? message : undefined, transaction);
    this.#client.publish(route, message, transaction);
  }

  #readExpiry(frame: Frame): number {
    const expires = readMs(frame, EXPIRES);
    if (expires !== undefined) return expires;
    const ttl = readMs(frame, TTL) ?? 0;
    return ttl === 0 ? 0 : this.now + ttl;
  }

  /** A temporary destination in reply-to is known by that name here only: others get its global one. */
  #globalReplyTo(frame: Frame): Buffer | undefined {
    const text = frame.header("reply-to") ?? "";
    if (!/^\/?temp-(queue|topic):?\//.test(text)) return undefined;
    const [address, ...others] = parseTarget(text, (kind, name) => this.#client.temporary(kind, name));
    if (address === undefined || others.length > 0) {
      throw new BrokerError("bad-address", `reply-to:${text} names more than one destination`);
    }
    return spell(address);
  }

  #target(frame: Frame, place: number): Target {
    const { data } = frame;
    const start = frame.valueStart(place);
    const end = frame.valueEnd(place);
    const near = ((data[end - 1] ?? 0) + (data[end - 2] ?? 0) * 3 + (end - start)) & (NEAR_TARGETS - 1);
    const recent = this.#near[near];
    if (recent !== undefined && sameBytes(recent.spelled, data, start, end)) return recent;
    const key = data.toString("latin1", start, end);
    if (key === LOGIN_DESTINATION) {
      this.#renew(data.toString("utf8", frame.bodyStart, frame.bodyEnd));
      return this.#nowhere();
    }
    const target = this.#targets.get(key) ?? this.#open(key, frame.value(place));
    this.#near[near] = target;
    return target;
  }

  #nowhere(): Target {
    const route = this.#client.route([]);
    return { spelled: NO_BYTES, first: { route, address: NOWHERE, replaced: undefined }, others: [] };
  }

  #open(key: string, text: string): Target {
    const addresses = parseTarget(text, (kind, name) => this.#client.temporary(kind, name));
    // All of them before the first is sent to: a composite is refused as a whole.
    const [first, ...others] = addresses.map((address): Part => {
      const route = this.#client.route([address]);
      const same = formatAddress(address) === text;
      return { route, address, replaced: same ? undefined : { destination: spell(address), replyTo: undefined } };
    });
    if (first === undefined) throw new BrokerError("bad-address", "A SEND frame has an empty destination");
    const target: Target = { spelled: Buffer.from(key, "latin1"), first, others };
    if (this.#targets.size >= MOST_TARGETS) {
      const [oldest] = this.#targets.keys();
      if (oldest !== undefined) this.#targets.delete(oldest);
    }
    this.#targets.set(key, target);
    return target;
  }
}

const NO_BYTES: Buffer = Buffer.alloc(0);
const NOWHERE = new Address("queue", ["nowhere"]);

/** The same object for every send: a message copies what it says. */
class SendEnvelope implements Envelope {
  durable = false;
  priority = 4;
  expiresAt = 0;
  receivedAt = 0;
  traits = 0;
  address: Address = NOWHERE;

  at(address: Address): this {
    this.address = address;
    return this;
  }
}

function spell(address: Address): Buffer {
  return Buffer.from(escape(formatAddress(address), "1.2"));
}

function isTrue(frame: Frame, place: number): boolean {
  return frame.valueEnd(place) - frame.valueStart(place) === 4 && frame.value(place).toLowerCase() === "true";
}

function readPriority(frame: Frame): number {
  const place = frame.find(PRIORITY);
  const priority = readNumber(frame.data, frame.valueStart(place), frame.valueEnd(place));
  if (priority < 0 || priority > 9) throw new ProtocolError(`priority:${frame.value(place)} is not 0 to 9`);
  return priority;
}

/** A browser would take it for the end of what there is. */
function refuseEnd(frame: Frame): void {
  if (frame.header("browser") === "end") throw new ProtocolError("browser:end is for the broker alone to say");
}

function checkRetains({ address }: Part): void {
  if (address.kind === "topic") return;
  const found = address.kind === "queue" ? "a queue" : "an exchange";
  throw new ProtocolError(`Only topics retain a message; ${formatAddress(address)} is ${found}`);
}

function readRetain(frame: Frame): Retain {
  const text = frame.header("retain");
  if (text === "set" || text === "true") return "set";
  if (text === "remove") return "remove";
  throw new ProtocolError(`retain:${text ?? ""} is neither set nor remove`);
}

function readMs(frame: Frame, number: number): number | undefined {
  const place = frame.find(number);
  if (place < 0) return undefined;
  const value = readNumber(frame.data, frame.valueStart(place), frame.valueEnd(place));
  if (value < 0) {
    throw new ProtocolError(`${frame.key(place)}:${frame.value(place)} is not a number of milliseconds`);
  }
  return value;
}
