import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { startBroker } from "../support/broker.ts";
import { StompWire, type StompVersion } from "../support/stomp-wire.ts";

const NUL = "\0";

/** What a connected client sends, and what the ERROR has to say. */
const FRAMES: readonly (readonly [what: string, version: StompVersion, bytes: string, text: RegExp])[] = [
  ["an unknown command", "1.2", `SENT\ndestination:/queue/a\n\n${NUL}`, /Unknown command "SENT"; expected one of SEND/],
  ["a command in small letters", "1.2", `send\ndestination:/queue/a\n\n${NUL}`, /Unknown command "send"/],
  ["an endless command", "1.2", "A".repeat(10_000), /Unknown command/],
  ["a command with a blank behind it", "1.2", `SEND \ndestination:/queue/a\n\n${NUL}`, /Unknown command/],
  ["a frame of servers", "1.2", `MESSAGE\ndestination:/queue/a\n\n${NUL}`, /frame of servers/],
  ["a second CONNECT", "1.2", `CONNECT\naccept-version:1.2\nhost:a\n\n${NUL}`, /second CONNECT/],
  ["a header without a colon", "1.2", `SEND\ndestination\n\n${NUL}`, /without a colon/],
  ["a header without a name", "1.2", `SEND\ndestination:/queue/a\n:x\n\n${NUL}`, /empty name/],
  ["a NUL among the headers", "1.2", `SEND\ndestination:/queue/a\n${NUL}`, /ends inside its headers/],
  ["an undefined escape", "1.2", `SEND\ndestination:/queue/a\nk:a\\tb\n\n${NUL}`, /Undefined escape.*"\\t"/],
  ["a lone backslash at the end", "1.2", `SEND\ndestination:/queue/a\nk:a\\\n\n${NUL}`, /backslash at the end/],
  ["the escape of CR in 1.1", "1.1", `SEND\ndestination:/queue/a\nk:a\\rb\n\n${NUL}`, /Undefined escape/],
  ["no destination", "1.2", `SEND\nk:v\n\n${NUL}`, /SEND frame has no destination/],
  ["an empty destination", "1.2", `SEND\ndestination:\n\n${NUL}`, /empty/],
  ["a destination of an unknown kind", "1.2", `SEND\ndestination:/que/a\n\n${NUL}`, /begins with none of \/queue\//],
  ["a destination without a name", "1.2", `SEND\ndestination:/queue/\n\n${NUL}`, /no name after \/queue\//],
  ["an unknown exchange", "1.2", `SEND\ndestination:/exchange/logs/a\n\n${NUL}`, /no exchange 'logs'/],
  ["a wildcard to send to", "1.2", `SEND\ndestination:/queue/a.*\n\n${NUL}`, /a\.\*/],
  ["a regular expression that is none", "1.2", `SUBSCRIBE\nid:1\ndestination:/queue/{[}\n\n${NUL}`, /\{\[\}/],
  [
    "a content-length that is no number",
    "1.2",
    `SEND\ndestination:/queue/a\ncontent-length:x\n\n${NUL}`,
    /content-length:x/,
  ],
  ["a negative content-length", "1.2", `SEND\ndestination:/queue/a\ncontent-length:-1\n\n${NUL}`, /content-length:-1/],
  [
    "a body longer than its content-length",
    "1.2",
    `SEND\ndestination:/queue/a\ncontent-length:2\n\nabc${NUL}`,
    /No NUL after the 2/,
  ],
  ["a body longer than allowed", "1.2", "SEND\ndestination:/queue/a\ncontent-length:200000\n\n", /stomp\.max_body/],
  ["an endless body", "1.2", `SEND\ndestination:/queue/a\n\n${"x".repeat(200_000)}`, /stomp\.max_body/],
  ["an endless header", "1.2", `SEND\ndestination:${"x".repeat(20_000)}`, /stomp\.max_header_bytes/],
  ["endless headers", "1.2", `SEND\n${`k:${"x".repeat(1000)}\n`.repeat(100)}`, /stomp\.max_frame_header_bytes/],
  ["too many headers", "1.2", `SEND\n${"k:v\n".repeat(2000)}`, /stomp\.max_headers/],
  [
    "a body in a frame that has none",
    "1.2",
    `BEGIN\ntransaction:t\ncontent-length:9999\n\n`,
    /BEGIN frame has no body/,
  ],
  [
    "a priority that is none",
    "1.2",
    `SEND\ndestination:/queue/a\npriority:high\n\n${NUL}`,
    /priority:high is not 0 to 9/,
  ],
  ["a time to live that is none", "1.2", `SEND\ndestination:/queue/a\nttl:soon\n\n${NUL}`, /ttl:soon/],
  ["retain with another word", "1.2", `SEND\ndestination:/topic/a\nretain:maybe\n\n${NUL}`, /retain:maybe/],
  ["retain on a queue", "1.2", `SEND\ndestination:/queue/a\nretain:set\n\n${NUL}`, /Only topics retain/],
  ["a transaction that was not begun", "1.2", `SEND\ndestination:/queue/a\ntransaction:t\n\n${NUL}`, /"t".*not begun/],
  ["COMMIT of nothing", "1.2", `COMMIT\ntransaction:t\n\n${NUL}`, /COMMIT.*"t"/],
  ["BEGIN without a name", "1.2", `BEGIN\n\n${NUL}`, /no transaction header/],
  ["BEGIN twice", "1.2", `BEGIN\ntransaction:t\n\n${NUL}BEGIN\ntransaction:t\n\n${NUL}`, /begun already/],
  ["SUBSCRIBE without an id", "1.1", `SUBSCRIBE\ndestination:/queue/a\n\n${NUL}`, /no id header/],
  ["SUBSCRIBE without a destination", "1.2", `SUBSCRIBE\nid:1\n\n${NUL}`, /no destination/],
  ["an ack mode there is not", "1.2", `SUBSCRIBE\nid:1\ndestination:/queue/a\nack:perhaps\n\n${NUL}`, /ack:perhaps/],
  ["a credit that is none", "1.2", `SUBSCRIBE\nid:1\ndestination:/queue/a\ncredit:lots\n\n${NUL}`, /credit:lots/],
  ["UNSUBSCRIBE of nothing", "1.2", `UNSUBSCRIBE\nid:1\n\n${NUL}`, /no subscription "1"/],
  ["ACK without an id", "1.2", `ACK\n\n${NUL}`, /no id header/],
  ["ACK of nothing", "1.2", `ACK\nid:1-1\n\n${NUL}`, /unknown message: id:1-1/],
  ["ACK of nothing in 1.0", "1.0", `ACK\nmessage-id:1\n\n${NUL}`, /unknown message: message-id:1/],
  ["ACK without a subscription in 1.1", "1.1", `ACK\nmessage-id:1\n\n${NUL}`, /no subscription header/],
  ["NACK in 1.0", "1.0", `NACK\nmessage-id:1\n\n${NUL}`, /not a command of STOMP 1\.0/],
];

/** What a client sends instead of CONNECT, after bytes that were recognised as STOMP. */
const GREETINGS: readonly (readonly [what: string, bytes: string, text: RegExp])[] = [
  [
    "a heart-beat header that is none",
    `CONNECT\naccept-version:1.2\nhost:a\nheart-beat:now\n\n${NUL}`,
    /heart-beat:now/,
  ],
  ["a header without a colon", `CONNECT\naccept-version\n\n${NUL}`, /without a colon/],
  ["an endless header", `CONNECT\nlogin:${"x".repeat(20_000)}`, /stomp\.max_header_bytes/],
  ["endless headers", `CONNECT\n${`k:${"x".repeat(1000)}\n`.repeat(100)}`, /stomp\.max_frame_header_bytes/],
  ["a large body", "CONNECT\naccept-version:1.2\nhost:a\ncontent-length:90000\n\n", /CONNECT frame has no body/],
  ["no common version", `CONNECT\naccept-version:0.9\nhost:a\n\n${NUL}`, /No common version/],
];

describe("malformed STOMP", () => {
  it.each(FRAMES)(
    "%s (%s) gets an ERROR that says what is wrong, and nobody else suffers",
    async (_what, version, bytes, text) => {
      const { port } = await startBroker(["stomp.max_body=100k"]);
      using witness = await StompWire.connect(port);
      await witness.request("SUBSCRIBE", { id: "w", destination: "/queue/witness" });
      using client = await StompWire.connect(port, { version });
      await client.wire.send(bytes);
      const error = await client.expect("ERROR");
      expect(error.headers.get("message")).toMatch(text);
      expect(error.body.toString()).toMatch(text);
      expect(error.headers.get("content-type")).toBe("text/plain;charset=utf-8");
      client.wire.finish();
      expect((await client.wire.closed()).toString()).toBe("\n");
      await witness.send("SEND", { destination: "/queue/witness" }, "fine");
      expect(await witness.bodies(1)).toEqual(["fine"]);
    },
  );

  it.each(GREETINGS)("%s in CONNECT gets an ERROR that says what is wrong", async (_what, bytes, text) => {
    const { port } = await startBroker();
    using client = await StompWire.open(port, "1.0");
    await client.wire.send(bytes);
    expect((await client.expect("ERROR")).headers.get("message")).toMatch(text);
    client.wire.finish();
    await client.wire.closed();
  });

  it("names in its ERROR the receipt that was asked for, escapes included", async () => {
    const { port } = await startBroker();
    using client = await StompWire.connect(port);
    await client.send("SEND", { receipt: "r:1\\x" }, "no destination");
    expect((await client.expect("ERROR")).headers.get("receipt-id")).toBe("r:1\\x");
  });

  it("after a good frame does not undo that one, and nothing behind it is handled", async () => {
    const { port } = await startBroker();
    using client = await StompWire.connect(port);
    await client.wire.send(
      Buffer.concat([
        client.encode("SEND", { destination: "/queue/a" }, "before"),
        client.encode("BOGUS"),
        client.encode("SEND", { destination: "/queue/a" }, "behind"),
      ]),
    );
    await client.refused();
    using other = await StompWire.connect(port);
    await other.request("SEND", { destination: "/queue/a" }, "later");
    await other.request("SUBSCRIBE", { id: "1", destination: "/queue/a" });
    expect(await other.bodies(2)).toEqual(["before", "later"]);
  });

  it("of any kind ends that connection or is understood; the broker stays up", async () => {
    const { port } = await startBroker();
    const piece = fc.oneof(
      fc.constantFrom(
        "SEND\n",
        "SUBSCRIBE\n",
        "ACK\n",
        "BEGIN\n",
        "COMMIT\n",
        "DISCONNECT\n",
        "CONNECT\n",
        "\n",
        NUL,
        "\r\n",
      ),
      fc.constantFrom(
        "destination:/queue/a\n",
        "destination:/topic/**\n",
        "id:1\n",
        "receipt:\\c\n",
        "content-length:3\n",
      ),
      fc.constantFrom(
        "transaction:t\n",
        "ack:client\n",
        "persistent:true\n",
        "selector:a=1\n",
        "credit:0,0\n",
        "retain:set\n",
      ),
      fc.string({ unit: "binary", maxLength: 20 }),
    );
    await fc.assert(
      fc.asyncProperty(fc.array(piece, { maxLength: 30 }), async (pieces) => {
        using client = await StompWire.connect(port);
        await client.wire.send(pieces.join(""));
        client.wire.finish();
        await client.wire.closed();
      }),
      { numRuns: 60 },
    );
    using witness = await StompWire.connect(port);
    await witness.request("SEND", { destination: "/queue/other" }, "x");
  });
});
