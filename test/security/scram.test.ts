import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { BrokerError } from "../../core/errors.ts";
import {
  deriveScramKeys,
  formatScramKeys,
  parseScramKeys,
  ScramExchange,
  type ScramKeys,
} from "../../src/security/scram.ts";
import { ScramClient } from "../support/scram-client.ts";

/** RFC 7677 3. */
const SALT = "W22ZaJ0SNY7soEsUEjb6gQ==";
const CLIENT_NONCE = "rOprNGfwEbeRWgbNEkqO";
const SERVER_NONCE = "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0";
const NONCES = CLIENT_NONCE + SERVER_NONCE;
const FIRST = `n,,n=user,r=${CLIENT_NONCE}`;
const CHALLENGE = `r=${NONCES},s=${SALT},i=4096`;
const LAST = `c=biws,r=${NONCES},p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=`;
const VERDICT = "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=";

const pencil = await deriveScramKeys("pencil", Buffer.from(SALT, "base64"), 4096);

function exchange(keys: ScramKeys = pencil, nonce?: string) {
  const asked: string[] = [];
  const find = (user: string) => {
    asked.push(user);
    return Promise.resolve({ keys, login: () => Promise.resolve({ user, groups: [] }) });
  };
  const server = new ScramExchange(find, nonce);
  return { server, asked, say: (text: string) => server.step(Buffer.from(text)) };
}

/** The text of the refusal. */
async function refusal(step: Promise<unknown>): Promise<string> {
  try {
    await step;
  } catch (error) {
    if (error instanceof BrokerError && error.code === "not-authenticated") return error.message;
    throw error;
  }
  throw new Error("It was accepted");
}

describe("the example of RFC 7677", () => {
  it("is carried out word for word", async () => {
    const { say, asked } = exchange(pencil, SERVER_NONCE);
    expect(await say(FIRST)).toEqual({ done: false, data: Buffer.from(CHALLENGE) });
    const login = { user: "user", groups: [] };
    expect(await say(LAST)).toEqual({ done: true, data: Buffer.from(VERDICT), login });
    expect(asked).toEqual(["user"]);
  });

  it("is what a client says and accepts", () => {
    const client = new ScramClient("user", "pencil", { nonce: CLIENT_NONCE });
    expect(client.first().toString()).toBe(FIRST);
    expect(client.last(Buffer.from(CHALLENGE)).toString()).toBe(LAST);
    expect(client.trusts(Buffer.from(VERDICT))).toBe(true);
  });

  it("has these stored keys", () => {
    const text = `4096$${SALT}$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=$wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=`;
    expect(formatScramKeys(pencil)).toBe(text);
    expect(parseScramKeys(text)).toEqual(pencil);
  });
});

describe("stored keys", () => {
  const good = formatScramKeys(pencil);
  const [iterations = "", salt = "", stored = "", server = ""] = good.split("$");

  it.each([
    ["nothing", ""],
    ["a hash of the other kind", "scrypt$16384$8$1$AAAAAAAAAAA=$AAAAAAAAAAAAAAAAAAAAAA=="],
    ["too few iterations", ["4095", salt, stored, server].join("$")],
    ["more iterations than any client carries out", ["10000001", salt, stored, server].join("$")],
    ["a number that is none", ["4096x", salt, stored, server].join("$")],
    ["a short salt", [iterations, "AAAAAAAAAA==", stored, server].join("$")],
    ["a salt that is not base64", [iterations, "W22ZaJ0SNY7soEsUEjb6g!==", stored, server].join("$")],
    ["a stored key of another length", [iterations, salt, salt, server].join("$")],
    ["a server key of another length", [iterations, salt, stored, salt].join("$")],
    ["no server key", [iterations, salt, stored].join("$")],
    ["something behind", `${good}$`],
    ["a newline behind", `${good}\n`],
  ])("are refused with %s", (_what, text) => {
    expect(parseScramKeys(text)).toBeUndefined();
  });

  it("of one password differ each time, and have 15,000 iterations", async () => {
    const [a, b] = [await deriveScramKeys("x"), await deriveScramKeys("x")];
    expect(a.iterations).toBe(15_000);
    expect(a.salt).not.toEqual(b.salt);
    expect(a.storedKey).not.toEqual(b.storedKey);
  });

  it.each([
    ["a soft hyphen", "I\u00adX", "IX"],
    ["a compatible character", "\u2168", "IX"],
    ["a decomposed letter", "cafe\u0301", "caf\u00e9"],
    ["a space that does not break", "a\u00a0b", "a b"],
    ["a joiner of no width", "a\u200db", "ab"],
  ])("are made of a password with %s as RFC 4013 has it", async (_what, written, prepared) => {
    const keys = await deriveScramKeys(written, pencil.salt, 4096);
    expect(keys).toEqual(await deriveScramKeys(prepared, pencil.salt, 4096));
  });
});

describe("a first message", () => {
  it("may say that the client could bind to the channel", async () => {
    const { say } = exchange(pencil, SERVER_NONCE);
    const client = new ScramClient("user", "pencil", { header: "y,,", nonce: CLIENT_NONCE });
    const challenge = await say(client.first().toString());
    const verdict = await say(client.last(challenge.data).toString());
    expect(verdict.done && client.trusts(verdict.data)).toBe(true);
  });

  it("may have optional extensions, which are signed", async () => {
    const { server } = exchange();
    const client = new ScramClient("user", "pencil", { nonce: `${CLIENT_NONCE},x=y` });
    const challenge = await server.step(client.first());
    expect(challenge.data?.toString()).toMatch(new RegExp(`^r=${CLIENT_NONCE}[^,]{24},s=`));
  });

  it("is asked for when there was none, once", async () => {
    const { say } = exchange(pencil, SERVER_NONCE);
    expect(await say("")).toEqual({ done: false, data: Buffer.alloc(0) });
    expect(await say(FIRST)).toEqual({ done: false, data: Buffer.from(CHALLENGE) });
    const other = exchange();
    await other.say("");
    expect(await refusal(other.say(""))).toMatch(/malformed/);
  });

  it.each([
    ["asks for channel binding", `p=tls-unique,,n=user,r=${CLIENT_NONCE}`, /^Channel binding is not offered/],
    ["wants to act for another user", `n,a=admin,n=user,r=${CLIENT_NONCE}`, /^A user cannot log in for another one/],
    ["asks for an extension that must be known", `n,,m=x,n=user,r=${CLIENT_NONCE}`, /^m= asks for an extension/],
    ["has no header", `n=user,r=${CLIENT_NONCE}`, /malformed/],
    ["has no user", `n,,r=${CLIENT_NONCE},n=user`, /malformed/],
    ["has an empty user", `n,,n=,r=${CLIENT_NONCE}`, /^The user name is empty/],
    ["has a = in the user that escapes nothing", `n,,n=a=b,r=${CLIENT_NONCE}`, /neither =2C nor =3D/],
    ["has an empty nonce", "n,,n=user,r=", /not a nonce/],
    ["has a nonce with a blank", "n,,n=user,r=a b", /not a nonce/],
    ["has a nonce that is too long", `n,,n=user,r=${"a".repeat(257)}`, /not a nonce/],
    ["has no nonce", "n,,n=user", /malformed/],
    ["is too long", `n,,n=${"a".repeat(2048)},r=a`, /at most 2048 are allowed/],
  ])("that %s is refused, and the exchange is over", async (_what, text, words) => {
    const { say, asked } = exchange();
    expect(await refusal(say(text))).toMatch(words);
    expect(await refusal(say(FIRST))).toMatch(/^The exchange is over/);
    expect(asked).toEqual([]);
  });

  it("that is not UTF-8 is refused", async () => {
    const { server } = exchange();
    expect(await refusal(server.step(Buffer.from("n,,n=\xff,r=abc", "latin1")))).toBe("A message is not UTF-8");
  });

  it("has the user's name with its commas and equals signs", async () => {
    const { server, asked } = exchange();
    await server.step(new ScramClient("a=b,c=2C", "x").first());
    expect(asked).toEqual(["a=b,c=2C"]);
  });
});

describe("a last message", () => {
  it.each([
    ["another header", LAST.replace("biws", "eSws"), /^c= of the last message/],
    ["channel binding data", LAST.replace("biws", "biwsZGF0YQ=="), /^c= of the last message/],
    ["the client's nonce only", LAST.replace(SERVER_NONCE, ""), /^r= of the last message/],
    ["another nonce", LAST.replace(SERVER_NONCE, "x".repeat(SERVER_NONCE.length)), /^r= of the last message/],
    ["a wrong proof", LAST.replace("p=d", "p=e"), /not accepted/],
    ["a proof that is too short", LAST.replace(/p=.*/, "p=AAAA"), /malformed/],
    ["a proof that is not base64", LAST.replace("=dHz", "=d*z"), /malformed/],
    ["an extension that is not signed", LAST.replace(",p=", ",x=y,p="), /not accepted/],
    ["something behind its proof", `${LAST},x=y`, /malformed/],
    ["nothing in it", "", /malformed/],
  ])("with %s is refused, and the exchange is over", async (_what, text, words) => {
    const { say } = exchange(pencil, SERVER_NONCE);
    await say(FIRST);
    expect(await refusal(say(text))).toMatch(words);
    expect(await refusal(say(LAST))).toMatch(/^The exchange is over/);
  });

  it("is good for one exchange only", async () => {
    const first = exchange();
    const client = new ScramClient("user", "pencil");
    const last = client.last((await first.server.step(client.first())).data);
    expect((await first.server.step(last)).done).toBe(true);
    expect(await refusal(first.server.step(last))).toMatch(/^The exchange is over/);
    const second = exchange();
    await second.server.step(client.first());
    expect(await refusal(second.server.step(last))).toMatch(/^r= of the last message/);
  });

  it("does not come before the first one is answered", async () => {
    const { say } = exchange(pencil, SERVER_NONCE);
    const challenge = say(FIRST);
    expect(await refusal(say(LAST))).toMatch(/its last step is not answered yet/);
    expect((await challenge).done).toBe(false);
  });
});

describe("client and server", () => {
  const text = fc.string({ unit: "grapheme-ascii", minLength: 1, maxLength: 40 });

  it("agree whatever user and password are, and on nothing else", async () => {
    await fc.assert(
      fc.asyncProperty(text, text, text, async (user, password, other) => {
        const keys = await deriveScramKeys(password, undefined, 4096);
        const { server, asked } = exchange(keys);
        const client = new ScramClient(user, other);
        const last = client.last((await server.step(client.first())).data);
        expect(asked).toEqual([user]);
        if (other === password) {
          const verdict = await server.step(last);
          expect(verdict.done && verdict.login.user === user && client.trusts(verdict.data)).toBe(true);
        } else {
          await refusal(server.step(last));
        }
        const right = exchange(keys);
        const honest = new ScramClient(user, password);
        const verdict = await right.server.step(honest.last((await right.server.step(honest.first())).data));
        expect(verdict.done && verdict.login.user === user && honest.trusts(verdict.data)).toBe(true);
      }),
      { numRuns: 30 },
    );
  });

  it("do not agree when one bit of any message was changed on its way", async () => {
    await fc.assert(
      fc.asyncProperty(fc.nat(2), fc.nat(), fc.nat(7), async (which, at, bit) => {
        const { server } = exchange();
        const client = new ScramClient("user", "pencil");
        const tamper = (turn: number, data: Buffer | undefined): Buffer => {
          const copy = Buffer.from(data ?? "");
          const place = at % copy.length;
          if (turn === which) copy[place] = (copy[place] ?? 0) ^ (1 << bit);
          return copy;
        };
        const attempt = async (): Promise<boolean> => {
          const challenge = await server.step(tamper(0, client.first()));
          let last: Buffer;
          try {
            last = client.last(tamper(1, challenge.data));
          } catch {
            return false;
          }
          const verdict = await server.step(tamper(2, last));
          return verdict.done && client.trusts(verdict.data);
        };
        const agreed = await attempt().catch((error: unknown) => {
          if (error instanceof BrokerError) return false;
          throw error;
        });
        expect(agreed).toBe(false);
      }),
      { numRuns: 150 },
    );
  });

  it("end in words whatever bytes come", async () => {
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ minLength: 1, maxLength: 80 }), fc.boolean(), async (bytes, late) => {
        const { server, say } = exchange();
        if (late) await say(FIRST);
        await refusal(server.step(Buffer.from(bytes)));
      }),
    );
  });
});
