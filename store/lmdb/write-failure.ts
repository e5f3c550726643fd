import { statfsSync } from "node:fs";

/** With less than this left, a failed write means a full disk: lmdb says of a write cut short only that it failed. */
const FULL_BYTES = 1024 * 1024;

/** Why nothing can be written any more, in a sentence for the operator. */
export function writeFailure(directory: string, cause: unknown): Error {
  const text = cause instanceof Error ? cause.message : String(cause);
  const hint = "choose another directory with store.directory";
  const sentence = diskFull(directory, text)
    ? `The disk of the data directory ${directory} is full (${text}); make room or ${hint}`
    : `The data directory ${directory} cannot be written to (${text}); see to its disk or ${hint}`;
  return new Error(sentence, { cause });
}

/** True if a failure to write, with this text, comes from a full disk. */
export function diskFull(directory: string, text: string): boolean {
  return /no space left|quota exceeded/i.test(text) || freeBytes(directory) < FULL_BYTES;
}

function freeBytes(directory: string): number {
  try {
    const { bavail, bsize } = statfsSync(directory);
    return bavail * bsize;
  } catch {
    // The directory itself is gone, which is another failure than a full disk.
    return Number.POSITIVE_INFINITY;
  }
}
