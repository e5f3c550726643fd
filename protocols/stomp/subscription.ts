import { type Message, TRAIT } from "../../core/message.ts";
import type { Output } from "../../core/output.ts";
import type { CancelCause, Consumer, Delivery } from "../../core/protocol.ts";
import type { Subscription } from "../../core/subscription.ts";
import { copyBytes } from "../../core/memory/bytes.ts";
import { spellHeaders, stompFormat } from "./convert.ts";
import { DeliveryWindow } from "./delivery-window.ts";
import { unescape, type Version } from "./escape.ts";
import {
  END_BYTES,
  formStart,
  HEAD_BYTES,
  isPlain,
  type SharedWire,
  type WireForm,
  writeEnd,
  writeHead,
} from "./wire.ts";

/** How a subscription's messages are acknowledged; `none` is another word for `auto`. */
export type AckMode = "auto" | "client" | "client-individual";

/** From this size on a body is written by reference. */
const LARGE_BODY = 16 * 1024;
const ID_LINE = "message-id:".length;

/** What a subscription needs of its session. */
export interface SubscriptionOwner {
  readonly output: Output;
  readonly wire: SharedWire;
  readonly version: Version;
  /** An id for a message whose sender gave none. */
  nextMessageId(): string;
  /** The subscription took its last message for now: the output is full. */
  stalled(subscription: StompSubscription): void;
  /** The broker ended the subscription. */
  cancelled(subscription: StompSubscription, reason: string, cause: CancelCause | undefined): void;
}

/** What SUBSCRIBE said. */
export interface Subscribed {
  /** The id, as text and as it was spelled; in 1.0 it may be missing, then it is the destination. */
  readonly id: string;
  readonly spelledId: string | undefined;
  /** Its number in this session, counted from 1: the first part of `ack`. */
  readonly number: number;
  readonly mode: AckMode;
  readonly durable: string | undefined;
  /** The destination, as it was spelled. */
  readonly spelledDestination: string;
  /** The header, as spelled, that tells each message's sequence. */
  readonly sequenceHeader: string | undefined;
}

/** One SUBSCRIBE of a session: turns deliveries into MESSAGE frames and ACKs back into deliveries. */
export class StompSubscription implements Consumer {
  readonly id: string;
  readonly mode: AckMode;
  readonly durable: string | undefined;
  /** Set as soon as the core has made it. */
  core: Subscription | undefined = undefined;
  waiting = false;
  readonly #owner: SubscriptionOwner;
  readonly #output: Output;
  readonly #form: WireForm | undefined;
  readonly #start: Buffer;
  readonly #version: Version;
  readonly #window: DeliveryWindow | undefined;
  /** 1.0 and 1.1 acknowledge by message-id. */
  readonly #tags: Map<string, number> | undefined;
  readonly #ids: Map<number, string> | undefined;
  readonly #destination: string;
  /** `NAME:` of the header that tells the sequence. */
  readonly #sequenceStart: string | undefined;

  constructor(owner: SubscriptionOwner, subscribed: Subscribed) {
    const { id, spelledId, number, mode, durable, sequenceHeader } = subscribed;
    this.#owner = owner;
    this.#output = owner.output;
    this.#version = owner.version;
    this.id = id;
    this.mode = mode;
    this.durable = durable;
    this.#destination = subscribed.spelledDestination;
    this.#sequenceStart = sequenceHeader === undefined ? undefined : `${sequenceHeader}:`;
    if (mode === "auto") {
      this.#form = owner.wire.form(owner.version, spelledId);
      this.#start = this.#form.start;
    } else {
      const byTag = owner.version === "1.2";
      this.#start = formStart(spelledId, byTag ? `ack:${number}-` : "");
      this.#window = new DeliveryWindow();
      if (!byTag) {
        this.#tags = new Map();
        this.#ids = new Map();
      }
    }
  }

  deliver(given: Message, delivery: Delivery | undefined, deliveries: number, firstOfGroup?: boolean): boolean {
    const message = given.flat;
    const more =
      firstOfGroup === true || this.#sequenceStart !== undefined ? this.#describe(delivery, firstOfGroup) : "";
    if (this.#form !== undefined && message.shared && deliveries === 0 && more === "") {
      this.#deliverShared(message, this.#form);
    } else if (this.#tags !== undefined) {
      this.#deliverById(message, delivery, deliveries, more, this.#tags);
    } else {
      const tag = delivery === undefined || this.#window === undefined ? 0 : this.#window.add(delivery);
      this.#write(message, tag, deliveries, more, undefined);
    }
    if (!this.#output.full) return true;
    this.#owner.stalled(this);
    return false;
  }

  /** Apollo's end of a browser's messages. */
  exhausted(): void {
    const rest = `destination:${this.#destination}\nmessage-id:${this.#owner.nextMessageId()}\nbrowser:end\n\n`;
    const output = this.#output;
    let at = output.reserve(this.#start.length + rest.length + END_BYTES);
    at = copyBytes(this.#start, 0, this.#start.length, output.buffer, at);
    at += output.buffer.write(rest, at, "latin1");
    output.advance(writeEnd(output.buffer, at));
  }

  cancelled(reason: string, cause?: CancelCause): void {
    this.#owner.cancelled(this, reason, cause);
  }

  /** Gives back what is shared with other subscriptions. */
  release(): void {
    if (this.#form !== undefined) this.#owner.wire.release(this.#form);
  }

  /** Takes the delivery of this tag; undefined when none waits under it. */
  take(tag: number): Delivery | undefined {
    const delivery = this.#window?.take(tag);
    if (this.#ids !== undefined) this.#forget(tag);
    return delivery;
  }

  /** Takes all deliveries up to this tag, in order. False when none waits under it. */
  takeUpTo(tag: number, each: (delivery: Delivery) => void): boolean {
    const window = this.#window;
    if (window === undefined || !window.has(tag)) return false;
    window.takeUpTo(tag, (delivery, taken) => {
      this.#forget(taken);
      each(delivery);
    });
    return true;
  }

  /** The tag of a message that was sent in 1.0 or 1.1 and waits for its ACK. */
  tagOf(messageId: string): number | undefined {
    return this.#tags?.get(messageId);
  }

  #forget(tag: number): void {
    const id = this.#ids?.get(tag);
    if (id === undefined) return;
    this.#ids?.delete(tag);
    this.#tags?.delete(id);
  }

  /** Senders may give two messages one id; while the first waits for its ACK, the second is sent under another. */
  #deliverById(
    message: Message,
    delivery: Delivery | undefined,
    deliveries: number,
    more: string,
    tags: Map<string, number>,
  ): void {
    let id = this.#storedId(message);
    const unknown = id === undefined || tags.has(id);
    id = id === undefined || unknown ? this.#owner.nextMessageId() : id;
    if (delivery !== undefined && this.#window !== undefined) {
      const tag = this.#window.add(delivery);
      tags.set(id, tag);
      this.#ids?.set(tag, id);
    }
    this.#write(message, 0, deliveries, more, unknown ? id : undefined);
  }

  #storedId(message: Message): string | undefined {
    if (message.format !== stompFormat) return message.content.messageId;
    const start = message.start + ID_LINE;
    const end = message.data.indexOf(10, start);
    return unescape(message.data, start, end);
  }

  /** The header lines that only some consumers get. */
  #describe(delivery: Delivery | undefined, firstOfGroup: boolean | undefined): string {
    const first = firstOfGroup === true ? "JMSXGroupFirstForConsumer:true\n" : "";
    if (this.#sequenceStart === undefined || delivery === undefined) return first;
    return `${first}${this.#sequenceStart}${delivery.sequence}\n`;
  }

  #write(message: Message, tag: number, deliveries: number, more: string, messageId: string | undefined): void {
    const output = this.#output;
    const large = message.bodyEnd - message.bodyStart >= LARGE_BODY;
    if (messageId !== undefined || !this.#fits(message)) {
      this.#writeSpelled(message, tag, deliveries, more, messageId);
      return;
    }
    const { data, start, bodyEnd } = message;
    const room = this.#start.length + HEAD_BYTES + more.length;
    let at = output.reserve(large ? room : room + bodyEnd - start + END_BYTES);
    at = writeHead(output.buffer, at, this.#start, tag, message, deliveries, more);
    if (large) {
      output.advance(at);
      output.append(data, start, bodyEnd);
      at = output.reserve(END_BYTES);
    } else {
      at = copyBytes(data, start, bodyEnd, output.buffer, at);
    }
    output.advance(writeEnd(output.buffer, at));
  }

  /** True when the stored frame can go out as it is. */
  #fits(message: Message): boolean {
    if (message.format !== stompFormat || message.annotationBytes !== undefined) return false;
    if ((message.traits & TRAIT.readdressed) !== 0) return false;
    return this.#version === "1.2" || isPlain(message);
  }

  #spell(message: Message, messageId: string | undefined): Buffer {
    const id =
      message.format === stompFormat
        ? messageId
        : (messageId ?? message.content.messageId ?? this.#owner.nextMessageId());
    return spellHeaders(message, this.#version, id);
  }

  #writeSpelled(message: Message, tag: number, deliveries: number, more: string, messageId: string | undefined): void {
    const output = this.#output;
    const headers = this.#spell(message, messageId);
    const { data, bodyStart, bodyEnd } = message;
    const large = bodyEnd - bodyStart >= LARGE_BODY;
    const room = this.#start.length + HEAD_BYTES + more.length + headers.length;
    let at = output.reserve(large ? room : room + bodyEnd - bodyStart + END_BYTES);
    at = writeHead(output.buffer, at, this.#start, tag, message, deliveries, more);
    at = copyBytes(headers, 0, headers.length, output.buffer, at);
    if (large) {
      output.advance(at);
      output.append(data, bodyStart, bodyEnd);
      at = output.reserve(END_BYTES);
    } else {
      at = copyBytes(data, bodyStart, bodyEnd, output.buffer, at);
    }
    output.advance(writeEnd(output.buffer, at));
  }

  /** Encodes a message once for all subscriptions of this form. */
  #deliverShared(message: Message, form: WireForm): void {
    if (message.wireKey !== form || message.wire === undefined) {
      if (message.bodyEnd - message.bodyStart >= LARGE_BODY) {
        this.#write(message, 0, 0, "", undefined);
        return;
      }
      this.#encodeShared(message, form);
    }
    if (message.wire !== undefined) this.#output.append(message.wire, message.wireStart, message.wireEnd);
  }

  #encodeShared(message: Message, form: WireForm): void {
    const arena = this.#owner.wire.encoded;
    const { data, start, bodyStart, bodyEnd } = message;
    const headers = this.#fits(message) ? undefined : this.#spell(message, undefined);
    const size = headers === undefined ? bodyEnd - start : headers.length + bodyEnd - bodyStart;
    const from = arena.reserve(form.start.length + HEAD_BYTES + size + END_BYTES);
    const target = arena.buffer;
    let at = writeHead(target, from, form.start, 0, message, 0, "");
    if (headers === undefined) {
      at = copyBytes(data, start, bodyEnd, target, at);
    } else {
      at = copyBytes(headers, 0, headers.length, target, at);
      at = copyBytes(data, bodyStart, bodyEnd, target, at);
    }
    at = writeEnd(target, at);
    arena.advance(at);
    message.wireKey = form;
    message.wire = target;
    message.wireStart = from;
    message.wireEnd = at;
  }
}
