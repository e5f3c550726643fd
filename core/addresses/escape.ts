/*
 * The reversible escape of level names: a character with a meaning of its own is written as "%" and two hex digits for
 * each of its UTF-8 bytes. Reading is lenient: a "%" that begins no such sequence stands for itself.
 */

const controls = `${Array.from({ length: 0x20 }, (_, code) => String.fromCharCode(code)).join("")}\x7f`;

/** The characters that the canonical text of an address escapes inside a level. */
export const canonicalReserved = `.%*#{},${controls}`;

/** Makes the expression that finds what `escape` has to write differently: the characters given, and ambiguous "%". */
export function escapable(reserved: string): RegExp {
  const characters = [...new Set(reserved)]
    .map((character) => `\\u{${character.codePointAt(0)?.toString(16)}}`)
    .join("");
  return new RegExp(`%(?=[0-9A-Fa-f]{2})|[${characters}]`, "gu");
}

/** Writes a level so that `unescape` gives it back and nothing that `what` finds is left in it. */
export function escape(level: string, what: RegExp): string {
  return level.replace(what, percentEncode);
}

const canonicalEscapable = escapable(canonicalReserved);

/** Writes a level as it stands in the canonical text of an address. */
export function escapeCanonical(level: string): string {
  return escape(level, canonicalEscapable);
}

/** Reads a level: sequences of "%XX" that are one UTF-8 character become it, everything else stands for itself. */
export function unescape(text: string): string {
  let at = text.indexOf("%");
  if (at < 0) return text;
  let level = "";
  let from = 0;
  while (at >= 0) {
    const length = sequenceLength(byteAt(text, at));
    const decoded = length === 0 ? undefined : decode(text.slice(at, at + 3 * length), length);
    if (decoded === undefined) {
      at = text.indexOf("%", at + 1);
    } else {
      level += text.slice(from, at) + decoded;
      from = at + 3 * length;
      at = text.indexOf("%", from);
    }
  }
  return level + text.slice(from);
}

/** The two ways of an escape. */
export interface Escape {
  escape(level: string): string;
  unescape(text: string): string;
}

/**
 * The escape of one ASCII character and no other, for names that are to stay as they are: only what it writes itself is read
 * as an escape, so that each text stands for another level.
 */
export function escapeOnly(character: string): Escape {
  const code = percentEncode(character).slice(1);
  const ambiguous = new RegExp(`%(?=(?:25)*${code})|[${character}]`, "g");
  const written = new RegExp(`%25(?=(?:25)*${code})|%${code}`, "g");
  return {
    escape: (level) => level.replace(ambiguous, percentEncode),
    unescape: (text) => text.replace(written, (found) => (found === "%25" ? "%" : character)),
  };
}

function percentEncode(character: string): string {
  return Buffer.from(character).toString("hex").toUpperCase().replace(/../g, "%$&");
}

/** The byte written as "%XX" at a place, or -1. */
function byteAt(text: string, at: number): number {
  const digits = text.slice(at + 1, at + 3);
  return text[at] === "%" && /^[0-9A-Fa-f]{2}$/.test(digits) ? Number.parseInt(digits, 16) : -1;
}

/** How many bytes the UTF-8 character has that begins with this one; 0 if none begins so. */
function sequenceLength(lead: number): number {
  if (lead < 0) return 0;
  if (lead < 0x80) return 1;
  if (lead < 0xc2 || lead > 0xf4) return 0;
  if (lead < 0xe0) return 2;
  return lead < 0xf0 ? 3 : 4;
}

function decode(sequence: string, length: number): string | undefined {
  for (let i = 0; i < length; i++) if (byteAt(sequence, 3 * i) < 0) return undefined;
  try {
    return decodeURIComponent(sequence);
  } catch {
    // Overlong, a surrogate, past U+10FFFF or a wrong continuation byte: not a character, so it stands for itself.
    return undefined;
  }
}
