/*
 * A browser looks at a queue's messages and leaves them as they are: each that is there, whoever has it, in the order of
 * priorities and sequences. It stands in each band at a node; what lies in memory is shown from there, and a piece of a
 * range is read from the store by itself, so that a browser brings nothing into the queue's memory. What was shown is
 * known by its sequence: whatever happens to the list meanwhile, nothing is shown twice.
 */
import { type Band, Cursor } from "./band.ts";
import type { Engine } from "../engine.ts";
import type { Entry, Range } from "./entry.ts";
import type { Message } from "../message.ts";
import type { Delivery } from "../protocol.ts";
import type { Queue } from "./queue.ts";
import type { Selector } from "../selector/selector.ts";
import type { Subscription } from "../subscription.ts";

/** Nodes looked at in one go, so that a turn stays short. */
const STEPS = 4096;
/** Bytes read from the store at a time. */
const PIECE_BYTES = 256 * 1024;

export interface BrowseOptions {
  /** Whether it is over when everything was seen that was there when it began; otherwise it goes on with what comes. */
  readonly end: boolean;
  /** Where it begins; 0 is at the front. */
  readonly fromSequence: number;
}

/** A message as a browser sees it. There is nothing to settle. */
class Sighting implements Delivery {
  readonly message: Message;
  readonly size: number;
  readonly deliveries: number;
  readonly sequence: number;

  constructor(message: Message, deliveries: number, sequence: number) {
    this.message = message;
    this.size = message.size;
    this.deliveries = deliveries;
    this.sequence = sequence;
  }
}

/** How far a browser is in one band. */
class View {
  readonly band: Band;
  readonly cursor: Cursor;
  /** The lowest sequence not yet shown. */
  from: number;
  /** Read from the store, and how many of them were shown. */
  pieces: Sighting[] = [];
  shown = 0;
  loading = false;

  constructor(band: Band, from: number) {
    this.band = band;
    this.cursor = new Cursor(band);
    this.from = from;
  }
}

/** One subscription that browses one queue. */
export class Browser {
  /** True once everything was seen that was to be seen. */
  finished = false;
  readonly queue: Queue;
  readonly subscription: Subscription;
  private readonly engine: Engine;
  private readonly selector: Selector | undefined;
  /** The last sequence to show. */
  private readonly until: number;
  private readonly fromSequence: number;
  /** Highest priority first. */
  private readonly views: View[];
  private pumping = false;
  private pumpsLater = false;
  private closed = false;

  constructor(
    queue: Queue,
    engine: Engine,
    subscription: Subscription,
    { end, fromSequence, selector }: BrowseOptions & { readonly selector: Selector | undefined },
    bands: readonly Band[],
  ) {
    this.queue = queue;
    this.engine = engine;
    this.subscription = subscription;
    this.selector = selector;
    this.fromSequence = fromSequence;
    this.until = end ? queue.lastSequence : Number.POSITIVE_INFINITY;
    this.views = bands.map((band) => new View(band, fromSequence));
  }

  /** Whether there is nothing left to look at now. */
  get idle(): boolean {
    return this.finished || this.next() === undefined;
  }

  /** The queue has one more band. */
  widen(band: Band): void {
    const at = this.views.findIndex((view) => view.band.priority < band.priority);
    this.views.splice(at < 0 ? this.views.length : at, 0, new View(band, this.fromSequence));
  }

  /** Looks from the front of what is left, which was put there anew; what was shown is not shown again. */
  rewind(): void {
    for (const { band, cursor } of this.views) cursor.moveTo(band.backlog.first);
  }

  /** A message came: shown at once, or waited at. */
  offer(band: Band, entry: Entry): void {
    if (entry.sequence > this.until) return;
    const view = this.views.find((candidate) => candidate.band === band);
    if (view?.cursor.position === band.tail) view.cursor.moveTo(entry);
    this.pump();
  }

  /** Shows what it can, while the subscriber takes it. */
  pump(): void {
    if (this.pumping || this.closed || this.finished) return;
    this.pumping = true;
    try {
      let steps = 0;
      while (this.subscription.receptive && !this.finished && !this.closed) {
        if (++steps > STEPS) {
          this.pumpLater();
          return;
        }
        const view = this.next();
        if (view === undefined) this.end();
        else if (view.loading) return;
        else this.step(view);
        if (view === undefined) return;
      }
    } finally {
      this.pumping = false;
    }
  }

  /** It is of no use any more. */
  close(): void {
    if (this.closed) return;
    this.closed = true;
    for (const { cursor } of this.views) cursor.close();
    this.queue.endBrowser(this);
  }

  /** The first band in which there is something to look at. */
  private next(): View | undefined {
    return this.views.find((view) => {
      const { position } = view.cursor;
      return (
        view.shown < view.pieces.length ||
        view.loading ||
        (position.kind !== "end" && Math.max(position.sequence, view.from) <= this.until)
      );
    });
  }

  private end(): void {
    if (this.until === Number.POSITIVE_INFINITY) return;
    this.finished = true;
    this.subscription.browsed();
  }

  private step(view: View): void {
    const { cursor } = view;
    const piece = view.pieces[view.shown];
    if (piece !== undefined) {
      if (++view.shown === view.pieces.length) {
        view.pieces = [];
        view.shown = 0;
      }
      this.show(view, piece.sequence, piece.message, piece.deliveries);
      return;
    }
    const node = cursor.position;
    if (node.kind === "end") return;
    if (node.kind === "range") {
      if (node.to < view.from) cursor.moveTo(node.next);
      else this.read(view, Math.max(node.sequence, view.from), this.endOf(node));
      return;
    }
    if (node.sequence < view.from) {
      cursor.moveTo(node.next);
      return;
    }
    if (node.message === undefined) {
      this.read(view, node.sequence, node.sequence);
      return;
    }
    const { sequence, message, deliveries } = node;
    cursor.moveTo(node.next);
    this.show(view, sequence, message, deliveries);
  }

  private endOf(range: Range): number {
    return Math.min(range.to, this.until);
  }

  private show(view: View, sequence: number, message: Message, deliveries: number): void {
    if (sequence < view.from) return;
    view.from = sequence + 1;
    if (sequence > this.until) return;
    if (message.expiresAt !== 0 && message.expiresAt <= this.engine.clock.now()) return;
    if (this.selector?.matches(message) === false) return;
    const { subscription } = this;
    const told = subscription.settling || subscription.details;
    subscription.take(message, told ? new Sighting(message, deliveries, sequence) : undefined, deliveries);
  }

  private read(view: View, from: number, to: number): void {
    const { store } = this.engine;
    const { key } = view.band.backlog;
    view.loading = true;
    store.load(key, from, to, PIECE_BYTES, ({ entries, next }) => {
      view.loading = false;
      if (this.closed || this.queue.deleted) return;
      for (const loaded of entries) {
        const { sequence, message, deliveries } = loaded;
        view.pieces.push(new Sighting(message, deliveries, sequence));
        store.release(key, { ...loaded, batch: -1 });
      }
      // What was not there any more is passed over.
      if (entries.length === 0) view.from = Math.max(view.from, next ?? to + 1);
      this.pump();
    });
  }

  private pumpLater(): void {
    if (this.pumpsLater) return;
    this.pumpsLater = true;
    this.engine.clock.after(0, () => {
      this.pumpsLater = false;
      this.pump();
    });
  }
}
