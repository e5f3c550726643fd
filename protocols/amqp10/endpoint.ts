/*
 * One AMQP session of a connection: the windows of transfers both ways, the links by their handles, and the deliveries that
 * were sent and are not settled (amqp10 2.5). It is not a session of the core: that has a client for the connection.
 *
 *     mapped --END--> gone          mapped --an error: END sent--> ending --END--> gone
 */
import type { Broker } from "../../core/broker.ts";
import type { Client } from "../../core/client.ts";
import type { Message } from "../../core/message.ts";
import type { Output } from "../../core/output.ts";
import { BrokerError } from "../../core/errors.ts";
import type { Route } from "../../core/routing/route.ts";
import type { Answerer, Answers } from "./answers.ts";
import { attach } from "./attach.ts";
import type { TokenNode } from "./cbs.ts";
import type { Containers } from "./containers.ts";
import { fillPayload } from "./convert.ts";
import type { Transactions } from "./coordinator.ts";
import { encodeFrame, OutgoingTransfer, writeFlow, writeFrame, writeTransfer } from "./encode.ts";
import { AmqpError, CONDITION, conditionOf, describe } from "./errors.ts";
import { ABSENT, type DispositionFields, FlowFields, type Frame } from "./frame.ts";
import { Payload } from "./payload.ts";
import {
  ACCEPTED,
  type Attach,
  type Begin,
  type DeliveryState,
  type Detach,
  type Performative,
  type Said,
} from "./performatives.ts";
import type { Amqp10Options } from "./protocol.ts";
import { ReceiverLink } from "./receiver.ts";
import { SenderLink } from "./sender.ts";
import type { SuspendedLink } from "./suspended.ts";
import { SentDeliveries } from "./unsettled.ts";

/** What the sessions and links of one connection have in common. */
export interface Connected {
  readonly broker: Broker;
  readonly client: Client;
  readonly output: Output;
  readonly options: Amqp10Options;
  readonly answers: Answers;
  readonly transactions: Transactions;
  /** The node $cbs; undefined where no tokens are taken. */
  readonly tokens: TokenNode | undefined;
  readonly containers: Containers;
  readonly containerId: string;
  /** Of the frames that the peer takes. */
  readonly maxFrameBytes: number;
  /** Links that were detached and may come again, by name. */
  readonly suspended: Map<string, SuspendedLink>;
  /** Milliseconds since 1970: when the bytes at hand were received. */
  now: number;
  /** Bytes of messages of which not all frames have come. */
  assembling: number;
  /** Bytes of messages taken although the client was to wait. */
  overrun: number;
}

/** How a link ends: for good, to come again, with its session, or with the connection. */
export type Ending = "close" | "detach" | "end" | "gone";

/** One end of a link. `role` as the broker plays it: true for a receiver. */
export interface Link {
  readonly role: boolean;
  readonly name: string;
  /** The broker's handle, and the peer's. */
  readonly handle: number;
  readonly peerHandle: number;
  readonly deliveryCount: number;
  /** The broker has detached it and waits for the peer to do the same: what comes is thrown away. */
  detaching: boolean;
  onFlow(flow: FlowFields): void;
  left(ending: Ending): void;
}

const WINDOW = 0x7fff_ffff;

/** One AMQP session. */
export class Endpoint implements Answerer {
  readonly channel: number;
  readonly connected: Connected;
  readonly sent = new SentDeliveries();
  /** The broker has ended it and waits for the peer to do the same: what comes is thrown away. */
  ending = false;
  /** END was written: nothing more may be said. */
  over = false;
  readonly #links = new Map<number, Link>();
  readonly #handles: (Link | undefined)[] = [];
  readonly #handleMax: number;
  /** Of transfers, not deliveries. */
  #nextIncomingId: number;
  #incomingWindow: number;
  #nextOutgoingId = 0;
  #remoteWindow: number;
  #stalled: SenderLink[] = [];
  #payload = new Payload();
  readonly #transfer = new OutgoingTransfer();
  readonly #flow = new FlowFields();

  constructor(connected: Connected, channel: number, begin: Begin) {
    const { options, output } = connected;
    this.connected = connected;
    this.channel = channel;
    this.#transfer.channel = channel;
    this.#nextIncomingId = begin.nextOutgoingId;
    this.#incomingWindow = options.window;
    this.#remoteWindow = begin.incomingWindow;
    this.#handleMax = Math.min(begin.handleMax, options.maxLinks - 1);
    writeFrame(output, channel, {
      type: "begin",
      remoteChannel: channel,
      nextOutgoingId: 0,
      incomingWindow: options.window,
      outgoingWindow: WINDOW,
      handleMax: this.#handleMax,
    });
  }

  /** Whether the peer takes another frame with a message. */
  get windowOpen(): boolean {
    return this.#remoteWindow > 0;
  }

  /** Whether another delivery may be sent after this one. */
  get receptive(): boolean {
    const { output, options } = this.connected;
    return this.#remoteWindow > 0 && !output.full && this.sent.count < options.maxUnsettled;
  }

  /** A free handle of the broker's own: a peer may use one of its own again before the answer to its DETACH is written. */
  get freeHandle(): number {
    const free = this.#handles.indexOf(undefined);
    return free < 0 ? this.#handles.length : free;
  }

  /** ATTACH (amqp10 2.6.3). */
  onAttach(performative: Attach): void {
    const { handle, name, role } = performative;
    if (handle > this.#handleMax) {
      throw new AmqpError(
        "connection",
        CONDITION.framingError,
        `The handle ${handle} is more than handle-max, which is ${this.#handleMax} (amqp10.max_links)`,
      );
    }
    if (this.#links.has(handle)) {
      throw new AmqpError("session", CONDITION.handleInUse, `The handle ${handle} of link "${name}" is in use`);
    }
    for (const link of this.#links.values()) {
      // amqp10 2.6.1: the newer one has the name.
      if (link.name === name && link.role !== role && !link.detaching) this.failLink(link, stolen(name));
    }
    attach(this, performative);
  }

  /** Makes a link known. */
  add(link: Link): void {
    this.#links.set(link.peerHandle, link);
    this.#handles[link.handle] = link;
  }

  /** FLOW (amqp10 2.5.6, 2.6.7). */
  onFlow(flow: FlowFields): void {
    // amqp10 2.5.6: what the peer has not said anything of counts from the beginning.
    const seen = flow.nextIncomingId === ABSENT ? 0 : flow.nextIncomingId;
    this.#remoteWindow = (seen + flow.incomingWindow - this.#nextOutgoingId) | 0;
    if (flow.incomingWindow > WINDOW) this.#remoteWindow = WINDOW;
    if (flow.handle === ABSENT) {
      if (flow.echo) this.sayFlow(ABSENT, ABSENT, ABSENT, false);
    } else {
      const link = this.#links.get(flow.handle);
      if (link === undefined) throw unattached(flow.handle);
      if (!link.detaching) link.onFlow(flow);
    }
    this.wake();
  }

  /** TRANSFER (amqp10 2.7.5). */
  onTransfer(frame: Frame): void {
    this.#nextIncomingId = (this.#nextIncomingId + 1) >>> 0;
    if (--this.#incomingWindow < 0) {
      const text = `More than ${this.connected.options.window} frames with messages came than the window lets through`;
      throw new AmqpError("session", CONDITION.windowViolation, text);
    }
    const { handle } = frame.transfer;
    const link = this.#links.get(handle);
    if (link === undefined) throw unattached(handle);
    if (!link.detaching) {
      if (!(link instanceof ReceiverLink)) {
        throw new AmqpError(
          "session",
          CONDITION.notAllowed,
          `A TRANSFER came on link "${link.name}", whose sender is the broker`,
        );
      }
      this.#onLink(link, frame);
    }
    this.#renewWindow();
  }

  /** DISPOSITION (amqp10 2.7.6). */
  onDisposition({ role, first, last, settled, state }: DispositionFields): void {
    if (!role) {
      if (settled)
        for (const link of this.#links.values()) if (link instanceof ReceiverLink) link.onSettled(first, last);
      return;
    }
    const { sent } = this;
    const to = sent.numberOf(last);
    const from = sent.numberOf(first);
    // A range may be as wide as a peer likes: what is not remembered any more costs nothing.
    for (const number of sent.stragglers(from, to)) this.#settleAt(number, settled, state);
    for (let number = Math.max(from, sent.base); number <= to; number++) this.#settleAt(number, settled, state);
    if (this.#stalled.length > 0) this.wake();
  }

  /** DETACH (amqp10 2.6.5, 2.6.6). */
  onDetach({ handle, closed }: Detach): void {
    const link = this.#links.get(handle);
    if (link === undefined) throw unattached(handle);
    this.#links.delete(handle);
    if (link.detaching) {
      this.#handles[link.handle] = undefined;
    } else {
      const refusal = refusalOf(() => link.left(closed ? "close" : "detach"));
      this.connected.answers.afterwards(() => {
        this.#handles[link.handle] = undefined;
        if (this.over) return;
        const error =
          refusal && ({ type: "error", condition: conditionOf(refusal), description: refusal.message } as const);
        this.#say({ type: "detach", handle: link.handle, closed, error });
      });
    }
    // What it had not settled counts no more: others may have waited for that.
    this.wake();
  }

  /** Ends a link from this side and says why. */
  failLink(link: Link, error: unknown): void {
    if (link.detaching) return;
    link.detaching = true;
    link.left("end");
    this.sayDetached(link.handle, error);
  }

  /** Tells that a link is over, and why. */
  sayDetached(handle: number, error: unknown): void {
    const info = { type: "error", condition: conditionOf(error), description: describe(error) } as const;
    this.#say({ type: "detach", handle, closed: true, error: info });
  }

  /** Ends all there is, in silence. */
  close(ending: Ending): void {
    this.ending = true;
    for (const link of this.#links.values()) if (!link.detaching) link.left(ending);
    this.#links.clear();
    this.#stalled = [];
  }

  /** Something that had no room may have it now. */
  wake(): void {
    if (this.#stalled.length === 0 || !this.windowOpen || this.connected.output.full) return;
    const stalled = this.#stalled;
    this.#stalled = [];
    for (const link of stalled) {
      link.stalled = false;
      if (link.detaching) continue;
      if (this.windowOpen && link.unpark() && this.receptive) link.core?.ready();
      else this.stall(link);
    }
  }

  /** A sender waits until there is room. */
  stall(link: SenderLink): void {
    if (link.stalled) return;
    link.stalled = true;
    this.#stalled.push(link);
  }

  /** The client has to wait, and for longer than usual. */
  withhold(): void {
    for (const link of this.#links.values()) if (link instanceof ReceiverLink) link.withhold();
  }

  /** The ways to where its links send. */
  *routes(): Iterable<Route> {
    for (const link of this.#links.values()) if (link instanceof ReceiverLink) yield* link.routes();
  }

  /** The client need not wait any more. */
  unblocked(): void {
    this.#renewWindow();
    for (const link of this.#links.values()) if (link instanceof ReceiverLink) link.replenish();
  }

  /** Answers a delivery that came: at once when it is refused, and when it is safe otherwise. */
  answer(id: number, settled: boolean, state: DeliveryState): void {
    this.connected.answers.settle(this, true, id, settled, state);
  }

  /** Bytes of messages more, or fewer, of which not all frames have come. */
  assembling(bytes: number): void {
    const { connected } = this;
    const sum = connected.assembling + bytes;
    const most = connected.options.maxMessageBytes * 2;
    if (sum <= most) {
      connected.assembling = sum;
      return;
    }
    const text = `Messages of which not all frames have come have ${sum} bytes together`;
    throw new AmqpError("session", CONDITION.resourceLimitExceeded, `${text}; at most ${most} are allowed`);
  }

  /** The sections of a message, until the next one is asked for. */
  fill(message: Message, deliveries: number): Payload {
    const now = message.expiresAt === 0 ? 0 : this.connected.broker.clock.now();
    fillPayload(this.#payload, message, deliveries, now);
    return this.#payload;
  }

  /** Leaves what `fill` gave last to the caller. */
  keepPayload(): Payload {
    const payload = this.#payload;
    this.#payload = new Payload();
    return payload;
  }

  /** Writes frames of a delivery as long as the window is open; returns up to where in the payload. */
  write(handle: number, number: number, tag: number, settled: boolean, payload: Payload, from: number): number {
    const { output, maxFrameBytes } = this.connected;
    const transfer = this.#transfer;
    transfer.handle = handle;
    transfer.deliveryId = number >>> 0;
    transfer.tag = tag;
    transfer.settled = settled;
    let at = from;
    do {
      at = writeTransfer(output, transfer, payload, at, maxFrameBytes);
      this.#nextOutgoingId = (this.#nextOutgoingId + 1) >>> 0;
      this.#remoteWindow--;
    } while (at < payload.length && this.#remoteWindow > 0);
    return at;
  }

  /** Writes a delivery that its receiver knows of already; settled and empty without a payload (amqp10 2.6.13). */
  writeResumed(handle: number, number: number, tag: number, payload: Payload | undefined): void {
    const deliveryTag = Buffer.alloc(4);
    deliveryTag.writeUInt32BE(tag);
    const frame = encodeFrame(this.channel, {
      type: "transfer",
      handle,
      deliveryId: number >>> 0,
      deliveryTag,
      messageFormat: 0,
      settled: payload === undefined,
      more: payload !== undefined,
      resume: true,
      ...(payload === undefined ? { state: ACCEPTED } : {}),
    });
    const { output } = this.connected;
    const at = output.reserve(frame.length);
    output.advance(at + frame.copy(output.buffer, at));
    this.#nextOutgoingId = (this.#nextOutgoingId + 1) >>> 0;
    this.#remoteWindow--;
    // The rest of it in frames as ever; there are few of these, so the window may be passed.
    if (payload === undefined) return;
    let from = 0;
    while (from < payload.length) from = this.write(handle, number, tag, false, payload, from);
  }

  /** Says where the session stands, and one of its links unless `handle` is absent. */
  sayFlow(handle: number, deliveryCount: number, linkCredit: number, drain: boolean): void {
    const { client, options, output } = this.connected;
    if (!client.blocked) this.#incomingWindow = options.window;
    const flow = this.#flow;
    flow.nextIncomingId = this.#nextIncomingId;
    flow.incomingWindow = this.#incomingWindow;
    flow.nextOutgoingId = this.#nextOutgoingId;
    flow.outgoingWindow = WINDOW;
    flow.handle = handle;
    flow.deliveryCount = deliveryCount;
    flow.linkCredit = linkCredit;
    flow.drain = drain;
    writeFlow(output, this.channel, flow);
  }

  /** Says END, and nothing more. */
  sayEnd(error?: AmqpError): void {
    this.over = true;
    const info = error && ({ type: "error", condition: error.condition, description: error.message } as const);
    this.#say({ type: "end", error: info });
  }

  say(performative: Said<Performative>): void {
    this.#say(performative);
  }

  /** Lets the peer send on once half of the window is used, unless it is to wait. */
  #renewWindow(): void {
    const { client, options } = this.connected;
    if (this.#incomingWindow * 2 > options.window || client.blocked) return;
    this.sayFlow(ABSENT, ABSENT, ABSENT, false);
  }

  #onLink(link: ReceiverLink, frame: Frame): void {
    try {
      link.onTransfer(frame);
    } catch (error) {
      const refused = error instanceof BrokerError || (error instanceof AmqpError && error.scope !== "session");
      if (!refused) throw error;
      this.failLink(link, error);
    }
  }

  #settleAt(number: number, settled: boolean, state: DeliveryState | undefined): void {
    const link = this.sent.linkAt(number);
    if (link !== undefined) this.#settle(link, number, settled, state);
  }

  #settle(link: SenderLink, number: number, settled: boolean, state: DeliveryState | undefined): void {
    const { connected } = this;
    const outcome = link.outcomeOf(state, settled);
    if (outcome === undefined) return;
    const transaction = state?.type === "transactional-state" ? connected.transactions.find(state.txnId) : undefined;
    link.settle(this.sent.take(number), outcome, transaction?.core);
    if (settled) return;
    // amqp10 2.6.12: the receiver waits to hear that the sender has settled, which in a transaction is when that ends.
    const id = number >>> 0;
    if (transaction === undefined) connected.answers.settle(this, false, id, true, state ?? ACCEPTED);
    else transaction.atEnd((ended) => connected.answers.settle(this, false, id, true, ended));
  }

  #say(performative: Said<Performative>): void {
    writeFrame(this.connected.output, this.channel, performative);
  }
}

/** What the core refuses of something; the link is over all the same. */
function refusalOf(act: () => void): BrokerError | undefined {
  try {
    act();
    return undefined;
  } catch (error) {
    if (error instanceof BrokerError) return error;
    throw error;
  }
}

function unattached(handle: number): AmqpError {
  return new AmqpError("session", CONDITION.unattachedHandle, `There is no link with the handle ${handle}`);
}

function stolen(name: string): AmqpError {
  return new AmqpError("link", CONDITION.stolen, `Link "${name}" was attached once more`);
}
