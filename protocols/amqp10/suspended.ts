import type { Client } from "../../core/client.ts";
import type { Message } from "../../core/message.ts";
import type { Delivery, Outcome } from "../../core/protocol.ts";
import type { Subscription } from "../../core/subscription.ts";
import type { Value } from "./values.ts";

/** A delivery that is sent once more on a link that has come again. */
export interface Resumed {
  /** Who has it in the core: maybe not the last subscription that the link had. */
  readonly holder: Subscription;
  readonly delivery: Delivery | undefined;
  /** Undefined: the receiver has had it and said what it thinks of it; it is only to learn that this is settled. */
  readonly message: Message | undefined;
  readonly tag: number;
  readonly deliveries: number;
}

/** A delivery that its receiver had not settled when the link was detached, and who has it in the core. */
export interface Suspended {
  readonly holder: Subscription;
  readonly delivery: Delivery;
  readonly tag: number;
}

/** A link that was detached without being closed: what it had sent waits for its receiver to come again (amqp10 2.6.13). */
export class SuspendedLink {
  /** The subscription that the link had; it receives nothing more. */
  readonly core: Subscription;
  readonly lastTag: number;
  readonly #client: Client;
  readonly #unsettled: readonly Suspended[];

  constructor(client: Client, core: Subscription, unsettled: readonly Suspended[], lastTag: number) {
    this.#client = client;
    this.core = core;
    this.#unsettled = unsettled;
    this.lastTag = lastTag;
  }

  /** The tags of what waits. */
  get tags(): number[] {
    return this.#unsettled.map(({ tag }) => tag);
  }

  /**
   * The link is there again, and its receiver knows of these deliveries: what has an outcome is settled, what has none is to
   * be sent once more. What the receiver does not know of goes back to its place, as does what cannot be sent.
   */
  resume(known: ReadonlyMap<string, Outcome | undefined>): Resumed[] {
    const resumed: Resumed[] = [];
    for (const { holder, delivery, tag } of this.#unsettled) {
      const key = tagKey(tag);
      const outcome = known.get(key);
      const { message } = delivery;
      if (outcome !== undefined) {
        this.#client.settle(holder, delivery, outcome);
        resumed.push({ holder, delivery: undefined, message: undefined, tag, deliveries: 0 });
      } else if (known.has(key) && message !== undefined) {
        resumed.push({ holder, delivery, message, tag, deliveries: delivery.deliveries });
      } else {
        this.#client.settle(holder, delivery, "failed");
      }
    }
    return resumed;
  }

  /** It is not to come again: everything goes back to its place. */
  end(): void {
    for (const { holder } of this.#unsettled) holder.close();
    this.core.close();
  }
}

/** A delivery tag of the broker's: four bytes. */
export function tagBytes(tag: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(tag);
  return bytes;
}

/** The same as a key. */
export function tagKey(tag: number): string {
  return tagBytes(tag).toString("base64");
}

/** The tags in the unsettled map of an ATTACH, as keys. */
export function tagsOf(unsettled: ReadonlyMap<Value, Value> | undefined): Map<string, Value> {
  const tags = new Map<string, Value>();
  for (const [tag, state] of unsettled ?? []) {
    if (tag instanceof Uint8Array) tags.set(Buffer.from(tag).toString("base64"), state);
  }
  return tags;
}
