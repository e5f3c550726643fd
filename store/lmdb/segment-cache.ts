import { intact } from "./checksum.ts";
import type { Disk } from "./disk.ts";
import { segmentKey } from "./keys.ts";

/** Reads segments; keeps the last one, which is what neighbouring packs and entries ask for. */
export class SegmentCache {
  private readonly disk: () => Disk;
  private number = -1;
  private data: Buffer | undefined = undefined;

  constructor(disk: () => Disk) {
    this.disk = disk;
  }

  /** The segment's bytes; undefined if it is missing or damaged. */
  get(segment: number): Buffer | undefined {
    if (segment === this.number) return this.data;
    const data = this.disk().get("segments", segmentKey(segment));
    this.number = segment;
    this.data = data !== undefined && intact(data) ? data : undefined;
    return this.data;
  }

  forget(): void {
    this.number = -1;
    this.data = undefined;
  }
}
