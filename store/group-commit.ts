import type { Clock } from "../core/time/clock.ts";
import type { StoreListener } from "../core/store.ts";

/** Writes the batch that just closed; undefined if there was nothing to write. */
export type BatchWriter = (batch: number) => Promise<void> | undefined;

const NOBODY: StoreListener = { durable: () => {}, failed: () => {}, congested: () => {} };

/**
 * Numbers batches and decides when each closes: at the end of a turn in which something was said if none is being
 * written, else as soon as that one is done and the turn is over.
 */
export class GroupCommit {
  gathering = 1;
  durable = 0;
  /** True once a write failed: nothing is written any more. */
  failed = false;
  private readonly clock: Pick<Clock, "endOfTurn">;
  private readonly write: BatchWriter;
  private readonly congestionBytes: number;
  private listener: StoreListener = NOBODY;
  private said = false;
  private turnEnds = false;
  private writing = false;
  private draining: (() => void) | undefined = undefined;
  private gatheringBytes = 0;
  private writingBytes = 0;
  private congested = false;

  constructor(clock: Pick<Clock, "endOfTurn">, congestionBytes: number, write: BatchWriter) {
    this.clock = clock;
    this.congestionBytes = congestionBytes;
    this.write = write;
  }

  /** From now on this listener is told. */
  listen(listener: StoreListener): void {
    this.listener = listener;
  }

  /** Bytes said but not yet written. */
  get pendingBytes(): number {
    return this.gatheringBytes + this.writingBytes;
  }

  /** Something was said that belongs to the gathering batch; it adds (or, negative, takes back) bytes to be written. */
  say(bytes: number): void {
    this.said = true;
    this.gatheringBytes += bytes;
    if (!this.turnEnds) {
      this.turnEnds = true;
      this.clock.endOfTurn(() => {
        this.turnEnds = false;
        this.advance();
      });
    }
    this.weigh();
  }

  /** Ends everything, once; the listener is told why. */
  fail(cause: Error): void {
    if (this.failed) return;
    this.failed = true;
    this.listener.failed(cause);
    this.draining?.();
  }

  /** Closes and writes what gathers without waiting for the turn to end; resolves when nothing is left. */
  async drain(): Promise<void> {
    while (!this.failed && (this.writing || this.said)) {
      const written = new Promise<void>((resolve) => {
        this.draining = resolve;
      });
      this.advance();
      await written;
    }
    this.draining = undefined;
  }

  private advance(): void {
    const open = this.turnEnds && this.draining === undefined;
    if (this.writing || open || !this.said || this.failed) return;
    const batch = this.gathering++;
    this.said = false;
    this.writing = true;
    this.writingBytes = this.gatheringBytes;
    this.gatheringBytes = 0;
    let written: Promise<void> | undefined;
    try {
      written = this.write(batch);
    } catch (error) {
      this.fail(errorOf(error));
      return;
    }
    if (written === undefined) this.finish(batch);
    else void this.await(batch, written);
  }

  private async await(batch: number, written: Promise<void>): Promise<void> {
    try {
      await written;
    } catch (error) {
      this.fail(errorOf(error));
      return;
    }
    this.finish(batch);
  }

  private finish(batch: number): void {
    if (this.failed) return;
    this.writing = false;
    this.writingBytes = 0;
    this.durable = batch;
    this.weigh();
    this.listener.durable(batch);
    this.draining?.();
    this.advance();
  }

  private weigh(): void {
    const bytes = this.gatheringBytes + this.writingBytes;
    if (this.congested ? bytes >= this.congestionBytes / 2 : bytes <= this.congestionBytes) return;
    this.congested = !this.congested;
    this.listener.congested(this.congested);
  }
}

function errorOf(thrown: unknown): Error {
  return thrown instanceof Error ? thrown : new Error(String(thrown));
}
