/*
 * lmdb maps its file and follows the page numbers in it, so that a file that was cut short or written over would end the
 * process instead of raising an error. This walks the trees beforehand and looks at every number that lmdb would follow.
 * It reads the pages of keys only, never those of messages: a few megabytes for a hundred million of them.
 *
 *     page  u64 number, u64 transaction, u16 -, u16 flags, u16 lower, u16 upper, then u16 offsets of nodes
 *     node  u32 size of the value, u16 flags, u16 size of the key, key, value; in a branch: u48 page, u16, key
 *     meta  in page 0 and 1 behind the header: u32 magic, u32 version, 16 bytes, tree of free pages, tree of tables,
 *           u64 last page, u64 transaction
 *     tree  u32 page size (in the first), u16 flags, u16 depth, 32 bytes, u64 root
 */
import { closeSync, fstatSync, openSync, readSync } from "node:fs";

const HEADER = 24;
const NODE_HEADER = 8;
const TREE_BYTES = 48;
const MAGIC = 0xbeefc0de;
const BRANCH = 1;
const LEAF = 2;
const META = 8;
/** Of a node: its value lies in pages of its own; its value is a tree. */
const BIG = 1;
const TREE = 2;
const NO_PAGE = 0xffff_ffff_ffff_ffffn;

class Damage extends Error {}

/** Says in a few words what is wrong with a data file; undefined if lmdb can work with it. Throws what the system throws. */
export function damageOf(path: string): string | undefined {
  const file = openSync(path, "r");
  try {
    const size = fstatSync(file).size;
    if (size > 0) new FileCheck(file, size).run();
    return undefined;
  } catch (error) {
    if (error instanceof Damage) return error.message;
    throw error;
  } finally {
    closeSync(file);
  }
}

class FileCheck {
  private readonly file: number;
  private readonly size: number;
  private pageBytes = 4096;
  private pages = 0;
  /** One bit for each page that a tree was found to have, so that none is followed twice. */
  private seen = new Uint8Array(0);

  constructor(file: number, size: number) {
    this.file = file;
    this.size = size;
  }

  run(): void {
    const first = this.readMeta(0);
    this.pageBytes = first.readUInt32LE(HEADER + 24);
    if (![4096, 8192, 16384, 32768, 65536].includes(this.pageBytes)) {
      throw new Damage(`it claims pages of ${this.pageBytes} bytes`);
    }
    const second = this.readMeta(this.pageBytes);
    const newest = transactionOf(first) >= transactionOf(second) ? first : second;
    this.pages = Number(newest.readBigUInt64LE(HEADER + 120)) + 1;
    if (!(this.pages >= 2 && this.pages <= 2 ** 40)) throw new Damage(`it claims ${this.pages} pages`);
    this.seen = new Uint8Array(Math.ceil(Math.min(this.pages, this.size / this.pageBytes + 1) / 8) + 1);
    this.checkTree(newest.subarray(HEADER + 24, HEADER + 24 + TREE_BYTES), true);
    this.checkTree(newest.subarray(HEADER + 72, HEADER + 72 + TREE_BYTES), false);
  }

  private readMeta(at: number): Buffer {
    const meta = this.read(at, HEADER + 136);
    if ((meta.readUInt16LE(18) & META) === 0 || meta.readUInt32LE(HEADER) !== MAGIC) {
      throw new Damage("its first pages are not those of a data file");
    }
    return meta;
  }

  private checkTree(tree: Buffer, free: boolean): void {
    const root = tree.readBigUInt64LE(40);
    if (root === NO_PAGE) return;
    this.checkPage(Number(root), tree.readUInt16LE(6), free);
  }

  private checkPage(number: number, depth: number, free: boolean): void {
    const page = this.readPage(number);
    const flags = page.readUInt16LE(18) & (BRANCH | LEAF);
    if (Number(page.readBigUInt64LE(0)) !== number || flags !== (depth > 1 ? BRANCH : LEAF)) {
      throw new Damage(`page ${number} is not what the pages above it say`);
    }
    const nodes = page.readUInt16LE(20) >> 1;
    if (HEADER + 2 * nodes > page.length || (depth > 1 && nodes < 1)) throw new Damage(`page ${number} is overfull`);
    for (let i = 0; i < nodes; i++) {
      const at = HEADER + page.readUInt16LE(HEADER + 2 * i);
      if (at < HEADER + 2 * nodes || at + NODE_HEADER > page.length) {
        throw new Damage(`an entry of page ${number} lies outside of it`);
      }
      if (depth > 1) {
        if (at + NODE_HEADER + page.readUInt16LE(at + 6) > page.length) throw new Damage(`a key leaves page ${number}`);
        this.checkPage(page.readUIntLE(at, 6), depth - 1, free);
      } else this.checkLeafNode(page, at, { number, free });
    }
  }

  private checkLeafNode(page: Buffer, at: number, { number, free }: { number: number; free: boolean }): void {
    const valueBytes = page.readUInt32LE(at);
    const flags = page.readUInt16LE(at + 4);
    const valueAt = at + NODE_HEADER + page.readUInt16LE(at + 6);
    const big = (flags & BIG) !== 0;
    if (valueAt + (big ? 8 : valueBytes) > page.length) throw new Damage(`a value leaves page ${number}`);
    if (big) {
      const first = Number(page.readBigUInt64LE(valueAt));
      const pages = Math.ceil((HEADER + valueBytes) / this.pageBytes);
      if (first < 2 || first + pages > this.pages)
        throw new Damage(`a value of page ${number} lies outside of the file`);
      if ((first + pages) * this.pageBytes > this.size) throw this.cutShort(first + pages);
      if (free) this.checkFreePages(this.read(first * this.pageBytes + HEADER, valueBytes));
    } else if (free) {
      this.checkFreePages(page.subarray(valueAt, valueAt + valueBytes));
    } else if ((flags & TREE) !== 0) {
      if (valueBytes !== TREE_BYTES) throw new Damage(`page ${number} has a table of an odd size`);
      this.checkTree(page.subarray(valueAt, valueAt + valueBytes), false);
    }
  }

  /** A list of free pages: how many numbers, then numbers, of which the negative ones are lengths. */
  private checkFreePages(list: Buffer): void {
    const count = list.length >= 8 ? Number(list.readBigUInt64LE(0)) : -1;
    if (!(count >= 0) || 8 * (count + 1) > list.length) throw new Damage("a list of free pages contradicts itself");
    for (let i = 1; i <= count; i++) {
      const number = list.readBigInt64LE(8 * i);
      if (Math.abs(Number(number)) > this.pages) throw new Damage("a list of free pages names one outside of the file");
    }
  }

  private readPage(number: number): Buffer {
    if (number < 2 || number >= this.pages) throw new Damage(`it refers to page ${number} of ${this.pages}`);
    if ((number + 1) * this.pageBytes > this.size) throw this.cutShort(number + 1);
    const bit = 1 << (number & 7);
    if ((Number(this.seen[number >> 3]) & bit) !== 0) throw new Damage(`page ${number} is referred to twice`);
    this.seen[number >> 3] = Number(this.seen[number >> 3]) | bit;
    return this.read(number * this.pageBytes, this.pageBytes);
  }

  private cutShort(pages: number): Damage {
    return new Damage(`it has ${this.size} bytes where at least ${pages * this.pageBytes} are needed`);
  }

  private read(at: number, bytes: number): Buffer {
    const data = Buffer.allocUnsafe(bytes);
    if (readSync(this.file, data, 0, bytes, at) < bytes) throw new Damage(`it ends at ${this.size} bytes`);
    return data;
  }
}

function transactionOf(meta: Buffer): bigint {
  return meta.readBigUInt64LE(HEADER + 128);
}
