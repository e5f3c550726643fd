import type { Address } from "./address.ts";

/** A typed application property, as modelled by AMQP 1.0 (3.2.5) and JMS. */
export type PropertyValue = string | number | bigint | boolean | Uint8Array | null;

/** How a body is to be understood; the bytes never change with it. */
export type BodyKind = "bytes" | "text" | "map" | "list" | "value";

/** What a message says, whatever protocol it came by. Absent fields are undefined. */
export interface Content {
  readonly messageId: string | undefined;
  readonly correlationId: string | undefined;
  readonly replyTo: Address | undefined;
  readonly subject: string | undefined;
  readonly contentType: string | undefined;
  readonly contentEncoding: string | undefined;
  readonly userId: string | undefined;
  readonly groupId: string | undefined;
  readonly groupSequence: number | undefined;
  readonly bodyKind: BodyKind;
  readonly properties: ReadonlyMap<string, PropertyValue>;
  /** What the sender's protocol calls the fields above, for selectors only: it never travels to another protocol. */
  readonly aliases?: ReadonlyMap<string, PropertyValue>;
}

/** One protocol's encoding of a message; the same object for all messages of that protocol. */
export interface WireFormat {
  /** Stored with each message, so it must never change: `stomp`, `mqtt`, `amqp091` ... */
  readonly name: string;
  /** Takes the original frame apart; called at most once per message, and only if somebody asks. */
  open(message: Message): Content;
}

/** What the core must know of a message without taking it apart. */
export interface Envelope {
  readonly address: Address;
  readonly durable: boolean;
  /** 0 to 9; 4 is ordinary. */
  readonly priority: number;
  /** Milliseconds since 1970, 0 for never. */
  readonly expiresAt: number;
  /** When the broker took it: milliseconds since 1970. */
  readonly receivedAt: number;
}

/**
 * A message: an envelope, and the original frame in `data[start, end)` with the body in `data[bodyStart, bodyEnd)`.
 *
 * The bytes may lie in the socket's chunk while the turn lasts; whoever keeps a message longer calls `detach` (or
 * `relocate` to a copy it has made), so that 100 bytes do not keep 64 KiB alive.
 */
export class Message {
  readonly format: WireFormat;
  readonly address: Address;
  readonly durable: boolean;
  readonly priority: number;
  readonly expiresAt: number;
  readonly receivedAt: number;
  data: Buffer;
  start: number;
  end: number;
  bodyStart: number;
  bodyEnd: number;
  /** True when `data` belongs to this message alone or to a store's segment: safe to keep. */
  detached = false;
  /** True while one publish hands this message to several consumers, so that encoding it once for all pays. */
  shared = false;
  /** The last encoding made for consumers that share one wire form (`wireKey`): bytes `wire[wireStart, wireEnd)`. */
  wireKey: unknown = undefined;
  wire: Buffer | undefined = undefined;
  wireStart = 0;
  wireEnd = 0;
  #content: Content | undefined = undefined;

  constructor(
    format: WireFormat,
    envelope: Envelope,
    data: Buffer,
    start: number,
    end: number,
    bodyStart: number,
    bodyEnd: number,
  ) {
    this.format = format;
    this.address = envelope.address;
    this.durable = envelope.durable;
    this.priority = envelope.priority;
    this.expiresAt = envelope.expiresAt;
    this.receivedAt = envelope.receivedAt;
    this.data = data;
    this.start = start;
    this.end = end;
    this.bodyStart = bodyStart;
    this.bodyEnd = bodyEnd;
  }

  /** Bytes of the original frame: what quotas, credit and memory accounts count. */
  get size(): number {
    return this.end - this.start;
  }

  /** The body's bytes, without a copy: valid as long as the message is. */
  get body(): Buffer {
    return this.data.subarray(this.bodyStart, this.bodyEnd);
  }

  /** What the message says, taken apart on first use. */
  get content(): Content {
    this.#content ??= this.format.open(this);
    return this.#content;
  }

  /** Moves the message to a copy of its frame that begins at `start` of `data`. */
  relocate(data: Buffer, start: number): void {
    const by = start - this.start;
    this.data = data;
    this.start += by;
    this.end += by;
    this.bodyStart += by;
    this.bodyEnd += by;
    this.detached = true;
  }

  /** Copies the frame out of a buffer that is not its own, unless that was done. */
  detach(): void {
    if (this.detached) return;
    const own = Buffer.allocUnsafeSlow(this.size);
    this.data.copy(own, 0, this.start, this.end);
    this.relocate(own, 0);
  }
}
