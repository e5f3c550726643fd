import { Output } from "../../core/output.ts";
import { readU16, readU32, readU64, writeU16, writeU32 } from "../../protocols/amqp091/bytes.ts";
import {
  type Arguments,
  decodeMethod,
  type Method,
  type MethodName,
  writeMethod,
} from "../../protocols/amqp091/methods.ts";
import { type BasicProperties, decodeProperties, encodeProperties } from "../../protocols/amqp091/properties.ts";
import { Wire } from "./wire.ts";

/** The first bytes of a client of AMQP 0-9-1. */
export const HEADER: Buffer = Buffer.from("AMQP\0\0\x09\x01", "latin1");

const FRAME = { method: 1, header: 2, body: 3, heartbeat: 8 } as const;
const END = 0xce;
const NOTHING: ReadonlyMap<string, never> = new Map<string, never>();

/** A frame from the broker. */
export type Frame =
  | { readonly type: "method"; readonly channel: number; readonly method: Method }
  | { readonly type: "header"; readonly channel: number; readonly size: number; readonly properties: BasicProperties }
  | { readonly type: "body"; readonly channel: number; readonly data: Buffer }
  | { readonly type: "heartbeat" };

/** A message with the method that brought it. */
export interface Content<N extends MethodName> {
  readonly method: Arguments<N>;
  readonly properties: BasicProperties;
  readonly body: string;
}

/** What a test wants of a connection. */
export interface OpenOptions {
  readonly user?: string;
  readonly password?: string;
  readonly virtualHost?: string;
  readonly capabilities?: readonly string[];
  readonly frameMax?: number;
  readonly channelMax?: number;
  readonly heartbeat?: number;
}

/** What a test wants of a basic.publish besides where it goes. */
export interface PublishOptions extends BasicProperties {
  readonly mandatory?: boolean;
  readonly immediate?: boolean;
}

/** Methods of which a test need not say everything. */
type Defaulted =
  | "exchange.declare"
  | "exchange.delete"
  | "exchange.bind"
  | "exchange.unbind"
  | "queue.declare"
  | "queue.bind"
  | "queue.unbind"
  | "queue.purge"
  | "queue.delete"
  | "basic.qos"
  | "basic.consume"
  | "basic.cancel"
  | "basic.get"
  | "basic.ack"
  | "basic.nack"
  | "basic.reject"
  | "basic.recover"
  | "basic.recover-async"
  | "confirm.select"
  | "tx.select"
  | "tx.commit"
  | "tx.rollback"
  | "channel.open"
  | "channel.flow"
  | "channel.close"
  | "channel.close-ok";

/** Their arguments where it says nothing else. */
const DEFAULTS: { readonly [N in Defaulted]: Arguments<N> } = {
  "exchange.declare": {
    exchange: "",
    type: "direct",
    passive: false,
    durable: false,
    autoDelete: false,
    internal: false,
    noWait: false,
    arguments: NOTHING,
  },
  "exchange.delete": { exchange: "", ifUnused: false, noWait: false },
  "exchange.bind": { destination: "", source: "", routingKey: "", noWait: false, arguments: NOTHING },
  "exchange.unbind": { destination: "", source: "", routingKey: "", noWait: false, arguments: NOTHING },
  "queue.declare": {
    queue: "",
    passive: false,
    durable: false,
    exclusive: false,
    autoDelete: false,
    noWait: false,
    arguments: NOTHING,
  },
  "queue.bind": { queue: "", exchange: "", routingKey: "", noWait: false, arguments: NOTHING },
  "queue.unbind": { queue: "", exchange: "", routingKey: "", arguments: NOTHING },
  "queue.purge": { queue: "", noWait: false },
  "queue.delete": { queue: "", ifUnused: false, ifEmpty: false, noWait: false },
  "basic.qos": { prefetchSize: 0, prefetchCount: 0, global: false },
  "basic.consume": {
    queue: "",
    consumerTag: "",
    noLocal: false,
    noAck: false,
    exclusive: false,
    noWait: false,
    arguments: NOTHING,
  },
  "basic.cancel": { consumerTag: "", noWait: false },
  "basic.get": { queue: "", noAck: false },
  "basic.ack": { deliveryTag: 0, multiple: false },
  "basic.nack": { deliveryTag: 0, multiple: false, requeue: true },
  "basic.reject": { deliveryTag: 0, requeue: true },
  "basic.recover": { requeue: true },
  "basic.recover-async": { requeue: true },
  "confirm.select": { noWait: false },
  "tx.select": {},
  "tx.commit": {},
  "tx.rollback": {},
  "channel.open": {},
  "channel.flow": { active: true },
  "channel.close": { replyCode: 200, replyText: "", classId: 0, methodId: 0 },
  "channel.close-ok": {},
};

/** An AMQP 0-9-1 client made of nothing but frames: it neither answers nor checks anything by itself. */
export class AmqpWire implements Disposable {
  readonly wire: Wire;
  #peeked: Frame | undefined = undefined;

  private constructor(wire: Wire) {
    this.wire = wire;
  }

  /** A connection on which nothing was said yet. */
  static async connect(port: number | Wire): Promise<AmqpWire> {
    return new AmqpWire(await Wire.over(port));
  }

  /** A connection that has said its header and was greeted. */
  static async greeted(port: number | Wire): Promise<AmqpWire> {
    const client = await AmqpWire.connect(port);
    await client.wire.send(HEADER);
    await client.expect("connection.start");
    return client;
  }

  /** A connection that is logged in, and was told the broker's limits. */
  static async loggedIn(port: number | Wire, options: OpenOptions = {}): Promise<AmqpWire> {
    const client = await AmqpWire.greeted(port);
    await client.startOk(options);
    await client.expect("connection.tune");
    return client;
  }

  /** A connection to a virtual host. */
  static async open(port: number, options: OpenOptions = {}): Promise<AmqpWire> {
    const client = await AmqpWire.loggedIn(port, options);
    const { channelMax = 2047, frameMax = 131_072, heartbeat = 0, virtualHost = "/" } = options;
    await client.send(0, "connection.tune-ok", { channelMax, frameMax, heartbeat });
    await client.send(0, "connection.open", { virtualHost });
    await client.expect("connection.open-ok");
    return client;
  }

  /** A connection with channel 1 open. */
  static async channel(port: number, options: OpenOptions = {}): Promise<AmqpWire> {
    const client = await AmqpWire.open(port, options);
    await client.openChannel(1);
    return client;
  }

  startOk({ user = "guest", password = "guest", capabilities = [] }: OpenOptions = {}): Promise<void> {
    const table = new Map(capabilities.map((name) => [name, true]));
    return this.send(0, "connection.start-ok", {
      clientProperties: new Map([["capabilities", table]]),
      mechanism: "PLAIN",
      response: Buffer.from(`\0${user}\0${password}`),
      locale: "en_US",
    });
  }

  async openChannel(channel: number): Promise<void> {
    await this.ask(channel, "channel.open", {}, "channel.open-ok");
  }

  send<N extends MethodName>(channel: number, name: N, args: Arguments<N>): Promise<void> {
    return this.wire.send(methodBytes(channel, name, args));
  }

  /** Sends a method of channel 1, or of another one, with what is said of its arguments. */
  say<N extends Defaulted>(name: N, args: Partial<Arguments<N>> = {}, channel = 1): Promise<void> {
    return this.wire.send(spoken(name, args, channel));
  }

  /** The same, and waits for the answer. */
  async ask<N extends Defaulted, A extends MethodName>(
    channel: number,
    name: N,
    args: Partial<Arguments<N>>,
    answer: A,
  ): Promise<Arguments<A>> {
    await this.say(name, args, channel);
    return this.expect(answer, channel);
  }

  /** Declares a queue on channel 1 and returns its name. */
  async declare(queue: string, args: Partial<Arguments<"queue.declare">> = {}): Promise<string> {
    return (await this.ask(1, "queue.declare", { queue, ...args }, "queue.declare-ok")).queue;
  }

  /** Consumes from a queue on channel 1 and returns the consumer tag. */
  async consume(queue: string, args: Partial<Arguments<"basic.consume">> = {}, channel = 1): Promise<string> {
    return (await this.ask(channel, "basic.consume", { queue, ...args }, "basic.consume-ok")).consumerTag;
  }

  /** Publishes on channel 1, or on another one. */
  publish(
    exchange: string,
    routingKey: string,
    body: string | Buffer = "",
    options: PublishOptions = {},
    channel = 1,
  ): Promise<void> {
    return this.wire.send(published(exchange, routingKey, body, options, channel));
  }

  /** Takes the next frame but heartbeats; complains when it is not this method. */
  async expect<N extends MethodName>(name: N, channel?: number): Promise<Arguments<N>> {
    const frame = await this.next();
    if (frame.type !== "method") throw new Error(`Expected ${name}, received a ${frame.type} frame`);
    const args = argumentsOf(frame.method, name);
    if (args === undefined) {
      throw new Error(`Expected ${name}, received ${frame.method.name} ${show(frame.method.arguments)}`);
    }
    if (channel !== undefined && channel !== frame.channel) {
      throw new Error(`Expected ${name} on channel ${channel}, received it on ${frame.channel}`);
    }
    return args;
  }

  /** Takes a method with its content. */
  async content<N extends MethodName>(name: N, channel?: number): Promise<Content<N>> {
    const args = await this.expect(name, channel);
    const header = await this.next();
    if (header.type !== "header") throw new Error(`Expected a content header, received ${show(header)}`);
    const parts: Buffer[] = [];
    for (let bytes = 0; bytes < header.size; ) {
      const body = await this.next();
      if (body.type !== "body") throw new Error(`Expected a body frame, received ${show(body)}`);
      parts.push(body.data);
      bytes += body.data.length;
    }
    return { method: args, properties: header.properties, body: Buffer.concat(parts).toString() };
  }

  /** Takes the next delivery. */
  delivery(channel?: number): Promise<Content<"basic.deliver">> {
    return this.content("basic.deliver", channel);
  }

  /** Gets a message from a queue; undefined when there is none. */
  async get(queue: string, noAck = true): Promise<Content<"basic.get-ok"> | undefined> {
    await this.say("basic.get", { queue, noAck });
    const peeked = await this.peek();
    if (peeked.type === "method" && peeked.method.name === "basic.get-empty") {
      await this.next();
      return undefined;
    }
    return this.content("basic.get-ok");
  }

  /** Complains when anything came before the answer to a request that says nothing. */
  async quiet(channel = 1): Promise<void> {
    await this.ask(channel, "basic.qos", {}, "basic.qos-ok");
  }

  /** The next frame but heartbeats, which stays. */
  async peek(): Promise<Frame> {
    this.#peeked ??= await this.#read();
    return this.#peeked;
  }

  /** The next frame but heartbeats. */
  async next(): Promise<Frame> {
    const frame = await this.peek();
    this.#peeked = undefined;
    return frame;
  }

  [Symbol.dispose](): void {
    this.wire[Symbol.dispose]();
  }

  async #read(): Promise<Frame> {
    for (;;) {
      const frame = await this.frame();
      if (frame.type !== "heartbeat") return frame;
    }
  }

  /** The next frame, whatever it is. */
  async frame(): Promise<Frame> {
    const head = await this.wire.take(7);
    const channel = readU16(head, 1);
    const rest = await this.wire.take(readU32(head, 3) + 1);
    const data = rest.subarray(0, -1);
    if (rest.at(-1) !== END) throw new Error(`A frame of type ${head[0]} ends with ${rest.at(-1)}`);
    switch (head[0]) {
      case FRAME.method:
        return { type: "method", channel, method: decodeMethod(readU32(data, 0), data, 4, data.length) };
      case FRAME.header:
        return {
          type: "header",
          channel,
          size: readU64(data, 4),
          properties: decodeProperties(data, 12, data.length),
        };
      case FRAME.body:
        return { type: "body", channel, data };
      default:
        return { type: "heartbeat" };
    }
  }
}

/** The bytes of a method. */
export function methodBytes<N extends MethodName>(channel: number, name: N, args: Arguments<N>): Buffer {
  const output = new Output(Number.POSITIVE_INFINITY, () => undefined);
  writeMethod(output, channel, name, args);
  return Buffer.concat(output.take());
}

/** The bytes of a method with what is said of its arguments. */
export function spoken<N extends Defaulted>(name: N, args: Partial<Arguments<N>>, channel = 1): Buffer {
  const defaults: Arguments<N> = DEFAULTS[name];
  return methodBytes(channel, name, { ...defaults, ...args });
}

/** The bytes of a frame. */
export function frameBytes(type: keyof typeof FRAME | number, channel: number, payload: Buffer, end = END): Buffer {
  const bytes = Buffer.alloc(7 + payload.length + 1);
  bytes[0] = typeof type === "number" ? type : FRAME[type];
  writeU16(bytes, 1, channel);
  writeU32(bytes, 3, payload.length);
  payload.copy(bytes, 7);
  bytes[bytes.length - 1] = end;
  return bytes;
}

/** The bytes of a content header. */
export function contentHeader(channel: number, size: number, properties: BasicProperties = {}): Buffer {
  const head = Buffer.alloc(12);
  writeU16(head, 0, 60);
  writeU32(head, 4, Math.floor(size / 2 ** 32));
  writeU32(head, 8, size >>> 0);
  return frameBytes("header", channel, Buffer.concat([head, encodeProperties(properties)]));
}

/** The bytes of a basic.publish with its content, the body in frames of at most 100,000 bytes. */
export function published(
  exchange: string,
  routingKey: string,
  body: string | Buffer,
  { mandatory = false, immediate = false, ...properties }: PublishOptions = {},
  channel = 1,
): Buffer {
  const bytes = Buffer.from(body);
  const frames = [
    methodBytes(channel, "basic.publish", { exchange, routingKey, mandatory, immediate }),
    contentHeader(channel, bytes.length, properties),
  ];
  for (let at = 0; at < bytes.length; at += 100_000) {
    frames.push(frameBytes("body", channel, bytes.subarray(at, at + 100_000)));
  }
  return Buffer.concat(frames);
}

function argumentsOf<N extends MethodName>(found: Method, name: N): Arguments<N> | undefined {
  return isNamed(found, name) ? found.arguments : undefined;
}

function isNamed<N extends MethodName>(
  found: Method,
  name: N,
): found is Method & { readonly name: N; readonly arguments: Arguments<N> } {
  return found.name === name;
}

function show(value: unknown): string {
  return JSON.stringify(value, (_key, item: unknown) => (typeof item === "bigint" ? item.toString() : item)).slice(
    0,
    500,
  );
}
