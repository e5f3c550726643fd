/*
 * Lists in pages. What there is may be very many, so work is done for what is on the page:
 *
 *     all -> filter (q) -> order (o) -> one page (p, ps) -> its fields (f) -> JSON
 *
 * In the order of names, which is how they come if nobody asks for another one, a page of a directory is found without
 * looking at the others. A filter looks at all of them, and so does an order, at one value of each; both in short turns,
 * between which the broker goes on with its work. Rows are built for the page only.
 */
import { type TObject, type TSchema, Type } from "typebox";
import type { PropertyValue } from "../../core/message.ts";
import type { ReadonlyDirectory } from "../../core/routing/directory.ts";
import { inTurns, type Work } from "../turns.ts";
import { type OrderColumn, selectRange } from "./order.ts";
import { RowFilter, unknownField } from "./row-filter.ts";
import { gather } from "./slices.ts";

/** Rows between two looks at how long it takes: selectors may cost much. */
const AT_ONCE = 16;
const PAGE_SIZE = 100;
const MOST_ROWS = 1000;

/** One column: what it holds, and how it is read. */
export interface Field<T> {
  readonly schema: TSchema;
  readonly read: (item: T) => unknown;
}

/** The query of a list. */
export const PageQuery = Type.Object(
  {
    f: Type.Optional(
      Type.Array(Type.String(), {
        maxItems: 100,
        description: "Fields to show, all if absent; may come several times.",
      }),
    ),
    q: Type.Optional(
      Type.String({
        maxLength: 4096,
        description: "A selector over the fields, such as messages > 0 AND name LIKE 'a%'.",
      }),
    ),
    o: Type.Optional(
      Type.Array(Type.String(), {
        maxItems: 8,
        description: "Fields to order by, each with a minus before it for the other way round; may come several times.",
      }),
    ),
    p: Type.Integer({ default: 0, minimum: 0, maximum: 1_000_000_000, description: "The page, from 0." }),
    ps: Type.Integer({ default: PAGE_SIZE, minimum: 1, maximum: MOST_ROWS, description: "Rows on a page." }),
  },
  { additionalProperties: false },
);

/** What is asked of a list. */
export interface PageRequest {
  readonly f?: readonly string[];
  readonly q?: string;
  readonly o?: readonly string[];
  readonly p: number;
  readonly ps: number;
}

/** A page of a list. */
export interface Page {
  readonly page: number;
  readonly page_size: number;
  readonly total_pages: number;
  readonly total_rows: number;
  readonly items: readonly Readonly<Record<string, unknown>>[];
}

/** What can be listed: a directory, or anything else of a known size. */
export type Source<T> =
  | ReadonlyDirectory<T>
  | { readonly size: number; values(): Iterable<T>; readonly inOrder?: undefined };

interface Order<T> {
  readonly name: string;
  readonly read: (item: T) => unknown;
  readonly down: boolean;
}

/** A list of one kind of things. */
export class Table<T> {
  /** The schema of a page. */
  readonly page: TSchema;
  /** The schema of a row with all fields. */
  readonly row: TObject;
  private readonly fields: ReadonlyMap<string, Field<T>>;
  private readonly key: string;

  /** `key` is the field by whose values a directory has its entries. */
  constructor(title: string, key: string, fields: Readonly<Record<string, Field<T>>>) {
    this.key = key;
    this.fields = new Map(Object.entries(fields));
    const properties = Object.fromEntries(Object.entries(fields).map(([name, { schema }]) => [name, schema]));
    this.row = Type.Object(properties, { title });
    this.page = Type.Object(
      {
        page: Type.Integer(),
        page_size: Type.Integer(),
        total_pages: Type.Integer(),
        total_rows: Type.Integer({ description: "Rows that the filter lets through, on all pages." }),
        items: Type.Array(Type.Partial(this.row)),
      },
      { title: `${title}Page` },
    );
  }

  /** One row with all its fields. */
  show(item: T): Record<string, unknown> {
    return this.build(item, [...this.fields]);
  }

  /** One page. Throws BrokerError for fields that are not there and for what is no selector. */
  async list(source: Source<T>, request: PageRequest): Promise<Page> {
    const { result } = await inTurns(this.pageOf(source, request));
    return result;
  }

  /**
   * One page of what can only be gone through, and is known to be so many: as far as to the end of the page, unless a filter
   * or an order asks for all of it.
   */
  async listWalk(items: Iterable<T | undefined>, total: number, request: PageRequest): Promise<Page> {
    const { p: page, ps: size, q = "", o = [] } = request;
    const isPlain = q.trim() === "" && o.length === 0;
    const found = await gather(items, isPlain ? Math.min((page + 1) * size, total) : Number.POSITIVE_INFINITY);
    if (!isPlain) return this.list({ size: found.length, values: () => found }, request);
    const rows = found.slice(page * size);
    const { items: shown } = await this.list({ size: rows.length, values: () => rows }, { ...request, p: 0 });
    return { page, page_size: size, total_pages: Math.ceil(total / size), total_rows: total, items: shown };
  }

  private *pageOf(source: Source<T>, { p: page, ps: size, f, q, o }: PageRequest): Work<Page> {
    const fields = this.chosen(f);
    const { items, total } = yield* this.select(source, q, this.orders(o), page * size, size);
    const rows: Record<string, unknown>[] = [];
    for (const item of items) if (rows.push(this.build(item, fields)) % AT_ONCE === 0) yield undefined;
    return { page, page_size: size, total_pages: Math.ceil(total / size), total_rows: total, items: rows };
  }

  private *select(
    source: Source<T>,
    q: string | undefined,
    orders: readonly Order<T>[],
    from: number,
    count: number,
  ): Work<{ readonly items: readonly T[]; readonly total: number }> {
    const [first] = orders;
    const byKey = source.inOrder !== undefined && (first === undefined || first.name === this.key);
    const down = first?.down === true;
    if (q === undefined || q.trim() === "") {
      if (byKey) return { items: yield* pageByKey(source, from, count, down), total: source.size };
      const all = [...source.values()];
      return { items: yield* sorted(all, orders, from, count), total: all.length };
    }
    const values = byKey ? valuesOf(source, yield* source.inOrder()) : source.values();
    const found = yield* this.filter(values, source.size, q);
    if (!byKey) return { items: yield* sorted(found, orders, from, count), total: found.length };
    if (down) found.reverse();
    return { items: found.slice(from, from + count), total: found.length };
  }

  private *filter(items: Iterable<T>, count: number, q: string): Work<T[]> {
    const filter = new RowFilter<T>(q, (item, name) => this.cell(item, name));
    const found: T[] = [];
    let looked = 0;
    for (const item of items) {
      // What comes meanwhile is for the next time.
      if (looked++ === count) break;
      if (looked % AT_ONCE === 0) yield undefined;
      if (filter.matches(item)) found.push(item);
    }
    return found;
  }

  private cell(item: T, name: string): PropertyValue | undefined {
    const value = this.field(name).read(item);
    if (typeof value === "string" || typeof value === "number" || typeof value === "boolean") return value;
    return undefined;
  }

  private field(name: string): Field<T> {
    const field = this.fields.get(name);
    if (field === undefined) throw unknownField(name, [...this.fields.keys()]);
    return field;
  }

  private chosen(names: readonly string[] | undefined): readonly (readonly [string, Field<T>])[] {
    if (names === undefined || names.length === 0) return [...this.fields];
    const wanted = names.flatMap((list) => list.split(","));
    return wanted.map((name) => [name, this.field(name)]);
  }

  private orders(names: readonly string[] | undefined): Order<T>[] {
    return (names ?? [])
      .flatMap((list) => list.split(","))
      .map((text) => {
        const down = text.startsWith("-");
        const name = down ? text.slice(1) : text;
        return { name, down, read: this.field(name).read };
      });
  }

  private build(item: T, fields: readonly (readonly [string, Field<T>])[]): Record<string, unknown> {
    const row: Record<string, unknown> = {};
    for (const [name, { read }] of fields) row[name] = read(item);
    return row;
  }
}

function* pageByKey<T>(source: ReadonlyDirectory<T>, from: number, count: number, down: boolean): Work<T[]> {
  const names = yield* source.inOrder();
  const items: T[] = [];
  for (let place = from; place < Math.min(from + count, names.length); place++) {
    const item = source.get(names[down ? names.length - 1 - place : place] ?? "");
    if (item !== undefined) items.push(item);
  }
  return items;
}

function* valuesOf<T>(source: ReadonlyDirectory<T>, names: readonly string[]): Iterable<T> {
  for (const name of names) {
    const item = source.get(name);
    if (item !== undefined) yield item;
  }
}

function* sorted<T>(all: readonly T[], orders: readonly Order<T>[], from: number, count: number): Work<T[]> {
  if (orders.length === 0) return all.slice(from, from + count);
  const columns: OrderColumn[] = [];
  for (const { read, down } of orders) {
    const values: unknown[] = [];
    for (const item of all) {
      if (values.push(read(item)) % AT_ONCE === 0) yield undefined;
    }
    columns.push({ values, down });
  }
  const places = yield* selectRange(all.length, columns, from, count);
  return Array.from(places, (place) => all[place]).filter((item) => item !== undefined);
}
