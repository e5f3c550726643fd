/**
 * A LIKE pattern: the pieces between its "%". Each is a list of UTF-16 units, `ANY` for "_", which is one whole
 * character even where that takes two units.
 */
export type LikePattern = readonly Piece[];
type Piece = readonly number[];

const ANY = -1;
const NONE = -1;

/** Reads a pattern; undefined if it ends in the middle of an escape. What follows an escape stands for itself. */
export function parseLike(text: string, escape: string | undefined): LikePattern | undefined {
  let piece: number[] = [];
  const pieces = [piece];
  let escaped = false;
  for (const character of text) {
    if (!escaped && character === escape) {
      escaped = true;
    } else if (!escaped && character === "%") {
      piece = [];
      pieces.push(piece);
    } else {
      if (!escaped && character === "_") piece.push(ANY);
      else for (let at = 0; at < character.length; at++) piece.push(character.charCodeAt(at));
      escaped = false;
    }
  }
  return escaped ? undefined : pieces;
}

/**
 * Whether a text is like the pattern. Each piece is looked for once, from where the one before it ended, and never
 * looked for again further on: no pattern costs more than its length times the text's.
 */
export function likeMatcher(pattern: LikePattern): (text: string) => boolean {
  const first = pattern[0] ?? [];
  const last = pattern.at(-1) ?? [];
  const middle = pattern.slice(1, -1).filter((piece) => piece.length > 0);
  const head = literal(first);
  const tail = literal(last);
  if (pattern.length === 1)
    return head === undefined ? (text) => endAt(first, text, 0) === text.length : (text) => text === head;
  if (head !== undefined && tail !== undefined) {
    const [inner] = middle;
    if (inner === undefined) return edges(head, tail);
    const needle = literal(inner);
    if (middle.length === 1 && head === "" && tail === "" && needle !== undefined)
      return (text) => text.includes(needle);
  }
  const finders = middle.map(finder);
  return (text) => {
    let from = endAt(first, text, 0);
    for (let at = 0; at < finders.length && from !== NONE; at++) from = finders[at]?.(text, from) ?? NONE;
    return from !== NONE && startAtEnd(last, text) >= from;
  };
}

function edges(head: string, tail: string): (text: string) => boolean {
  if (tail === "") return (text) => text.startsWith(head);
  if (head === "") return (text) => text.endsWith(tail);
  const least = head.length + tail.length;
  return (text) => text.length >= least && text.startsWith(head) && text.endsWith(tail);
}

/** Finds the first place at or after `from` and answers where it ends. */
function finder(piece: Piece): (text: string, from: number) => number {
  const needle = literal(piece);
  if (needle !== undefined) {
    return (text, from) => {
      const start = text.indexOf(needle, from);
      return start === -1 ? NONE : start + needle.length;
    };
  }
  return (text, from) => {
    for (let start = from; start < text.length; start = after(text, start)) {
      const end = endAt(piece, text, start);
      if (end !== NONE) return end;
    }
    return NONE;
  };
}

function literal(piece: Piece): string | undefined {
  return piece.includes(ANY) ? undefined : piece.map((unit) => String.fromCharCode(unit)).join("");
}

function endAt(piece: Piece, text: string, start: number): number {
  let at = start;
  for (let index = 0; index < piece.length; index++) {
    if (at >= text.length) return NONE;
    if (piece[index] === ANY) at = after(text, at);
    else if (piece[index] === text.charCodeAt(at)) at++;
    else return NONE;
  }
  return at;
}

function startAtEnd(piece: Piece, text: string): number {
  let at = text.length;
  for (let index = piece.length - 1; index >= 0; index--) {
    if (at <= 0) return NONE;
    if (piece[index] === ANY) at = before(text, at);
    else if (piece[index] === text.charCodeAt(at - 1)) at--;
    else return NONE;
  }
  return at;
}

function after(text: string, at: number): number {
  return isHigh(text.charCodeAt(at)) && isLow(text.charCodeAt(at + 1)) ? at + 2 : at + 1;
}

function before(text: string, at: number): number {
  return isLow(text.charCodeAt(at - 1)) && isHigh(text.charCodeAt(at - 2)) ? at - 2 : at - 1;
}

function isHigh(unit: number): boolean {
  return unit >= 0xd800 && unit <= 0xdbff;
}

function isLow(unit: number): boolean {
  return unit >= 0xdc00 && unit <= 0xdfff;
}
