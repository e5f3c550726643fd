import type { Change, Entry, KeyRange, Table } from "./disk.ts";

/** Changes that lie over a table's keys, the last one of each key. */
class TableOverlay {
  /** By key in Latin-1, so that the order of keys is the order of bytes. */
  readonly changes = new Map<string, Change>();
  private readonly names: string[] = [];
  private sorted = true;

  set(change: Change): void {
    const name = change.key.toString("latin1");
    if (!this.changes.has(name)) {
      this.sorted &&= name > (this.names.at(-1) ?? "");
      this.names.push(name);
    }
    this.changes.set(name, change);
  }

  range({ from, to, backwards = false }: KeyRange): Change[] {
    if (!this.sorted) this.names.sort();
    this.sorted = true;
    const start = from.toString("latin1");
    const end = to.toString("latin1");
    const names = backwards
      ? this.names.slice(this.countBelow(end, true), this.countBelow(start, true)).reverse()
      : this.names.slice(this.countBelow(start, false), this.countBelow(end, false));
    return names.flatMap((name) => this.changes.get(name) ?? []);
  }

  /** How many names are below a bound, or are it. */
  private countBelow(bound: string, itself: boolean): number {
    let low = 0;
    let high = this.names.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      const name = this.names[middle] ?? "";
      if (name < bound || (itself && name === bound)) low = middle + 1;
      else high = middle;
    }
    return low;
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
      table.set(change);
    }
  }

  /** What is said about a key; undefined if nothing is. */
  get(table: Table, key: Buffer): Change | undefined {
    return this.tables.get(table)?.changes.get(key.toString("latin1"));
  }

  /** What is said about keys of a range, in its order. */
  range(table: Table, range: KeyRange): Change[] {
    return this.tables.get(table)?.range(range) ?? [];
  }

  /** One change for each key. */
  changes(): Change[] {
    return [...this.tables.values()].flatMap(({ changes }) => [...changes.values()]);
  }
}

/** Entries with changes laid over them; both in order of key, upwards or backwards. */
export function* overlaid(over: readonly Change[], under: Iterable<Entry>, backwards: boolean): Generator<Entry> {
  let next = 0;
  const sign = backwards ? -1 : 1;
  for (const entry of under) {
    for (let change = over[next]; change !== undefined; change = over[next]) {
      const order = sign * change.key.compare(entry.key);
      if (order > 0) break;
      next++;
      if (change.value !== undefined) yield { key: change.key, value: change.value };
      if (order === 0) break;
    }
    const last = over[next - 1];
    if (last === undefined || !last.key.equals(entry.key)) yield entry;
  }
  for (const { key, value } of over.slice(next)) if (value !== undefined) yield { key, value };
}
