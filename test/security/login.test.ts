import { describe, expect, it, vi } from "vitest";
import type { Config } from "../../src/config/schema.ts";
import { isLoopback } from "../../src/security/addresses.ts";
import * as passwords from "../../src/security/password.ts";
import { eventually } from "../support/eventually.ts";
import { loginsBy, peerAt, refusal, securityWith, users } from "../support/logins.ts";

const HERE = "127.0.0.1:50312";
const AWAY = "10.1.2.3:50312";
const annHash = await passwords.hashPassword("ann's");

function security(guest: Partial<Config["security"]["guest"]> = {}): Config["security"] {
  const people = users({ ann: { password_hash: annHash, groups: ["traders"] }, bob: { password: "bob's" } });
  return securityWith({ users: people, guest: { ...securityWith().guest, ...guest } });
}

function authenticator(settings = security()) {
  const { logins: login, clock } = loginsBy(settings);
  const attempt = (user?: string, password?: string, address = AWAY) =>
    login.login({ user, password, peer: peerAt(address) });
  return { login, clock, attempt };
}

describe("a user", () => {
  it("logs in with the password that was hashed, from anywhere", async () => {
    const { attempt } = authenticator();
    expect(await attempt("ann", "ann's")).toEqual({ user: "ann", groups: ["traders"] });
  });

  it("logs in with the password that stands in the configuration", async () => {
    const { attempt } = authenticator();
    expect(await attempt("bob", "bob's")).toEqual({ user: "bob", groups: [] });
    await refusal(attempt("bob", "ann's"));
  });

  it("is refused in the same words whether the user or the password is wrong", async () => {
    const { attempt } = authenticator();
    const texts = await Promise.all([
      refusal(attempt("ann", "wrong")),
      refusal(attempt("nobody", "ann's")),
      refusal(attempt("ann", undefined)),
      refusal(attempt(undefined, "ann's")),
      refusal(attempt("guest", "wrong", HERE)),
    ]);
    expect(new Set(texts)).toEqual(new Set(["The user name or the password is not accepted"]));
  });

  it("costs one check of a hash, whether there is such a user or not", async () => {
    const verify = vi.spyOn(passwords, "verifyPassword");
    const { attempt } = authenticator();
    for (const [user, password] of [
      ["ann", "wrong"],
      ["bob", "wrong"],
      ["nobody", "wrong"],
      ["guest", "wrong"],
    ] as const) {
      verify.mockClear();
      await refusal(attempt(user, password));
      expect(verify, user).toHaveBeenCalledTimes(1);
    }
    verify.mockRestore();
  });

  it("called like a method of every object is not there", async () => {
    await refusal(authenticator().attempt("constructor", "x"));
    await refusal(authenticator().attempt("__proto__", "x"));
  });

  it("called like the guest comes before the guest", async () => {
    const { attempt } = authenticator({ ...security(), users: users({ guest: { password: "own", groups: ["g"] } }) });
    expect(await attempt("guest", "own")).toEqual({ user: "guest", groups: ["g"] });
    await refusal(attempt("guest", "guest", HERE));
  });
});

describe("many logins with the same credentials", () => {
  it("share one check while it runs, and need none for a minute after", async () => {
    const verify = vi.spyOn(passwords, "verifyPassword");
    const { attempt, clock } = authenticator();
    await Promise.all(Array.from({ length: 1000 }, () => attempt("ann", "ann's")));
    expect(verify).toHaveBeenCalledTimes(1);
    clock.advance(59_999);
    await attempt("ann", "ann's");
    expect(verify).toHaveBeenCalledTimes(1);
    clock.advance(1);
    await attempt("ann", "ann's");
    expect(verify).toHaveBeenCalledTimes(2);
    verify.mockRestore();
  });

  it("are not remembered when they fail", async () => {
    const verify = vi.spyOn(passwords, "verifyPassword");
    const { attempt } = authenticator();
    await refusal(attempt("ann", "wrong"));
    await refusal(attempt("ann", "wrong"));
    expect(verify).toHaveBeenCalledTimes(2);
    verify.mockRestore();
  });
});

it("more logins than can wait are refused at once, and the others are not disturbed", async () => {
  const verify = vi.spyOn(passwords, "verifyPassword");
  const checks: ((right: boolean) => void)[] = [];
  let running = 0;
  let most = 0;
  verify.mockImplementation(async () => {
    most = Math.max(most, ++running);
    const right = await new Promise<boolean>((resolve) => checks.push(resolve));
    running--;
    return right;
  });
  const { attempt } = authenticator();
  const texts = Array.from({ length: 300 }, (_, n) =>
    refusal(attempt(`user${n}`, "x", `10.1.${n >> 8}.${n % 256}:1`), n < 258 ? "not-authenticated" : "throttled"),
  );
  const refused = await Promise.all(texts.slice(258));
  expect(new Set(refused)).toEqual(new Set(["Too many logins are being checked; try again in a moment"]));
  // Two run, and each that ends lets one of the 256 begin.
  for (let done = 0; done < 258; done++) {
    const check = await eventually(() => checks.shift() ?? false);
    if (check) check(false);
  }
  await Promise.all(texts);
  expect(most).toBe(2);
  verify.mockRestore();
});

describe("a changed configuration", () => {
  it("is what the next login is checked against, whatever was remembered", async () => {
    const { login, attempt } = authenticator();
    await attempt("ann", "ann's");
    login.reload({ security: { ...security(), users: {} }, hosts: {} });
    await refusal(attempt("ann", "ann's"));
  });

  it("is also what a login is checked against that was under way", async () => {
    const { login, attempt } = authenticator();
    const underWay = refusal(attempt("ann", "ann's"));
    login.reload({ security: { ...security(), users: {} }, hosts: {} });
    await underWay;
  });
});

describe("a guest", () => {
  it.each([
    ["guest", "guest"],
    [undefined, undefined],
    ["", ""],
  ])("logs in from this machine with %j and %j", async (user, password) => {
    const { attempt } = authenticator();
    expect(await attempt(user, password, HERE)).toEqual({ user: "guest", groups: [] });
    expect(await attempt(user, password, "[::1]:50312")).toEqual({ user: "guest", groups: [] });
  });

  it("from another machine is told which setting lets guests in", async () => {
    const { attempt } = authenticator();
    expect(await refusal(attempt("guest", "guest"))).toContain("security.guest.loopback_only");
    expect(await refusal(attempt(undefined, undefined))).toContain("security.guest.loopback_only");
  });

  it("from another machine is let in when that is configured", async () => {
    const { attempt } = authenticator(security({ loopback_only: false, name: "visitor", password: "welcome" }));
    expect(await attempt("visitor", "welcome")).toEqual({ user: "visitor", groups: [] });
    expect(await attempt(undefined, undefined)).toEqual({ user: "visitor", groups: [] });
    await refusal(attempt("guest", "guest"));
  });

  it("is refused when guests are off, and told so only without credentials", async () => {
    const { attempt } = authenticator(security({ enabled: false }));
    expect(await refusal(attempt(undefined, undefined, HERE))).toContain("security.guest.enabled");
    expect(await refusal(attempt("guest", "guest", HERE))).toBe("The user name or the password is not accepted");
  });
});

describe("an address of this machine", () => {
  it.each([
    "127.0.0.1:1",
    "127.255.0.9:65535",
    "127.0.0.1",
    "[::1]:1",
    "::1",
    "::1:50312",
    "[::ffff:127.0.0.1]:5",
    "::ffff:127.0.0.1:50312",
  ])("is %s", (address) => expect(isLoopback(address)).toBe(true));

  it.each([
    "10.0.0.1:1",
    "128.0.0.1:1",
    "[::2]:1",
    "[::ffff:10.0.0.1]:1",
    "fe80::1%lo:1",
    "localhost:1",
    "",
    ":1",
    "127.0.0.1.example:1",
    "1.127.0.0.1",
  ])("is not %j", (address) => expect(isLoopback(address)).toBe(false));
});

describe("a stored password", () => {
  it("matches its password only, in either way to write an accent", async () => {
    const text = await passwords.hashPassword("caf\u00e9");
    const stored = passwords.parsePasswordHash(text);
    if (stored === undefined) throw new Error(`Not read: ${text}`);
    expect(await passwords.verifyPassword("cafe\u0301", stored)).toBe(true);
    expect(await passwords.verifyPassword("cafe", stored)).toBe(false);
  });

  it("is another each time", async () => {
    expect(await passwords.hashPassword("x")).not.toBe(await passwords.hashPassword("x"));
  });

  it.each([
    "",
    "plain",
    "scrypt$16384$8$1$c2FsdHNhbHQ=",
    "scrypt$16383$8$1$c2FsdHNhbHQ=$MDEyMzQ1Njc4OWFiY2RlZg==",
    "scrypt$16384$8$1$c2FsdA==$MDEyMzQ1Njc4OWFiY2RlZg==",
    "scrypt$16384$8$1$c2FsdHNhbHQ=$MDEyMw==",
    "scrypt$16777216$8$1$c2FsdHNhbHQ=$MDEyMzQ1Njc4OWFiY2RlZg==",
    "scrypt$16384$8$99$c2FsdHNhbHQ=$MDEyMzQ1Njc4OWFiY2RlZg==",
    "bcrypt$16384$8$1$c2FsdHNhbHQ=$MDEyMzQ1Njc4OWFiY2RlZg==",
  ])("is not read from %j", (text) => {
    expect(passwords.parsePasswordHash(text)).toBeUndefined();
  });
});
