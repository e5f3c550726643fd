import { ProtocolError } from "../../core/protocol.ts";
import type { Frame } from "./frame.ts";

/** What a client grants: messages and bytes, in two windows. */
export interface Credit {
  readonly messages: number;
  readonly bytes: number;
  /** The windows grow only by what the client grants; ACKs give nothing back. */
  readonly manual: boolean;
}

/** Reads `credit:messages[,bytes[,false]]`; `bytes` when the header does not say. */
export function readCredit(text: string, bytes: number): Credit {
  const match = /^\s*(-?\d{1,15})\s*(?:,\s*(-?\d{1,15})\s*(?:,\s*(true|false)\s*)?)?$/.exec(text);
  if (match === null) {
    throw new ProtocolError(`credit:${text} is not of the form MESSAGES[,BYTES[,false]]`);
  }
  return {
    messages: Number(match[1]),
    bytes: match[2] === undefined ? bytes : Number(match[2]),
    manual: match[3] === "false",
  };
}

/** The same by RabbitMQ's and ActiveMQ's names: so many messages and no more; 0 leaves the default. */
export function readPrefetch(frame: Frame): Credit | undefined {
  for (const name of ["prefetch-count", "activemq.prefetchSize"] as const) {
    const text = frame.header(name);
    if (text === undefined) continue;
    if (!/^\s*\d{1,9}\s*$/.test(text)) throw new ProtocolError(`${name}:${text} is not a number of messages`);
    const messages = Number(text);
    if (messages > 0) return { messages, bytes: 0, manual: false };
  }
  return undefined;
}
