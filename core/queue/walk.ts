import { type Band, Cursor } from "./band.ts";
import type { Engine } from "../engine.ts";
import { type Entry, NOWHERE } from "./entry.ts";
import type { LossReason } from "../ledger.ts";
import type { Message } from "../message.ts";
import type { Queue } from "./queue.ts";
import type { Selector } from "../selector/selector.ts";

/** Nodes looked at in one go, so that a turn stays short; fewer where a selector takes long, which is looked for now and then. */
const STEPS = 1024;
const STEPS_UNTIMED = 32;
const TURN_MS = 2;
/** How long it waits when it was told to. */
const WAIT_MS = 50;

export interface WalkOptions {
  /** Which messages to visit; all if absent. */
  readonly selector?: Selector | undefined;
  /**
   * Called for each message; what it returns is the reason under which the message leaves the queue, undefined leaves it
   * there, and "wait" has it visited again a little later. May publish to other queues: both are one batch of the store.
   */
  readonly visit: (message: Message, sequence: number) => LossReason | "wait" | undefined;
  /** Messages that leave the queue per second, at most. */
  readonly perSecond?: number | undefined;
  /** Messages that leave the queue, at most. */
  readonly max?: number | undefined;
}

/** Goes once through the messages of a queue that nobody holds, up to the newest one that was there when it began. */
export class Walk {
  /** Messages visited, and those of them that left the queue. */
  seen = 0;
  removed = 0;
  /** Fulfilled when everything was visited, or it was cancelled, or the queue is gone. */
  readonly finished: Promise<{ readonly seen: number; readonly removed: number }>;
  private readonly queue: Queue;
  private readonly engine: Engine;
  private readonly options: WalkOptions;
  private readonly until: number;
  private readonly begun: number;
  private readonly finish: (result: { readonly seen: number; readonly removed: number }) => void;
  private readonly cursors: Cursor[];
  private over = false;
  private waiting = false;
  private going = false;

  constructor(queue: Queue, engine: Engine, options: WalkOptions, bands: readonly Band[]) {
    this.queue = queue;
    this.engine = engine;
    this.options = options;
    this.until = queue.lastSequence;
    this.begun = engine.clock.now();
    this.cursors = bands.map((band) => new Cursor(band));
    const { promise, resolve } = Promise.withResolvers<{ readonly seen: number; readonly removed: number }>();
    this.finished = promise;
    this.finish = resolve;
    this.goOnLater(0);
  }

  cancel(): void {
    if (this.over) return;
    this.over = true;
    for (const cursor of this.cursors) cursor.close();
    this.finish({ seen: this.seen, removed: this.removed });
  }

  /** Goes on, unless it has a reason to wait. */
  goOn(): void {
    // What is read back at once says so while it is being asked for.
    if (this.waiting || this.going || this.over) return;
    this.going = true;
    try {
      this.advance();
    } finally {
      this.going = false;
    }
  }

  private advance(): void {
    const { clock } = this.engine;
    const began = clock.now();
    for (let steps = 0; steps < STEPS && !this.over; steps++) {
      if (steps % STEPS_UNTIMED === STEPS_UNTIMED - 1 && clock.now() - began > TURN_MS) break;
      const cursor = this.next();
      if (cursor === undefined || this.queue.deleted || this.removed >= (this.options.max ?? Infinity)) {
        this.cancel();
        return;
      }
      const waitMs = this.step(cursor);
      if (waitMs === undefined) continue;
      if (waitMs > 0) this.goOnLater(waitMs);
      return;
    }
    if (!this.over) this.goOnLater(0);
  }

  private next(): Cursor | undefined {
    return this.cursors.find(({ position }) => position.kind !== "end" && position.sequence <= this.until);
  }

  /** Returns how long to wait before the next step, 0 for until something was loaded. */
  private step(cursor: Cursor): number | undefined {
    const node = cursor.position;
    const { backlog, lanes } = cursor.band;
    if (node.kind === "range") {
      if (!node.loading) backlog.loadPiece(node, [...lanes.all, cursor]);
      return node.loading ? 0 : undefined;
    }
    if (node.kind === "end") return undefined;
    if (node.holder !== undefined) {
      cursor.moveTo(node.next);
      return undefined;
    }
    if (node.hasExpired(this.engine.clock.now())) {
      backlog.fetch(node, () => backlog.expire(node));
      return undefined;
    }
    if (node.message === undefined) {
      let there = false;
      backlog.fetch(node, () => {
        there = true;
        this.goOnLater(0);
      });
      return there ? undefined : 0;
    }
    return this.visit(cursor, node, node.message);
  }

  private visit(cursor: Cursor, entry: Entry, message: Message): number | undefined {
    if (this.options.selector?.matches(message) === false) {
      cursor.moveTo(entry.next);
      return undefined;
    }
    const pause = this.pause();
    if (pause > 0) return pause;
    const reason = this.options.visit(message, entry.sequence);
    if (reason === "wait") return WAIT_MS;
    this.seen++;
    // What was sent meanwhile may have pushed it out of the queue.
    if (entry.next === NOWHERE) return undefined;
    // Whoever was called may have cancelled the walk.
    if (!this.over) cursor.moveTo(entry.next);
    if (reason === undefined || entry.holder !== undefined) return undefined;
    this.removed++;
    this.queue.take(entry, reason);
    return undefined;
  }

  /** Milliseconds until the next message may leave. */
  private pause(): number {
    const { perSecond } = this.options;
    if (perSecond === undefined) return 0;
    const due = this.begun + (this.removed * 1000) / perSecond;
    return Math.max(0, Math.ceil(due - this.engine.clock.now()));
  }

  private goOnLater(delayMs: number): void {
    if (this.waiting) return;
    this.waiting = true;
    this.engine.clock.after(delayMs, () => {
      this.waiting = false;
      this.goOn();
    });
  }
}
