/** The headers this broker knows by name; a name's place in this list is its number. Those of SEND come first. */
const NAMES = [
  "destination",
  "content-length",
  "content-type",
  "message-id",
  "receipt",
  "transaction",
  "persistent",
  "priority",
  "expires",
  "ttl",
  "retain",
  "reply-to",
  "subscription",
  "ack",
  "redelivered",
  "redeliveries",
  "JMSXUserID",
  "JMSXGroupFirstForConsumer",
  "message_group",
  "JMSXGroupID",
  "JMSXGroupSeq",
  "duplicate-id",
  "_AMQ_DUPL_ID",
  "delay",
  "deliver-at",
  "AMQ_SCHEDULED_DELAY",
  "AMQ_SCHEDULED_PERIOD",
  "AMQ_SCHEDULED_REPEAT",
  "AMQ_SCHEDULED_CRON",
  "browser",
  "id",
  "selector",
  "credit",
  "durable",
  "no-local",
  "prefetch-count",
  "activemq.prefetchSize",
  "activemq.subscriptionName",
  "browser-end",
  "from-seq",
  "include-seq",
  "exclusive",
  "activemq.exclusive",
  "activemq.priority",
  "x-priority",
  "host",
  "login",
  "passcode",
  "accept-version",
  "heart-beat",
  "client-id",
] as const;

/** A header name the broker knows. */
export type HeaderName = (typeof NAMES)[number];

/** How many names are known. */
export const KNOWN_HEADERS: number = NAMES.length;

/** The number of a known name: its place in a frame's index. */
export function headerNumber(name: HeaderName): number {
  return NAMES.indexOf(name);
}

/** The bit of a known name in `Frame.known`. Only names of SEND have one of their own. */
export function headerBit(name: HeaderName): number {
  const number = headerNumber(name);
  if (number > LAST_BIT) throw new RangeError(`header "${name}" has no bit of its own`);
  return 1 << number;
}

/** Highest number that has a bit; all others share the next one. */
export const LAST_BIT = 29;

interface Candidate {
  readonly bytes: Buffer;
  readonly number: number;
}

/** By length and first byte, so that most look-ups compare one name at most. */
const candidates: (Candidate[] | undefined)[] = Array.from<Candidate[] | undefined>({ length: 32 * 128 });
for (const [number, name] of NAMES.entries()) {
  const bytes = Buffer.from(name);
  const slot = (bytes.length << 7) | (bytes[0] ?? 0);
  (candidates[slot] ??= []).push({ bytes, number });
}

/** The number of the name that stands in `data[start, end)`, or -1. */
export function identifyHeader(data: Uint8Array, start: number, end: number): number {
  const length = end - start;
  const first = data[start] ?? 0;
  if (length > 31 || first > 127) return -1;
  const found = candidates[(length << 7) | first];
  if (found === undefined) return -1;
  for (const { bytes, number } of found) {
    let i = 1;
    while (i < length && data[start + i] === bytes[i]) i++;
    if (i === length) return number;
  }
  return -1;
}
