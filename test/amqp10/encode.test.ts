import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { Output } from "../../core/output.ts";
import {
  encodeFrame,
  encodeHeader,
  OutgoingTransfer,
  writeDisposition,
  writeEmpty,
  writeFlow,
  writeFrame,
  writeTransfer,
} from "../../protocols/amqp10/encode.ts";
import { ABSENT, FlowFields } from "../../protocols/amqp10/frame.ts";
import { Payload } from "../../protocols/amqp10/payload.ts";
import { ACCEPTED, type DeliveryState, RELEASED } from "../../protocols/amqp10/performatives.ts";
import { readFrames, type Read } from "./reading.ts";

function written(write: (output: Output) => void): Buffer {
  const output = new Output(1e9, () => {});
  write(output);
  return Buffer.concat(output.take());
}

/** What a peer reads of it. */
function readBack(write: (output: Output) => void): Read[] {
  return readFrames([written(write)], false);
}

const uint = fc.oneof(fc.constantFrom(0, 1, 255, 256, 0xffff_ffff), fc.nat(0xffff_ffff));
const optional = fc.oneof(uint, fc.constant(ABSENT));

function letters(length: number, from: number): Buffer {
  return Buffer.from(Uint8Array.from({ length }, (_, i) => from + (i % 26)));
}

function payloadOf(head: number, middle: number, tail: number): { readonly payload: Payload; readonly text: string } {
  const payload = new Payload();
  letters(head, 65).copy(payload.head);
  payload.headEnd = head;
  payload.middle = Buffer.concat([Buffer.from("??"), letters(middle, 97), Buffer.from("?")]);
  payload.middleStart = 2;
  payload.middleEnd = 2 + middle;
  payload.tail = Buffer.concat([Buffer.from("???"), letters(tail, 100), Buffer.from("?")]);
  payload.tailStart = 3;
  payload.tailEnd = 3 + tail;
  const all = [letters(head, 65), letters(middle, 97), letters(tail, 100)];
  return { payload, text: Buffer.concat(all).toString("latin1") };
}

describe("frames that the broker writes", () => {
  it("begin with a protocol header", () => {
    expect(encodeHeader(0).toString("latin1")).toBe("AMQP\0\x01\0\0");
    expect(encodeHeader(3).toString("latin1")).toBe("AMQP\x03\x01\0\0");
  });

  it("of SASL have its type, those of AMQP their channel", () => {
    const outcome = encodeFrame(9, { type: "sasl-outcome", code: 0 });
    expect(readFrames([outcome], false)).toEqual([{ sasl: true, type: "sasl-outcome", code: 0 }]);
    expect(readBack((output) => writeFrame(output, 300, { type: "end" }))).toEqual([{ type: "end", channel: 300 }]);
  });

  it("may be empty", () => {
    expect(readBack(writeEmpty)).toEqual([{ empty: true }]);
  });

  it("carry a message in as many transfers as it needs, none longer than the peer takes", () => {
    const sizes = fc.tuple(fc.nat(40), fc.nat(2000), fc.oneof(fc.nat(3000), fc.integer({ min: 15_000, max: 60_000 })));
    const max = fc.oneof(fc.integer({ min: 512, max: 4000 }), fc.integer({ min: 16_000, max: 70_000 }));
    fc.assert(
      fc.property(
        sizes,
        max,
        uint,
        uint,
        uint,
        fc.boolean(),
        ([head, middle, tail], most, handle, id, tag, settled) => {
          const { payload, text } = payloadOf(head, middle, tail);
          const transfer = Object.assign(new OutgoingTransfer(), { channel: 5, handle, deliveryId: id, tag, settled });
          const bytes: Buffer[] = [];
          let from = 0;
          do {
            bytes.push(written((output) => (from = writeTransfer(output, transfer, payload, from, most))));
          } while (from < payload.length);
          for (const frame of bytes) expect(frame.length).toBeLessThanOrEqual(most);
          const frames = readFrames([Buffer.concat(bytes)], false);
          expect(frames.map(({ payload: part }) => (typeof part === "string" ? part : "")).join("")).toBe(text);
          frames.forEach((frame, i) => {
            const { payload: _payload, ...rest } = frame;
            const spelledTag = Buffer.from([tag >>> 24, tag >>> 16, tag >>> 8, tag]).toString("latin1");
            const first = i > 0 ? {} : { tag: spelledTag, messageFormat: 0, ...(settled ? { settled } : {}) };
            const more = i < frames.length - 1 ? { more: true } : {};
            expect(rest).toEqual({ type: "transfer", channel: 5, handle, deliveryId: id, ...first, ...more });
          });
        },
      ),
      { numRuns: 60 },
    );
  });

  it("hand over large stored bytes without copying them", () => {
    const { payload } = payloadOf(10, 10, 50_000);
    const output = new Output(1e9, () => {});
    writeTransfer(output, new OutgoingTransfer(), payload, 0, 1_000_000);
    expect(output.take().some((chunk) => chunk.buffer === payload.tail.buffer)).toBe(true);
  });

  it("resume and abort deliveries", () => {
    const transfer = Object.assign(new OutgoingTransfer(), { resume: true, aborted: true });
    const [frame] = readBack((output) => writeTransfer(output, transfer, new Payload(), 0, 512));
    expect(frame).toMatchObject({ type: "transfer", resume: true, aborted: true });
  });

  it("tell what becomes of deliveries", () => {
    const states: readonly (DeliveryState | undefined)[] = [
      undefined,
      ACCEPTED,
      RELEASED,
      { type: "rejected", error: { type: "error", condition: "a:b", description: "x".repeat(400), info: undefined } },
      { type: "modified", deliveryFailed: true, undeliverableHere: false, messageAnnotations: undefined },
      { type: "transactional-state", txnId: Buffer.from("T"), outcome: { type: "accepted" } },
    ];
    fc.assert(
      fc.property(
        fc.boolean(),
        uint,
        uint,
        fc.boolean(),
        fc.constantFrom(...states),
        (role, first, last, settled, state) => {
          const [frame] = readBack((output) => writeDisposition(output, 1, role, first, last, settled, state));
          expect(frame).toMatchObject({ type: "disposition", channel: 1, first, last, ...(role ? { role } : {}) });
          expect(frame?.settled).toBe(settled ? true : undefined);
          expect(frame?.state === undefined ? undefined : frame.state).toEqual(
            state === undefined ? undefined : expect.objectContaining({ type: state.type }),
          );
        },
      ),
    );
  });

  it("tell what there is room for", () => {
    fc.assert(
      fc.property(
        fc.tuple(optional, uint, uint, uint),
        fc.tuple(uint, optional, optional, optional),
        fc.boolean(),
        (of, link, drain) => {
          const [nextIncomingId, incomingWindow, nextOutgoingId, outgoingWindow] = of;
          const [handle, deliveryCount, linkCredit, available] = link;
          const session = { nextIncomingId, incomingWindow, nextOutgoingId, outgoingWindow };
          const fields = { ...session, handle, deliveryCount, linkCredit, available, drain, echo: !drain };
          const flow = Object.assign(new FlowFields(), fields);
          const said = Object.entries(fields).filter(([, value]) => value !== ABSENT && value !== false);
          const [frame] = readBack((output) => writeFlow(output, 0, flow));
          expect(frame).toEqual({ type: "flow", ...Object.fromEntries(said) });
        },
      ),
    );
  });
});
