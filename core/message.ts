import type { Address } from "./addresses/address.ts";
import { BODY_TYPE, encodeBody } from "./body.ts";

/** A typed application property, as modelled by AMQP 1.0 (3.2.5) and JMS. */
export type PropertyValue = string | number | bigint | boolean | Uint8Array | null;

/** How a body is to be understood; the bytes never change with it. */
export type BodyKind = "bytes" | "text" | "map" | "list" | "value";

/** When a message is to be delivered, if not at once. All times count from when the broker took it. */
export interface Timing {
  /** Milliseconds since 1970 of the first delivery; undefined: at once, or what `cron` says. */
  readonly deliverAt: number | undefined;
  /** Milliseconds from one delivery to the next, with `repeats`. */
  readonly periodMs: number | undefined;
  /** Deliveries after the first one of each series; -1 without end. */
  readonly repeats: number;
  /** Five fields as in crontab(5): each time it comes due a series begins. */
  readonly cron: string | undefined;
}

/** What the broker itself adds to a message: why it became a dead letter, and the like. */
export type Annotation = string | number | boolean;

/** What a message asks for beyond being delivered: a bit each, so that an ordinary message costs one look at a zero. */
export const TRAIT = {
  /** It belongs to a message group: `content.groupId` is set. */
  grouped: 1,
  /** It is to be delivered later: `Message.timing` is set. */
  timed: 2,
  /** It has an id by which a repeated send is found out: `content.duplicateId` is set. */
  identified: 4,
  /** It is delivered because its topic retains it, not because it was just sent. */
  retained: 8,
  /** When it is delivered, later than it was sent, its topic retains it; or, if it is empty, nothing any more. */
  retaining: 16,
  /** Of all sessions that share what it came by, it is for this one alone. */
  assigned: 32,
  /** Its sender had its topic retain it. */
  retainAsked: 64,
  /** It came to its address by way of another one, which its frame names. */
  readdressed: 128,
} as const;

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
  readonly timing?: Timing | undefined;
  readonly duplicateId?: string | undefined;
  readonly bodyKind: BodyKind;
  /**
   * The body where the bytes between `bodyStart` and `bodyEnd` are not what it says: of the kinds map, list and value, a Map,
   * an array or a simple value (bigint, Date and Uint8Array too); of the kind bytes, all of them.
   */
  readonly value?: unknown;
  readonly properties: ReadonlyMap<string, PropertyValue>;
  /** What the sender's protocol calls the fields above, for selectors only: it never travels to another protocol. */
  readonly aliases?: ReadonlyMap<string, PropertyValue>;
  /** What `properties` or else `aliases` have for a name, where neither need be built to say so. */
  lookup?(name: string): PropertyValue | undefined;
}

/** What the core asks of many messages while they pass. */
export type QuickField = "groupId" | "groupSequence" | "duplicateId";

/** One protocol's encoding of a message; the same object for all messages of that protocol. */
export interface WireFormat {
  /** Stored with each message, so it must never change: `stomp`, `mqtt`, `amqp091` ... */
  readonly name: string;
  /** True when `Content.value` may be there. */
  readonly structured?: boolean;
  /** Takes the original frame apart; called at most once per message, and only if somebody asks. */
  open(message: Message): Content;
  /** The priority as its sender wrote it, which may be more than 9; undefined if it wrote none. If absent: the envelope's. */
  priority?(message: Message): number | undefined;
  /** Reads one field of the content from the frame, as a text; so that these messages need not be taken apart. */
  quick?(message: Message, field: QuickField): string | undefined;
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
  /** Bits of `TRAIT`; none if absent. */
  readonly traits?: number;
  /** With `TRAIT.timed`: when it is to be delivered, if its frame does not say so. */
  readonly timing?: Timing | undefined;
}

/** What few messages have, or are asked for. */
class Rest {
  content: Content | undefined = undefined;
  timing: Timing | undefined = undefined;
  groupId: string | undefined = undefined;
  annotationBytes: Buffer | undefined = undefined;
  flat: Message | undefined = undefined;
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
  /** Set by the sender; the policy of its destination may change it before anybody has the message. */
  expiresAt: number;
  readonly receivedAt: number;
  /** Bits of `TRAIT`. `timed` and `identified` are carried out when the message comes in; the others are stored. */
  readonly traits: number;
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
  /** Undefined for most messages: they are many, and each field of them costs. */
  #rest: Rest | undefined = undefined;

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
    this.traits = envelope.traits ?? 0;
    if (envelope.timing !== undefined) this.rest.timing = envelope.timing;
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
    const { rest } = this;
    rest.content ??= this.format.open(this);
    return rest.content;
  }

  /** The same message for protocols whose bodies are bytes: what has a structure is JSON there. Not to be stored. */
  get flat(): Message {
    if (this.format.structured !== true) return this;
    const { content, rest } = this;
    if (content.value === undefined) return this;
    rest.flat ??= flatten(this, content, content.value);
    rest.flat.shared = this.shared;
    return rest.flat;
  }

  /** When it is to be delivered; undefined: at once. */
  get timing(): Timing | undefined {
    // Taken apart only for what is to be delivered later.
    return (this.traits & TRAIT.timed) === 0 ? undefined : (this.#rest?.timing ?? this.content.timing);
  }

  /** Which message group it belongs to; empty without `TRAIT.grouped`. */
  get groupId(): string {
    const { rest } = this;
    rest.groupId ??= this.quick("groupId") ?? "";
    return rest.groupId;
  }

  /** True when the group's next message may go to another consumer. */
  get closesGroup(): boolean {
    return Number(this.quick("groupSequence")) === -1;
  }

  /** The id by which a repeated send is found out. */
  get duplicateId(): string | undefined {
    return this.quick("duplicateId");
  }

  /** The priority as its sender wrote it; 0 if it wrote none and its protocol tells. */
  get statedPriority(): number {
    return this.format.priority === undefined ? this.priority : (this.format.priority(this) ?? 0);
  }

  /** Annotations as `encodeAnnotations` wrote them; undefined without any. */
  get annotationBytes(): Buffer | undefined {
    return this.#rest?.annotationBytes;
  }

  set annotationBytes(bytes: Buffer | undefined) {
    if (bytes !== undefined || this.#rest !== undefined) this.rest.annotationBytes = bytes;
  }

  /** What the broker added; empty for most messages. */
  get annotations(): ReadonlyMap<string, Annotation> {
    const bytes = this.annotationBytes;
    return bytes === undefined ? NO_ANNOTATIONS : decodeAnnotations(bytes);
  }

  /** Another message over the same bytes, with annotations added and whatever else is given changed. */
  with(change: {
    readonly address?: Address;
    readonly annotations?: ReadonlyMap<string, Annotation>;
    readonly durable?: boolean;
    readonly expiresAt?: number;
    readonly receivedAt?: number;
    readonly traits?: number;
  }): Message {
    const { priority } = this;
    const envelope = {
      address: change.address ?? this.address,
      durable: change.durable ?? this.durable,
      priority,
      receivedAt: change.receivedAt ?? this.receivedAt,
      expiresAt: change.expiresAt ?? this.expiresAt,
      traits: (change.traits ?? this.traits) | (change.address === undefined ? 0 : TRAIT.readdressed),
      timing: this.#rest?.timing,
    };
    const copy = new Message(this.format, envelope, this.data, this.start, this.end, this.bodyStart, this.bodyEnd);
    copy.detached = this.detached;
    copy.annotationBytes = this.annotationBytes;
    if (change.annotations !== undefined) {
      copy.annotationBytes = encodeAnnotations(new Map([...this.annotations, ...change.annotations]));
    }
    return copy;
  }

  private get rest(): Rest {
    this.#rest ??= new Rest();
    return this.#rest;
  }

  private quick(field: QuickField): string | undefined {
    if (this.#rest?.content === undefined && this.format.quick !== undefined) return this.format.quick(this, field);
    return this.content[field]?.toString();
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

function flatten(message: Message, content: Content, value: unknown): Message {
  const bytes = content.bodyKind === "bytes" && value instanceof Uint8Array;
  const body = bytes ? Buffer.from(value) : encodeBody(value);
  const { messageId, correlationId, replyTo, subject, contentEncoding, userId, groupId, groupSequence } = content;
  const flat: Content = {
    messageId,
    correlationId,
    replyTo,
    subject,
    contentType: bytes ? content.contentType : BODY_TYPE,
    contentEncoding,
    userId,
    groupId,
    groupSequence,
    duplicateId: content.duplicateId,
    bodyKind: bytes ? "bytes" : "text",
    properties: content.properties,
  };
  const format: WireFormat = { name: message.format.name, open: () => flat };
  const copy = new Message(format, message, body, 0, body.length, 0, body.length);
  copy.detached = true;
  copy.annotationBytes = message.annotationBytes;
  return copy;
}

const NO_ANNOTATIONS: ReadonlyMap<string, Annotation> = new Map();

/** Annotations as bytes: a JSON object, in UTF-8. */
function encodeAnnotations(annotations: ReadonlyMap<string, Annotation>): Buffer {
  return Buffer.from(JSON.stringify(Object.fromEntries(annotations)));
}

function decodeAnnotations(bytes: Buffer): ReadonlyMap<string, Annotation> {
  const read: unknown = JSON.parse(bytes.toString());
  const annotations = new Map<string, Annotation>();
  if (typeof read !== "object" || read === null) return annotations;
  for (const [name, value] of Object.entries(read)) {
    if (typeof value === "string" || typeof value === "number" || typeof value === "boolean") {
      annotations.set(name, value);
    }
  }
  return annotations;
}
