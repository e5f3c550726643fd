import fc from "fast-check";

/** A frame as it goes over the wire, its NUL included. */
type Bytes = Buffer;

const CONNECTS = [
  "CONNECT\naccept-version:1.2\nhost:localhost\n\n\0",
  "STOMP\naccept-version:1.0,1.1\nhost:localhost\nheart-beat:500,0\n\n\0",
  "CONNECT\n\n\0",
  "CONNECT\r\naccept-version:1.2\r\nhost:localhost\r\nclient-id:one\r\n\r\n\0",
];
const DESTINATIONS = [
  "/queue/fuzz.a",
  "/queue/fuzz.b",
  "/topic/fuzz.a",
  "/topic/fuzz.b",
  "/temp-queue/t",
  "/queue/fuzz.a,/topic/fuzz.a",
  "/exchange/amq.topic/fuzz.b",
  "fuzz.bare",
];
const SOURCES = [...DESTINATIONS, "/queue/fuzz.*", "/topic/fuzz.**", "/queue/fuzz.{[ab]}"];
const SELECTORS = [
  "n > 3",
  "n BETWEEN 1 AND 5 OR x LIKE 'a_%' ESCAPE '!'",
  "((((n = 1))))",
  "x IN ('a','b') OR n IS NULL",
];
/** Frames that are refused, each for another reason. */
const REFUSED = [
  "SUBSCRIBE\nid:0\ndestination:/queue/fuzz.a\n\n\0",
  "SUBSCRIBE\nid:9\ndestination:/dsub/none\n\n\0",
  "SUBSCRIBE\nid:9\ndestination:/queue/fuzz.a\nselector:n >\n\n\0",
  "UNSUBSCRIBE\nid:none\n\n\0",
  "SEND\ndestination:/queue/fuzz.a\nretain:set\n\n\0",
  "SEND\ndestination:/queue/fuzz.*\n\n\0",
  "SEND\n\n\0",
  "COMMIT\ntransaction:none\n\n\0",
  "BEGIN\ntransaction:0\n\n\0",
  "MESSAGE\n\n\0",
];

/** Frames whose replies do not depend on what was delivered in between. */
const told = fc.oneof(
  { weight: 30, arbitrary: sendFrame() },
  { weight: 3, arbitrary: fc.constantFrom("\n", "\r\n", "\n\n\n") },
  { weight: 1, arbitrary: fc.constantFrom(...REFUSED) },
);

const acknowledged = fc
  .tuple(fc.constantFrom("ACK", "NACK"), fc.integer({ min: 1, max: 3 }), fc.integer({ min: 1, max: 6 }), transaction())
  .map(([command, subscription, tag, inside]) => `${command}\nid:${subscription}-${tag}\n${inside}\n\0`);

/** A session of frames that make sense, with a receipt for each that can have one. */
export const orderlySession: fc.Arbitrary<Bytes[]> = session(told, CONNECTS.slice(0, 1));

/** A session that also acknowledges, in any version. */
export const session12: fc.Arbitrary<Bytes[]> = session(
  fc.oneof({ weight: 5, arbitrary: told }, { weight: 1, arbitrary: acknowledged }),
  CONNECTS,
);

/** The same session with something wrong in it: bits, bytes, lost pieces, frames twice or in another order. */
export const brokenSession: fc.Arbitrary<Bytes[]> = fc
  .tuple(session12, fc.array(fc.tuple(fc.nat(6), fc.nat(), fc.nat()), { minLength: 1, maxLength: 4 }))
  .map(([frames, damages]) => damages.reduce(damage, frames));

/** Cuts bytes into chunks. */
export function cut(bytes: Uint8Array, at: readonly number[]): Uint8Array[] {
  const places = [...new Set(at.map((place) => place % (bytes.length + 1)))].sort((a, b) => a - b);
  return [0, ...places].map((place, index) => bytes.subarray(place, places[index] ?? bytes.length));
}

function damage(frames: Bytes[], [kind, a, b]: readonly [number, number, number]): Bytes[] {
  const which = a % Math.max(1, frames.length);
  const frame = Buffer.from(frames[which] ?? Buffer.from("\0"));
  const at = b % Math.max(1, frame.length);
  const before = frames.slice(0, which);
  const after = frames.slice(which + 1);
  switch (kind) {
    case 0:
      frame[at] = (frame[at] ?? 0) ^ (1 << (b % 8));
      return [...before, frame, ...after];
    case 1:
      return [...before, frame.subarray(0, at), ...after];
    case 2:
      return [...before, frame, frame, ...after];
    case 3:
      return [...after, frame, ...before];
    case 4:
      return before;
    case 5:
      return [...before, Buffer.concat([frame.subarray(0, at), Buffer.from([b % 256]), frame.subarray(at)]), ...after];
    default:
      return [...before, Buffer.concat([frame.subarray(0, at), ...after]), frame.subarray(at)];
  }
}

/** Transaction 0 and subscriptions 0 and 1 are there for the frames that follow, and may end before the session does. */
function session(frames: fc.Arbitrary<string>, connects: readonly string[]): fc.Arbitrary<Bytes[]> {
  const parts = {
    connect: fc.constantFrom(...connects),
    subscribes: fc.tuple(subscribeFrame(0), subscribeFrame(1)),
    before: fc.array(frames, { maxLength: 14 }),
    end: fc.constantFrom("COMMIT\ntransaction:0\n\n\0", "ABORT\ntransaction:0\n\n\0", "UNSUBSCRIBE\nid:1\n\n\0", "\n"),
    after: fc.array(frames, { maxLength: 3 }),
    leaves: fc.boolean(),
  };
  return fc.record(parts).map(({ connect, subscribes, before, end, after, leaves }) => {
    const frame = ["BEGIN\ntransaction:0\n\n\0", ...subscribes, ...before, end, ...after];
    const texts = [connect, ...frame.map(withReceipt), ...(leaves ? ["DISCONNECT\nreceipt:bye\n\n\0"] : [])];
    return texts.map((text) => Buffer.from(text));
  });
}

function withReceipt(frame: string, index: number): string {
  return frame.startsWith("\n") || frame.startsWith("\r") ? frame : frame.replace("\n", `\nreceipt:r${index}\n`);
}

function transaction(): fc.Arbitrary<string> {
  return fc.oneof({ weight: 5, arbitrary: fc.constant("") }, { weight: 1, arbitrary: fc.constant("transaction:0\n") });
}

function sendFrame(): fc.Arbitrary<string> {
  const header = fc.constantFrom(
    "persistent:true",
    "ttl:1",
    "expires:99999999999999",
    "priority:9",
    "reply-to:/temp-queue/t",
    "n:4",
    "x:a\\c\\n\\\\b",
    "x:\u00e4\u{1f980}",
    "message-id:mine",
    "content-type:text/plain",
  );
  const body = fc.oneof(
    fc.string({ maxLength: 40 }),
    fc.nat(70_000).map((length) => "b".repeat(length)),
  );
  return fc
    .tuple(
      fc.constantFrom(...DESTINATIONS),
      fc.uniqueArray(header, { maxLength: 4 }),
      transaction(),
      body,
      fc.boolean(),
    )
    .map(([destination, headers, inside, text, counted]) => {
      const sent = counted ? text : text.replaceAll("\0", "");
      const length = counted ? `content-length:${Buffer.byteLength(sent)}\n` : "";
      const retain = destination.startsWith("/topic/") ? "retain:set\n" : "";
      const lines = headers.map((line) => `${line}\n`).join("") + retain;
      return `SEND\ndestination:${destination}\n${inside}${length}${lines}\n${sent}\0`;
    });
}

function subscribeFrame(id: number): fc.Arbitrary<string> {
  const header = fc.oneof(
    fc.constantFrom("ack:client", "ack:client-individual", "ack:auto", "credit:1,0", "credit:2,10,false"),
    fc.constantFrom("prefetch-count:1", "no-local:true"),
    fc.constantFrom(...SELECTORS).map((selector) => `selector:${selector}`),
  );
  return fc
    .tuple(fc.constantFrom(...SOURCES), fc.uniqueArray(header, { maxLength: 2 }), fc.boolean())
    .map(([destination, headers, durable]) => {
      const more = durable && /^\/topic\/[^,]*$/.test(destination) ? ["persistent:true", ...headers] : headers;
      const lines = more.map((line) => `${line}\n`).join("");
      return `SUBSCRIBE\nid:${id}\ndestination:${destination}\n${lines}\n\0`;
    });
}
