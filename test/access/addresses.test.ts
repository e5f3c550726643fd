import { describe, expect, it } from "vitest";
import { subjectOf } from "../../core/access/access.ts";
import { AccessRules } from "../../core/access/rules.ts";
import { accessRuleSet } from "../../src/config/access.ts";
import { loadConfig } from "../../src/config/load.ts";
import { silentPeer } from "../support/core-broker.ts";

/** Whether one of these addresses may be where a client comes from. */
function allows(addresses: readonly string[], remoteAddress: string, more: object = {}): boolean {
  const rule = { allow: addresses, principal_kind: ["address"], ...more };
  const loaded = loadConfig({ sets: [`access_rules=${JSON.stringify([rule])}`], directory: "/" });
  if (!loaded.ok) throw new Error(loaded.problems.join("\n"));
  const access = new AccessRules(accessRuleSet(loaded.config));
  const subject = subjectOf({ user: "ann", groups: [] }, { ...silentPeer(), remoteAddress });
  return access.permissions(subject, "default").decide("send", "queue", "q").allowed;
}

describe("an access rule for addresses", () => {
  it.each<[address: string, remote: string, allowed: boolean]>([
    ["10.0.0.7", "10.0.0.7:5000", true],
    ["10.0.0.7", "10.0.0.8:5000", false],
    ["10.0.0.7", "[::ffff:10.0.0.7]:5000", true],
    ["10.0.0.0/8", "10.200.0.1:5000", true],
    ["10.0.0.0/8", "11.0.0.1:5000", false],
    ["10.0.0.0/8", "[::ffff:10.1.2.3]:5000", true],
    ["0.0.0.0/0", "192.0.2.1:5000", true],
    ["0.0.0.0/0", "[2001:db8::1]:5000", false],
    ["10.1.2.3/8", "10.200.0.1:5000", true],
    ["::ffff:10.0.0.0/104", "[::ffff:10.1.2.3]:5000", true],
    ["::ffff:10.0.0.0/104", "10.1.2.3:5000", true],
    ["::ffff:10.0.0.7", "10.0.0.7:5000", true],
    ["::1", "[::1]:5000", true],
    ["0:0:0:0:0:0:0:1", "[::1]:5000", true],
    ["2001:DB8::7", "[2001:db8::7]:5000", true],
    ["2001:db8::/32", "[2001:db8:1::9]:5000", true],
    ["2001:db8::/32", "[2001:db9::9]", false],
    ["fe80::/10", "[fe80::1%eth0]:5000", true],
    ["*", "unknown", true],
    ["+", "10.0.0.7", true],
    ["10.0.0.0/8", "unknown", false],
  ])("about %s meets %s: %s", (address, remote, allowed) => {
    expect(allows([address], remote)).toBe(allowed);
  });

  it("denies networks before it allows them", () => {
    expect(allows(["10.0.0.0/8"], "10.0.0.7:1", { deny: ["10.0.0.0/24"] })).toBe(false);
    expect(allows(["10.0.0.0/8"], "10.0.1.7:1", { deny: ["10.0.0.0/24"] })).toBe(true);
  });

  it("may have names of other kinds beside them, and is about networks only where it is about addresses", () => {
    expect(allows(["ann"], "10.0.0.7:1", { principal_kind: ["user", "address"] })).toBe(true);
    expect(allows(["bob", "10.0.0.0/8"], "10.0.0.7:1", { principal_kind: ["*"] })).toBe(true);
    expect(allows(["10.0.0.0/8"], "10.0.0.7:1", { principal_kind: ["group"] })).toBe(false);
  });

  it.each(["10.0.0.0/33", "10.0.0", "example.org", "fd00::/129", "10.0.0.0/8/8"])("refuses %s", (address) => {
    const rules = JSON.stringify([{ allow: [address], principal_kind: ["address"] }]);
    const loaded = loadConfig({ sets: [`access_rules=${rules}`], directory: "/" });
    expect(loaded.ok ? [] : loaded.problems).toEqual([
      expect.stringContaining(`access_rules[0].allow: "${address}" is neither an address nor a network`),
    ]);
  });
});
