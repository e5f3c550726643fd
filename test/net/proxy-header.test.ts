import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type ProxyHeader, readProxyHeader } from "../../src/net/proxy-header.ts";
import { binaryHeader, SIGNATURE } from "./proxied.ts";

function block(addresses: readonly number[], ports: readonly number[], extensions: readonly number[] = []): Buffer {
  const words = ports.flatMap((port) => [port >> 8, port & 255]);
  return Buffer.from([...addresses, ...words, ...extensions]);
}

const ENDS = { remote: "203.0.113.7:50312", local: "192.0.2.1:1883" };
const ENDS_6 = { remote: "[2001:db8::7]:50312", local: "[::1]:1883" };
const IPV4 = [203, 0, 113, 7, 192, 0, 2, 1];
const IPV6 = [0x20, 0x01, 0x0d, 0xb8, ...Array(11).fill(0), 7, ...Array(15).fill(0), 1];
const PORTS = [50_312, 1883];

/** What, the bytes, what they say. */
const HEADERS: [string, Buffer, ProxyHeader["is"], unknown][] = [
  ["TCP4", Buffer.from("PROXY TCP4 203.0.113.7 192.0.2.1 50312 1883\r\n"), "header", ENDS],
  ["TCP6", Buffer.from("PROXY TCP6 2001:db8::7 ::1 50312 1883\r\n"), "header", ENDS_6],
  ["UNKNOWN", Buffer.from("PROXY UNKNOWN\r\n"), "header", undefined],
  ["UNKNOWN with more", Buffer.from("PROXY UNKNOWN ffff:f...f:ffff 65535\r\n"), "header", undefined],
  ["another family", Buffer.from("PROXY UDP4 1.2.3.4 1.2.3.4 1 1\r\n"), "broken", undefined],
  ["IPv6 for IPv4", Buffer.from("PROXY TCP4 ::1 ::1 1 1\r\n"), "broken", undefined],
  ["a port too large", Buffer.from("PROXY TCP4 1.2.3.4 1.2.3.4 65536 1\r\n"), "broken", undefined],
  ["a port with a zero in front", Buffer.from("PROXY TCP4 1.2.3.4 1.2.3.4 01 1\r\n"), "broken", undefined],
  ["a word too few", Buffer.from("PROXY TCP4 1.2.3.4 1.2.3.4 1\r\n"), "broken", undefined],
  ["two spaces", Buffer.from("PROXY TCP4  1.2.3.4 1.2.3.4 1 1\r\n"), "broken", undefined],
  ["a line without an end", Buffer.from(`PROXY TCP4 ${"1".repeat(200)}`), "broken", undefined],
  ["2: IPv4", binaryHeader(1, 0x11, block(IPV4, PORTS)), "header", ENDS],
  ["2: IPv6", binaryHeader(1, 0x21, block(IPV6, PORTS)), "header", ENDS_6],
  ["2: with extensions", binaryHeader(1, 0x11, block(IPV4, PORTS, [4, 0, 1, 9])), "header", ENDS],
  ["2: LOCAL", binaryHeader(0, 0x00, Buffer.alloc(0)), "header", undefined],
  ["2: LOCAL with addresses", binaryHeader(0, 0x11, block(IPV4, PORTS)), "header", undefined],
  ["2: a Unix socket", binaryHeader(1, 0x31, Buffer.alloc(216)), "header", undefined],
  ["2: no family", binaryHeader(1, 0x00, Buffer.alloc(0)), "header", undefined],
  ["2: too short for its family", binaryHeader(1, 0x11, block(IPV4, [1])), "broken", undefined],
  ["2: another command", binaryHeader(2, 0x11, block(IPV4, PORTS)), "broken", undefined],
  ["2: too long", binaryHeader(1, 0x11, Buffer.alloc(5000)), "broken", undefined],
  ["2: another version", Buffer.concat([SIGNATURE, Buffer.from([0x11, 0x11, 0, 0])]), "broken", undefined],
  ["STOMP", Buffer.from("CONNECT\n\n\0"), "absent", undefined],
  ["STOMP after empty lines", Buffer.from("\r\n\r\nCONNECT\n\n\0"), "absent", undefined],
  ["HTTP", Buffer.from("GET / HTTP/1.1\r\n"), "absent", undefined],
  ["HTTP with another method", Buffer.from("PROPFIND / HTTP/1.1\r\n"), "absent", undefined],
  ["TLS", Buffer.from([0x16, 3, 1]), "absent", undefined],
  ["a word that only begins alike", Buffer.from("PROXYING"), "absent", undefined],
];

describe("the header of the PROXY protocol", () => {
  it.each(HEADERS)("is read: %s", (_what, bytes, is, ends) => {
    const header = readProxyHeader(Buffer.concat([bytes, Buffer.from("CONNECT\n")]));
    expect(header).toMatchObject({ is });
    if (header?.is === "header") expect(header).toEqual({ is, length: bytes.length, ends });
  });

  it.each(HEADERS.filter(([, , is]) => is === "header"))("asks for more until it is whole: %s", (_what, bytes) => {
    for (let cut = 0; cut < bytes.length; cut++) expect(readProxyHeader(bytes.subarray(0, cut))).toBeUndefined();
  });

  it("never asks for more than its most bytes, whatever comes", () => {
    const begins = fc.constantFrom(SIGNATURE, Buffer.from("PROXY "), Buffer.from("PROXY TCP4 "), Buffer.alloc(0));
    fc.assert(
      fc.property(begins, fc.uint8Array({ minLength: 4096, maxLength: 5000 }), (begin, rest) => {
        const header = readProxyHeader(Buffer.concat([begin, rest]));
        expect(header).toBeDefined();
        if (header?.is === "header") expect(header.length).toBeLessThanOrEqual(4096);
      }),
    );
  });

  it("of version 2 says IPv4 mapped into IPv6 as what it is: by the /64 all of it would be one site", () => {
    const mapped = [...Array<number>(10).fill(0), 0xff, 0xff, 203, 0, 113, 7];
    const header = readProxyHeader(binaryHeader(1, 0x21, block([...mapped, ...mapped], [5000, 1883])));
    expect(header).toMatchObject({ ends: { remote: "203.0.113.7:5000", local: "203.0.113.7:1883" } });
    expect(readProxyHeader(Buffer.from("PROXY TCP6 ::ffff:203.0.113.7 ::1 5000 1883\r\n"))).toMatchObject({
      ends: { remote: "203.0.113.7:5000", local: "[::1]:1883" },
    });
  });

  it("of version 2 says any addresses of IPv6 as the machine writes them", () => {
    const address = fc.uint8Array({ minLength: 16, maxLength: 16 });
    fc.assert(
      fc.property(address, fc.nat(65_535), (bytes, port) => {
        const header = readProxyHeader(binaryHeader(1, 0x21, block([...bytes, ...bytes], [port, port])));
        if (header?.is !== "header") expect.fail("no header");
        const groups = Array.from({ length: 8 }, (_, at) => ((bytes[2 * at] ?? 0) << 8) | (bytes[2 * at + 1] ?? 0));
        const text = new URL(`http://[${groups.map((group) => group.toString(16)).join(":")}]/`).hostname;
        expect(header.ends?.remote).toBe(`${text}:${port}`);
      }),
    );
  });
});
