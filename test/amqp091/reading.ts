import { Decoder, type FrameSink, PROTOCOL_HEADER } from "../../protocols/amqp091/codec.ts";
import { AmqpError } from "../../protocols/amqp091/errors.ts";
import { codeOf, decodeMethod, methodName } from "../../protocols/amqp091/methods.ts";
import { decodeProperties } from "../../protocols/amqp091/properties.ts";
import { Assembly, PROPERTIES_OFFSET, propertiesEnd, type Publish } from "../../protocols/amqp091/publish.ts";

/** A frame, or a publish, as a test sees it. */
export interface Read {
  readonly [field: string]: unknown;
}

const LIMITS = { maxFrameBytes: 4096, maxBodyBytes: 10_000 };

/** Bytes from hexadecimal, with texts in single quotes and blanks anywhere. */
export function bytesOf(text: string): Buffer {
  const parts = text
    .split("'")
    .map((part, index) =>
      Buffer.from(index % 2 === 1 ? part : part.replaceAll(/\s/g, ""), index % 2 === 1 ? "latin1" : "hex"),
    );
  return Buffer.concat(parts);
}

/** A whole frame around a payload. */
export function frame(type: number, channel: number, payload: Buffer): Buffer {
  const head = Buffer.alloc(7);
  head[0] = type;
  head.writeUInt16BE(channel, 1);
  head.writeUInt32BE(payload.length, 3);
  return Buffer.concat([head, payload, Buffer.from([0xce])]);
}

/** Everything that a decoder tells of, contents put together: the same however the bytes are cut. */
export class Reading implements FrameSink {
  readonly read: Read[] = [];
  /** Publishes that came in one piece. */
  quick = 0;
  readonly decoder: Decoder = new Decoder(this, LIMITS);
  readonly #assemblies = new Map<number, Assembly>();

  feed(chunk: Buffer): void {
    this.decoder.feed(chunk);
    while (this.decoder.next());
  }

  onProtocolHeader(accepted: boolean): void {
    this.read.push({ accepted });
  }

  onMethod(channel: number, code: number, data: Buffer, start: number, end: number): void {
    const assembly = this.#assembly(channel);
    if (code === codeOf("basic.publish")) assembly.begin(data, start, end);
    else if (assembly.awaits !== "method")
      throw new AmqpError("UNEXPECTED_FRAME", `a ${methodName(code)} amid a content`);
    else this.read.push({ channel, ...decodeMethod(code, data, start, end) });
  }

  onPublish(channel: number, publish: Publish): void {
    this.quick++;
    this.#published(channel, publish);
  }

  onAck(channel: number, deliveryTag: number, multiple: boolean): void {
    this.read.push({ channel, name: "basic.ack", arguments: { deliveryTag, multiple } });
  }

  onHeader(channel: number, data: Buffer, start: number, end: number): void {
    const assembly = this.#assembly(channel);
    if (assembly.header(data, start, end, LIMITS.maxBodyBytes)) this.#published(channel, assembly.publish);
  }

  onBody(channel: number, data: Buffer, start: number, end: number, left: number): void {
    const assembly = this.#assembly(channel);
    if (assembly.body(data, start, end, left)) this.#published(channel, assembly.publish);
  }

  onHeartbeat(): void {
    this.read.push({ heartbeat: true });
  }

  #published(channel: number, publish: Publish): void {
    const { data, exchange, routingKey, mandatory, immediate, start, bodyStart, bodyEnd, end } = publish;
    const properties = decodeProperties(data, start + PROPERTIES_OFFSET, propertiesEnd(publish));
    const said = Object.fromEntries(Object.entries(properties).filter(([, value]) => value !== undefined));
    const body = data.toString("latin1", bodyStart, bodyEnd);
    const ends = [data[propertiesEnd(publish)], data[end - 1]];
    this.read.push({ channel, publish: { exchange, routingKey, mandatory, immediate }, properties: said, body, ends });
  }

  #assembly(channel: number): Assembly {
    let assembly = this.#assemblies.get(channel);
    if (assembly === undefined) {
      assembly = new Assembly();
      this.#assemblies.set(channel, assembly);
    }
    return assembly;
  }
}

/** Everything in these chunks; with `greeted`, behind a protocol header. */
export function readFrames(chunks: readonly Buffer[], greeted = true): Read[] {
  const reading = new Reading();
  if (greeted) reading.feed(Buffer.from(PROTOCOL_HEADER));
  for (const chunk of chunks) reading.feed(chunk);
  return greeted ? reading.read.slice(1) : reading.read;
}

/** The error over what is refused. */
export function refusal(read: () => unknown): AmqpError {
  try {
    read();
  } catch (error) {
    if (error instanceof AmqpError) return error;
    throw error;
  }
  throw new Error("nothing was refused");
}

/** The bytes in a buffer that begins somewhere in a bigger one, with noise around them. */
export function embedded(bytes: Buffer): Buffer {
  const around = Buffer.alloc(bytes.length + 64, "\x01\x00\xcenoise");
  bytes.copy(around, 13);
  return around.subarray(13, 13 + bytes.length);
}

/** These bytes in chunks of one size. */
export function pieces(bytes: Buffer, size: number): Buffer[] {
  const all: Buffer[] = [];
  for (let at = 0; at < bytes.length; at += size) all.push(embedded(bytes.subarray(at, at + size)));
  return all;
}

/** All the ways to cut these bytes that a table row is tried with: whole, byte by byte, in two at every place. */
export function* cuttings(bytes: Buffer): Generator<readonly Buffer[]> {
  yield [Buffer.from(bytes)];
  yield [embedded(bytes)];
  if (bytes.length > 3000) {
    yield pieces(bytes, 1000);
    return;
  }
  yield pieces(bytes, 1);
  for (let cut = 1; cut < bytes.length; cut++) {
    yield [embedded(bytes.subarray(0, cut)), embedded(bytes.subarray(cut))];
  }
}
