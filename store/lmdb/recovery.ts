import type { Recovered, RecoveredQueue } from "../../core/store.ts";
import { decodeQueue, decodeSums } from "./batch.ts";
import type { Disk, Table } from "./disk.ts";
import { firstOf, numberKey, packKey } from "./keys.ts";
import { Shelf, StoredQueue } from "./shelf.ts";

/** What a store knows when it opens. */
export interface Recovery {
  readonly recovered: Recovered;
  readonly queues: readonly StoredQueue[];
  readonly doomed: readonly Shelf[];
  readonly nextSegment: number;
  readonly nextShelf: number;
}

const ALL = { from: Buffer.from([0]), to: Buffer.alloc(16, 255) };

/** Reads descriptions and sums, never messages. */
export function recover(disk: Disk): Recovery {
  const queues: StoredQueue[] = [];
  const recovered: RecoveredQueue[] = [];
  const damage: string[] = [];
  let lastShelf = 0;
  for (const { key, value } of disk.range("queues", ALL)) {
    const number = key.readUInt32BE();
    const found = decodeQueue(value);
    if (found === undefined) {
      damage.push(`the description of queue ${number} fails its checksum: the queue and what it held are left aside`);
      continue;
    }
    lastShelf = Math.max(lastShelf, found.shelf);
    const queue = new StoredQueue(number, found.description, new Shelf(found.shelf, number));
    queue.known = true;
    queue.shelf.used = true;
    queues.push(queue);
    recovered.push(recoverSums(disk, queue, damage));
  }
  const doomed: Shelf[] = [];
  for (const { key } of disk.range("doomed", ALL)) {
    const shelf = new Shelf(key.readUInt32BE(), 0);
    shelf.doomed = true;
    lastShelf = Math.max(lastShelf, shelf.number);
    doomed.push(shelf);
  }
  lastShelf = Math.max(lastShelf, lastKey(disk, "packs")?.readUInt32BE() ?? 0);
  const nextSegment = (lastKey(disk, "segments")?.readUIntBE(0, 6) ?? 0) + 1;
  return { recovered: { queues: recovered, damage }, queues, doomed, nextSegment, nextShelf: lastShelf + 1 };
}

function recoverSums(disk: Disk, queue: StoredQueue, damage: string[]): RecoveredQueue {
  const { key, description } = queue;
  const value = disk.get("sums", numberKey(key));
  const sums = value && decodeSums(value);
  let first: number | undefined;
  const range = { from: numberKey(queue.shelf.number), to: packKey(queue.shelf.number, 2 ** 48 - 1) };
  for (const found of disk.range("packs", range)) {
    first = firstOf(found.key);
    break;
  }
  if (sums === undefined) damage.push(`the sums of queue ${key} fail their checksum: it is taken to be empty`);
  if (sums === undefined || first === undefined || sums.count <= 0) {
    if (sums !== undefined && sums.count > 0) {
      damage.push(`queue ${key} should hold ${sums.count} messages, but none are found`);
    }
    return { key, description, count: 0, bytes: 0, firstSequence: 0, lastSequence: 0 };
  }
  queue.count = sums.count;
  queue.bytes = sums.bytes;
  queue.lastSequence = sums.lastSequence;
  return {
    key,
    description,
    count: sums.count,
    bytes: sums.bytes,
    firstSequence: first,
    lastSequence: sums.lastSequence,
  };
}

function lastKey(disk: Disk, table: Table): Buffer | undefined {
  for (const { key } of disk.range(table, { from: ALL.to, to: ALL.from, backwards: true })) return key;
  return undefined;
}
