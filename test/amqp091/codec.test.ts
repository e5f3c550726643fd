import { describe, expect, it } from "vitest";
import { Output } from "../../core/output.ts";
import { PROTOCOL_HEADER } from "../../protocols/amqp091/codec.ts";
import { refusalOf } from "../../protocols/amqp091/errors.ts";
import { codeOf, decodeMethod, writeMethod } from "../../protocols/amqp091/methods.ts";
import { ERROR_ROWS, FRAME_ROWS, METHOD_ROWS } from "./frame-table.ts";
import { bytesOf, cuttings, embedded, frame, pieces, readFrames, Reading, refusal } from "./reading.ts";

const HEARTBEAT = frame(8, 0, Buffer.alloc(0));
const PUBLISH = bytesOf("01 0001 0000000e 003c0028 0000 02'ex' 03'key' 00 ce");

const ack = (tag: number): Buffer =>
  frame(1, 1, bytesOf(`003c0050 00000000000000${tag.toString(16).padStart(2, "0")} 00`));

/** A header frame for a body of so many bytes. */
function header(size: number): Buffer {
  const payload = bytesOf("003c 0000 0000000000000000 0000");
  payload.writeUInt32BE(size, 8);
  return frame(2, 1, payload);
}

describe("the AMQP 0-9-1 decoder", () => {
  it.each([...METHOD_ROWS, ...FRAME_ROWS])("reads $what, however the bytes are cut", ({ bytes, read }) => {
    for (const chunks of cuttings(bytes)) expect(readFrames(chunks)).toEqual(read);
  });

  it.each(ERROR_ROWS)("refuses $what, however the bytes are cut", ({ bytes, error }) => {
    for (const chunks of cuttings(bytes)) {
      const refused = refusal(() => readFrames(chunks));
      expect(refused.message).toMatch(error?.[1] ?? /never/);
      expect(refused.reply).toBe(error?.[0]);
      expect(Buffer.byteLength(refusalOf(refused).text)).toBeLessThan(256);
    }
  });

  it.each(METHOD_ROWS)("writes $what as it was read", ({ bytes }) => {
    const output = new Output(1e6, () => {});
    for (let at = 0; at < bytes.length; ) {
      const end = at + 7 + bytes.readUInt32BE(at + 3);
      const method = decodeMethod(bytes.readUInt32BE(at + 7), bytes, at + 11, end);
      writeMethod(output, bytes.readUInt16BE(at + 1), method.name, method.arguments);
      at = end + 1;
    }
    expect(Buffer.concat(output.take()).toString("hex")).toBe(bytes.toString("hex"));
  });

  it("knows the protocol header, however it is cut, and what follows it at once", () => {
    for (const chunks of cuttings(Buffer.concat([PROTOCOL_HEADER, HEARTBEAT]))) {
      expect(readFrames(chunks, false)).toEqual([{ accepted: true }, { heartbeat: true }]);
    }
  });

  it("reads nothing behind the protocol header of another version", () => {
    for (const chunks of cuttings(Buffer.concat([bytesOf("'AMQP' 01 01 0009"), HEARTBEAT]))) {
      expect(readFrames(chunks, false)).toEqual([{ accepted: false }]);
    }
  });

  it("tells of a publish at once when it lies whole in a chunk", () => {
    const reading = new Reading();
    const publish = Buffer.concat([PUBLISH, header(2), frame(3, 1, Buffer.from("hi"))]);
    reading.feed(Buffer.concat([PROTOCOL_HEADER, publish, publish, PUBLISH, header(0), publish.subarray(0, 30)]));
    expect(reading.quick).toBe(3);
    reading.feed(publish.subarray(30));
    expect([reading.quick, reading.read.length]).toEqual([3, 5]);
  });

  it("reads many chunks that came before the first was taken apart, in their order", () => {
    const reading = new Reading();
    const bytes = Buffer.concat([PROTOCOL_HEADER, ...[1, 2, 3, 4, 5, 6].map(ack)]);
    for (const chunk of pieces(bytes, 5)) reading.decoder.feed(chunk);
    expect(reading.decoder.next()).toBe(true);
    reading.feed(ack(7));
    expect(reading.read.slice(1).map((read) => read.arguments)).toEqual(
      [1, 2, 3, 4, 5, 6, 7].map((deliveryTag) => ({ deliveryTag, multiple: false })),
    );
    expect(reading.decoder.idle).toBe(true);
  });

  it("is not idle while anything is awaited, be it one byte", () => {
    const bytes = Buffer.concat([PROTOCOL_HEADER, PUBLISH, header(2), frame(3, 1, Buffer.from("hi"))]);
    const reading = new Reading();
    const inside: number[] = [];
    for (let at = 0; at < bytes.length; at++) {
      reading.feed(embedded(bytes.subarray(at, at + 1)));
      if (reading.decoder.idle) inside.push(at + 1);
    }
    expect(inside).toEqual([8, 8 + PUBLISH.length, 8 + PUBLISH.length + 22, bytes.length]);
  });

  it("takes larger frames once they are agreed on", () => {
    const reading = new Reading();
    reading.feed(Buffer.from(PROTOCOL_HEADER));
    reading.decoder.agree(10_000);
    reading.feed(Buffer.concat([PUBLISH, header(9992), frame(3, 1, Buffer.alloc(9992, "z"))]));
    expect(reading.read.at(-1)?.body).toBe("z".repeat(9992));
    expect(refusal(() => reading.feed(frame(3, 1, Buffer.alloc(9993)))).reply).toBe("FRAME_ERROR");
  });

  it("passes a body larger than the broker takes on for the channel to refuse", () => {
    const large = Buffer.concat([PUBLISH, header(10_001)]);
    const refused = refusal(() => readFrames([large]));
    expect([refused.reply, refused.scope]).toEqual(["PRECONDITION_FAILED", "channel"]);
  });

  it("believes no frame and no body to be as large as it says before it comes", () => {
    const before = process.memoryUsage().arrayBuffers;
    const readings = Array.from({ length: 50 }, () => {
      const reading = new Reading();
      reading.feed(Buffer.from(PROTOCOL_HEADER));
      reading.decoder.agree(100_000_000);
      reading.feed(bytesOf("01 0001 05000000 0032000a"));
      return reading;
    });
    expect(readings.length).toBe(50);
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(50 * 20_000);
  });

  it("gives up on tables 10,000 deep in each other at the depth that is allowed", () => {
    const reading = new Reading();
    reading.feed(Buffer.from(PROTOCOL_HEADER));
    reading.decoder.agree(1_000_000);
    let table = Buffer.alloc(4);
    for (let i = 0; i < 10_000; i++) {
      const around = Buffer.concat([bytesOf("00000000 01'x' 'F'"), table]);
      around.writeUInt32BE(around.length - 4);
      table = around;
    }
    const refused = refusal(() => reading.feed(frame(1, 1, Buffer.concat([bytesOf("0032000a 0000 01'q' 00"), table]))));
    expect(refused.message).toMatch(/more than 64/);
  });

  it("spends nothing that lasts on 65,535 frames of nothing", () => {
    const reading = new Reading();
    reading.feed(Buffer.from(PROTOCOL_HEADER));
    const nothing = Buffer.concat(Array.from({ length: 65_535 }, () => HEARTBEAT));
    for (const chunk of pieces(nothing, 60_001)) reading.feed(chunk);
    expect(reading.read.length).toBe(65_536);
    expect(refusal(() => readFrames([Buffer.concat([PUBLISH, header(5), frame(3, 1, Buffer.alloc(0))])])).reply).toBe(
      "FRAME_ERROR",
    );
  });

  it("calls every method by the number that the specification gives it", () => {
    expect([codeOf("connection.start"), codeOf("exchange.unbind-ok"), codeOf("confirm.select")]).toEqual([
      0x000a000a, 0x00280033, 0x0055000a,
    ]);
  });
});
