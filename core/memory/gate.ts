/** Somebody who stopped sending because a gate was closed. */
export interface GateWaiter {
  /** The gate is open again; called at the end of a turn, once for each `wait`. */
  gateOpened(): void;
}

/**
 * Back-pressure in one place: whatever can fill up has a gate; who finds it closed after a send waits at it and stops
 * reading its socket.
 */
export class Gate {
  /** What is full, for `waiting_on`: `queue orders`. */
  readonly subject: string;
  private isClosed = false;
  private readonly waiters = new Set<GateWaiter>();
  private readonly later: (task: () => void) => void;

  /** `later` runs a task at the end of the turn, so that nobody is resumed in the middle of somebody else's work. */
  constructor(subject: string, later: (task: () => void) => void) {
    this.subject = subject;
    this.later = later;
  }

  get closed(): boolean {
    return this.isClosed;
  }

  get waiting(): number {
    return this.waiters.size;
  }

  close(): void {
    this.isClosed = true;
  }

  open(): void {
    if (!this.isClosed) return;
    this.isClosed = false;
    if (this.waiters.size > 0) this.later(() => this.release());
  }

  wait(waiter: GateWaiter): void {
    this.waiters.add(waiter);
  }

  leave(waiter: GateWaiter): void {
    this.waiters.delete(waiter);
  }

  private release(): void {
    for (const waiter of Array.from(this.waiters)) {
      // The first ones to go on may have filled it up again; the others keep their place.
      if (this.isClosed) return;
      if (this.waiters.delete(waiter)) waiter.gateOpened();
    }
  }
}
