/*
 * Lists as tools for RabbitMQ ask for them:
 *
 *     all -> name (a part of it) -> sort, sort_reverse -> page, page_size -> columns
 *
 * In the order of names, which most ask for, only what is on the page is built; without a page, rows are built while they are
 * sent.
 */
import { type Static, Type } from "typebox";
import { BrokerError } from "../../../core/errors.ts";
import { inTurns } from "../../turns.ts";
import { selectRange } from "../order.ts";
import { gather } from "../slices.ts";
import { longReply, Rows } from "./long-reply.ts";

/** Fields by name. */
export type Row = Readonly<Record<string, unknown>>;

const text = Type.Optional(Type.String({ maxLength: 1024 }));
const MOST_ROWS = 500;

/** The query of a list; what else tools add to it means nothing. */
export const ListQuery = Type.Object({
  name: text,
  use_regex: text,
  sort: text,
  sort_reverse: text,
  columns: text,
  page: Type.Optional(Type.Integer({ minimum: 1 })),
  page_size: Type.Integer({ default: 100, minimum: 1, maximum: MOST_ROWS }),
});

type Query = Static<typeof ListQuery>;

/** One kind of things that are listed. */
export interface Listed<T> {
  readonly name: (item: T) => string;
  readonly show: (item: T) => Row;
}

/** A reply to a list: its rows or, if a page is asked for, that. Throws BrokerError for expressions and pages beyond the last. */
export async function listing<T>(items: Iterable<T>, { name, show }: Listed<T>, query: Query): Promise<unknown> {
  if (query.use_regex === "true" && (query.name ?? "") !== "") {
    throw new BrokerError("bad-request", "Names are not looked for by expressions here; name is a part of them");
  }
  const { name: wanted = "", sort = "", page, page_size: size } = query;
  let total = 0;
  const found = await gather(items, Number.POSITIVE_INFINITY, (item) => {
    total++;
    return wanted === "" || name(item).includes(wanted);
  });
  const down = query.sort_reverse === "true";
  const from = page === undefined ? 0 : (page - 1) * size;
  const to = page === undefined ? found.length : Math.min(from + size, found.length);
  if (page !== undefined && page > 1 && from >= found.length) throw beyond(page, size, found.length);
  const inOrder = sort !== "" || page !== undefined || down;
  const valueOf = sort === "" || sort === "name" ? name : (item: T) => valueAt(show(item), sort);
  const column = { values: inOrder ? await valuesOf(found, valueOf) : [], down };
  const places = inOrder ? (await inTurns(selectRange(found.length, [column], from, to - from))).result : found.keys();
  const rows = shownAt(found, places, (item) => withColumns(show(item), query.columns));
  if (page === undefined) return longReply(new Rows(rows));
  const shown = [...rows];
  return {
    filtered_count: found.length,
    item_count: shown.length,
    items: shown,
    page,
    page_count: Math.ceil(found.length / size),
    page_size: size,
    total_count: total,
  };
}

function beyond(page: number, size: number, length: number): BrokerError {
  return new BrokerError("bad-request", `Page out of range, page: ${page} page size: ${size}, len: ${length}`);
}

/** Rows of a list that is short by its nature. */
export function shortList(rows: readonly Row[], query: Query): Promise<unknown> {
  return listing(rows, { name: (row) => textOf(row["name"]), show: (row) => row }, query);
}

/** The columns of one row that were asked for. */
export function withColumns(row: Row, names: string | undefined): Row {
  if (names === undefined || names === "") return row;
  const chosen: Record<string, unknown> = {};
  for (const path of names.split(",")) put(chosen, path.split("."), valueAt(row, path));
  return chosen;
}

async function valuesOf<T>(items: readonly T[], valueOf: (item: T) => unknown): Promise<unknown[]> {
  const values: unknown[] = [];
  await gather(items, Number.POSITIVE_INFINITY, (item) => values.push(valueOf(item)) < 0);
  return values;
}

function* shownAt<T>(items: readonly T[], places: Iterable<number>, show: (item: T) => Row): Iterable<Row> {
  for (const place of places) {
    const item = items[place];
    if (item !== undefined) yield show(item);
  }
}

function put(row: Record<string, unknown>, [first = "", ...rest]: readonly string[], value: unknown): void {
  if (value === undefined) return;
  if (rest.length === 0) {
    row[first] = value;
    return;
  }
  const inner = row[first];
  const group: Record<string, unknown> = isRow(inner) ? { ...inner } : {};
  row[first] = group;
  put(group, rest, value);
}

function valueAt(row: Row, path: string): unknown {
  let value: unknown = row;
  for (const name of path.split(".")) value = isRow(value) && Object.hasOwn(value, name) ? value[name] : undefined;
  return value;
}

function textOf(value: unknown): string {
  return typeof value === "string" ? value : (JSON.stringify(value) ?? "");
}

function isRow(value: unknown): value is Row {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
