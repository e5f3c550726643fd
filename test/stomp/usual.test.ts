import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { Decoder } from "../../protocols/stomp/codec.ts";

const LIMITS = { maxHeaders: 10, maxHeaderBytes: 200, maxFrameHeaderBytes: 1000, maxBody: 1000 };

/** Frames of which many begin alike, so that openings that come again are recognised; some only nearly do. */
const FRAMES: readonly (readonly [frame: string, means: string])[] = [
  ["SEND\ndestination:/queue/a\n\none\0", "SEND destination=/queue/a; one"],
  ["SEND\ndestination:/queue/a\n\ntwo\0", "SEND destination=/queue/a; two"],
  ["SEND\ndestination:/queue/b\n\none\0", "SEND destination=/queue/b; one"],
  ["SEND\ndestination:/queue/a\ncontent-length:3\n\na\0b\0", "SEND destination=/queue/a content-length=3; a\0b"],
  ["SEND\ndestination:/queue/a\ncontent-length:3\n\nxyz\0", "SEND destination=/queue/a content-length=3; xyz"],
  ["SEND\ndestination:/queue/a\nnote:a\\cb\n\none\0", "SEND destination=/queue/a note=a:b; one"],
  ["SEND\ndestination:/queue/a\nreceipt:1\n\none\0", "SEND destination=/queue/a receipt=1; one"],
  ["SEND\r\ndestination:/queue/a\r\n\r\none\0", "SEND destination=/queue/a; one"],
  ["ACK\nid:1-7\n\n\0", "ACK id=1-7; "],
];

function means(decoder: Decoder): string[] {
  const found: string[] = [];
  for (let frame = decoder.next(); frame !== undefined; frame = decoder.next()) {
    const headers = Array.from({ length: frame.count }, (_, place) => `${frame.key(place)}=${frame.value(place)}`);
    expect(headers.some((text) => text.startsWith("destination="))).toBe(frame.header("destination") !== undefined);
    found.push(`${frame.command} ${headers.join(" ")}; ${frame.data.toString("utf8", frame.bodyStart, frame.bodyEnd)}`);
  }
  return found;
}

describe("frames that begin like the one before", () => {
  it("are read as if each came alone, whatever follows what and wherever chunks are cut", () => {
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.nat(FRAMES.length - 1), fc.integer({ min: 1, max: 5 }), fc.boolean()), { maxLength: 20 }),
        fc.infiniteStream(fc.integer({ min: 1, max: 90 })),
        (runs, cuts) => {
          const sent = runs.flatMap(([which, times, ended]) =>
            Array.from({ length: times }, () => ({ frame: FRAMES[which], eol: ended ? "\n" : "" })),
          );
          const bytes = Buffer.from(sent.map(({ frame, eol }) => `${frame?.[0]}${eol}`).join(""));
          const decoder = new Decoder(LIMITS);
          decoder.agree("1.2");
          const found: string[] = [];
          for (let at = 0; at < bytes.length; ) {
            const end = at + (cuts.next().value ?? 1);
            decoder.feed(Buffer.from(bytes.subarray(at, end)));
            found.push(...means(decoder));
            at = end;
          }
          expect(found).toEqual(sent.map(({ frame }) => frame?.[1]));
        },
      ),
      { numRuns: 500 },
    );
  });
});
