import { describe, expect, it } from "vitest";
import { loadConfig } from "../../src/config/load.ts";

const EVERYWHERE = "listeners.stomp.host=0.0.0.0";
const USER = "security.users.ann.password=secret";

function problems(...sets: string[]): string[] {
  const loaded = loadConfig({ sets, directory: "/tmp" });
  return loaded.ok ? [] : [...loaded.problems];
}

describe("a broker that other machines can reach", () => {
  it.each(["0.0.0.0", "::", "192.0.2.1", "broker.example"])("on %s needs somebody who has a password", (host) => {
    const set = `listeners.mqtt.host=${host}`;
    expect(problems(set)).toEqual([
      expect.stringMatching(/^--set listeners\.mqtt\.host: listeners\.mqtt\.host: .*nobody has a password.*delos init/),
    ]);
    expect(problems(set, USER)).toEqual([]);
  });

  it.each(["127.0.0.1", "127.1.2.3", "::1", "localhost"])("is not one on %s", (host) => {
    expect(problems(`listeners.stomp.host=${host}`, "security.guest.loopback_only=false")).toEqual([]);
  });

  it("is one by its management too, for which keys will do", () => {
    const set = "management.host=0.0.0.0";
    expect(problems(set)).toEqual([expect.stringContaining("management.host: other machines can reach")]);
    expect(problems(set, `management.api_keys.ci.hash=sha256$${"0".repeat(64)}`)).toEqual([]);
    expect(problems(set, "management.enabled=false")).toEqual([]);
  });

  it("is none by a listener that is off, or has no certificate yet", () => {
    expect(problems(EVERYWHERE, "listeners.stomp.enabled=false")).toEqual([]);
    expect(problems("listeners.stomps.host=0.0.0.0")).toEqual([]);
  });

  const OPEN = [
    ["security.guest.loopback_only=false", "security.guest.loopback_only"],
    ["security.enabled=false", "security.enabled"],
    [
      "security.modules=[{control: sufficient, guest: {loopback_only: false}}]",
      "security.modules[0].guest.loopback_only",
    ],
    ["hosts.shop.security={guest: {loopback_only: false}}", "hosts.shop.security.guest.loopback_only"],
  ] as const;

  it.each(OPEN)("does not start with %s, and says what to change", (set, key) => {
    const found = problems(EVERYWHERE, USER, set);
    expect(found).toHaveLength(1);
    for (const text of [`: ${key}: `, "listeners.stomp.host to 127.0.0.1", "security.allow_open to true"]) {
      expect(found[0]).toContain(text);
    }
    expect(problems(EVERYWHERE, USER, set, "security.allow_open=true")).toEqual([]);
    expect(problems(USER, set)).toEqual([]);
  });

  it("may have guests of its own machine", () => {
    expect(problems(EVERYWHERE, USER, "security.guest.loopback_only=true")).toEqual([]);
  });
});
