import type { Bands } from "./bands.ts";
import type { Band } from "./band.ts";
import type { Entry } from "./entry.ts";
import type { Holder } from "./lane.ts";
import type { Message } from "../message.ts";
import type { Seating } from "./seating.ts";

/** A delivery that a purge leaves to its holder. */
interface Kept {
  readonly band: Band;
  readonly entry: Entry;
  readonly holder: Holder;
  readonly message: Message;
}

/** The deliveries of a queue that wait for settlement, and who has them. */
export class Holdings {
  private readonly bands: Bands;
  private readonly seating: Seating;
  private held = 0;
  private heldBytes = 0;
  /** While consumers go by the thousand: what everybody held when the first one went. */
  private known: ReadonlyMap<Holder, Entry[]> | undefined = undefined;

  constructor(bands: Bands, seating: Seating) {
    this.bands = bands;
    this.seating = seating;
  }

  /** How many there are. */
  get count(): number {
    return this.held;
  }

  /** Their bytes. */
  get bytes(): number {
    return this.heldBytes;
  }

  hold(entry: Entry, holder: Holder): void {
    entry.holder = holder;
    holder.held++;
    this.held++;
    this.heldBytes += entry.size;
  }

  letGo(entry: Entry, holder: Holder): void {
    entry.holder = undefined;
    holder.held--;
    this.held--;
    this.heldBytes -= entry.size;
    this.seating.settled(entry);
  }

  /** Gives a delivery to another holder. */
  transfer(entry: Entry, to: Holder): void {
    const from = entry.holder;
    if (from === undefined) return;
    from.held--;
    to.held++;
    entry.holder = to;
  }

  /** What somebody who goes holds; `many` when others are likely to go in the same turn. */
  of(holder: Holder, many: boolean): Entry[] {
    if (holder.held === 0) return [];
    if (many) {
      // For all that go in this turn the backlog is looked through but once.
      this.known ??= this.find();
      const known = this.known.get(holder)?.filter((entry) => entry.holder === holder) ?? [];
      if (known.length === holder.held) return known;
    }
    const found: Entry[] = [];
    for (const { backlog } of this.bands.all) {
      for (let node = backlog.first; found.length < holder.held && node.kind !== "end"; node = node.next) {
        if (node.kind === "entry" && node.holder === holder) found.push(node);
      }
    }
    return found;
  }

  /** Those that went are through. */
  forget(): void {
    this.known = undefined;
  }

  /** Takes every delivery from its holder, whose settlement then touches nothing; returns those with a message to keep. */
  letGoOfAll(): Kept[] {
    const all: Kept[] = [];
    for (const band of this.bands.all) {
      const { backlog } = band;
      for (let node = backlog.first; node.kind !== "end"; node = node.next) {
        if (node.kind !== "entry" || node.holder === undefined) continue;
        const holder = node.holder;
        node.holder = undefined;
        if (holder.subscription === undefined) continue;
        const message = backlog.messageOf(node);
        if (message !== undefined) all.push({ band, entry: node, holder, message });
        else this.seating.settled(node);
        holder.held--;
        this.held--;
        this.heldBytes -= node.size;
      }
    }
    return all;
  }

  private find(): Map<Holder, Entry[]> {
    const found = new Map<Holder, Entry[]>();
    let left = this.held;
    for (const { backlog } of this.bands.all) {
      for (let node = backlog.first; left > 0 && node.kind !== "end"; node = node.next) {
        if (node.kind !== "entry" || node.holder?.subscription === undefined) continue;
        left--;
        const known = found.get(node.holder);
        if (known === undefined) found.set(node.holder, [node]);
        else known.push(node);
      }
    }
    return found;
  }
}
