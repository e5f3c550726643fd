/** Below this many bytes a loop is faster than the native copy's call. */
const SHORT = 40;

/** Copies `source[start, end)` to `target` at `at`; returns where it ends. */
export function copyBytes(source: Buffer, start: number, end: number, target: Buffer, at: number): number {
  const length = end - start;
  if (length >= SHORT) {
    source.copy(target, at, start, end);
  } else {
    for (let i = 0; i < length; i++) target[at + i] = source[start + i] ?? 0;
  }
  return at + length;
}

/** Whether `data[start, end)` holds these bytes. */
export function sameBytes(known: Buffer, data: Buffer, start: number, end: number): boolean {
  if (known.length !== end - start) return false;
  // Names differ at their ends more often than at their beginnings.
  for (let i = known.length - 1; i >= 0; i--) {
    if (known[i] !== data[start + i]) return false;
  }
  return true;
}
