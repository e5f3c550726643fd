/** The largest number that a variable byte integer holds (mqtt5 1.5.5). */
export const MAX_VARINT = 268_435_455;

/** The two bytes at `at` as a number. */
export function readU16(bytes: Uint8Array, at: number): number {
  return ((bytes[at] ?? 0) << 8) | (bytes[at + 1] ?? 0);
}

/** The four bytes at `at` as a number. */
export function readU32(bytes: Uint8Array, at: number): number {
  return readU16(bytes, at) * 0x10000 + readU16(bytes, at + 2);
}

/** The variable byte integer in `bytes[at, end)`; -1 when it does not end there or has more bytes than it needs. */
export function readVarint(bytes: Uint8Array, at: number, end: number): number {
  let value = 0;
  for (let i = 0; i < 4 && at + i < end; i++) {
    const byte = bytes[at + i] ?? 0;
    value |= (byte & 0x7f) << (7 * i);
    // [MQTT-1.5.5-1]: the fewest bytes, so that the number alone says how many they were.
    if (byte < 0x80) return byte === 0 && i > 0 ? -1 : value;
  }
  return -1;
}

/** Bytes of a variable byte integer. */
export function varintSize(value: number): number {
  if (value < 0x80) return 1;
  if (value < 0x4000) return 2;
  return value < 0x200000 ? 3 : 4;
}

/** Writes two bytes; returns where they end. */
export function writeU16(target: Buffer, at: number, value: number): number {
  target[at] = value >>> 8;
  target[at + 1] = value;
  return at + 2;
}

/** Writes four bytes; returns where they end. */
export function writeU32(target: Buffer, at: number, value: number): number {
  return writeU16(target, writeU16(target, at, value >>> 16), value & 0xffff);
}

/** Writes a number of at most `MAX_VARINT` in the fewest bytes [MQTT-1.5.5-1]; returns where they end. */
export function writeVarint(target: Buffer, at: number, value: number): number {
  let rest = value;
  let to = at;
  while (rest >= 0x80) {
    target[to++] = (rest & 0x7f) | 0x80;
    rest >>>= 7;
  }
  target[to++] = rest;
  return to;
}

/** Whether these bytes are UTF-8 as MQTT wants it: well formed [MQTT-1.5.4-1], without U+0000 [MQTT-1.5.4-2]. */
export function isText(bytes: Uint8Array, start: number, end: number): boolean {
  let at = start;
  while (at < end) {
    const lead = bytes[at] ?? 0;
    if (lead < 0x80) {
      if (lead === 0) return false;
      at++;
    } else {
      const length = sequenceLength(bytes, at, end);
      if (length === 0) return false;
      at += length;
    }
  }
  return true;
}

/** Bytes of the character of more than one byte at `at`; 0 when there is none. */
function sequenceLength(bytes: Uint8Array, at: number, end: number): number {
  const lead = bytes[at] ?? 0;
  const length = lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
  if (lead < 0xc2 || lead > 0xf4 || at + length > end) return 0;
  for (let i = 1; i < length; i++) if (((bytes[at + i] ?? 0) & 0xc0) !== 0x80) return 0;
  const second = bytes[at + 1] ?? 0;
  // Overlong forms, surrogates (U+D800 to U+DFFF), and what is past U+10FFFF.
  if (lead === 0xe0 && second < 0xa0) return 0;
  if (lead === 0xed && second > 0x9f) return 0;
  if (lead === 0xf0 && second < 0x90) return 0;
  if (lead === 0xf4 && second > 0x8f) return 0;
  return length;
}
