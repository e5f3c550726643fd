import { writeU32 } from "./bytes.ts";

/** Most bytes of a short string. */
export const MOST_SHORT = 255;

const REPLACEMENT = "\ufffd";
const strictUtf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** The text in `data[start, end)`; undefined when it is not UTF-8. */
export function readText(data: Buffer, start: number, end: number): string | undefined {
  const text = data.toString("utf8", start, end);
  // It stands for what is not UTF-8, unless the text has it itself.
  if (!text.includes(REPLACEMENT)) return text;
  try {
    return strictUtf8.decode(data.subarray(start, end));
  } catch {
    return undefined;
  }
}

/** How much of a text a short string can hold, as a text. */
export function cutShort(text: string): string {
  if (text.length * 3 <= MOST_SHORT || Buffer.byteLength(text) <= MOST_SHORT) return text;
  const bytes = Buffer.from(text);
  let end = MOST_SHORT;
  // Not within a character: the bytes after its first have the form 10xxxxxx.
  while (((bytes[end] ?? 0) & 0xc0) === 0x80) end--;
  return bytes.toString("utf8", 0, end);
}

/** Bytes of a short string with its length. */
export function shortSize(text: string): number {
  return 1 + Buffer.byteLength(text);
}

/** Writes a short string, of at most `MOST_SHORT` bytes, with its length; returns where it ends. */
export function writeShort(target: Buffer, at: number, text: string): number {
  const bytes = target.write(text, at + 1);
  target[at] = bytes;
  return at + 1 + bytes;
}

/** Writes a text as a long string with its length; returns where it ends. */
export function writeLong(target: Buffer, at: number, text: string): number {
  const bytes = target.write(text, at + 4);
  return writeU32(target, at, bytes) + bytes;
}
