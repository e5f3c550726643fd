import { Backlog, type BacklogListener } from "./backlog.ts";
import type { Engine } from "../engine.ts";
import type { End, Entry, ListNode } from "./entry.ts";
import { type Audience, Lane, Lanes } from "./lane.ts";
import type { Message } from "../message.ts";
import type { Queue } from "./queue.ts";

/** Somebody who looks through a band without taking part in the distribution: a browser, a walk. */
export class Cursor {
  readonly band: Band;
  position: ListNode;

  constructor(band: Band) {
    this.band = band;
    this.position = band.backlog.first;
    this.position.parked++;
    band.cursors.add(this);
  }

  moveTo(node: ListNode): void {
    this.position.parked--;
    node.parked++;
    this.position = node;
  }

  close(): void {
    if (this.band.cursors.delete(this)) this.position.parked--;
  }
}

/** The messages of one priority in a queue, in their order, and how far everybody is in them. */
export class Band implements BacklogListener {
  readonly queue: Queue;
  /** The messages' priority; that of most queues has 4 alone. */
  readonly priority: number;
  readonly backlog: Backlog;
  readonly tail: End;
  readonly lanes: Lanes;
  readonly cursors = new Set<Cursor>();
  private readonly engine: Engine;
  /** Where the messages begin that may make room for newer ones: those before are held. From the first that did on. */
  private front: Cursor | undefined = undefined;

  /** `audiences` are those that are there already: they begin at the front. */
  constructor(queue: Queue, engine: Engine, priority: number, audiences: readonly Audience[]) {
    this.queue = queue;
    this.engine = engine;
    this.priority = priority;
    const { memoryBytes, lastValueKey } = queue.policy;
    this.backlog = new Backlog(engine, this, {
      memoryBytes,
      keepsEntries: lastValueKey !== undefined,
      finishes: queue.finishes,
    });
    this.tail = this.backlog.tail;
    this.lanes = new Lanes(this.tail);
    for (const audience of audiences) this.open(audience);
  }

  /** Lets an audience in, at the front. */
  open(audience: Audience): void {
    const lane = new Lane(audience, this, this.backlog.first);
    audience.lanes[this.priority] = lane;
    this.lanes.add(lane);
  }

  /** Lets an audience go. */
  close(audience: Audience): void {
    const lane = audience.lanes[this.priority];
    if (lane === undefined) return;
    audience.lanes[this.priority] = undefined;
    this.lanes.remove(lane);
  }

  /** Forgets everything in it, without a word to the store. Nothing of it may be held. */
  clear(): void {
    this.lanes.moveAllTo(this.tail);
    for (const cursor of this.cursors) cursor.moveTo(this.tail);
    this.backlog.clear();
  }

  /** Whoever has passed anything goes back to the front. */
  rewindAll(): void {
    this.lanes.moveAllTo(this.backlog.first);
  }

  /** The first entry that nobody holds, read back if it must be; undefined when there is none, or not yet. */
  oldestFree(): Entry | undefined {
    this.front ??= new Cursor(this);
    const { front } = this;
    for (;;) {
      const { position } = front;
      if (position.kind === "end") return undefined;
      if (position.kind === "range") {
        if (!position.loading) this.backlog.loadPiece(position, this.lanes.all);
        if (position.loading) return undefined;
      } else {
        if (position.holder === undefined) return position;
        front.moveTo(position.next);
      }
    }
  }

  /** Whether what `oldestFree` has come to is being read. */
  get reads(): boolean {
    return this.front?.position.kind === "range";
  }

  /** Whoever stands at the tail waits at the entry that was put there, but for those who refused it. */
  wait(entry: Entry): void {
    this.lanes.parkAt(entry);
    this.noteFree(entry);
  }

  /** An entry was added that nobody holds. */
  noteFree(entry: Entry): void {
    if (this.front?.position === this.tail) this.front.moveTo(entry);
  }

  moved(from: ListNode, to: ListNode): void {
    if (this.lanes.moved(from, to)) this.queue.dispatchLater();
    for (const cursor of this.cursors) if (cursor.position === from) cursor.moveTo(to);
  }

  returned(node: ListNode): void {
    this.lanes.rewind(node);
    const { front } = this;
    if (front !== undefined && node.sequence < front.position.sequence) front.moveTo(node);
  }

  expired(entry: Entry, message: Message | undefined): void {
    this.queue.expired(entry, message);
  }

  damaged(count: number): void {
    this.queue.damaged(count);
  }

  readBack(entry: Entry, message: Message): void {
    this.queue.readBack(entry, message);
  }

  loaded(): void {
    this.queue.loaded();
  }

  grewFresh(): void {
    this.engine.fresh.add(this.queue);
  }

  grewOverfull(): void {
    this.engine.overfull.add(this.queue);
  }
}
