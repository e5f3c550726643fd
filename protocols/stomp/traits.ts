/*
 * What a SEND asks for beyond being delivered: its group, the id by which a repeated send is found out, its time.
 *
 *     delay:MS                    so long after the broker took it      } at most one of these three
 *     deliver-at:MS               at this time, since 1970              }
 *     AMQ_SCHEDULED_DELAY:MS      as `delay`                            }
 *     AMQ_SCHEDULED_PERIOD:MS     from one delivery to the next
 *     AMQ_SCHEDULED_REPEAT:N      deliveries after the first one; -1 without end
 *     AMQ_SCHEDULED_CRON:FIELDS   each time it comes due; goes before AMQ_SCHEDULED_DELAY, as in ActiveMQ
 */
import { type Timing, TRAIT } from "../../core/message.ts";
import { ProtocolError } from "../../core/protocol.ts";
import type { Frame } from "./frame.ts";
import { headerBit, type HeaderName } from "./header-names.ts";

/** The headers that say when a message is to be delivered. */
export const TIMING_HEADERS = [
  "delay",
  "deliver-at",
  "AMQ_SCHEDULED_DELAY",
  "AMQ_SCHEDULED_PERIOD",
  "AMQ_SCHEDULED_REPEAT",
  "AMQ_SCHEDULED_CRON",
] as const;

type TimingHeader = (typeof TIMING_HEADERS)[number];

const GROUP_BITS = bitsOf(["message_group", "JMSXGroupID", "JMSXGroupSeq"]);
const IDENTITY_BITS = bitsOf(["duplicate-id", "_AMQ_DUPL_ID"]);
const TIMING_BITS = bitsOf(TIMING_HEADERS);

/** The bits in `Frame.known` of all headers that `readTraits` looks at. */
export const TRAIT_BITS: number = GROUP_BITS | IDENTITY_BITS | TIMING_BITS;

/** The traits of a SEND that was received at `now`. Throws `ProtocolError` over values that make no sense. */
export function readTraits(frame: Frame, now: number): number {
  const { known } = frame;
  let traits = 0;
  if ((known & GROUP_BITS) !== 0) {
    if (readName(frame, "JMSXGroupID", "message_group") !== undefined) traits |= TRAIT.grouped;
    const sequence = frame.header("JMSXGroupSeq");
    if (sequence !== undefined && parseGroupSequence(sequence) === undefined) {
      throw new ProtocolError(`JMSXGroupSeq:${sequence} is not a whole number of 32 bits`);
    }
  }
  if ((known & IDENTITY_BITS) !== 0 && readName(frame, "duplicate-id", "_AMQ_DUPL_ID") !== undefined) {
    traits |= TRAIT.identified;
  }
  if ((known & TIMING_BITS) !== 0 && readTiming((name) => frame.header(name), now) !== undefined) {
    traits |= TRAIT.timed;
  }
  return traits;
}

/** The number in a JMSXGroupSeq header; undefined when it is none. */
export function parseGroupSequence(text: string): number | undefined {
  const sequence = /^\s*-?\d{1,10}\s*$/.test(text) ? Number(text) : Number.NaN;
  return sequence === (sequence | 0) ? sequence : undefined;
}

/**
 * When a message received at `receivedAt` is to be delivered; undefined for at once, and no more than that. Throws
 * `ProtocolError` over values that make no sense.
 */
export function readTiming(header: (name: TimingHeader) => string | undefined, receivedAt: number): Timing | undefined {
  const read = (name: TimingHeader): number | undefined => parseMs(name, header(name));
  const [delay, at, scheduledDelay] = [read("delay"), read("deliver-at"), read("AMQ_SCHEDULED_DELAY")];
  const periodMs = read("AMQ_SCHEDULED_PERIOD");
  const repeats = parseRepeats(header("AMQ_SCHEDULED_REPEAT"));
  const cron = parseCron(header("AMQ_SCHEDULED_CRON"));
  refuseTwo({ delay, "deliver-at": at, AMQ_SCHEDULED_DELAY: scheduledDelay });
  refuseTwo({ delay, "deliver-at": at, AMQ_SCHEDULED_CRON: cron });
  // Without a pause between them, and perhaps without end, they would flood the destination.
  if (repeats !== 0 && (periodMs === undefined || periodMs === 0)) {
    throw new ProtocolError(
      `AMQ_SCHEDULED_REPEAT:${repeats} without a time between the deliveries; expected AMQ_SCHEDULED_PERIOD above 0`,
    );
  }
  const wait = delay ?? scheduledDelay;
  const deliverAt = cron === undefined ? (wait === undefined ? at : receivedAt + wait) : undefined;
  if (cron === undefined && repeats === 0 && (deliverAt ?? 0) <= receivedAt) return undefined;
  return { deliverAt, periodMs: repeats === 0 ? undefined : periodMs, repeats, cron };
}

function bitsOf(names: readonly HeaderName[]): number {
  return names.reduce((bits, name) => bits | headerBit(name), 0);
}

/** One name that may be said by either of two headers. */
function readName(frame: Frame, header: HeaderName, other: HeaderName): string | undefined {
  const one = frame.header(header);
  const two = frame.header(other);
  if (one === "" || two === "") throw new ProtocolError(`${one === "" ? header : other} is empty`);
  if (one !== undefined && two !== undefined && one !== two) {
    throw new ProtocolError(`${header}:${one} and ${other}:${two} do not say the same`);
  }
  return one ?? two;
}

function refuseTwo(said: Readonly<Record<string, number | string | undefined>>): void {
  const [one, two] = Object.keys(said).filter((name) => said[name] !== undefined);
  if (one === undefined || two === undefined) return;
  throw new ProtocolError(`${one} and ${two} both say when the message is to be delivered; expected one of them`);
}

function parseMs(name: TimingHeader, text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  if (!/^\s*\d{1,15}\s*$/.test(text)) {
    throw new ProtocolError(`${name}:${text} is not a number of milliseconds, 0 or more`);
  }
  return Number(text);
}

function parseRepeats(text: string | undefined): number {
  if (text === undefined) return 0;
  if (!/^\s*(-1|\d{1,9})\s*$/.test(text)) {
    throw new ProtocolError(`AMQ_SCHEDULED_REPEAT:${text} is not a number of deliveries, 0 or more, or -1 without end`);
  }
  return Number(text);
}

function parseCron(text: string | undefined): string | undefined {
  if (text?.trim() === "") throw new ProtocolError("AMQ_SCHEDULED_CRON is empty; expected five fields as in crontab");
  return text?.trim();
}
