/** Bytes of a key of `packs` and `states`: u32 shelf, u48 first sequence. */
const PACK_KEY_BYTES = 10;

/** The key of a queue, a shelf: u32, big-endian so that keys sort as numbers do. */
export function numberKey(number: number): Buffer {
  const key = Buffer.allocUnsafe(4);
  key.writeUInt32BE(number);
  return key;
}

/** The key of a segment: u48. */
export function segmentKey(segment: number): Buffer {
  const key = Buffer.allocUnsafe(6);
  key.writeUIntBE(segment, 0, 6);
  return key;
}

/** The key of a pack and of its state. */
export function packKey(shelf: number, first: number): Buffer {
  const key = Buffer.allocUnsafe(PACK_KEY_BYTES);
  key.writeUInt32BE(shelf);
  key.writeUIntBE(first, 4, 6);
  return key;
}

/** The first sequence in a pack's key. */
export function firstOf(key: Buffer): number {
  return key.readUIntBE(4, 6);
}

/** The key under which a pack is filed for expiry: u32 second, then the pack's key. */
export function expiryKey(second: number, shelf: number, first: number): Buffer {
  const key = Buffer.allocUnsafe(4 + PACK_KEY_BYTES);
  key.writeUInt32BE(second);
  key.writeUInt32BE(shelf, 4);
  key.writeUIntBE(first, 8, 6);
  return key;
}
