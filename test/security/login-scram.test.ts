import { describe, expect, it } from "vitest";
import type { Config } from "../../src/config/schema.ts";
import type { ConfiguredLogin } from "../../src/security/login.ts";
import { hashPassword } from "../../src/security/password.ts";
import { deriveScramKeys, formatScramKeys } from "../../src/security/scram.ts";
import { loginsBy, peerAt, refusal, securityWith, users } from "../support/logins.ts";
import { ScramClient } from "../support/scram-client.ts";

const annKeys = formatScramKeys(await deriveScramKeys("ann's", undefined, 4096));
const cyHash = await hashPassword("cy's");
const { guest } = securityWith();

const USERS = users({
  ann: { scram_sha_256: annKeys, groups: ["traders"] },
  bob: { password: "bob's" },
  cy: { password_hash: cyHash },
});

function authenticator(people = USERS, changes: Partial<Config["security"]["guest"]> = {}): ConfiguredLogin {
  return loginsBy(securityWith({ users: people, guest: { ...guest, ...changes } })).logins;
}

/** Logs in; `between` runs when the challenge is there. */
async function attempt(
  login: ConfiguredLogin,
  [user, password]: readonly [string, string],
  { from = "10.1.2.3:50312", between }: { from?: string; between?: () => void } = {},
) {
  const exchange = login.begin("SCRAM-SHA-256", peerAt(from));
  const client = new ScramClient(user, password);
  const challenge = await exchange.step(client.first());
  between?.();
  const verdict = await exchange.step(client.last(challenge.data));
  if (!verdict.done || !client.trusts(verdict.data)) throw new Error("The server has not proven anything");
  return verdict.login;
}

/** Salt and iterations that a name is answered with. */
async function shown(login: ConfiguredLogin, user: string): Promise<string> {
  const challenge = await login.begin("SCRAM-SHA-256", peerAt("10.1.2.3:1")).step(new ScramClient(user, "x").first());
  return challenge.data?.toString().replace(/^r=[^,]+,/, "") ?? "";
}

describe("a user who logs in by SCRAM", () => {
  it("needs the password of the stored keys", async () => {
    const login = authenticator();
    expect(await attempt(login, ["ann", "ann's"])).toEqual({ user: "ann", groups: ["traders"] });
    await refusal(attempt(login, ["ann", "bob's"]));
  });

  it("needs the password that stands in the configuration", async () => {
    const login = authenticator();
    expect(await attempt(login, ["bob", "bob's"])).toEqual({ user: "bob", groups: [] });
    await refusal(attempt(login, ["bob", "ann's"]));
  });

  it("is refused in the same words for a wrong password, an unknown name and a hash that is of no use for it", async () => {
    const login = authenticator();
    const texts = await Promise.all([
      refusal(attempt(login, ["ann", "wrong"])),
      refusal(attempt(login, ["nobody", "ann's"])),
      refusal(attempt(login, ["cy", "cy's"])),
    ]);
    expect(new Set(texts)).toEqual(
      new Set([
        "The user name or the password is not accepted, or the user has no keys for SCRAM-SHA-256 " +
          '(security.users.NAME.scram_sha_256, which "delos hash-password --scram" makes)',
      ]),
    );
  });

  it("has to begin again when the users were changed meanwhile", async () => {
    const login = authenticator();
    const between = () =>
      login.reload({ security: securityWith({ users: users({ ann: { password: "other" } }) }), hosts: {} });
    expect(await refusal(attempt(login, ["ann", "ann's"], { between }))).toMatch(/changed meanwhile/);
    expect(await attempt(login, ["ann", "other"])).toEqual({ user: "ann", groups: [] });
    await refusal(attempt(login, ["bob", "bob's"]));
  });

  it("may be the guest, where guests are let in", async () => {
    const login = authenticator();
    expect(await attempt(login, ["guest", "guest"], { from: "127.0.0.1:1" })).toEqual({ user: "guest", groups: [] });
    expect(await refusal(attempt(login, ["guest", "guest"]))).toMatch(/from the broker's own machine only/);
    await refusal(attempt(login, ["guest", "wrong"], { from: "127.0.0.1:1" }));
    const closed = authenticator(USERS, { enabled: false });
    expect(await refusal(attempt(closed, ["guest", "guest"], { from: "127.0.0.1:1" }))).toMatch(/not accepted/);
  });

  it("who is called like the guest is not the guest", async () => {
    const login = authenticator(users({ guest: { password_hash: cyHash } }));
    expect(await refusal(attempt(login, ["guest", "guest"], { from: "127.0.0.1:1" }))).toMatch(/not accepted/);
  });
});

function keysOfShape(iterations: number, saltBytes: number): string {
  return formatScramKeys({
    iterations,
    salt: Buffer.alloc(saltBytes, 1),
    storedKey: Buffer.alloc(32),
    serverKey: Buffer.alloc(32),
  });
}

describe("what is shown of a name", () => {
  it("is the same each time, whether there is such a user or not", async () => {
    const login = authenticator();
    for (const user of ["ann", "bob", "cy", "nobody", "guest"]) {
      expect(await shown(login, user), user).toBe(await shown(login, user));
    }
    expect(await shown(login, "nobody")).not.toBe(await shown(login, "nobody else"));
  });

  it("is the same after a restart with the same secret", async () => {
    const [first, second] = [authenticator(), authenticator()];
    second.secret = first.secret;
    for (const user of ["ann", "bob", "cy", "nobody"]) expect(await shown(first, user)).toBe(await shown(second, user));
    expect(await shown(first, "nobody")).not.toBe(await shown(authenticator(), "nobody"));
  });

  it("looks like that of a real user where there is none", async () => {
    const people = users({
      a: { scram_sha_256: keysOfShape(5000, 12) },
      b: { scram_sha_256: keysOfShape(9000, 64) },
    });
    const login = authenticator(people, { enabled: false });
    const shapes = new Set<string>();
    for (let n = 0; n < 64; n++) {
      const [, salt = "", iterations] = /^s=(.*),i=(\d+)$/.exec(await shown(login, `nobody-${n}`)) ?? [];
      shapes.add(`${Buffer.from(salt, "base64").length} ${iterations}`);
    }
    expect([...shapes].sort()).toEqual(["12 5000", "64 9000"]);
  });
});

it("another mechanism is refused by name", () => {
  const login = authenticator();
  expect(() => login.begin("PLAIN", peerAt("127.0.0.1:1"))).toThrow(
    "The mechanism PLAIN is not known; expected SCRAM-SHA-256",
  );
});
