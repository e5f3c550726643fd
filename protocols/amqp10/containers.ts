import type { DeliveryState } from "./performatives.ts";

/** Who has a link that outlives its connection; another one of the same name takes it over (amqp10 2.6.1). */
export interface LinkOwner {
  stolen(): void;
}

/** Deliveries that a receiver has not seen settled by their sender, by delivery tag (base64). */
export type Received = Map<string, DeliveryState>;

/** Deliveries remembered of links that are gone, all of them together. */
const MOST_REMEMBERED = 100_000;

/** What connections of one adapter know of each other: containers by name, and their links that outlive connections. */
export class Containers {
  readonly #sole = new Set<string>();
  readonly #connections = new Map<string, number>();
  readonly #owners = new Map<string, LinkOwner>();
  /** The link that went last is at the end. */
  readonly #received = new Map<string, Received>();
  #remembered = 0;

  /** A connection of a container opens; false when it, or one that is there, is to be the only one. */
  enter(container: string, sole: boolean): boolean {
    const count = this.#connections.get(container) ?? 0;
    if (count > 0 && (sole || this.#sole.has(container))) return false;
    this.#connections.set(container, count + 1);
    if (sole) this.#sole.add(container);
    return true;
  }

  leave(container: string): void {
    const count = this.#connections.get(container) ?? 0;
    if (count > 1) {
      this.#connections.set(container, count - 1);
      return;
    }
    this.#connections.delete(container);
    this.#sole.delete(container);
  }

  /** Takes a link over from whoever has it. */
  own(link: string, owner: LinkOwner): void {
    const before = this.#owners.get(link);
    this.#owners.set(link, owner);
    if (before !== owner) before?.stolen();
  }

  disown(link: string, owner: LinkOwner): void {
    if (this.#owners.get(link) === owner) this.#owners.delete(link);
  }

  /** Keeps what was received over a link, to be asked for when its sender comes again. */
  remember(link: string, received: Received): void {
    this.recall(link);
    if (received.size === 0) return;
    this.#received.set(link, received);
    this.#remembered += received.size;
    for (const oldest of this.#received.keys()) {
      if (this.#remembered <= MOST_REMEMBERED) return;
      this.recall(oldest);
    }
  }

  /** What was received over a link before, once. */
  recall(link: string): Received | undefined {
    const received = this.#received.get(link);
    this.#received.delete(link);
    this.#remembered -= received?.size ?? 0;
    return received;
  }
}
