import { crc32 } from "node:zlib";

/** Bytes that the checksum takes at the front of every value. */
export const CHECKSUM_BYTES = 4;

/** Fills in the checksum of a value whose first bytes were left free for it; returns the value. */
export function seal(value: Buffer): Buffer {
  value.writeUInt32LE(crc32(value.subarray(CHECKSUM_BYTES)));
  return value;
}

/** True if the value is as it was sealed. */
export function intact(value: Buffer): boolean {
  return value.length >= CHECKSUM_BYTES && value.readUInt32LE() === crc32(value.subarray(CHECKSUM_BYTES));
}
