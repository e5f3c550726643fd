import { AmqpError, CONDITION, conditionOf, describe } from "./errors.ts";
import { BrokerError } from "../../core/errors.ts";
import type { Route } from "../../core/routing/route.ts";
import type { Received } from "./containers.ts";
import type { Endpoint, Ending, Link } from "./endpoint.ts";
import { ABSENT, type FlowFields, type Frame } from "./frame.ts";
import { ACCEPTED, type DeliveryState } from "./performatives.ts";

const EMPTY: Buffer = Buffer.alloc(0);
const SECOND = 1;
const SETTLED = 1;

/** What takes the messages that come over a link. */
export interface Sink {
  /**
   * Takes the message in `data[start, end)`, which may lie in the socket's chunk; returns what to answer at once, or undefined
   * when it is accepted as soon as that is safe. Throws BrokerError or AmqpError when it is refused.
   */
  take(data: Buffer, start: number, end: number, state: DeliveryState | undefined): DeliveryState | undefined;
  /** The ways to where it sends what it takes; none if absent. */
  routes?(): Iterable<Route>;
  /** The link is over. */
  left(ending: Ending): void;
}

/** What a link is that the broker receives on. */
export interface ReceiverOptions {
  readonly name: string;
  readonly handle: number;
  readonly peerHandle: number;
  readonly initialDeliveryCount: number;
  readonly sndSettleMode: number;
  readonly rcvSettleMode: number;
  readonly maxMessageBytes: number;
  /** Messages that the sender may be ahead. */
  readonly credit: number;
  readonly sink: Sink;
  /** What came over the link before and its sender had not settled. */
  readonly received: Received;
  readonly left: (ending: Ending, received: Received) => void;
}

/** A delivery of which not all frames have come. */
class Partial {
  readonly id: number;
  readonly tag: string;
  readonly state: DeliveryState | undefined;
  settled: boolean;
  resume: boolean;
  data: Buffer = EMPTY;
  length = 0;

  constructor(id: number, tag: string, settled: boolean, state: DeliveryState | undefined, resume: boolean) {
    this.id = id;
    this.tag = tag;
    this.settled = settled;
    this.state = state;
    this.resume = resume;
  }

  append(data: Buffer, start: number, end: number): void {
    const needed = this.length + end - start;
    if (needed > this.data.length) {
      const grown = Buffer.allocUnsafeSlow(Math.max(needed, this.data.length * 2));
      this.data.copy(grown, 0, 0, this.length);
      this.data = grown;
    }
    data.copy(this.data, this.length, start, end);
    this.length = needed;
  }
}

/** A link on which the broker receives: gives credit, puts messages together and answers them. */
export class ReceiverLink implements Link {
  readonly role = true;
  readonly name: string;
  readonly handle: number;
  readonly peerHandle: number;
  detaching = false;
  readonly #endpoint: Endpoint;
  readonly #options: ReceiverOptions;
  readonly #second: boolean;
  #credit = 0;
  /** The sender was told that it has no credit, though what it had still counts. */
  #withheld = false;
  #deliveryCount: number;
  #partial: Partial | undefined = undefined;
  /** Answered and not yet settled by the sender, which rcv-settle-mode second waits for: tags by delivery-id. */
  readonly #answered = new Map<number, string>();
  readonly #received: Received;

  constructor(endpoint: Endpoint, options: ReceiverOptions) {
    this.#endpoint = endpoint;
    this.#options = options;
    this.name = options.name;
    this.handle = options.handle;
    this.peerHandle = options.peerHandle;
    this.#deliveryCount = options.initialDeliveryCount;
    this.#second = options.rcvSettleMode === SECOND;
    this.#received = options.received;
  }

  get deliveryCount(): number {
    return this.#deliveryCount;
  }

  /** TRANSFER (amqp10 2.6.14). */
  onTransfer(frame: Frame): void {
    const { transfer } = frame;
    let partial = this.#partial;
    if (partial === undefined) {
      if (transfer.deliveryId === ABSENT || transfer.tagStart === transfer.tagEnd) {
        throw this.#error(
          CONDITION.invalidField,
          "The first TRANSFER of a delivery has no delivery-id or no delivery-tag",
        );
      }
      if (this.#answered.has(transfer.deliveryId)) {
        const text = `Delivery ${transfer.deliveryId} begins once more; expected it to be settled first`;
        throw this.#error(CONDITION.notAllowed, text);
      }
      this.#begin();
      const settled = transfer.settled ?? this.#options.sndSettleMode === SETTLED;
      if (!transfer.more && !transfer.aborted && !transfer.resume && !this.#second) {
        this.#checkSize(frame.payloadEnd - frame.payloadStart);
        this.#take(frame.data, frame.payloadStart, frame.payloadEnd, transfer.deliveryId, settled, transfer.state);
        return;
      }
      const tag = this.#second ? frame.data.toString("base64", transfer.tagStart, transfer.tagEnd) : "";
      partial = new Partial(transfer.deliveryId, tag, settled, transfer.state, transfer.resume);
    } else if (transfer.deliveryId !== ABSENT && transfer.deliveryId !== partial.id) {
      const found = `delivery ${transfer.deliveryId} begins within delivery ${partial.id}`;
      throw this.#error(CONDITION.notAllowed, `${found}; expected all its frames first`);
    }
    if (transfer.aborted) {
      // amqp10 2.7.5 aborted: nobody is told of it any more.
      this.#release(partial);
      this.replenish();
      return;
    }
    this.#go(partial, frame);
  }

  onFlow(flow: FlowFields): void {
    if (flow.echo) this.sayFlow();
  }

  /** The sender settles deliveries with these ids (amqp10 2.6.12). */
  onSettled(first: number, last: number): void {
    const count = (last - first) >>> 0;
    for (const [id, tag] of this.#answered) {
      if ((id - first) >>> 0 > count) continue;
      this.#answered.delete(id);
      this.#received.delete(tag);
    }
    this.replenish();
  }

  /** Gives credit back once half of it is used, unless the client is to wait. */
  replenish(): void {
    if (this.detaching || this.#endpoint.connected.client.blocked) return;
    const most = this.#options.credit - this.#answered.size;
    if (!this.#withheld && (this.#credit * 2 > most || this.#credit >= most)) return;
    this.#withheld = false;
    this.#credit = Math.max(this.#credit, most);
    this.sayFlow();
  }

  /** Tells the sender to wait. What it sent before it heard of that is taken all the same (amqp10 2.6.7). */
  withhold(): void {
    if (this.detaching || this.#withheld) return;
    this.#withheld = true;
    this.sayFlow();
  }

  sayFlow(): void {
    const credit = this.#withheld ? 0 : this.#credit;
    this.#endpoint.sayFlow(this.handle, this.#deliveryCount, credit, false);
  }

  /** The ways to where it sends what comes. */
  routes(): Iterable<Route> {
    return this.#options.sink.routes?.() ?? [];
  }

  left(ending: Ending): void {
    if (this.#partial !== undefined) this.#release(this.#partial);
    this.#options.sink.left(ending);
    this.#options.left(ending, this.#received);
  }

  #begin(): void {
    if (this.#credit <= 0) {
      throw this.#error(CONDITION.transferLimitExceeded, "A TRANSFER came for which there was no link credit");
    }
    this.#credit--;
    this.#deliveryCount = (this.#deliveryCount + 1) >>> 0;
  }

  /** Takes a frame of a delivery that has several, or of which more is to be known. */
  #go(partial: Partial, { data, payloadStart, payloadEnd, transfer }: Frame): void {
    if (transfer.settled === true) partial.settled = true;
    if (transfer.resume) partial.resume = true;
    const bytes = payloadEnd - payloadStart;
    this.#checkSize(partial.length + bytes);
    if (!transfer.more && partial.length === 0) {
      this.#partial = undefined;
      this.#finish(partial, data, payloadStart, payloadEnd);
      return;
    }
    this.#endpoint.assembling(bytes);
    partial.append(data, payloadStart, payloadEnd);
    this.#partial = partial;
    if (transfer.more) return;
    this.#release(partial);
    this.#finish(partial, partial.data, 0, partial.length);
  }

  #finish(partial: Partial, data: Buffer, start: number, end: number): void {
    const known = partial.resume ? this.#received.get(partial.tag) : undefined;
    if (known !== undefined) {
      // It was received before; only its sender did not get to know (amqp10 2.6.13).
      if (partial.settled) this.#received.delete(partial.tag);
      else this.#answer(partial.id, partial.tag, known);
      this.replenish();
      return;
    }
    if (!this.#second || partial.settled) {
      this.#take(data, start, end, partial.id, partial.settled, partial.state);
      return;
    }
    this.#answer(partial.id, partial.tag, this.#attempt(data, start, end, partial.state) ?? ACCEPTED);
    this.replenish();
  }

  /** Answers and waits for the sender to settle. */
  #answer(id: number, tag: string, state: DeliveryState): void {
    this.#answered.set(id, tag);
    this.#received.set(tag, state);
    this.#endpoint.answer(id, false, state);
  }

  #take(
    data: Buffer,
    start: number,
    end: number,
    id: number,
    settled: boolean,
    state: DeliveryState | undefined,
  ): void {
    if (settled) this.#options.sink.take(data, start, end, state);
    else this.#endpoint.answer(id, true, this.#attempt(data, start, end, state) ?? ACCEPTED);
    this.replenish();
  }

  /** A refusal is said of the delivery; it ends nothing. */
  #attempt(data: Buffer, start: number, end: number, state: DeliveryState | undefined): DeliveryState | undefined {
    try {
      return this.#options.sink.take(data, start, end, state);
    } catch (error) {
      if (!(error instanceof BrokerError) && !(error instanceof AmqpError)) throw error;
      const condition = conditionOf(error);
      return {
        type: "rejected",
        error: { type: "error", condition, description: describe(error), info: undefined },
      };
    }
  }

  #checkSize(bytes: number): void {
    const { maxMessageBytes } = this.#options;
    if (bytes <= maxMessageBytes) return;
    const found = `A message has ${bytes} bytes or more`;
    throw this.#error(
      CONDITION.messageSizeExceeded,
      `${found}; at most ${maxMessageBytes} are allowed (amqp10.max_message_bytes)`,
    );
  }

  #release(partial: Partial): void {
    this.#endpoint.assembling(-partial.length);
    this.#partial = undefined;
  }

  #error(condition: AmqpError["condition"], text: string): AmqpError {
    return new AmqpError("link", condition, text);
  }
}
