import { SortedNames } from "../sorted-names.ts";
import type { Change, Entry, KeyRange, Table } from "./disk.ts";

/** Changes that lie over a table's keys, the last one of each key. */
export class TableOverlay {
  /** By key in Latin-1, so that the order of keys is the order of bytes. */
  private readonly byName = new Map<string, Change>();
  private readonly names = new SortedNames();

  get size(): number {
    return this.byName.size;
  }

  /** One change for each key. */
  get changes(): Iterable<Change> {
    return this.byName.values();
  }

  /** What is said about a key, given in Latin-1; undefined if nothing is. */
  get(name: string): Change | undefined {
    return this.byName.get(name);
  }

  /** The name is the change's key in Latin-1. */
  set(name: string, change: Change): void {
    if (!this.byName.has(name)) this.names.add(name);
    this.byName.set(name, change);
  }

  /** What is said about keys of a range, in its order. */
  *range({ from, to, backwards = false }: KeyRange): Generator<Change> {
    const [start, end] = [from.toString("latin1"), to.toString("latin1")];
    for (const name of backwards ? this.names.downwards(start, end) : this.names.upwards(start, end)) {
      const change = this.byName.get(name);
      if (change !== undefined) yield change;
    }
  }
}

/** Changes of several batches that are not in the data file yet; a later change of a key replaces an earlier one. */
export class Overlay {
  private readonly tables = new Map<Table, TableOverlay>();

  get empty(): boolean {
    return this.tables.size === 0;
  }

  add(changes: readonly Change[]): void {
    for (const change of changes) {
      let table = this.tables.get(change.table);
      if (table === undefined) {
        table = new TableOverlay();
        this.tables.set(change.table, table);
      }
      table.set(change.key.toString("latin1"), change);
    }
  }

  /** What is said about a key; undefined if nothing is. */
  get(table: Table, key: Buffer): Change | undefined {
    return this.tables.get(table)?.get(key.toString("latin1"));
  }

  /** What is said about a table; undefined if nothing is. */
  of(table: Table): TableOverlay | undefined {
    return this.tables.get(table);
  }

  /** One change for each key. */
  changes(): Change[] {
    return [...this.tables.values()].flatMap(({ changes }) => [...changes]);
  }
}

/** Entries of a range with changes laid over them; costs as much as is read of it. */
export function overlaid(overlay: TableOverlay | undefined, under: Iterable<Entry>, range: KeyRange): Iterable<Entry> {
  return overlay === undefined || overlay.size === 0 ? under : merged(overlay.range(range), under, range.backwards);
}

function* merged(over: Generator<Change>, under: Iterable<Entry>, backwards = false): Generator<Entry> {
  const sign = backwards ? -1 : 1;
  let next = over.next();
  for (const entry of under) {
    let replaced = false;
    while (next.done !== true) {
      const { key, value } = next.value;
      const order = sign * key.compare(entry.key);
      if (order > 0) break;
      next = over.next();
      if (value !== undefined) yield { key, value };
      replaced = order === 0;
    }
    if (!replaced) yield entry;
  }
  for (; next.done !== true; next = over.next()) {
    const { key, value } = next.value;
    if (value !== undefined) yield { key, value };
  }
}
