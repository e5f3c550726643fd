import type { Work } from "../turns.ts";

/** Comparisons between two looks at how long it takes. */
const AT_ONCE = 512;

/** Values to order by, and which way. */
export interface OrderColumn {
  readonly values: readonly unknown[];
  readonly down: boolean;
}

/**
 * The places that come from `from` on, `count` of them, if all are put in order; those that are equal stay as they are. Puts
 * only these in order, so that it takes time for all of them once and not once for each step of a sort.
 */
export function* selectRange(
  size: number,
  columns: readonly OrderColumn[],
  from: number,
  count: number,
): Work<Uint32Array> {
  const places = new Uint32Array(size);
  for (let place = 0; place < size; place++) places[place] = place;
  if (from >= size) return places.subarray(0, 0);
  const compare = comparison(columns);
  const end = Math.min(from + count, size);
  if (from > 0) yield* partition(places, 0, size - 1, from, compare);
  if (end < size) yield* partition(places, from, size - 1, end, compare);
  return places.subarray(from, end).sort(compare);
}

type Compare = (a: number, b: number) => number;

function comparison(columns: readonly OrderColumn[]): Compare {
  return (a, b) => {
    for (const { values, down } of columns) {
      const order = compareValues(values[a], values[b]);
      if (order !== 0) return down ? -order : order;
    }
    return a - b;
  };
}

/** Numbers before texts before all else, false before true; what has no order is equal. */
function compareValues(a: unknown, b: unknown): number {
  if (typeof a === "number" && typeof b === "number") return a < b ? -1 : Number(a > b);
  if (typeof a === "string" && typeof b === "string") return a < b ? -1 : Number(a > b);
  const order = rank(a) - rank(b);
  return order === 0 ? Number(a === true) - Number(b === true) : order;
}

function rank(value: unknown): number {
  if (typeof value === "number") return 0;
  if (typeof value === "string") return 1;
  return typeof value === "boolean" ? 2 : 3;
}

/** Moves places about until the one at `wanted` is the right one, with those that come before it before it (Hoare). */
function* partition(
  places: Uint32Array,
  first: number,
  last: number,
  wanted: number,
  compare: Compare,
): Work<undefined> {
  let compared = 0;
  let low = first;
  let high = last;
  while (low < high) {
    const pivot = places[(low + high) >>> 1] ?? 0;
    let i = low;
    let j = high;
    while (i <= j) {
      for (; compare(places[i] ?? 0, pivot) < 0; i++) if (++compared % AT_ONCE === 0) yield undefined;
      for (; compare(places[j] ?? 0, pivot) > 0; j--) if (++compared % AT_ONCE === 0) yield undefined;
      if (i <= j) {
        const swapped = places[i] ?? 0;
        places[i++] = places[j] ?? 0;
        places[j--] = swapped;
      }
    }
    if (wanted <= j) high = j;
    else if (wanted >= i) low = i;
    else return undefined;
  }
  return undefined;
}
