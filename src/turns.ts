import { performance } from "node:perf_hooks";

/** How long one turn may take, in milliseconds. */
const TURN_MS = 2;

/** Long work that pauses where others may have their turn, after each short piece of it. */
export type Work<T> = Generator<undefined, T, undefined>;

/** What long work comes to, and how long it kept everybody else waiting in all. */
export interface Worked<T> {
  readonly result: T;
  readonly ms: number;
}

/**
 * Does long work, as many pieces at once as make a short turn. What is done within the first turn is done before this
 * returns.
 */
export function inTurns<T>(work: Work<T>): Promise<Worked<T>> {
  let ms = 0;
  return new Promise((resolve, reject) => {
    const goOn = (): void => {
      const began = performance.now();
      try {
        const end = turn(work, began);
        // What is longer by far was spent by others that the machine is shared with.
        ms += Math.min(performance.now() - began, 2 * TURN_MS);
        if (end === undefined) setImmediate(goOn);
        else resolve({ ...end, ms });
      } catch (error) {
        reject(error);
      }
    };
    goOn();
  });
}

/** The turns of long work, for who takes what each of them has made: between two of them others have theirs. */
export async function* turnsOf(work: Work<void>): AsyncGenerator<undefined, void, undefined> {
  while (turn(work, performance.now()) === undefined) {
    yield undefined;
    await new Promise((resolve) => setImmediate(resolve));
  }
}

function turn<T>(work: Work<T>, began: number): { readonly result: T } | undefined {
  for (;;) {
    const { done, value } = work.next();
    if (done === true) return { result: value };
    if (performance.now() - began >= TURN_MS) return undefined;
  }
}
