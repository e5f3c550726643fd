/** Work that pauses where others may have their turn. */
type Ordering = Generator<undefined, readonly string[], undefined>;

/** What has names, to be found by them and shown in their order. */
export interface ReadonlyDirectory<T> extends ReadonlyMap<string, T> {
  /**
   * All names, in the order of their code units: found in many short pieces if there are very many, else at once. Costs little
   * unless very many came or went since it was last asked. What comes or goes meanwhile may be among them or not.
   */
  inOrder(): Ordering;
}

/** A map by name that can tell its names in order; as long as nobody asks, that costs nothing. */
export class Directory<T> extends Map<string, T> implements ReadonlyDirectory<T> {
  private ordered: readonly string[] | undefined = undefined;
  /** Names that came or went since they were put in order, or since that began. */
  private changed = new Set<string>();
  /** Somebody puts them in order. */
  private ordering = false;
  private forgotten = 0;

  override set(name: string, value: T): this {
    if ((this.ordered !== undefined || this.ordering) && !this.has(name)) this.note(name);
    return super.set(name, value);
  }

  override delete(name: string): boolean {
    const was = super.delete(name);
    if (was && (this.ordered !== undefined || this.ordering)) this.note(name);
    return was;
  }

  override clear(): void {
    super.clear();
    this.forget();
  }

  *inOrder(): Ordering {
    // Whoever does so keeps the account of what changes; this one need not wait.
    if (this.ordering) return yield* sorted([...this.keys()]);
    const { ordered, changed, forgotten } = this;
    if (ordered !== undefined && changed.size === 0) return ordered;
    this.ordering = true;
    this.changed = new Set();
    let names: readonly string[] | undefined;
    try {
      names = ordered === undefined ? yield* sorted([...this.keys()]) : yield* this.merged(ordered, changed);
    } finally {
      this.ordering = false;
      // Given up half-way: what had changed before is known no more.
      if (names === undefined) this.forget();
    }
    if (this.forgotten === forgotten) this.ordered = names;
    return names;
  }

  private *merged(ordered: readonly string[], changed: ReadonlySet<string>): Ordering {
    const came = [...changed].filter((name) => this.has(name)).sort();
    const merged: string[] = [];
    let next = 0;
    let looked = 0;
    for (const name of ordered) {
      if (++looked % AT_ONCE === 0) yield undefined;
      if (changed.has(name)) continue;
      for (let other = came[next]; other !== undefined && other < name; other = came[next]) {
        merged.push(other);
        next++;
      }
      merged.push(name);
    }
    return next === came.length ? merged : merged.concat(came.slice(next));
  }

  private note(name: string): void {
    this.changed.add(name);
    // Nobody has asked for long.
    if (this.changed.size > LEAST_FORGOTTEN && this.changed.size > this.size) this.forget();
  }

  private forget(): void {
    this.ordered = undefined;
    this.changed = new Set();
    this.forgotten++;
  }
}

const LEAST_FORGOTTEN = 1000;
/** Names that are looked at in one piece. */
const AT_ONCE = 2048;

/** Pieces that are sorted each by itself, then two and two of them put together. */
function* sorted(names: readonly string[]): Ordering {
  let runs: (readonly string[])[] = [];
  for (let from = 0; from < names.length; from += AT_ONCE) {
    if (from > 0) yield undefined;
    runs.push(names.slice(from, from + AT_ONCE).sort());
  }
  while (runs.length > 1) {
    const longer: (readonly string[])[] = [];
    for (let at = 0; at < runs.length; at += 2) longer.push(yield* together(runs[at] ?? [], runs[at + 1] ?? []));
    runs = longer;
  }
  return runs[0] ?? [];
}

function* together(some: readonly string[], others: readonly string[]): Ordering {
  if (others.length === 0) return some;
  const all: string[] = [];
  let next = 0;
  for (const name of some) {
    for (let other = others[next]; other !== undefined && other < name; other = others[next]) {
      if (all.push(other) % AT_ONCE === 0) yield undefined;
      next++;
    }
    if (all.push(name) % AT_ONCE === 0) yield undefined;
  }
  while (next < others.length) {
    if (all.push(others[next++] ?? "") % AT_ONCE === 0) yield undefined;
  }
  return all;
}
