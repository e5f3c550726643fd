/*
 * What goes to one client:
 *
 *     deliver -> QoS 0: written, done
 *             -> QoS 1: written --PUBACK--> settled
 *             -> QoS 2: --on disk--> written --PUBREC--> settled, "out ID" noted --on disk--> PUBREL --PUBCOMP--> note dropped
 *
 * A packet identifier is that of the message's place in the session's queue, so that it is the same after a reconnect and
 * after a restart [MQTT-4.4.0-1], and nothing need be written down for it. What comes by a share at QoS 2 becomes the
 * session's own before it is sent [MQTT-4.8.2-4] [MQTT-4.8.2-5]. Deliveries from elsewhere get a free identifier; at QoS 2
 * of a queue a kept session notes it as "lent ID" before it is used. When the message comes again it has the same one; when
 * it went to somebody else meanwhile, the client is told to forget the identifier before it stands for another message.
 */
import type { Client } from "../../core/client.ts";
import { Entry } from "../../core/queue/entry.ts";
import { type Message, TRAIT } from "../../core/message.ts";
import type { Grant } from "../../core/sessions/interests.ts";
import type { Output } from "../../core/output.ts";
import type { Consumer, Delivery } from "../../core/protocol.ts";
import type { HostSession } from "../../core/sessions/session.ts";
import { ASSIGNED, type Share } from "../../core/sessions/share.ts";
import { mqtt5Format, mqttFormat, storedQos } from "./convert.ts";
import { DeliveryWriter, isRetained, type Recipient, retainsAsPublished, type SharedWire } from "./delivery-writer.ts";
import { ackSize, writeAck } from "./encode.ts";
import { protocolError, REASON } from "./errors.ts";
import type { Manner } from "./outgoing-delivery.ts";
import { Flight, Flights } from "./flights.ts";
import { type Loan, loanOf, Loans, readLoan, writeLoan } from "./loans.ts";
import type { Qos } from "./packet.ts";

/** A kept session's own messages have the identifiers from 1 to this one, all others those behind it. */
const OWN_IDS = 49_151;
const OUT = "out ";
const LENT = "lent ";
/** Of the number that says when a message was released, after which of the others. */
const ORDER_BYTES = 6;
const NO_TAGS: readonly number[] = [];

/** A delivery to be made at QoS 1 or 2. */
interface Task {
  readonly message: Message;
  readonly delivery: Delivery;
  readonly deliveries: number;
  /** By which it came. */
  readonly share: Share | undefined;
}

/** A delivery by a share at QoS 2, which becomes the session's own when the turn ends. */
interface Assignment {
  readonly message: Message;
  readonly delivery: Delivery;
  readonly share: Share;
}

export interface ReceiverOptions extends Recipient {
  readonly output: Output;
  readonly wire: SharedWire;
  /** Deliveries at QoS 1 and 2 under way at most. */
  readonly maxInflight: number;
  /** Bytes of a packet that the client takes; Infinity for any. */
  readonly maxPacketBytes: number;
  readonly cancelled: (reason: string) => void;
  /** Writes a PUBREL once what was said so far is safe. */
  readonly release: (id: number) => void;
  /** Calls back once what was said so far is safe. */
  readonly whenSafe: (then: () => void) => void;
  /** Runs at the end of the turn. */
  readonly later: (task: () => void) => void;
}

/** The consumer of one session: deliveries, and what the client says of them. */
export class Receiver implements Consumer {
  /** Messages that were larger than the client takes, and are gone. */
  oversized = 0;
  readonly #options: ReceiverOptions;
  readonly #writer: DeliveryWriter;
  #flights = new Flights(1);
  /** Of the delivery at hand. */
  readonly #manner = new DeliveryManner();
  /** Their identifiers are still in use, or too many deliveries are under way. */
  #waiting: Task[] = [];
  #assigning: Assignment[] = [];
  readonly #maxPacketBytes: number;
  #client: Client | undefined = undefined;
  #session: HostSession | undefined = undefined;
  /** True while nothing more is taken because too many deliveries are under way. */
  #crowded = false;
  /** Those of connections before that were not released. */
  readonly #lent = new Loans();
  /** Messages released so far. */
  #releases = 0;
  /** Messages at QoS 2 that wait for the disk, with their identifiers. */
  #unsafe = 0;
  /** Which subscription may take more first. */
  #turn = 0;

  constructor(options: ReceiverOptions) {
    this.#options = options;
    this.#maxPacketBytes = options.maxPacketBytes;
    this.#writer = new DeliveryWriter(options.output, options.wire, options);
  }

  /** Takes over what the session was doing when its last connection ended: PUBREL goes first. */
  resume(client: Client, session: HostSession): void {
    this.#client = client;
    this.#session = session;
    if (session.kept) this.#flights = new Flights(OWN_IDS + 1);
    const released: { id: number; order: number }[] = [];
    for (const [key, value] of session.entries()) {
      if (key.startsWith(OUT)) {
        released.push({ id: Number(key.slice(OUT.length)), order: value.readUIntBE(0, ORDER_BYTES) });
      } else if (key.startsWith(LENT)) {
        const id = Number(key.slice(LENT.length));
        this.#lent.add(id, readLoan(value));
        this.#flights.reserve(id);
      }
    }
    // [MQTT-4.6.0-4]
    released.sort((a, b) => a.order - b.order);
    for (const { id, order } of released) {
      this.#flights.set(id, new Flight(2, undefined, undefined));
      this.#writeAck("pubrel", id, REASON.success);
      this.#releases = order;
    }
  }

  settles(message: Message): boolean {
    return message.durable && (isAssigned(message) || this.#qualityOf(message) > 0);
  }

  /** Who receives what comes by a share: as this one does, but with the share's own wishes. */
  forShare(share: Share): Consumer {
    return {
      settles: (message) => message.durable && share.interest.quality > 0,
      deliver: (message, delivery, deliveries) => this.#take(message, delivery, deliveries, share),
      cancelled: (reason) => this.cancelled(reason),
    };
  }

  deliver(message: Message, delivery: Delivery | undefined, deliveries: number): boolean {
    return this.#take(message, delivery, deliveries, undefined);
  }

  #take(message: Message, delivery: Delivery | undefined, deliveries: number, share: Share | undefined): boolean {
    if (delivery === undefined) this.#deliverOnce(message, share);
    else this.#deliverSurely(message, delivery, deliveries, share);
    return !this.#crowded && !this.#options.output.full;
  }

  cancelled(reason: string): void {
    this.#options.cancelled(reason);
  }

  /** The output has room again. */
  drained(): void {
    if (!this.#crowded) this.#ready();
  }

  /** PUBACK [MQTT-4.3.2-3]; one for nothing is overlooked, as it may be one for a connection before. */
  onPuback(id: number, reasonCode: number): void {
    const flight = this.#flights.get(id);
    if (flight?.qos !== 1) return;
    this.#flights.delete(id);
    this.#settle(flight, reasonCode);
    this.#relax();
  }

  /** PUBREC [MQTT-4.3.3-4]. */
  onPubrec(id: number, reasonCode: number): void {
    const flight = this.#flights.get(id);
    if (flight === undefined && this.#flights.isReserved(id)) {
      this.#lent.delete(id);
      this.#giveUp(id);
      return;
    }
    if (flight === undefined) {
      // [MQTT-4.3.3-7]: a client that lost count must hear that nothing is to come.
      this.#writeAck("pubrel", id, REASON.packetIdentifierNotFound);
      return;
    }
    if (flight.qos !== 2) throw protocolError(`A PUBREC for packet identifier ${id}, which was sent with QoS 1`);
    if (reasonCode >= 0x80) {
      // It may be that it was released already.
      this.#session?.drop(OUT + id);
      this.#session?.drop(LENT + id);
      this.#flights.delete(id);
      this.#settle(flight, reasonCode);
      this.#relax();
      return;
    }
    if (flight.subscription !== undefined) {
      // One batch: either the message is to be sent again after a crash, or PUBREL is.
      this.#noteRelease(id);
      this.#settle(flight, reasonCode);
      flight.subscription = undefined;
      flight.delivery = undefined;
    }
    this.#options.release(id);
  }

  /** PUBCOMP [MQTT-4.3.3-5]. */
  onPubcomp(id: number): void {
    const flight = this.#flights.get(id);
    if (flight === undefined || flight.subscription !== undefined) return;
    this.#session?.drop(OUT + id);
    this.#flights.delete(id);
    this.#relax();
  }

  #deliverOnce(message: Message, share: Share | undefined): void {
    const plain = share === undefined ? this.#session?.interests.plain === true : share.interest.tag === 0;
    if (plain && this.#maxPacketBytes === Number.POSITIVE_INFINITY && this.#writer.fitsAsIs(message)) {
      this.#writer.pass(message);
    } else {
      this.#write(message, share, 0, 0, false);
    }
  }

  #deliverSurely(message: Message, delivery: Delivery, deliveries: number, share: Share | undefined): void {
    // What came later does not go first.
    if (this.#waiting.length > 0 || !this.#begin(message, delivery, deliveries, share)) {
      this.#waiting.push({ message, delivery, deliveries, share });
    }
    if (this.#waiting.length > 0 || this.#busy) this.#crowd();
  }

  /** Whether as many deliveries are under way as may be [MQTT-3.3.4-9]. */
  get #busy(): boolean {
    return this.#flights.size + this.#assigning.length >= this.#options.maxInflight;
  }

  /** Sends a message, unless it has to wait. */
  #begin(message: Message, delivery: Delivery, deliveries: number, share: Share | undefined): boolean {
    if (this.#busy) return false;
    const qos = this.#qosOf(message, share);
    if (qos === 2 && share !== undefined) {
      this.#assignLater({ message, delivery, share });
      return true;
    }
    const own = this.#ownId(delivery, share);
    const loan = own === undefined && qos === 2 && this.#session?.kept === true ? loanOf(delivery, message) : undefined;
    const known = own ?? (loan === undefined ? undefined : this.#identifierOf(loan));
    const id = known ?? this.#flights.next();
    if (id === undefined || (known !== undefined && this.#flights.has(known))) return false;
    const flight = new Flight(qos, share?.subscription ?? this.#session?.subscription, delivery);
    if (known === undefined) this.#flights.begin(id, flight);
    else this.#flights.set(id, flight);
    const isNewLoan = loan !== undefined && known === undefined;
    if (isNewLoan) this.#session?.put(LENT + id, writeLoan(loan));
    // [MQTT-3.3.1-1]
    const dup =
      own === undefined ? deliveries > 0 || known !== undefined : this.#session?.mayHaveCome(delivery) === true;
    if (isNewLoan || (qos === 2 && this.#isUnsafe(message, delivery))) {
      this.#sendWhenSafe(id, flight, { message, share, dup });
    } else if (!this.#write(message, share, qos, id, dup)) {
      this.#flights.delete(id);
      // [MQTT-3.1.2-25]: as if it had been delivered; not from within a delivery, though.
      this.#options.later(() => this.#settle(flight, REASON.packetTooLarge));
    }
    return true;
  }

  #assignLater(assignment: Assignment): void {
    // The core is not to be called from within a delivery.
    if (this.#assigning.push(assignment) === 1) this.#options.later(() => this.#assignAll());
  }

  /** What the session was given by its shares at QoS 2 is its own from now on, in one batch for all. */
  #assignAll(): void {
    const assigning = this.#assigning;
    this.#assigning = [];
    for (const { share, delivery, message } of assigning) {
      const own = this.#session?.assign(share, delivery, message);
      // It went back to the share, which the client has left.
      if (own !== undefined) this.#deliverSurely(own.message, own.delivery, 0, undefined);
    }
    this.#relax();
  }

  /**
   * Whether a message must not be sent yet, because a client that remembers its identifier would take another message
   * for it: after a crash, a message that was not on disk is not there, and its place is the next one's. And what was
   * assigned must not be anybody else's after a crash.
   */
  #isUnsafe(message: Message, delivery: Delivery): boolean {
    const awaited = this.#session?.kept === true && this.#client?.awaits(delivery) === true;
    // What came later does not go first.
    return awaited || this.#unsafe > 0 || isAssigned(message);
  }

  #sendWhenSafe(
    id: number,
    flight: Flight,
    { message, share, dup }: Pick<Task, "message" | "share"> & { readonly dup: boolean },
  ): void {
    this.#unsafe++;
    this.#options.whenSafe(() => {
      this.#unsafe--;
      // The client may have left the queue from which it came: then it went back there.
      const { delivery, subscription } = flight;
      const left = delivery instanceof Entry && delivery.holder?.subscription !== subscription;
      if (!left && this.#write(message, share, flight.qos, id, dup)) return;
      this.#flights.delete(id);
      this.#session?.drop(LENT + id);
      this.#options.later(() => {
        this.#settle(flight, REASON.packetTooLarge);
        this.#relax();
      });
    });
  }

  /** The identifier that a message had on a connection before. */
  #identifierOf(loan: Loan): number | undefined {
    return this.#lent.take(loan, (id) => this.#giveUp(id));
  }

  #noteRelease(id: number): void {
    const order = Buffer.alloc(ORDER_BYTES);
    order.writeUIntBE(++this.#releases, 0, ORDER_BYTES);
    this.#session?.drop(LENT + id);
    this.#session?.put(OUT + id, order);
  }

  /** Has the client forget an identifier: its message went to somebody else. */
  #giveUp(id: number): void {
    this.#flights.set(id, new Flight(2, undefined, undefined));
    this.#noteRelease(id);
    this.#options.release(id);
  }

  #write(message: Message, share: Share | undefined, qos: Qos, packetId: number, dup: boolean): boolean {
    const manner = this.#manner;
    manner.qos = qos;
    manner.packetId = packetId;
    manner.dup = dup;
    const wishes = isAssigned(message) ? wishesOf(message) : undefined;
    const grant = share === undefined ? this.#session?.interests.grantOf(message.address) : undefined;
    const asPublished =
      wishes?.retainAsPublished ?? share?.interest.retainAsPublished ?? grant?.retainAsPublished ?? false;
    manner.retain = isRetained(message) || (asPublished && retainsAsPublished(message));
    manner.tags = this.#options.version === 5 ? (wishes?.tags ?? tagsOf(share, grant)) : NO_TAGS;
    if (this.#writer.write(message, manner, this.#maxPacketBytes)) return true;
    this.oversized++;
    return false;
  }

  #qosOf(message: Message, share: Share | undefined): 1 | 2 {
    const granted = share?.interest.quality ?? (isAssigned(message) ? 2 : this.#qualityOf(message));
    return granted === 2 && publishedQos(message) === 2 ? 2 : 1;
  }

  /** What is wanted of a message; as of the surest filter for one that came here by another way than its topic. */
  #qualityOf({ address }: Message): Qos {
    const interests = this.#session?.interests;
    return interests?.grantOf(address)?.quality ?? interests?.highest ?? 0;
  }

  /** The identifier of what comes from the session's own queue: by its place there. */
  #ownId(delivery: Delivery, share: Share | undefined): number | undefined {
    if (share !== undefined || this.#session?.kept !== true || !(delivery instanceof Entry)) return undefined;
    // What comes from a queue with a name comes by an interest in that queue.
    return delivery.holder?.queue.address === undefined ? (delivery.sequence % OWN_IDS) + 1 : undefined;
  }

  #settle({ subscription, delivery }: Flight, reasonCode: number): void {
    if (subscription === undefined || delivery === undefined) return;
    this.#client?.settle(subscription, delivery, reasonCode >= 0x80 ? "rejected" : "accepted");
  }

  /** Nothing more is taken by any of the session's subscriptions. */
  #crowd(): void {
    if (this.#crowded) return;
    this.#crowded = true;
    const session = this.#session;
    if (session === undefined) return;
    session.subscription.hold();
    for (const { subscription } of session.shares.values()) subscription.hold();
  }

  /** A delivery is over: those that waited go first. */
  #relax(): void {
    if (!this.#crowded) return;
    // What came by a share that the client has left has gone to others.
    const waiting = this.#waiting.filter(({ share }) => share?.subscription.closed !== true);
    const begun = waiting.findIndex(
      ({ message, delivery, deliveries, share }) => !this.#begin(message, delivery, deliveries, share),
    );
    this.#waiting = begun < 0 ? [] : waiting.slice(begun);
    if (this.#waiting.length > 0 || this.#busy) return;
    this.#crowded = false;
    this.#ready();
  }

  #ready(): void {
    const session = this.#session;
    if (session === undefined) return;
    const subscriptions = [session.subscription, ...Array.from(session.shares.values(), (share) => share.subscription)];
    // Whoever takes the last room there is begins last the next time.
    for (let i = 0; i < subscriptions.length && !this.#crowded && !this.#options.output.full; i++) {
      subscriptions[this.#turn++ % subscriptions.length]?.ready();
    }
  }

  #writeAck(type: "pubrel", id: number, reasonCode: number): void {
    const { output, version } = this.#options;
    const at = output.reserve(ackSize(reasonCode, version));
    output.advance(writeAck(output.buffer, at, type, id, reasonCode, version));
  }
}

/** The same object for every delivery: whoever writes keeps nothing of it. */
class DeliveryManner implements Manner {
  qos: Qos = 0;
  packetId = 0;
  dup = false;
  retain = false;
  tags: readonly number[] = NO_TAGS;
}

function isAssigned({ traits }: Message): boolean {
  return (traits & TRAIT.assigned) !== 0;
}

/** What the session wanted of the share by which an assigned message came. */
function wishesOf({ annotations }: Message): Pick<Grant, "tags" | "retainAsPublished"> {
  const tag = annotations.get(ASSIGNED.tag);
  return {
    tags: typeof tag === "number" ? [tag] : NO_TAGS,
    retainAsPublished: annotations.get(ASSIGNED.retainAsPublished) === true,
  };
}

function tagsOf(share: Share | undefined, grant: Grant | undefined): readonly number[] {
  if (share === undefined) return grant?.tags ?? NO_TAGS;
  return share.interest.tag === 0 ? NO_TAGS : [share.interest.tag];
}

function publishedQos(message: Message): Qos {
  const own = message.format === mqttFormat || message.format === mqtt5Format;
  return own ? storedQos(message) : 1;
}
