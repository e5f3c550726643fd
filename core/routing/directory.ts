/** What has names, to be found by them and shown in their order. */
export interface ReadonlyDirectory<T> extends ReadonlyMap<string, T> {
  /** All names, in the order of their code units. Costs little unless very many came or went since it was last asked. */
  inOrder(): readonly string[];
}

/** A map by name that can tell its names in order; as long as nobody asks, that costs nothing. */
export class Directory<T> extends Map<string, T> implements ReadonlyDirectory<T> {
  private ordered: readonly string[] | undefined = undefined;
  /** Names that came or went since they were put in order. */
  private changed = new Set<string>();

  override set(name: string, value: T): this {
    if (this.ordered !== undefined && !this.has(name)) this.note(name);
    return super.set(name, value);
  }

  override delete(name: string): boolean {
    const was = super.delete(name);
    if (was && this.ordered !== undefined) this.note(name);
    return was;
  }

  override clear(): void {
    super.clear();
    this.forget();
  }

  inOrder(): readonly string[] {
    if (this.ordered === undefined) this.ordered = [...this.keys()].sort();
    else if (this.changed.size > 0) this.ordered = this.merged(this.ordered);
    this.changed.clear();
    return this.ordered;
  }

  private merged(ordered: readonly string[]): string[] {
    const stayed = ordered.filter((name) => !this.changed.has(name));
    const came = [...this.changed].filter((name) => this.has(name)).sort();
    const merged: string[] = [];
    let next = 0;
    for (const name of stayed) {
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
  }
}

const LEAST_FORGOTTEN = 1000;
