/** Where a block is cut in two. */
const BLOCK_NAMES = 512;

/**
 * Names in ascending order of their characters, in blocks. What is added is put in its place only when somebody reads, and
 * once: adding costs next to nothing as long as nobody does, and reading a few names costs as much as those few.
 */
export class SortedNames {
  private readonly blocks: string[][] = [];
  private fresh: string[] = [];

  /** Adds a name that is not among them. */
  add(name: string): void {
    this.fresh.push(name);
  }

  delete(name: string): void {
    this.absorb();
    const number = this.blockOf(name);
    const block = this.blocks[number];
    if (block === undefined) return;
    const index = countBelow(block, name);
    if (block[index] !== name) return;
    block.splice(index, 1);
    if (block.length === 0) this.blocks.splice(number, 1);
  }

  /** The names from one, included, to another, excluded. What changes meanwhile may be among them or not. */
  *upwards(from: string, to: string): Generator<string> {
    let last: string | undefined;
    for (;;) {
      this.absorb();
      const block = this.blocks[this.blockOf(last ?? from, last !== undefined)];
      if (block === undefined) return;
      // A copy, because the block may be cut before the next one is asked for.
      for (const name of block.slice(countBelow(block, last ?? from, last !== undefined))) {
        if (name >= to) return;
        yield name;
        last = name;
      }
    }
  }

  /** The names from one, included, down to another, excluded. */
  *downwards(from: string, to: string): Generator<string> {
    let last: string | undefined;
    for (;;) {
      this.absorb();
      const upTo = last ?? from;
      // The block that holds the first name too high may begin with it: then the one before has the next.
      let number = Math.min(this.blockOf(upTo, last === undefined), this.blocks.length - 1);
      let block = this.blocks[number];
      if (block === undefined) return;
      let count = countBelow(block, upTo, last === undefined);
      if (count === 0) {
        block = this.blocks[--number];
        if (block === undefined) return;
        count = block.length;
      }
      for (const name of block.slice(0, count).reverse()) {
        if (name <= to) return;
        yield name;
        last = name;
      }
    }
  }

  private absorb(): void {
    if (this.fresh.length === 0) return;
    const names = this.fresh.sort();
    this.fresh = [];
    for (const name of names) this.insert(name);
  }

  private insert(name: string): void {
    const number = Math.min(this.blockOf(name), Math.max(this.blocks.length - 1, 0));
    const block = this.blocks[number];
    if (block === undefined) {
      this.blocks.push([name]);
      return;
    }
    block.splice(countBelow(block, name), 0, name);
    if (block.length > BLOCK_NAMES) this.blocks.splice(number + 1, 0, block.splice(BLOCK_NAMES / 2));
  }

  /** The first block with a name at or above a bound, or only above it; the number of blocks if there is none. */
  private blockOf(bound: string, above = false): number {
    let low = 0;
    let high = this.blocks.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      const last = this.blocks[middle]?.at(-1) ?? "";
      if (last < bound || (above && last === bound)) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

/** How many names are below a bound, or are it. */
function countBelow(names: readonly string[], bound: string, itself = false): number {
  let low = 0;
  let high = names.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    const name = names[middle] ?? "";
    if (name < bound || (itself && name === bound)) low = middle + 1;
    else high = middle;
  }
  return low;
}
