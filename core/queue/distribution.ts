/*
 * Who is given the messages of a queue, one after the other:
 *
 *     new entry -> offer: whoever waits at the tail is handed it, or waits at it from now on
 *     dispatch  -> the band of the highest priority -> the lane furthest behind -> step: handed on, passed by, or waited at
 *
 * In a queue with message groups only the owner of a message's group takes it; everybody else passes it by.
 */
import type { Band } from "./band.ts";
import type { Bands } from "./bands.ts";
import type { Engine } from "../engine.ts";
import type { Entry } from "./entry.ts";
import type { Lane, Link } from "./lane.ts";
import { type Message, TRAIT } from "../message.ts";
import type { Queue } from "./queue.ts";
import type { Seating } from "./seating.ts";

/** Entries looked at in one go, so that a turn stays short. */
const STEPS = 4096;

/** Hands the messages of one queue to its consumers. */
export class Distribution {
  private readonly queue: Queue;
  private readonly engine: Engine;
  private readonly bands: Bands;
  private readonly seating: Seating;
  private isPaused = false;
  /** True while a client that goes gives back what it had: nothing of it is delivered before all of it is in its place. */
  private isGathering = false;
  private dispatching = false;
  private dispatchesLater = false;
  /** Passes over the bands, counted. */
  private passes = 0;

  constructor(queue: Queue, engine: Engine, bands: Bands, seating: Seating) {
    this.queue = queue;
    this.engine = engine;
    this.bands = bands;
    this.seating = seating;
  }

  get paused(): boolean {
    return this.isPaused;
  }

  get gathering(): boolean {
    return this.isGathering;
  }

  pause(): void {
    this.isPaused = true;
  }

  resume(): void {
    this.isPaused = false;
    this.dispatch();
  }

  /** Delivers nothing until the turn is over; calls `done` before it goes on. */
  gather(done: () => void): void {
    if (this.isGathering) return;
    this.isGathering = true;
    this.engine.clock.endOfTurn(() => {
      this.isGathering = false;
      done();
      this.dispatch();
    });
  }

  /** Serves whoever can be served. */
  dispatch(): void {
    if (this.dispatching || this.isGathering || this.isPaused || this.queue.deleted) return;
    this.dispatching = true;
    let finished = false;
    try {
      finished = this.serve(STEPS);
    } finally {
      this.dispatching = false;
      // In another turn, so that a long search keeps nobody else waiting; and for whom a consumer that threw kept waiting.
      if (!finished) this.dispatchLater();
    }
  }

  /** The same in a turn of its own. */
  dispatchLater(): void {
    if (this.dispatchesLater) return;
    this.dispatchesLater = true;
    this.engine.clock.after(0, () => {
      this.dispatchesLater = false;
      this.dispatch();
    });
  }

  /** What somebody waited for is in memory, or can be given to somebody now. */
  unblock(): void {
    for (const { lanes } of this.bands.all) lanes.unblock();
    this.dispatch();
  }

  /** Gives a new entry to whoever waits for it at the tail, or has them wait there. */
  offer(band: Band, entry: Entry, message: Message): void {
    const { lanes, tail } = band;
    if ((message.traits & TRAIT.grouped) !== 0) {
      if (tail.parked > 0) this.offerGrouped(band, entry, message);
    } else if (tail.parked > 0) {
      const taker = this.straight ? lanes.takerAtTail(message, entry.sequence) : undefined;
      if (taker !== undefined) {
        this.queue.hand(entry, message, taker, false);
        return;
      }
      lanes.parkAt(entry);
    }
    if (this.bands.all.length > 1 || this.seating.stirred) this.dispatch();
  }

  /** Whether a new message may go past nobody: there are no other bands, and nothing is held back. */
  private get straight(): boolean {
    return this.bands.all.length === 1 && !this.isPaused && !this.isGathering;
  }

  /** Only its owner is asked, however many consumers there are. */
  private offerGrouped(band: Band, entry: Entry, message: Message): void {
    const groups = this.seating.grouping();
    const owner = groups.owner(message);
    const draining = owner === "draining";
    // Everybody else passes it where they stand, at the tail: nobody would come to move them on.
    const taker = draining ? groups.heir(message) : owner;
    const lane = taker?.audience?.lanes[band.priority];
    if (taker === undefined || lane === undefined || lane.position !== band.tail) return;
    if (!draining && this.straight && taker.subscription.receptive) {
      this.handGrouped(entry, message, taker);
      return;
    }
    lane.moveTo(entry);
    lane.blocked = draining;
  }

  /** Returns true when there is nobody left who can be served, false when that took too many steps. */
  private serve(maxSteps: number): boolean {
    for (let steps = 0; steps < maxSteps; steps++) {
      if (this.seating.stirred) this.seating.settleDown();
      const lane = this.bands.all.length === 1 ? this.bands.ordinary.lanes.next(0) : this.nextLane();
      if (lane === undefined) return true;
      this.step(lane);
    }
    return false;
  }

  private nextLane(): Lane | undefined {
    const pass = ++this.passes;
    for (const { lanes } of this.bands.all) {
      const lane = lanes.next(pass);
      if (lane !== undefined) return lane;
    }
    return undefined;
  }

  private step(lane: Lane): void {
    const node = lane.position;
    const { backlog, lanes } = lane.band;
    if (node.kind === "range") {
      backlog.loadPiece(node, lanes.all);
      return;
    }
    if (node.kind === "end") return;
    if (node.holder !== undefined) {
      lane.moveTo(node.next);
      return;
    }
    const message = node.message;
    if (message === undefined) {
      lane.blocked = true;
      backlog.fetch(node, () => this.queue.loaded());
      return;
    }
    if (node.hasExpired(this.engine.clock.now())) {
      backlog.expire(node);
      return;
    }
    if ((message.traits & TRAIT.grouped) !== 0) {
      this.stepGrouped(lane, node, message);
      return;
    }
    lane.moveTo(node.next);
    if (!lane.audience.wants(message) || lane.audience.refuses(node.sequence)) return;
    const link = lane.audience.nextReceptive();
    if (link === undefined) {
      lane.moveTo(node);
      return;
    }
    lane.served++;
    try {
      this.queue.hand(node, message, link, false);
    } catch (failure) {
      // Until it asks for more by itself: or it would be handed one message after the other, and fail at each.
      link.subscription.receptive = false;
      throw failure;
    }
  }

  private stepGrouped(lane: Lane, entry: Entry, message: Message): void {
    const owner = this.seating.grouping().owner(message);
    // The first grouped message sets everybody apart: this lane may be gone.
    if (this.seating.stirred) return;
    if (owner === "draining") {
      // Only who gets the group next must not go past it.
      if (this.seating.grouping().heir(message)?.audience === lane.audience) lane.blocked = true;
      else lane.moveTo(entry.next);
      return;
    }
    if (owner?.audience !== lane.audience) {
      lane.moveTo(entry.next);
      return;
    }
    lane.moveTo(entry.next);
    lane.served++;
    try {
      this.handGrouped(entry, message, owner);
    } catch (failure) {
      owner.subscription.receptive = false;
      throw failure;
    }
  }

  private handGrouped(entry: Entry, message: Message, owner: Link): void {
    const key = owner.subscription.settles(message) ? entry : undefined;
    this.queue.hand(entry, message, owner, this.seating.grouping().given(message, owner, key));
  }
}
