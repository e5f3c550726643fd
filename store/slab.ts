import type { Message } from "../core/message.ts";

const SLAB_BYTES = 8 * 1024;

/** Bytes that a few small messages share, so that copying them out needs neither a buffer each nor a large one for all. */
export class Slab {
  private data: Buffer | undefined = undefined;
  private used = 0;

  /** Moves the message's frame out of whatever buffer it lies in. */
  take(message: Message): void {
    const size = message.size;
    if (size > SLAB_BYTES / 4) {
      message.detached = false;
      message.detach();
      return;
    }
    if (this.data === undefined || this.used + size > SLAB_BYTES) {
      this.data = Buffer.allocUnsafeSlow(SLAB_BYTES);
      this.used = 0;
    }
    message.data.copy(this.data, this.used, message.start, message.end);
    message.relocate(this.data, this.used);
    this.used += size;
  }
}
