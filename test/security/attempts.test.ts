import { describe, expect, it } from "vitest";
import type { ModuleSettings } from "../../src/config/security-schema.ts";
import { Throttle } from "../../src/security/throttle.ts";
import { certificateOf, loginsBy, peerAt, refusal, securityWith, users } from "../support/logins.ts";
import { ScramClient } from "../support/scram-client.ts";

const HERE = "10.1.2.3:5";
const ELSEWHERE = "10.9.9.9:5";
const ATTEMPTS = { free: 3, delay: 1000, max_delay: 4000, forget_after: 60_000, max_tracked: 100 };

function start(changes: Partial<typeof ATTEMPTS> = {}) {
  const people = users({ ann: { password: "right" }, bob: { password: "right" } });
  const parts = loginsBy(securityWith({ users: people, attempts: { ...ATTEMPTS, ...changes } }));
  const attempt = (user: string, password: string, from = HERE) =>
    parts.logins.login({ user, password, peer: peerAt(from) });
  const fail = async (times: number, user = "ann", from = HERE): Promise<void> => {
    for (let n = 0; n < times; n++) await refusal(attempt(user, "wrong", from));
  };
  return { ...parts, attempt, fail };
}

describe("who fails to log in again and again", () => {
  it("has to wait, twice as long each time up to a limit, and is told how long", async () => {
    const { attempt, fail, clock } = start();
    await fail(3);
    for (const seconds of [1, 2, 4, 4]) {
      const text = `Too many logins have failed; try again in ${seconds} s (security.attempts)`;
      expect(await refusal(attempt("ann", "right"), "throttled")).toBe(text);
      clock.advance(seconds * 1000 - 1);
      expect(await refusal(attempt("ann", "right"), "throttled")).toMatch(/try again in 1 s/);
      clock.advance(1);
      await fail(1);
    }
  });

  it("is let in with the right password once the wait is over, and starts anew after a while", async () => {
    const { attempt, fail, clock } = start();
    await fail(3);
    clock.advance(1000);
    expect(await attempt("ann", "right")).toMatchObject({ user: "ann" });
    const other = start();
    await other.fail(2);
    other.clock.advance(60_001);
    await other.fail(2);
    expect(await other.attempt("ann", "right")).toMatchObject({ user: "ann" });
  });

  it("is known by address, whatever the names, and by name, whatever the addresses", async () => {
    const { attempt, fail } = start();
    await fail(1, "x");
    await fail(1, "y");
    await fail(1, "z");
    await refusal(attempt("ann", "right"), "throttled");
    expect(await attempt("ann", "right", ELSEWHERE)).toMatchObject({ user: "ann" });
    for (const from of ["10.2.0.1:1", "10.2.0.2:1", "10.2.0.3:1"]) await fail(1, "bob", from);
    await refusal(attempt("bob", "right", "10.2.0.4:1"), "throttled");
  });

  it("does not lock out who logged in from the same address before, under any name", async () => {
    const { attempt, fail } = start();
    await attempt("ann", "right");
    await fail(3, "x");
    await refusal(attempt("bob", "right"), "throttled");
    expect(await attempt("ann", "right")).toMatchObject({ user: "ann" });
    await fail(3, "ann", ELSEWHERE);
    expect(await attempt("ann", "right")).toMatchObject({ user: "ann" });
    await fail(3, "ann");
    await refusal(attempt("ann", "right"), "throttled");
  });

  it("is not held up where the delay is 0", async () => {
    const { fail } = start({ delay: 0 });
    await fail(20);
  });

  it("is not held up for showing nothing", async () => {
    const { logins } = start();
    for (let n = 0; n < 10; n++) {
      await refusal(logins.login({ user: undefined, password: undefined, peer: peerAt(HERE) }));
    }
  });

  it("has to wait for SCRAM too, where failures count once", async () => {
    const { logins } = start();
    const scram = async (password: string): Promise<void> => {
      const exchange = logins.begin("SCRAM-SHA-256", peerAt(HERE));
      const client = new ScramClient("ann", password);
      const challenge = await exchange.step(client.first());
      await exchange.step(client.last(challenge.data));
    };
    for (let n = 0; n < 3; n++) await refusal(scram("wrong"));
    await refusal(scram("right"), "throttled");
  });

  it("gains nothing by trying many passwords at the same time", async () => {
    const { attempt, logins } = start();
    const guesses = await Promise.allSettled(Array.from({ length: 40 }, (_, n) => attempt("ann", `guess ${n}`)));
    const texts = guesses.map((each) => (each.status === "rejected" ? String(each.reason) : ""));
    // Three, and two are looked at at a time.
    expect(texts.filter((text) => text.includes("is not accepted")).length).toBeLessThanOrEqual(5);
    expect(texts.filter((text) => text.includes("try again in")).length).toBeGreaterThanOrEqual(35);
    const exchanges = await Promise.all(
      Array.from({ length: 10 }, async (_, n) => {
        const exchange = logins.begin("SCRAM-SHA-256", peerAt(ELSEWHERE));
        const client = new ScramClient("bob", `guess ${n}`);
        return { exchange, last: client.last((await exchange.step(client.first())).data) };
      }),
    );
    for (const [n, { exchange, last }] of exchanges.entries()) {
      await refusal(exchange.step(last), n < 3 ? "not-authenticated" : "throttled");
    }
  });

  it("does not have its guesses at others forgotten, or uncounted, by having an account of its own", async () => {
    const modules: ModuleSettings[] = [
      { control: "sufficient", users: { file: "" } },
      { control: "sufficient", certificate: { user: "common_name", allow: [], file: "" } },
    ];
    const { logins } = loginsBy(
      securityWith({ users: users({ ann: { password: "right" } }), modules, attempts: ATTEMPTS }),
    );
    const guess = (password: string) =>
      logins.login({ user: "ann", password, peer: peerAt(HERE, certificateOf("CN=eve")) });
    for (let n = 0; n < 3; n++) expect(await guess("wrong")).toMatchObject({ user: "eve" });
    // From now on the password is not looked at; who has a certificate gets in all the same.
    expect(await guess("right")).toMatchObject({ user: "eve" });
    await refusal(logins.login({ user: "ann", password: "right", peer: peerAt(HERE) }), "throttled");
  });

  it("is in the log with user, address and distinguished name, and without the password", async () => {
    const { logins, log } = start();
    const peer = peerAt(HERE, certificateOf("CN=pump"));
    await refusal(logins.login({ user: "ann", password: "Geheim", peer }));
    expect(log).toEqual([
      {
        text: "a login was refused",
        fields: {
          user: "ann",
          address: "10.1.2.3",
          listener: "test",
          dn: "CN=pump",
          reason: "The user name or the password is not accepted",
        },
      },
    ]);
  });
});

it("names without end that fail take no more memory than the first ones", () => {
  const { clock } = start();
  const throttle = new Throttle(clock, () => ATTEMPTS);
  for (let n = 0; n < 100_000; n++) throttle.failed([`user${n}`.padEnd(1000, "x")], `10.0.${n}`);
  expect(throttle.size).toBeLessThanOrEqual(3 * ATTEMPTS.max_tracked);
});
