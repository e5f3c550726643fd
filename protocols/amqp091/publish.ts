/*
 * A basic.publish with its content, in one buffer; `start` to `end` is also how messages that came by 0-9-1 are kept.
 *
 *     arguments of the method ...  | head | 60 | 0 | size | flags | properties | CE | head | body | CE |
 *     exchange, key, bits            start                                             bodyStart     end
 *
 * One header frame and one body frame, whatever frames the body came in; without a body there is no body frame.
 */

/** A basic.publish with its content. The same object for every publish of a connection or channel: keep nothing of it. */
export class Publish {
  data: Buffer = Buffer.alloc(0);
  /** The arguments that say where to: the bytes between are the same when exchange and key are. */
  exchangeStart = 0;
  exchangeEnd = 0;
  keyStart = 0;
  keyEnd = 0;
  mandatory = false;
  immediate = false;
  start = 0;
  end = 0;
  bodyStart = 0;
  bodyEnd = 0;
  /** True when `data` holds nothing else: the message may keep it. */
  detached = false;
  /** Which properties there are: bits of `FLAG`. */
  flags = 0;
  /** 0 when absent. */
  deliveryMode = 0;
  /** -1 when absent. */
  priority = -1;
  /** Ranges of `data`; empty (0, 0) when absent. The texts without their length, the headers with theirs. */
  expirationStart = 0;
  expirationEnd = 0;
  headersStart = 0;
  headersEnd = 0;
  replyToStart = 0;
  replyToEnd = 0;
  userIdStart = 0;
  userIdEnd = 0;

  get exchange(): string {
    return this.data.toString("utf8", this.exchangeStart, this.exchangeEnd);
  }

  get routingKey(): string {
    return this.data.toString("utf8", this.keyStart, this.keyEnd);
  }
}

/** Puts together the content of one channel when it comes in several chunks or frames. */
export class Assembly {
  readonly publish: Publish = new Publish();

  /** What is awaited: "method" when no content is under way. A frame out of order is UNEXPECTED_FRAME. */
  get awaits(): "method" | "header" | "body" {
    return "method";
  }

  /** A basic.publish with these arguments: its header is to follow. Throws `AmqpError`. */
  begin(data: Buffer, start: number, end: number): void {
    throw new Error(String([data, start, end]));
  }

  /**
   * The payload of a header frame; true when the content is whole, and in `publish`. Throws `AmqpError`, also when the
   * body is larger than `maxBodyBytes`, at once.
   */
  header(data: Buffer, start: number, end: number, maxBodyBytes: number): boolean {
    throw new Error(String([data, start, end, maxBodyBytes]));
  }

  /** The payload of a body frame; true when the content is whole, and in `publish`. Throws `AmqpError`. */
  body(data: Buffer, start: number, end: number): boolean {
    throw new Error(String([data, start, end]));
  }

  /** Gives up what came of a content, as when the channel closes. */
  drop(): void {}
}
