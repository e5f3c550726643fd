import { Decoder, type FrameLimits } from "../../protocols/amqp10/codec.ts";
import { AmqpError } from "../../protocols/amqp10/errors.ts";
import { ABSENT, type Frame } from "../../protocols/amqp10/frame.ts";

/** A frame as a test sees it: only what says something, bytes as latin1 text. */
export interface Read {
  readonly [field: string]: unknown;
}

export const LIMITS: FrameLimits = { maxFrameBytes: 200_000, maxOpeningBytes: 100_000 };

/** Everything in these chunks; `header`: they begin with a protocol header. */
export function readFrames(chunks: readonly Buffer[], header: boolean): Read[] {
  const decoder = new Decoder(LIMITS);
  if (!header) {
    decoder.feed(Buffer.from("AMQP\0\x01\0\0", "latin1"));
    decoder.next();
  }
  const frames: Read[] = [];
  for (const chunk of chunks) {
    decoder.feed(chunk);
    for (let frame = decoder.next(); frame !== undefined; frame = decoder.next()) frames.push(shown(frame));
  }
  return frames;
}

function shown(frame: Frame): Read {
  const { type, channel, sasl, data } = frame;
  const on = { ...(sasl ? { sasl } : {}), ...(channel === 0 ? {} : { channel }) };
  const text = (start: number, end: number): string => data.toString("latin1", start, end);
  switch (type) {
    case "header":
      return { header: frame.protocolId, version: frame.version };
    case "empty":
      return { empty: true, ...on };
    case "transfer": {
      const { tagStart, tagEnd, ...fields } = frame.transfer;
      const tag = tagStart === tagEnd ? {} : { tag: text(tagStart, tagEnd) };
      const payload = text(frame.payloadStart, frame.payloadEnd);
      return { ...on, type, ...said(fields), ...tag, ...(payload === "" ? {} : { payload }) };
    }
    case "disposition":
      return { ...on, type, ...said(frame.disposition) };
    case "flow":
      return { ...on, type, ...said(frame.flow) };
    default:
      return { ...on, ...said(frame.performative ?? {}) };
  }
}

/** The fields that say something. */
function said(fields: object): Read {
  return Object.fromEntries(
    Object.entries(fields).flatMap(([name, value]): [string, unknown][] => {
      if (value === undefined || value === ABSENT || value === false) return [];
      if (Buffer.isBuffer(value)) return [[name, value.toString("latin1")]];
      const inner = typeof value === "object" && value !== null && "type" in value;
      return [[name, inner ? said(value) : value]];
    }),
  );
}

/**
 * The bytes of a text in hexadecimal, with texts in single quotes and blanks anywhere. `[...]` stands for the length of what
 * is inside in one byte, and that; `{...}` the same in four.
 */
export function bytesOf(text: string): Buffer {
  const open: { readonly four: boolean; readonly parts: Buffer[] }[] = [{ four: false, parts: [] }];
  for (const [token] of text.matchAll(/'[^']*'|[0-9a-fA-F]{2}|[[\]{}]/g)) {
    if (token === "[" || token === "{") {
      open.push({ four: token === "{", parts: [] });
      continue;
    }
    const bytes = /[\]}]/.test(token) ? close(open.pop()) : tokenBytes(token);
    open.at(-1)?.parts.push(bytes);
  }
  return Buffer.concat(open.flatMap(({ parts }) => parts));
}

function tokenBytes(token: string): Buffer {
  return token.startsWith("'") ? Buffer.from(token.slice(1, -1), "latin1") : Buffer.from(token, "hex");
}

function close(inside: { readonly four: boolean; readonly parts: readonly Buffer[] } | undefined): Buffer {
  const bytes = Buffer.concat(inside?.parts ?? []);
  const length = Buffer.alloc(inside?.four === true ? 4 : 1);
  length.writeUIntBE(bytes.length, 0, length.length);
  return Buffer.concat([length, bytes]);
}

/** A frame of AMQP, or of another type, around a body. */
export function framed(body: string, channel = 0, type = 0): Buffer {
  const bytes = bytesOf(body);
  const head = Buffer.from([0, 0, 0, 0, 2, type, channel >> 8, channel & 255]);
  head.writeUInt32BE(bytes.length + 8);
  return Buffer.concat([head, bytes]);
}

/** The same bytes in every way that matters: whole, inside a larger buffer, cut once at each place, byte by byte. */
export function cuttings(bytes: Buffer): Buffer[][] {
  const inside = Buffer.alloc(bytes.length + 7, 0xee);
  bytes.copy(inside, 5);
  const own = (start: number, end: number): Buffer => Buffer.from(bytes.subarray(start, end));
  const ways = [[own(0, bytes.length)], [inside.subarray(5, 5 + bytes.length)]];
  for (let cut = 1; cut < bytes.length; cut++) ways.push([own(0, cut), own(cut, bytes.length)]);
  ways.push(Array.from(bytes, (_byte, i) => own(i, i + 1)));
  return ways;
}

/** What was refused. */
export function refusal(attempt: () => unknown): AmqpError {
  try {
    attempt();
  } catch (error) {
    if (error instanceof AmqpError) return error;
    throw error;
  }
  throw new Error("nothing was refused");
}
