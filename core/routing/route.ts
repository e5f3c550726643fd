import { type Admission, SPECIAL_TRAITS } from "./admission.ts";
import type { Address } from "../addresses/address.ts";
import type { Gate } from "../memory/gate.ts";
import type { Message } from "../message.ts";
import { Queue } from "../queue/queue.ts";
import type { Topic } from "../topic/topic.ts";

export type Destination = Queue | Topic;

/** Finds or makes the destination of an address and the way into it, if the client may send there. */
export type Resolve = (address: Address) => Admission;

/** Whose rights a route goes by; see `Permissions`. */
interface Rights {
  readonly version: number;
}

/** Of routes that ask for no rights. */
const UNCHANGING: Rights = { version: 0 };

/** Where a client's sends to given addresses go. Found once and used for every message, until a destination is deleted, or its rights may be others. */
export class Route {
  readonly addresses: readonly Address[];
  /** Messages sent this way; of several addresses to all of them. */
  published = 0;
  private readonly resolve: Resolve;
  private readonly admissions: Admission[];
  private readonly destinations: Destination[];
  private readonly rights: Rights;
  /** The version of the rights by which the ways were found. */
  private version: number;
  /** True when none of them has anything that an ordinary message must pass. */
  private ordinary: boolean;

  /** Throws what `resolve` throws: a composite is refused as a whole. */
  constructor(addresses: readonly Address[], resolve: Resolve, rights: Rights = UNCHANGING) {
    this.addresses = addresses;
    this.resolve = resolve;
    this.rights = rights;
    this.version = rights.version;
    this.admissions = addresses.map(resolve);
    this.destinations = this.admissions.map(({ destination }) => destination);
    this.ordinary = this.admissions.every(({ ordinary }) => ordinary);
  }

  /**
   * Hands a message to every destination; returns a closed gate at which the sender has to wait, if any. Throws
   * BrokerError when one of them does not take it: then none has it. `checked`: all that is carried out with this one
   * was let pass by `check` in the same turn, and nothing is refused any more.
   */
  publish(message: Message, sender: unknown, checked = false): Gate | undefined {
    const destinations = this.destinations;
    this.published++;
    // Before anybody has the message, so that a composite is refused as a whole.
    if (destinations.length > 1 || destinations[0]?.deleted === true || this.version !== this.rights.version) {
      this.renewAll();
    }
    if (!this.ordinary || (message.traits & SPECIAL_TRAITS) !== 0) {
      if (!checked) this.check(message);
      return this.carryOut(message, sender);
    }
    let closed: Gate | undefined;
    for (let i = 0; i < destinations.length; i++) {
      const destination = destinations[i];
      if (destination === undefined) continue;
      const gate = destination instanceof Queue ? destination.publish(message) : destination.publish(message, sender);
      closed = gate ?? closed;
    }
    return closed;
  }

  /** Throws BrokerError when the message cannot be published any more, or may not. Publishes nothing. */
  check(message: Message): void {
    this.renewAll();
    if (this.ordinary && (message.traits & SPECIAL_TRAITS) === 0) return;
    for (const admission of this.admissions) admission.check(message);
  }

  /** Whether a destination is one of those it leads to. */
  leadsTo(destination: Destination): boolean {
    return this.destinations.includes(destination);
  }

  /** Throws BrokerError when there is no way any more to one of the addresses, or no right to go there. */
  checkRights(): void {
    this.renewAll();
  }

  /** Whether anybody would get a message that is published now. Throws what `resolve` throws. */
  reaches(message: Message): boolean {
    this.renewAll();
    return this.destinations.some((destination) => destination instanceof Queue || destination.reaches(message));
  }

  private carryOut(message: Message, sender: unknown): Gate | undefined {
    const { admissions } = this;
    let closed: Gate | undefined;
    for (const admission of admissions) {
      closed = admission.publish(message, sender, admissions.length === 1) ?? closed;
    }
    return closed;
  }

  /** Looks up again what was deleted meanwhile; all of it, when rights may be others. Throws what `resolve` throws. */
  private renewAll(): void {
    const { version } = this.rights;
    for (const [index, destination] of this.destinations.entries()) {
      if (destination.deleted || this.version !== version) this.renew(index);
    }
    this.version = version;
  }

  private renew(index: number): void {
    const address = this.addresses[index];
    if (address === undefined) throw new RangeError(`A route of ${this.addresses.length} has no destination ${index}`);
    const admission = this.resolve(address);
    this.admissions[index] = admission;
    this.destinations[index] = admission.destination;
    this.ordinary = this.admissions.every(({ ordinary }) => ordinary);
  }
}
