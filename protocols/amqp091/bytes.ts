/** The two bytes at `at` as a number. */
export function readU16(bytes: Uint8Array, at: number): number {
  return ((bytes[at] ?? 0) << 8) | (bytes[at + 1] ?? 0);
}

/** The four bytes at `at` as a number. */
export function readU32(bytes: Uint8Array, at: number): number {
  return readU16(bytes, at) * 0x10000 + readU16(bytes, at + 2);
}

/** The eight bytes at `at` as a number; exact up to 2^53. */
export function readU64(bytes: Uint8Array, at: number): number {
  return readU32(bytes, at) * 0x1_0000_0000 + readU32(bytes, at + 4);
}

/** Writes two bytes; returns where they end. */
export function writeU16(target: Buffer, at: number, value: number): number {
  target[at] = value >>> 8;
  target[at + 1] = value;
  return at + 2;
}

/** Writes four bytes; returns where they end. */
export function writeU32(target: Buffer, at: number, value: number): number {
  target[at] = value >>> 24;
  target[at + 1] = value >>> 16;
  target[at + 2] = value >>> 8;
  target[at + 3] = value;
  return at + 4;
}

/** Writes eight bytes of a number of at most 2^53; returns where they end. */
export function writeU64(target: Buffer, at: number, value: number): number {
  return writeU32(target, writeU32(target, at, Math.floor(value / 0x1_0000_0000)), value >>> 0);
}
