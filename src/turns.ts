import { performance } from "node:perf_hooks";

/** How long one turn may take, in milliseconds. */
const TURN_MS = 2;

/** What long work comes to, and how long it kept everybody else waiting in all. */
export interface Worked<T> {
  readonly result: T;
  readonly ms: number;
}

/**
 * Does long work that pauses where others may have their turn, after each short piece of it: as many pieces at once as make
 * a short turn. What is done within the first turn is done before this returns.
 */
export function inTurns<T>(work: Generator<undefined, T, undefined>): Promise<Worked<T>> {
  let ms = 0;
  const turn = (): { result: T } | undefined => {
    const began = performance.now();
    for (;;) {
      const { done, value } = work.next();
      const now = performance.now();
      if (done !== true && now - began < TURN_MS) continue;
      // What is longer by far was spent by others that the machine is shared with.
      ms += Math.min(now - began, 2 * TURN_MS);
      return done === true ? { result: value } : undefined;
    }
  };
  return new Promise((resolve, reject) => {
    const goOn = (): void => {
      try {
        const end = turn();
        if (end === undefined) setImmediate(goOn);
        else resolve({ ...end, ms });
      } catch (error) {
        reject(error);
      }
    };
    goOn();
  });
}
