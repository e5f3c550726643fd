/*
 * Replies that may be of any length are written while they are sent:
 *
 *     rows -> text of some 64 KiB -> socket -> a turn of everybody else -> the next rows
 *
 * A list of all there is takes neither the memory for all of it nor the event loop for long.
 */
import { Readable } from "node:stream";
import { setImmediate } from "node:timers/promises";
import type { Row } from "./listing.ts";

const CHUNK_CHARACTERS = 64 * 1024;
/** Values that are looked at before others have their turn, however few of them make a row. */
const SLICE = 2000;

/** Rows that are not there yet; undefined stands for what was looked at in vain. */
export class Rows {
  readonly items: Iterable<Row | undefined>;

  constructor(items: Iterable<Row | undefined>) {
    this.items = items;
  }
}

/** JSON of rows, or of an object some of whose fields are rows; to be sent as it is. */
export function longReply(value: Rows | Readonly<Record<string, unknown>>): Readable {
  return Readable.from(chunks(value instanceof Rows ? listText(value) : objectText(value)), { objectMode: false });
}

async function* chunks(parts: Iterable<string>): AsyncIterable<string> {
  let chunk = "";
  let looked = 0;
  for (const part of parts) {
    chunk += part;
    if (chunk.length < CHUNK_CHARACTERS && ++looked % SLICE !== 0) continue;
    if (chunk !== "") yield chunk;
    chunk = "";
    await setImmediate();
  }
  yield chunk;
}

function* listText({ items }: Rows): Iterable<string> {
  let separator = "[";
  for (const row of items) {
    if (row === undefined) {
      yield "";
      continue;
    }
    yield separator + JSON.stringify(row);
    separator = ",";
  }
  yield separator === "[" ? "[]" : "]";
}

function* objectText(fields: Readonly<Record<string, unknown>>): Iterable<string> {
  let separator = "{";
  for (const [name, value] of Object.entries(fields)) {
    yield `${separator}${JSON.stringify(name)}:`;
    if (value instanceof Rows) yield* listText(value);
    else yield JSON.stringify(value);
    separator = ",";
  }
  yield "}";
}
