import { ProtocolError } from "../../core/protocol.ts";
import type { SubscribeOptions } from "../../core/subscription.ts";
import type { Frame } from "./frame.ts";
import { headerNumber, type HeaderName, identifyHeader } from "./header-names.ts";

/** What a SUBSCRIBE asks for besides its messages: whether it takes them, and its place among other consumers. */
interface ConsumerOptions {
  readonly browse: NonNullable<SubscribeOptions["browse"]> | undefined;
  readonly exclusive: boolean;
  readonly priority: number;
  /** The header, as spelled, that tells each message's sequence. */
  readonly sequenceHeader: string | undefined;
}

const INCLUDE_SEQ = headerNumber("include-seq");

/** Reads the headers of browsers, of exclusive consumers and of consumers with a priority. */
export function readConsumerOptions(frame: Frame): ConsumerOptions {
  const browser = readFlag(frame, "browser", false);
  const end = readFlag(frame, "browser-end", true);
  const fromSequence = readSequence(frame);
  if (fromSequence !== undefined && !browser) {
    throw new ProtocolError("from-seq is for browsers; expected browser:true with it");
  }
  const exclusive = readFlag(frame, "exclusive", readFlag(frame, "activemq.exclusive", false));
  if (browser && exclusive) throw new ProtocolError("A browser takes no messages, so it cannot be exclusive");
  return {
    browse: browser ? { end, fromSequence: fromSequence ?? 0 } : undefined,
    exclusive,
    priority: readPriority(frame),
    sequenceHeader: readSequenceHeader(frame),
  };
}

function readFlag(frame: Frame, name: HeaderName, absent: boolean): boolean {
  const text = frame.header(name);
  if (text === undefined) return absent;
  if (text !== "true" && text !== "false") throw new ProtocolError(`${name}:${text} is neither true nor false`);
  return text === "true";
}

function readSequence(frame: Frame): number | undefined {
  const text = frame.header("from-seq");
  if (text === undefined) return undefined;
  if (!/^\d{1,15}$/.test(text)) throw new ProtocolError(`from-seq:${text} is not a sequence, a whole number from 0`);
  return Number(text);
}

function readPriority(frame: Frame): number {
  for (const name of ["priority", "activemq.priority", "x-priority"] as const) {
    const text = frame.header(name);
    if (text === undefined) continue;
    if (!/^-?\d{1,9}$/.test(text)) throw new ProtocolError(`${name}:${text} is not a whole number`);
    return Number(text);
  }
  return 0;
}

function readSequenceHeader(frame: Frame): string | undefined {
  const name = frame.header("include-seq");
  if (name === undefined) return undefined;
  if (name === "" || name.includes(":")) {
    throw new ProtocolError(`include-seq:${name} is not the name of a header: it is empty or has a colon`);
  }
  const bytes = Buffer.from(name);
  if (identifyHeader(bytes, 0, bytes.length) >= 0) {
    throw new ProtocolError(`include-seq:${name} names a header that has a meaning of its own`);
  }
  return frame.spelled(INCLUDE_SEQ);
}
