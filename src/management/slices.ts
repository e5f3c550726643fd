import { inTurns, type Work } from "../turns.ts";

/** Items between two looks at how long it takes. */
const AT_ONCE = 64;

/**
 * What there is in something long, gathered in short turns between which the broker goes on with its work: at most so many
 * that are wanted. Undefined stands for what was looked at in vain.
 */
export async function gather<T>(
  items: Iterable<T | undefined>,
  most: number,
  wanted: (item: T) => boolean = () => true,
): Promise<T[]> {
  const { result } = await inTurns(gathering(items, most, wanted));
  return result;
}

function* gathering<T>(items: Iterable<T | undefined>, most: number, wanted: (item: T) => boolean): Work<T[]> {
  const found: T[] = [];
  let looked = 0;
  if (most <= 0) return found;
  for (const item of items) {
    if (++looked % AT_ONCE === 0) yield undefined;
    if (item === undefined || !wanted(item)) continue;
    if (found.push(item) >= most) break;
  }
  return found;
}
