/** A timer that can be called off. */
export interface Timer {
  cancel(): void;
}

/** Time and the end of a turn, injected so that a whole broker can run on a virtual clock. */
export interface Clock {
  /** Milliseconds since 1970-01-01T00:00Z. */
  now(): number;
  /** Milliseconds with their fractions, since whenever, that are never set back; if absent, `now` has to do. */
  precise?(): number;
  /**
   * Runs the task once, after all input that is ready in this turn of the event loop has been handled. Tasks that such a
   * task adds belong to the same end: what must leave room for input uses `after`.
   */
  endOfTurn(task: () => void): void;
  /** Runs the task once, `delayMs` from now. */
  after(delayMs: number, task: () => void): Timer;
}

/** The only source of randomness in the core. */
export interface Random {
  /** A fresh name of lower-case letters and digits that nobody can guess. */
  token(): string;
  /** A number from 0 up to, but not, 1. */
  fraction(): number;
}
