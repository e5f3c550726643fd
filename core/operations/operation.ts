import type { Engine } from "../engine.ts";
import type { Gate } from "../memory/gate.ts";
import type { LossReason } from "../ledger.ts";
import type { Message } from "../message.ts";
import type { Queue } from "../queue/queue.ts";
import type { Selector } from "../selector/selector.ts";
import type { Walk } from "../queue/walk.ts";

/** Which messages of a queue an operation is about; without any of these, all that nobody holds. */
export interface Choice {
  readonly selector?: Selector | undefined;
  /** Positions in the queue, as browsers show them. */
  readonly sequences?: ReadonlySet<number> | undefined;
  /** How many at most. */
  readonly max?: number | undefined;
  /** How many in a second at most. */
  readonly perSecond?: number | undefined;
}

/** Why a message that was chosen stayed where it is. */
export type SkipReason =
  /** It is no dead letter, or nothing says where it comes from. */
  | "no-origin"
  /** Where it comes from is not there and may not be made. */
  | "origin-gone"
  /** It comes from the very queue in which it is. */
  | "already-there"
  /** The queue it should go to is full and refuses messages. */
  | "refused";

/** How an operation came to its end. */
export type OperationEnd = "finished" | "cancelled" | "source-deleted" | "target-deleted";

/** What an operation has done. */
export interface OperationResult {
  readonly ended: OperationEnd;
  /** Messages moved, copied or purged. */
  readonly moved: number;
  /** Messages that were chosen and stayed where they are. */
  readonly skipped: ReadonlyMap<SkipReason, number>;
}

/** What becomes of one message: decided, and but for its removal carried out, in the turn in which that is asked. */
export type Step =
  /** It leaves; the gate, if any, is one at which to wait before the next message. */
  | { readonly do: "remove"; readonly reason: LossReason; readonly gate: Gate | undefined }
  /** It stays and counts as done. */
  | { readonly do: "keep"; readonly gate: Gate | undefined }
  | { readonly do: "skip"; readonly why: SkipReason }
  /** There is no room for it until the gate opens. */
  | { readonly do: "wait"; readonly gate: Gate }
  | { readonly do: "end"; readonly ended: OperationEnd };

/**
 * Something done to many messages of one queue, a slice at a time, while everybody else goes on. It comes once to each
 * message that was there when it began; to those that somebody holds at that moment it does nothing.
 */
export class Operation {
  /** Messages moved, copied or purged so far. */
  moved = 0;
  /** Fulfilled at its end, however that came; rejected when a consumer of the target failed to take a message. */
  readonly finished: Promise<OperationResult>;
  private readonly engine: Engine;
  private readonly choice: Choice;
  private readonly step: (message: Message) => Step;
  private readonly walk: Walk;
  private readonly skips = new Map<SkipReason, number>();
  /** Where it waits, or did. */
  private gate: Gate | undefined = undefined;
  private ended = false;
  private readonly resolve: (result: OperationResult) => void;
  private readonly reject: (failure: unknown) => void;

  /** `step` says what becomes of a message; it may publish to other queues. */
  constructor(engine: Engine, source: Queue, choice: Choice, step: (message: Message) => Step) {
    this.engine = engine;
    this.choice = choice;
    this.step = step;
    const { promise, resolve, reject } = Promise.withResolvers<OperationResult>();
    this.finished = promise;
    this.resolve = resolve;
    this.reject = reject;
    const { selector, perSecond } = choice;
    this.walk = source.walk({ selector, perSecond, visit: (message, sequence) => this.visit(message, sequence) });
    void this.walk.finished.then(() => this.end(source.deleted ? "source-deleted" : "finished"));
    if (choice.max === 0 || choice.sequences?.size === 0) this.end("finished");
  }

  /** Messages that were chosen and stayed where they are, so far. */
  get skipped(): number {
    let total = 0;
    for (const count of this.skips.values()) total += count;
    return total;
  }

  /** What is full, while it waits for room: `queue orders`. */
  get waitingOn(): string | undefined {
    return this.gate?.closed === true && !this.ended ? this.gate.subject : undefined;
  }

  /** Stops; what is done stays done. */
  cancel(): void {
    this.end("cancelled");
  }

  private visit(message: Message, sequence: number): LossReason | "wait" | undefined {
    if (this.ended || this.gate?.closed === true) return "wait";
    if (this.choice.sequences?.has(sequence) === false) return undefined;
    let step: Step;
    try {
      step = this.step(message);
    } catch (failure) {
      // The message stays here: whether the target has it nobody knows, and twice is better than not at all.
      this.stop();
      this.reject(failure);
      return "wait";
    }
    return this.count(step);
  }

  private count(step: Step): LossReason | "wait" | undefined {
    if (step.do === "wait") {
      this.gate = step.gate;
      return "wait";
    }
    if (step.do === "end") {
      this.end(step.ended);
      return "wait";
    }
    if (step.do === "skip") {
      this.skips.set(step.why, (this.skips.get(step.why) ?? 0) + 1);
    } else {
      this.moved++;
      this.gate = step.gate;
    }
    const { max, sequences } = this.choice;
    if (this.moved === max || this.moved + this.skipped === sequences?.size) this.end("finished");
    return step.do === "remove" ? step.reason : undefined;
  }

  private end(ended: OperationEnd): void {
    if (this.ended) return;
    this.stop();
    this.resolve({ ended, moved: this.moved, skipped: this.skips });
  }

  private stop(): void {
    this.ended = true;
    // Not in the middle of a visit, of which the walk has still to see the end.
    this.engine.clock.endOfTurn(() => this.walk.cancel());
  }
}
