/** Items that are looked at before others have their turn. */
const SLICE = 2000;

/**
 * What there is in something long, gathered in slices between which the broker goes on with its work: at most so many that
 * are wanted. Undefined stands for what was looked at in vain.
 */
export async function gather<T>(
  items: Iterable<T | undefined>,
  most: number,
  wanted: (item: T) => boolean = () => true,
): Promise<T[]> {
  const found: T[] = [];
  let looked = 0;
  if (most <= 0) return found;
  for (const item of items) {
    if (++looked % SLICE === 0) await new Promise((resolve) => setImmediate(resolve));
    if (item === undefined || !wanted(item)) continue;
    if (found.push(item) >= most) break;
  }
  return found;
}
