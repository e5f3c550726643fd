import { describe, expect, it } from "vitest";
import { Decoder } from "../../protocols/amqp10/codec.ts";
import { encodeHeader } from "../../protocols/amqp10/encode.ts";
import { ACCEPTED, encodeComposite, RELEASED } from "../../protocols/amqp10/performatives.ts";
import { ERROR_ROWS, FREQUENT_ROWS, PERFORMATIVE_ROWS, type Row, SASL_ROWS } from "./codec-table.ts";
import { bytesOf, cuttings, framed, LIMITS, readFrames, refusal } from "./reading.ts";

function frameOf({ body, channel, sasl }: Row): Buffer {
  return framed(body, channel, sasl === true ? 1 : 0);
}

describe("the AMQP 1.0 decoder", () => {
  it.each([...PERFORMATIVE_ROWS, ...SASL_ROWS, ...FREQUENT_ROWS])("reads $what, however the bytes are cut", (row) => {
    const next = framed("00 53 17 45", 9);
    for (const chunks of cuttings(Buffer.concat([frameOf(row), next]))) {
      expect(readFrames(chunks, false)).toEqual([row.read, { type: "end", channel: 9 }]);
    }
  });

  it.each(ERROR_ROWS)("refuses $what, however the bytes are cut", (row) => {
    const [condition, text] = row.error ?? ["", /./];
    for (const chunks of cuttings(frameOf(row))) {
      const error = refusal(() => readFrames(chunks, false));
      expect(error.message).toMatch(text);
      expect(error.condition).toBe(condition);
    }
  });

  it.each([...PERFORMATIVE_ROWS, ...SASL_ROWS].filter(({ said }) => said !== undefined))(
    "writes $what in the same bytes",
    ({ said, body }) => {
      if (said !== undefined) expect(encodeComposite(said).toString("hex")).toBe(bytesOf(body).toString("hex"));
    },
  );

  it("reads protocol headers, and frames behind them", () => {
    const bytes = Buffer.concat([encodeHeader(3), framed("00 53 44 c0[01 50 00]", 0, 1)]);
    for (const chunks of cuttings(bytes)) {
      expect(readFrames(chunks, true)).toEqual([
        { header: 3, version: 0x010000 },
        { sasl: true, type: "sasl-outcome", code: 0 },
      ]);
    }
  });

  it("reads a second protocol header where one is expected", () => {
    const decoder = new Decoder(LIMITS);
    decoder.feed(Buffer.concat([encodeHeader(3), encodeHeader(0)]));
    expect(decoder.next()?.protocolId).toBe(3);
    decoder.expectHeader();
    expect(decoder.next()?.protocolId).toBe(0);
    expect(decoder.next()).toBeUndefined();
    expect(decoder.idle).toBe(true);
  });

  it("tells the version of a header that it does not speak", () => {
    expect(readFrames([bytesOf("'AMQP' 00 02 01 03")], true)).toEqual([{ header: 0, version: 0x020103 }]);
  });

  it("refuses a connection that begins otherwise", () => {
    for (const chunks of cuttings(Buffer.from("GET / HTTP/1.1\r\n"))) {
      expect(refusal(() => readFrames(chunks, true)).message).toBe('A connection begins with "GET "; expected "AMQP"');
    }
  });

  it("reads empty frames, of any channel amqp10 2.4.5", () => {
    expect(readFrames([framed(""), framed("", 3)], false)).toEqual([{ empty: true }, { empty: true, channel: 3 }]);
  });

  it("steps over an extended header amqp10 2.3.1", () => {
    const bytes = bytesOf("00000014 04 00 0000 'extended' 00 53 17 45");
    expect(readFrames([bytes], false)).toEqual([{ type: "end" }]);
  });

  it.each([
    ["that is shorter than its header", "00000007 02 00 0000", /A frame of 7 bytes; a frame has 8/],
    ["whose body begins inside its header", "00000008 01 00 0000", /begins at 4; expected 8 or more/],
    ["whose body begins behind it", "00000008 03 00 0000", /begins at 12; expected 8 or more/],
    ["of another type", "00000008 02 02 0000", /A frame of type 2; expected 0 for AMQP or 1 for SASL/],
    [
      "that is too long for one not yet let in",
      "000186a1 02 00 0000",
      /100001 bytes; 100000 are allowed \(amqp10\.max_opening/,
    ],
  ])("refuses a frame %s", (_what, bytes, text) => {
    for (const chunks of cuttings(bytesOf(bytes))) {
      const error = refusal(() => readFrames(chunks, false));
      expect(error.message).toMatch(text);
      expect(error.condition).toBe("amqp:connection:framing-error");
    }
  });

  it("takes longer frames once the peer is let in, up to the limit", () => {
    const decoder = new Decoder(LIMITS);
    decoder.feed(encodeHeader(0));
    decoder.next();
    decoder.opened();
    const payload = "aa".repeat(150_000);
    decoder.feed(framed(`00 53 14 c0[01 52 01] ${payload}`));
    const frame = decoder.next();
    expect((frame?.payloadEnd ?? 0) - (frame?.payloadStart ?? 0)).toBe(150_000);
    decoder.feed(bytesOf("00030d41 02 00 0000"));
    expect(refusal(() => decoder.next()).message).toMatch(
      /200001 bytes; 200000 are allowed \(amqp10\.max_frame_bytes\)/,
    );
  });

  it("makes room only for what has come of a frame that announces much", () => {
    const decoder = new Decoder({ maxFrameBytes: 1e9, maxOpeningBytes: 1e9 });
    decoder.feed(encodeHeader(0));
    decoder.next();
    const before = process.memoryUsage().arrayBuffers;
    decoder.feed(bytesOf("3b9ac9ff 02 00 0000 00"));
    expect(decoder.next()).toBeUndefined();
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(10_000_000);
  });

  it("gives the same objects for the outcomes without fields, whatever their encoding", () => {
    const decoder = new Decoder(LIMITS);
    decoder.feed(encodeHeader(0));
    decoder.next();
    for (const [state, expected] of [
      ["00 53 24 45", ACCEPTED],
      ["00 80 0000000000000024 d0 00000004 00000000", ACCEPTED],
      ["00 a3 12'amqp:released:list' c0 01 00", RELEASED],
    ] as const) {
      decoder.feed(framed(`00 53 15 c0[05 41 43 40 41 ${state}]`));
      expect(decoder.next()?.disposition.state).toBe(expected);
    }
  });

  it("keeps nothing of the last frame once it is idle", () => {
    const decoder = new Decoder(LIMITS);
    decoder.feed(Buffer.concat([encodeHeader(0), framed("00 53 17 45")]));
    while (decoder.next() !== undefined);
    expect(decoder.frame.data.length).toBe(0);
  });
});
