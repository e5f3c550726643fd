import { SortedNames } from "../sorted-names.ts";

/** Above whatever a key begins with: no byte of UTF-8 is as high. */
const END = "\xff";

/** The records of one kind. */
export class MemoryRecords {
  /** By key in Latin-1, so that the order of keys is the order of bytes. */
  private readonly values = new Map<string, Buffer>();
  private readonly names = new SortedNames();

  put(key: string, value: Uint8Array): void {
    const name = nameOf(key);
    if (!this.values.has(name)) this.names.add(name);
    this.values.set(name, Buffer.from(value));
  }

  remove(key: string): void {
    const name = nameOf(key);
    if (this.values.delete(name)) this.names.delete(name);
  }

  get(key: string): Buffer | undefined {
    const value = this.values.get(nameOf(key));
    return value && Buffer.from(value);
  }

  /** See `Store.keys`. */
  *keys(from: string): Generator<{ key: string; bytes: number }> {
    for (const name of this.names.upwards(nameOf(from), END)) {
      const value = this.values.get(name);
      if (value !== undefined) yield { key: Buffer.from(name, "latin1").toString(), bytes: value.length };
    }
  }
}

function nameOf(key: string): string {
  return Buffer.from(key).toString("latin1");
}
