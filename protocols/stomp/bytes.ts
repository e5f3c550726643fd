/** Writes a whole number of at most 16 digits in decimal; returns where it ends. */
export function writeNumber(target: Buffer, at: number, value: number): number {
  let digits = 1;
  for (let bound = 10; value >= bound; bound *= 10) digits++;
  let rest = value;
  for (let i = at + digits - 1; i >= at; i--) {
    const next = Math.floor(rest / 10);
    target[i] = 48 + (rest - next * 10);
    rest = next;
  }
  return at + digits;
}

/** True for the blanks that may stand around a value where a version overlooks them: space, tab, CR. */
export function isBlank(byte: number | undefined): boolean {
  return byte === 32 || byte === 9 || byte === 13;
}

/** The digits in `bytes[start, end)` as a number below 2^53, or -1. Blanks around them are overlooked. */
export function readNumber(bytes: Uint8Array, start: number, end: number): number {
  let from = start;
  let to = end;
  while (from < to && isBlank(bytes[from])) from++;
  while (to > from && isBlank(bytes[to - 1])) to--;
  if (from === to || to - from > 15) return -1;
  let value = 0;
  for (let i = from; i < to; i++) {
    const digit = (bytes[i] ?? 0) - 48;
    if (digit < 0 || digit > 9) return -1;
    value = value * 10 + digit;
  }
  return value;
}
