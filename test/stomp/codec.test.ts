import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { ProtocolError } from "../../core/protocol.ts";
import { Decoder, encodeFrame } from "../../protocols/stomp/codec.ts";
import { escape, type Version } from "../../protocols/stomp/escape.ts";
import { embedded, LIMITS, type Read, readFrames } from "./reading.ts";

interface Row {
  readonly what: string;
  readonly version?: Version;
  readonly bytes: string;
  readonly frames?: readonly Read[];
  readonly error?: RegExp;
  /** The one frame here is written with exactly these bytes. */
  readonly exact?: true;
}

const send = (headers: [string, string][], body = ""): Read => ({ command: "SEND", headers, body });

const TABLE: readonly Row[] = [
  {
    what: "a CONNECT has no escapes",
    bytes: "CONNECT\naccept-version:1.2\npasscode:a\\nb:c\n\n\0",
    frames: [
      {
        command: "CONNECT",
        headers: [
          ["accept-version", "1.2"],
          ["passcode", "a\\nb:c"],
        ],
        body: "",
      },
    ],
    exact: true,
  },
  {
    what: "a body ends at NUL without content-length",
    version: "1.2",
    bytes: "SEND\ndestination:/queue/a\n\nhello\0",
    frames: [send([["destination", "/queue/a"]], "hello")],
    exact: true,
  },
  {
    what: "a body may hold NUL with content-length",
    version: "1.2",
    bytes: "SEND\ncontent-length:5\n\na\0b\0c\0",
    frames: [send([["content-length", "5"]], "a\0b\0c")],
    exact: true,
  },
  {
    what: "a long body is searched for its end",
    version: "1.2",
    bytes: `SEND\n\n${"x".repeat(3000)}\0\n`,
    frames: [send([], "x".repeat(3000))],
  },
  {
    what: "ends of line between frames are overlooked",
    version: "1.2",
    bytes: "\n\r\n\nSEND\n\n1\0\n\n\r\nSEND\n\n2\0\n",
    frames: [send([], "1"), send([], "2")],
  },
  {
    what: "1.2 resolves all four escapes, in names too",
    version: "1.2",
    bytes: "SEND\na\\cb:1\\n2\\r3\\\\4\\c5\n\n\0",
    frames: [send([["a:b", "1\n2\r3\\4:5"]])],
    exact: true,
  },
  {
    what: "1.1 resolves three escapes",
    version: "1.1",
    bytes: "SEND\na:\\n\\c\\\\\n\n\0",
    frames: [send([["a", "\n:\\"]])],
    exact: true,
  },
  {
    what: "1.1 has no escape for CR",
    version: "1.1",
    bytes: "SEND\na:\\r\n\n\0",
    error: /Undefined escape in a header: "\\r"/,
  },
  {
    what: "1.2 refuses undefined escapes",
    version: "1.2",
    bytes: "SEND\na:\\t\n\n\0",
    error: /Undefined escape.*"\\t"/,
  },
  {
    what: "a backslash may not end a value",
    version: "1.2",
    bytes: "SEND\na:b\\\n\n\0",
    error: /a backslash at the end/,
  },
  {
    what: "1.0 has no escapes",
    version: "1.0",
    bytes: "SEND\na:\\n\\x\n\n\0",
    frames: [send([["a", "\\n\\x"]])],
    exact: true,
  },
  {
    what: "1.2 lines may end in CR LF",
    version: "1.2",
    bytes: "SEND\r\na:b\r\n\r\nx\0",
    frames: [send([["a", "b"]], "x")],
  },
  {
    what: "1.1 values keep a CR at their end",
    version: "1.1",
    bytes: "SEND\na:b\r\n\nx\0",
    frames: [send([["a", "b\r"]], "x")],
    exact: true,
  },
  {
    what: "1.0 trims names and values",
    version: "1.0",
    bytes: "SEND\r\n a\t: b \r\n\r\nx\0",
    frames: [send([["a", "b"]], "x")],
  },
  {
    what: "1.1 trims nothing",
    version: "1.1",
    bytes: "SEND\n a : b \n\nx\0",
    frames: [send([[" a ", " b "]], "x")],
    exact: true,
  },
  { what: "a value may hold bare colons", version: "1.2", bytes: "SEND\na:b:c\n\n\0", frames: [send([["a", "b:c"]])] },
  { what: "a value may be empty", version: "1.2", bytes: "SEND\na:\n\n\0", frames: [send([["a", ""]])], exact: true },
  { what: "headers are UTF-8", version: "1.2", bytes: "SEND\nä:€\n\n\0", frames: [send([["ä", "€"]])], exact: true },
  {
    what: "the first content-length counts",
    version: "1.2",
    bytes: "SEND\ncontent-length:1\ncontent-length:9\n\nx\0",
    frames: [
      send(
        [
          ["content-length", "1"],
          ["content-length", "9"],
        ],
        "x",
      ),
    ],
  },
  { what: "an empty name is refused", version: "1.2", bytes: "SEND\n:b\n\n\0", error: /empty name/ },
  { what: "a name of blanks is refused in 1.0", version: "1.0", bytes: "SEND\n :b\n\n\0", error: /empty name/ },
  {
    what: "a line without a colon is refused",
    version: "1.2",
    bytes: "SEND\nab\n\n\0",
    error: /without a colon: "ab"/,
  },
  {
    what: "a NUL among the headers is refused",
    version: "1.2",
    bytes: "SEND\na:b\0SEND\n",
    error: /ends inside its headers/,
  },
  {
    what: "an unknown command is refused",
    version: "1.2",
    bytes: "SENT\n\n\0",
    error: /Unknown command "SENT"; expected one of SEND/,
  },
  {
    what: "a command of more than 20 bytes is refused before its end",
    bytes: "GET /index.html HTTP/1.1",
    error: /Unknown command/,
  },
  {
    what: "content-length must be a number",
    version: "1.2",
    bytes: "SEND\ncontent-length:1x\n\n",
    error: /content-length:1x is not/,
  },
  {
    what: "content-length must not be negative",
    version: "1.2",
    bytes: "SEND\ncontent-length:-1\n\n",
    error: /content-length:-1 is not/,
  },
  {
    what: "content-length must be right",
    version: "1.2",
    bytes: "SEND\ncontent-length:1\n\nab\0",
    error: /No NUL after the 1 bytes/,
  },
  {
    what: "too many headers are refused",
    version: "1.2",
    bytes: `SEND\n${"a:b\n".repeat(21)}\n\0`,
    error: /More than 20 headers.*stomp\.max_headers/,
  },
  {
    what: "a header line that is too long is refused before its end",
    version: "1.2",
    bytes: `SEND\na:${"b".repeat(300)}`,
    error: /stomp\.max_header_bytes/,
  },
  {
    what: "headers that are too long together are refused",
    version: "1.2",
    bytes: `SEND\n${`a:${"b".repeat(190)}\n`.repeat(6)}\n\0`,
    error: /stomp\.max_frame_header_bytes/,
  },
  {
    what: "a body that is announced too long is refused before it comes",
    version: "1.2",
    bytes: "SEND\ncontent-length:100001\n\n",
    error: /100001 bytes or more; 100000 are allowed \(stomp\.max_body\)/,
  },
  {
    what: "a body that gets too long is refused before its end",
    version: "1.2",
    bytes: `SEND\n\n${"x".repeat(100_001)}`,
    error: /stomp\.max_body/,
  },
  {
    what: "no big body is taken before CONNECT",
    bytes: "SEND\ncontent-length:5000\n\n",
    error: /SEND frame has no body here/,
  },
  {
    what: "only SEND has a body of any size",
    version: "1.2",
    bytes: "ACK\nid:1\ncontent-length:5000\n\n",
    error: /ACK frame has no body/,
  },
];

/** All the ways to cut these bytes that a table row is tried with. */
function* cuttings(bytes: Buffer): Generator<readonly Buffer[]> {
  yield [Buffer.from(bytes)];
  yield [embedded(bytes)];
  if (bytes.length > 4000) {
    yield pieces(bytes, 1000);
    return;
  }
  yield pieces(bytes, 1);
  for (let cut = 1; cut < bytes.length; cut++) {
    yield [embedded(bytes.subarray(0, cut)), embedded(bytes.subarray(cut))];
  }
}

function pieces(bytes: Buffer, size: number): Buffer[] {
  const all: Buffer[] = [];
  for (let at = 0; at < bytes.length; at += size) all.push(embedded(bytes.subarray(at, at + size)));
  return all;
}

describe("the STOMP codec", () => {
  for (const row of TABLE) {
    it(`${row.what}, however the bytes are cut`, () => {
      for (const chunks of cuttings(Buffer.from(row.bytes))) {
        const read = () => readFrames(chunks, row.version);
        if (row.error === undefined) expect(read()).toEqual(row.frames);
        else expect(read).toThrow(row.error);
      }
    });
  }

  for (const row of TABLE.filter((each) => each.exact)) {
    it(`${row.what}: written as it was read`, () => {
      const [frame] = row.frames ?? [];
      if (frame === undefined) throw new Error("no frame in this row");
      const written = encodeFrame("SEND", frame.headers, Buffer.from(frame.body, "latin1"), row.version);
      expect(written.toString().replace(/^SEND/, frame.command)).toBe(`${row.bytes}\n`);
    });
  }

  it("finds the first of repeated headers by name", () => {
    const decoder = new Decoder(LIMITS);
    decoder.agree("1.2");
    decoder.feed(Buffer.from("SEND\nfoo:0\ndestination:/queue/1\ndestination:/queue/2\n\n\0"));
    expect(decoder.next()?.header("destination")).toBe("/queue/1");
  });

  it("forgets the headers of the frame before", () => {
    const decoder = new Decoder(LIMITS);
    decoder.agree("1.2");
    decoder.feed(Buffer.from("SEND\nreceipt:1\n\n\0SEND\n\n\0"));
    decoder.next();
    expect(decoder.next()?.header("receipt")).toBeUndefined();
  });

  it("reads many chunks that came before the first was taken apart", () => {
    const decoder = new Decoder(LIMITS);
    decoder.agree("1.2");
    for (const chunk of pieces(Buffer.from("SEND\n\n1\0SEND\n\n22\0"), 3)) decoder.feed(chunk);
    const lengths: number[] = [];
    for (let frame = decoder.next(); frame !== undefined; frame = decoder.next())
      lengths.push(frame.bodyEnd - frame.bodyStart);
    expect(lengths).toEqual([1, 2]);
  });

  it("keeps the bytes of a frame when the next one is read", () => {
    const decoder = new Decoder(LIMITS);
    decoder.agree("1.2");
    decoder.feed(Buffer.from("SEND\n\nfir"));
    expect(decoder.next()).toBeUndefined();
    decoder.feed(Buffer.from("st\0SEND\n\nsec"));
    const { data, bodyStart, bodyEnd } = decoder.next() ?? {};
    expect(decoder.next()).toBeUndefined();
    decoder.feed(Buffer.from("ond\0"));
    decoder.next();
    expect(data?.toString("latin1", bodyStart, bodyEnd)).toBe("first");
  });

  it("carries over only what belongs to a frame, with room for its announced length at once", () => {
    const decoder = new Decoder({ ...LIMITS, maxBody: 10_000_000 });
    decoder.agree("1.2");
    decoder.feed(Buffer.from(`${"SEND\n\n0\0".repeat(1000)}SEND\ncontent-length:1000000\n\n`));
    let frame = decoder.next();
    for (let count = 0; count < 999; count++) frame = decoder.next();
    expect(decoder.next()).toBeUndefined();
    const carried = frame?.data;
    expect(carried?.length).toBeLessThan(1_000_200);
    for (let part = 0; part < 10; part++) {
      decoder.feed(Buffer.alloc(100_000, 120));
      expect(decoder.next()).toBeUndefined();
    }
    decoder.feed(Buffer.from([0]));
    expect(decoder.next()?.data).toBe(carried);
  });
});

const versions = fc.constantFrom<Version>("1.0", "1.1", "1.2");
const name = fc.string({ minLength: 1, maxLength: 12, unit: "binary" }).filter((text) => text.isWellFormed());
const anyFrame = fc.record({
  headers: fc.array(fc.tuple(name, name), { maxLength: 12 }),
  body: fc.uint8Array({ maxLength: 600 }),
  counted: fc.boolean(),
  eols: fc.integer({ min: 0, max: 2 }),
});

/** What a version can say at all: 1.0 has no escapes and trims, 1.1 keeps everything but NUL. */
function sayable(text: string, version: Version, isName: boolean): string {
  const safe = text.replaceAll("\0", "0");
  if (version !== "1.0") return safe;
  const plain = safe.replace(/[\n\r]/g, "_").trim();
  return (isName ? plain.replaceAll(":", "_") : plain) || "x";
}

describe("the STOMP codec, with anything", () => {
  it("gives back random frames, however they are cut", () => {
    fc.assert(
      fc.property(fc.array(anyFrame, { maxLength: 5 }), versions, fc.array(fc.nat(200)), (frames, version, cuts) => {
        const expected: Read[] = [];
        const parts: Buffer[] = [];
        for (const { headers, body, counted, eols } of frames) {
          const bytes = Buffer.from(counted ? body : body.filter((byte) => byte !== 0));
          const said = headers.map(([key, value]): [string, string] => [
            `x${sayable(key, version, true)}`,
            sayable(value, version, false),
          ]);
          if (counted) said.push(["content-length", String(bytes.length)]);
          expected.push({ command: "SEND", headers: said, body: bytes.toString("latin1") });
          parts.push(encodeFrame("SEND", said, bytes, version), Buffer.alloc(eols, "\n"));
        }
        const all = Buffer.concat(parts);
        const chunks: Buffer[] = [];
        let at = 0;
        for (const cut of cuts) {
          chunks.push(embedded(all.subarray(at, at + cut)));
          at += cut;
        }
        chunks.push(embedded(all.subarray(at)));
        const limits = { ...LIMITS, maxFrameHeaderBytes: 10_000 };
        expect(readFrames(chunks, version, limits)).toEqual(expected);
      }),
      { numRuns: 300 },
    );
  });

  it("meets mutated bytes with a ProtocolError or with frames, and holds no more than its limits", () => {
    const valid = Buffer.from(
      "SEND\ndestination:/queue/a\\c\ncontent-length:3\r\nx:y\n\na\0b\0\nACK\nid:1\n\n\0".repeat(3),
    );
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.nat(valid.length - 1), fc.nat(255)), { minLength: 1, maxLength: 8 }),
        versions,
        fc.integer({ min: 1, max: 40 }),
        (mutations, version, size) => {
          const bytes = Buffer.from(valid);
          for (const [at, byte] of mutations) bytes[at] = byte;
          try {
            readFrames(pieces(bytes, size), version);
          } catch (error) {
            expect(error).toBeInstanceOf(ProtocolError);
          }
        },
      ),
      { numRuns: 500 },
    );
  });

  it("resolves what it escapes", () => {
    fc.assert(
      fc.property(name, fc.constantFrom<Version>("1.1", "1.2"), (text, version) => {
        const safe = version === "1.1" ? text.replaceAll("\r", "") : text;
        const kept = safe.replaceAll("\0", "");
        const [frame] = readFrames([Buffer.from(`SEND\nk:${escape(safe, version)}\n\n\0`)], version);
        expect(frame?.headers).toEqual([["k", kept]]);
      }),
    );
  });
});
