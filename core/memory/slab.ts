import type { Message } from "../message.ts";

const SLAB_BYTES = 16 * 1024;
/** What is bigger gets a buffer of its own. */
const LARGEST_SHARE = 2 * 1024;

/**
 * Copies messages out of network buffers, several to one buffer: an allocation for each costs more than all the rest of
 * keeping it. A slab lives as long as any message in it, so it is small.
 */
export class Slab {
  private buffer: Buffer | undefined = undefined;
  private used = 0;

  /** Makes a message safe to keep, unless it is already. */
  keep(message: Message): void {
    message.wire = undefined;
    message.wireKey = undefined;
    if (message.detached) return;
    const size = message.size;
    if (size > LARGEST_SHARE) {
      message.detach();
      return;
    }
    if (this.buffer === undefined || this.used + size > SLAB_BYTES) {
      this.buffer = Buffer.allocUnsafeSlow(SLAB_BYTES);
      this.used = 0;
    }
    message.data.copy(this.buffer, this.used, message.start, message.end);
    message.relocate(this.buffer, this.used);
    this.used += size;
  }
}
