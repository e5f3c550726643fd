import type { Route } from "../../core/routing/route.ts";
import type { Clock } from "../../core/time/clock.ts";
import { Channel } from "./channel.ts";
import type { Connection } from "./connection.ts";
import { AmqpError, refusalOf } from "./errors.ts";
import { codeOf, decodeMethod, type Method, writeMethod } from "./methods.ts";
import type { Publish } from "./publish.ts";

const PUBLISH = codeOf("basic.publish");
const ACK = codeOf("basic.ack");
/** Of an error that no method has caused (amqp091 channel.close). */
const NO_METHOD = 0;

/** What channels ask of their session. */
export interface ChannelsOwner {
  /** The connection is to end over an error in the method of this code. */
  fail(error: unknown, code: number): void;
  /** Nothing more is to be handled for now: a method waits for its turn. */
  wait(): void;
}

/** A method that waits until what its channel was asked before is answered. */
interface Deferred {
  readonly channel: Channel;
  readonly method: Method;
  readonly code: number;
}

/** The channels of one open connection: finds the one a frame is for, and closes one over an error in its frames. */
export class Channels {
  readonly #connection: Connection;
  readonly #clock: Clock;
  readonly #highest: number;
  readonly #owner: ChannelsOwner;
  readonly #byNumber = new Map<number, Channel>();
  #deferred: Deferred | undefined = undefined;

  constructor(connection: Connection, clock: Clock, highest: number, owner: ChannelsOwner) {
    this.#connection = connection;
    this.#clock = clock;
    this.#highest = highest;
    this.#owner = owner;
  }

  /** True while a method waits that cannot be handled yet. */
  get waits(): boolean {
    const deferred = this.#deferred;
    return deferred !== undefined && !deferred.channel.closing && !deferred.channel.admits(deferred.method);
  }

  /** The ways to where they send. */
  *routes(): Iterable<Route> {
    for (const channel of this.#byNumber.values()) yield* channel.routes();
  }

  /** Handles the method that waited. */
  goOn(): void {
    const deferred = this.#deferred;
    this.#deferred = undefined;
    if (deferred !== undefined && !deferred.channel.closing) this.#handle(deferred);
  }

  /** A method of a channel, with its arguments in `data[start, end)`. */
  onMethod(number: number, code: number, data: Buffer, start: number, end: number): void {
    const channel = this.#byNumber.get(number);
    try {
      if (channel !== undefined && !channel.closing && code === PUBLISH) {
        channel.onPublishMethod(data, start, end);
        return;
      }
      const method = decodeMethod(code, data, start, end);
      if (method.name === "channel.open") this.#onOpen(number);
      else if (method.name === "channel.close") this.#onClose(this.#known(number));
      else if (method.name === "channel.close-ok") this.#onCloseOk(this.#known(number));
      else this.#handle({ channel: this.#known(number), method, code });
    } catch (error) {
      this.#refuse(error, channel, code);
    }
  }

  onPublish(number: number, publish: Publish): void {
    const channel = this.#byNumber.get(number);
    if (channel?.closing === true) return;
    try {
      (channel ?? this.#known(number)).onPublish(publish);
    } catch (error) {
      this.#refuse(error, channel, PUBLISH);
    }
  }

  onAck(number: number, deliveryTag: number, multiple: boolean): void {
    const channel = this.#byNumber.get(number);
    if (channel?.closing === true) return;
    try {
      (channel ?? this.#known(number)).onBasicAck(deliveryTag, multiple);
    } catch (error) {
      this.#refuse(error, channel, ACK);
    }
  }

  onHeader(number: number, data: Buffer, start: number, end: number): void {
    const channel = this.#byNumber.get(number);
    if (channel?.closing === true) return;
    try {
      (channel ?? this.#known(number)).onHeader(data, start, end);
    } catch (error) {
      this.#refuse(error, channel, PUBLISH);
    }
  }

  onBody(number: number, data: Buffer, start: number, end: number, left: number): void {
    const channel = this.#byNumber.get(number);
    if (channel?.closing === true) return;
    try {
      (channel ?? this.#known(number)).onBody(data, start, end, left);
    } catch (error) {
      this.#refuse(error, channel, PUBLISH);
    }
  }

  /** The connection is over for its client. */
  end(): void {
    // What one of them gives back is not for the next one.
    for (const channel of this.#byNumber.values()) channel.hold();
    for (const channel of this.#byNumber.values()) if (!channel.closing) channel.end();
    this.#byNumber.clear();
  }

  #handle(deferred: Deferred): void {
    const { channel, method, code } = deferred;
    if (channel.closing) return;
    if (!channel.admits(method)) {
      this.#deferred = deferred;
      this.#owner.wait();
      return;
    }
    try {
      channel.onMethod(method);
    } catch (error) {
      this.#refuse(error, channel, code);
    }
  }

  #onOpen(number: number): void {
    if (this.#byNumber.has(number)) {
      throw new AmqpError("CHANNEL_ERROR", `second 'channel.open' seen on channel ${number}`);
    }
    if (number > this.#highest) {
      throw new AmqpError(
        "NOT_ALLOWED",
        `channel ${number} was opened; the highest that was agreed on is ${this.#highest} (amqp.channel_max)`,
      );
    }
    const channel: Channel = new Channel(number, this.#connection, this.#clock, (error) => {
      if (this.#byNumber.get(number) !== channel || channel.closing) return;
      this.#refuse(error, channel, NO_METHOD);
      // What waited for an answer of this channel gets none any more.
      this.#connection.relieve();
    });
    this.#byNumber.set(number, channel);
    channel.answers.say("channel.open-ok", {});
  }

  #onClose(channel: Channel): void {
    // Both may close at once: each is answered (amqp091 channel.close).
    if (channel.closing) {
      writeMethod(this.#connection.output, channel.number, "channel.close-ok", {});
      return;
    }
    this.#byNumber.delete(channel.number);
    channel.leave();
  }

  #onCloseOk(channel: Channel): void {
    if (!channel.closing) {
      throw new AmqpError("CHANNEL_ERROR", `a channel.close-ok on channel ${channel.number}, which is not closing`);
    }
    this.#byNumber.delete(channel.number);
  }

  /** The channel of this number. Throws `AmqpError`. */
  #known(number: number): Channel {
    const channel = this.#byNumber.get(number);
    if (channel !== undefined) return channel;
    throw new AmqpError("CHANNEL_ERROR", `expected 'channel.open' on channel ${number}`);
  }

  #refuse(error: unknown, channel: Channel | undefined, code: number): void {
    const refusal = refusalOf(error);
    if (refusal.scope === "connection" || channel === undefined) {
      this.#owner.fail(error, code);
      return;
    }
    channel.closing = true;
    channel.end();
    writeMethod(this.#connection.output, channel.number, "channel.close", {
      replyCode: refusal.code,
      replyText: refusal.text,
      classId: code >>> 16,
      methodId: code & 0xffff,
    });
    this.#connection.answered();
  }
}
