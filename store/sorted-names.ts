/** Blocks are cut down to so many names where somebody reads. */
const BLOCK_NAMES = 512;

/** Names at or above `low`, and below the one of the next block. */
interface Block {
  readonly low: string;
  names: string[];
  sorted: boolean;
}

/**
 * Names in ascending order of their characters. They are sorted only where somebody reads, by halving the blocks that are
 * met there: adding costs next to nothing as long as nobody does, and reading a few names does not sort the others.
 */
export class SortedNames {
  private readonly blocks: Block[] = [{ low: "", names: [], sorted: true }];

  /** Adds a name that is not among them. */
  add(name: string): void {
    const block = this.blocks[this.blockOf(name)];
    if (block === undefined) return;
    block.sorted &&= block.names.length === 0 || name > (block.names.at(-1) ?? "");
    block.names.push(name);
  }

  delete(name: string): void {
    const number = this.blockOf(name);
    const names = this.opened(number, name);
    const index = countBelow(names, name);
    if (names[index] !== name) return;
    names.splice(index, 1);
    const found = this.blockOf(name);
    if (names.length === 0 && found > 0) this.blocks.splice(found, 1);
  }

  /** The names from one, included, to another, excluded. What changes meanwhile may be among them or not. */
  *upwards(from: string, to: string): Generator<string> {
    let at = from;
    let beyond = false;
    for (;;) {
      const names = this.opened(this.blockOf(at), at);
      const start = countBelow(names, at, beyond);
      // A copy, because the block may be cut before the next name is asked for.
      const piece = names.slice(start, start + BLOCK_NAMES);
      for (const name of piece) {
        if (name >= to) return;
        yield name;
        at = name;
        beyond = true;
      }
      if (piece.length > 0) continue;
      const next = this.blocks[this.blockOf(at) + 1];
      if (next === undefined || next.low >= to) return;
      at = next.low;
      beyond = false;
    }
  }

  /** The names from one, included, down to another, excluded. */
  *downwards(from: string, to: string): Generator<string> {
    let at = from;
    let beyond = false;
    for (;;) {
      const number = this.blockOf(at, beyond);
      if (number < 0) return;
      const names = this.opened(number, at);
      const end = countBelow(names, at, !beyond);
      const piece = names.slice(Math.max(end - BLOCK_NAMES, 0), end).reverse();
      for (const name of piece) {
        if (name <= to) return;
        yield name;
        at = name;
        beyond = true;
      }
      if (piece.length > 0) continue;
      const { low = "" } = this.blocks[this.blockOf(at, beyond)] ?? {};
      if (low <= to) return;
      at = low;
      beyond = true;
    }
  }

  /** The last block that begins at or below a name, or only below it; -1 if there is none. */
  private blockOf(name: string, below = false): number {
    let low = 0;
    let high = this.blocks.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      const start = this.blocks[middle]?.low ?? "";
      if (start < name || (!below && start === name)) low = middle + 1;
      else high = middle;
    }
    return low - 1;
  }

  /** The names of a block, in order, after it was cut so that little is to be sorted about a name. */
  private opened(number: number, name: string): string[] {
    let at = number;
    let block = this.blocks[at];
    while (block !== undefined && !block.sorted && block.names.length > BLOCK_NAMES) {
      const upper = halve(block);
      this.blocks.splice(at + 1, 0, upper);
      if (name >= upper.low) at++;
      block = this.blocks[at];
    }
    if (block === undefined) return [];
    if (!block.sorted) block.names.sort();
    block.sorted = true;
    return block.names;
  }
}

/** Takes about the upper half out of a block of many names. */
function halve(block: Block): Block {
  const { names } = block;
  const [, pivot = ""] = [names[0], names[names.length >> 1], names.at(-1)].map((name) => name ?? "").sort();
  block.names = names.filter((name) => name < pivot);
  return { low: pivot, names: names.filter((name) => name >= pivot), sorted: false };
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
