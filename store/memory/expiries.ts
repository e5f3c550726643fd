/** Something stored that may expire. */
export interface Expirable<Owner> {
  readonly owner: Owner;
  readonly sequence: number;
  /** True once it is not stored any more. */
  gone: boolean;
}

/** What expires by which second, for what lies in memory; forgets what it reported. */
export class Expiries<Owner> {
  private readonly seconds = new Map<number, Set<Expirable<Owner>>>();
  private earliest = Number.POSITIVE_INFINITY;

  add(second: number, what: Expirable<Owner>): void {
    let bucket = this.seconds.get(second);
    if (bucket === undefined) {
      bucket = new Set();
      this.seconds.set(second, bucket);
    }
    bucket.add(what);
    this.earliest = Math.min(this.earliest, second);
  }

  remove(second: number, what: Expirable<Owner>): void {
    const bucket = this.seconds.get(second);
    if (bucket === undefined) return;
    bucket.delete(what);
    if (bucket.size === 0) this.seconds.delete(second);
  }

  /** Takes what expired by the second: one interval for what follows each other in a bucket. */
  take(second: number, max: number): { owner: Owner; from: number; to: number }[] {
    const found: { owner: Owner; from: number; to: number }[] = [];
    for (const due of this.due(second)) {
      const bucket = this.seconds.get(due) ?? [];
      for (const what of bucket) {
        const last = found.at(-1);
        if (last !== undefined && last.owner === what.owner && last.to < what.sequence) last.to = what.sequence;
        else if (found.length === max) return found;
        else found.push({ owner: what.owner, from: what.sequence, to: what.sequence });
        this.remove(due, what);
      }
    }
    this.earliest = second + 1;
    return found;
  }

  /** The seconds up to this one that have something, in order. */
  private due(second: number): number[] {
    if (this.seconds.size === 0 || this.earliest > second) return [];
    const seconds: number[] = [];
    if (second - this.earliest < this.seconds.size) {
      for (let at = this.earliest; at <= second; at++) if (this.seconds.has(at)) seconds.push(at);
      return seconds;
    }
    for (const at of this.seconds.keys()) if (at <= second) seconds.push(at);
    return seconds.sort((a, b) => a - b);
  }
}
