import { encodeFrame, encodeHeader } from "../../protocols/amqp10/encode.ts";
import {
  type Composite,
  isPerformative,
  type Performative,
  readComposite,
  type Said,
} from "../../protocols/amqp10/performatives.ts";
import { Reader } from "../../protocols/amqp10/reader.ts";
import { Described, Scalar } from "../../protocols/amqp10/values.ts";
import { Wire } from "./wire.ts";

/** A frame from the broker. */
export interface ReceivedPerformative<T extends Performative = Performative> {
  readonly channel: number;
  readonly performative: T;
  readonly payload: Buffer;
}

type Named<T extends Performative["type"]> = Extract<Performative, { readonly type: T }>;

const HEADER_BYTES = 8;
const DATA = 0x75n;
const VALUE = 0x77n;
const DURABLE_HEADER = Buffer.from([0x00, 0x53, 0x70, 0xc0, 0x02, 0x01, 0x41]);

/** The sections of a message with bytes as its body. */
export function messageBytes(body: string | Uint8Array, durable = false): Buffer {
  const bytes = Buffer.from(body);
  const head = Buffer.from([0x00, 0x53, Number(DATA), 0xb0, 0, 0, 0, 0]);
  head.writeUInt32BE(bytes.length, 4);
  return Buffer.concat([durable ? DURABLE_HEADER : Buffer.alloc(0), head, bytes]);
}

/** The body of a message whose body is one section of data or a text; empty for others. */
export function bodyOf(payload: Buffer): string {
  const reader = new Reader(true).over(payload, 0, payload.length);
  while (!reader.done) {
    const section = reader.read();
    if (!(section instanceof Described) || !(section.descriptor instanceof Scalar)) break;
    const { descriptor, value } = section;
    if (descriptor.value === DATA && value instanceof Uint8Array) return Buffer.from(value).toString();
    if (descriptor.value === VALUE && typeof value === "string") return value;
  }
  return "";
}

/** An AMQP 1.0 client made of nothing but frames: it neither answers nor checks anything by itself. */
export class Amqp10Wire implements Disposable {
  readonly wire: Wire;
  /** Frames that came while another kind was expected, such as FLOW. */
  readonly passed: ReceivedPerformative[] = [];
  #deliveryId = 0;

  private constructor(wire: Wire) {
    this.wire = wire;
  }

  /** A connection on which nothing was said yet. */
  static async open(port: number | Wire): Promise<Amqp10Wire> {
    return new Amqp10Wire(await Wire.over(port));
  }

  /** A connection that is open, without SASL, and has a session on channel 0 unless it is to have none. */
  static async connect(
    port: number,
    options: {
      readonly open?: Partial<Said<Named<"open">>>;
      readonly begin?: Partial<Said<Named<"begin">>> | false;
    } = {},
  ): Promise<Amqp10Wire> {
    const wire = await Amqp10Wire.open(port);
    await wire.header(0);
    await wire.say({ type: "open", containerId: `test-${Math.random()}`, ...options.open });
    await wire.expect("open");
    if (options.begin !== false) await wire.begin(0, options.begin);
    return wire;
  }

  /** Exchanges protocol headers. */
  async header(protocolId: 0 | 3): Promise<void> {
    await this.wire.send(encodeHeader(protocolId));
    await this.wire.expect(encodeHeader(protocolId));
  }

  /** Begins a session. */
  async begin(
    channel: number,
    begin: Partial<Said<Named<"begin">>> = {},
  ): Promise<ReceivedPerformative<Named<"begin">>> {
    const windows = { nextOutgoingId: 0, incomingWindow: 1000, outgoingWindow: 1000 };
    await this.say({ type: "begin", ...windows, ...begin }, channel);
    return this.expect("begin");
  }

  /** Attaches a link on which this end sends; waits for credit. */
  async sender(
    address: string | undefined,
    attach: Partial<Said<Named<"attach">>> = {},
  ): Promise<ReceivedPerformative<Named<"attach">>> {
    await this.say({
      type: "attach",
      name: `sender-${address ?? ""}`,
      handle: 0,
      role: false,
      source: { type: "source" },
      target: { type: "target", ...(address === undefined ? {} : { address }) },
      initialDeliveryCount: 0,
      ...attach,
    });
    const attached = await this.expect("attach");
    return attached;
  }

  /** Attaches a link on which this end receives, and gives credit. */
  async receiver(
    address: string | undefined,
    credit = 0,
    attach: Partial<Said<Named<"attach">>> = {},
  ): Promise<ReceivedPerformative<Named<"attach">>> {
    await this.say({
      type: "attach",
      name: `receiver-${address ?? ""}`,
      handle: 1,
      role: true,
      source: { type: "source", ...(address === undefined ? {} : { address }) },
      target: { type: "target" },
      ...attach,
    });
    const attached = await this.expect("attach");
    if (credit > 0) await this.credit(credit, attach.handle ?? 1);
    return attached;
  }

  /** Gives credit to a link whose sender has sent `deliveryCount` messages. */
  async credit(linkCredit: number, handle = 1, more: Partial<Said<Named<"flow">>> = {}): Promise<void> {
    const windows = { nextIncomingId: 0, incomingWindow: 1000, nextOutgoingId: 0, outgoingWindow: 1000 };
    await this.say({ type: "flow", ...windows, handle, deliveryCount: 0, linkCredit, ...more });
  }

  /** Sends a message in one frame; returns its delivery-id. */
  async transfer(payload: Uint8Array, more: Partial<Said<Named<"transfer">>> = {}): Promise<number> {
    const deliveryId = more.deliveryId ?? this.#deliveryId++;
    const deliveryTag = Buffer.from(String(deliveryId));
    await this.say({ type: "transfer", handle: 0, deliveryId, deliveryTag, messageFormat: 0, ...more }, 0, payload);
    return deliveryId;
  }

  /** Sends a frame. */
  async say(performative: Said<Performative>, channel = 0, payload: Uint8Array = Buffer.alloc(0)): Promise<void> {
    const frame = Buffer.concat([encodeFrame(channel, performative), payload]);
    frame.writeUInt32BE(frame.length);
    await this.wire.send(frame);
  }

  /** The next frame that has a body. */
  async next(): Promise<ReceivedPerformative> {
    for (;;) {
      const header = await this.wire.take(HEADER_BYTES);
      const offset = (header[4] ?? 0) * 4 - HEADER_BYTES;
      const body = (await this.wire.take(header.readUInt32BE() - HEADER_BYTES)).subarray(offset);
      if (body.length === 0) continue;
      const { composite, end } = readComposite(body, 0, body.length);
      if (!isPerformative(composite)) throw new Error(`Not a performative: ${JSON.stringify(composite)}`);
      return { channel: header.readUInt16BE(6), performative: composite, payload: body.subarray(end) };
    }
  }

  /** The next frame of this kind; FLOWs before it are put aside, anything else is wrong. */
  async expect<T extends Performative["type"]>(type: T): Promise<ReceivedPerformative<Named<T>>> {
    for (;;) {
      const { channel, performative, payload } = await this.next();
      if (isOf(performative, type)) return { channel, performative, payload };
      if (performative.type !== "flow") throw new Error(`Expected ${type}, received ${describe(performative)}`);
      this.passed.push({ channel, performative, payload });
    }
  }

  /** The body of the next message; it is to be settled unless it came so. */
  async message(): Promise<string> {
    return bodyOf((await this.expect("transfer")).payload);
  }

  /** Complains about anything that came before the answer to a FLOW which asks for one. */
  async nothing(): Promise<void> {
    await this.say({
      type: "flow",
      nextIncomingId: 0,
      incomingWindow: 1000,
      nextOutgoingId: 0,
      outgoingWindow: 1000,
      echo: true,
    });
    const { performative } = await this.next();
    if (performative.type !== "flow") throw new Error(`Expected nothing, received ${describe(performative)}`);
  }

  [Symbol.dispose](): void {
    this.wire[Symbol.dispose]();
  }
}

function isOf<T extends Performative["type"]>(performative: Performative, type: T): performative is Named<T> {
  return performative.type === type;
}

function describe(composite: Composite): string {
  return JSON.stringify(composite, (_key, value: unknown) => (typeof value === "bigint" ? String(value) : value));
}
