import type { Address } from "./address.ts";
import type { Gate } from "./gate.ts";
import type { Message } from "./message.ts";
import { Queue } from "./queue.ts";
import type { Topic } from "./topic.ts";

export type Destination = Queue | Topic;

/** Finds or makes the destination of an address, if the client may send there. */
export type Resolve = (address: Address) => Destination;

/** Where a client's sends to given addresses go. Found once and used for every message, until a destination is deleted. */
export class Route {
  readonly addresses: readonly Address[];
  private readonly resolve: Resolve;
  private destinations: Destination[];

  /** Throws what `resolve` throws: a composite is refused as a whole. */
  constructor(addresses: readonly Address[], resolve: Resolve) {
    this.addresses = addresses;
    this.resolve = resolve;
    this.destinations = addresses.map(resolve);
  }

  /** Hands a message to every destination; returns a closed gate at which the sender has to wait, if any. */
  publish(message: Message, sender: unknown): Gate | undefined {
    const destinations = this.destinations;
    // Before anybody has the message, so that a composite is refused as a whole.
    if (destinations.length > 1) this.renewAll();
    let closed: Gate | undefined;
    for (let i = 0; i < destinations.length; i++) {
      let destination = destinations[i];
      if (destination === undefined) continue;
      if (destination.deleted) destination = this.renew(i);
      const gate = destination instanceof Queue ? destination.publish(message) : destination.publish(message, sender);
      closed = gate ?? closed;
    }
    return closed;
  }

  /** Looks up again what was deleted meanwhile. Throws what `resolve` throws. */
  renewAll(): void {
    for (const [index, destination] of this.destinations.entries()) {
      if (destination.deleted) this.renew(index);
    }
  }

  private renew(index: number): Destination {
    const address = this.addresses[index];
    if (address === undefined) throw new RangeError(`A route of ${this.addresses.length} has no destination ${index}`);
    const destination = this.resolve(address);
    this.destinations[index] = destination;
    return destination;
  }
}
