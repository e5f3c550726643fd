import { describe, expect, it } from "vitest";
import { AddressSet, behindProxy, forwardedFor, parseNetwork } from "../../src/net/address-set.ts";

describe("a network", () => {
  it.each(["10.0.0.5", "10.0.0.0/8", "::1", "2001:db8::/32", "0.0.0.0/0", "::/0"])("is written as %s", (text) => {
    expect(parseNetwork(text)).toBeDefined();
  });

  it.each(["", "proxy", "10.0.0", "10.0.0.0/33", "::/129", "10.0.0.0/8/8", "10.0.0.0/", "10.0.0.0/-1", "fe80::1%eth0"])(
    'is not written as "%s"',
    (text) => {
      expect(parseNetwork(text)).toBeUndefined();
    },
  );
});

describe("a set of addresses", () => {
  const set = new AddressSet(["10.0.0.0/8", "192.0.2.7", "2001:db8::/32"]);

  it.each([
    "10.1.2.3",
    "10.1.2.3:5000",
    "192.0.2.7:1",
    "::ffff:10.1.2.3",
    "::ffff:a01:203",
    "[0:0:0:0:0:FFFF:0a01:0203]:5000",
    "[::ffff:10.1.2.3]:5000",
    "[2001:db8::1]:5000",
    "2001:db8::1",
    "[2001:db8::1%eth0]:5000",
  ])("has %s", (address) => expect(set.has(address)).toBe(true));

  it.each(["11.0.0.1", "192.0.2.8:1", "::1", "[2001:db9::1]:5000", "unknown", ""])('does not have "%s"', (address) =>
    expect(set.has(address)).toBe(false),
  );
});

describe("X-Forwarded-For", () => {
  const trusted = new AddressSet(["10.0.0.0/8"]);
  const from = (header: string | undefined, peer = "10.0.0.1:5000") => forwardedFor(header, peer, trusted);

  it.each([
    ["203.0.113.7", "203.0.113.7"],
    ["203.0.113.7:4000", "203.0.113.7"],
    ["[2001:db8::7]:4000", "2001:db8::7"],
    ["198.51.100.1, 203.0.113.7", "203.0.113.7"],
    ["198.51.100.1, 203.0.113.7, 10.0.0.2, 10.0.0.3", "203.0.113.7"],
    ["10.0.0.9, 10.0.0.2", "10.0.0.9"],
    ["nonsense, 10.0.0.2", "10.0.0.2"],
  ])("%s is a request of %s: of whom the last trusted proxy heard", (header, client) => {
    expect(from(header)).toBe(client);
  });

  it.each(["", " "])('"%s" says nothing', (header) => {
    expect(from(header)).toBeUndefined();
  });

  it.each(["nonsense", "203.0.113.7, nonsense", "unknown", ", "])(
    '"%s" is of somebody unknown, and not of the proxy',
    (header) => {
      expect(from(header)).toBe("unknown");
    },
  );

  it("of IPv4 mapped into IPv6 is one of IPv4, however it is written", () => {
    expect(from("::ffff:cb00:7107")).toBe("203.0.113.7");
    expect(from("0:0:0:0:0:ffff:cb00:7107")).toBe("203.0.113.7");
    expect(from("203.0.113.7, ::ffff:a00:2")).toBe("203.0.113.7");
  });

  it("of who is on the proxy's machine leads there, and not to this one", () => {
    expect(from("127.0.0.1")).toBe("10.0.0.1");
    expect(from("203.0.113.7, ::1")).toBe("10.0.0.1");
    expect(from("203.0.113.7, ::ffff:127.0.0.1")).toBe("10.0.0.1");
    const own = new AddressSet(["127.0.0.1"]);
    expect(forwardedFor("127.0.0.1", "127.0.0.1:5000", own)).toBe("127.0.0.1");
    expect(behindProxy("127.0.0.1:5000", "10.0.0.1:6000")).toBe("10.0.0.1:6000");
    expect(behindProxy("127.0.0.1:5000", "[::ffff:127.0.0.1]:6000")).toBe("127.0.0.1:5000");
    expect(behindProxy("203.0.113.7:5000", "10.0.0.1:6000")).toBe("203.0.113.7:5000");
  });

  it("is not believed when somebody else sends it", () => {
    expect(from("203.0.113.7", "198.51.100.9:5000")).toBeUndefined();
    expect(from("127.0.0.1", "198.51.100.9:5000")).toBeUndefined();
  });
});
