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
