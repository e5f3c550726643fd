import { createHmac, generateKeyPairSync, type KeyObject, sign } from "node:crypto";
import { writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { join } from "node:path";
import { describe, expect, it, onTestFinished } from "vitest";
import type { ModuleSettings } from "../../src/config/security-schema.ts";
import type { LoginSettings } from "../../src/security/login.ts";
import { parseKeySet, parsePublicKey } from "../../src/security/jwt-module.ts";
import { temporaryFolder } from "../support/broker.ts";
import { loginsBy, peerAt, refusal, securityWith } from "../support/logins.ts";
import { hmacToken, JWT_SECRET } from "../support/tokens.ts";

type JwtSettings = NonNullable<ModuleSettings["jwt"]>;

const SETTINGS: JwtSettings = {
  jwks_url: "",
  jwks_file: "",
  key_file: "",
  secret: "",
  issuer: "",
  audience: [],
  user_claim: "sub",
  groups_claim: "groups",
  clock_tolerance: 30_000,
  max_lifetime: 86_400_000,
};
const NOW = Date.UTC(2026, 0, 1) / 1000;
const rsa = generateKeyPairSync("rsa", { modulusLength: 2048 });
const jwks = JSON.stringify({ keys: [{ ...rsa.publicKey.export({ format: "jwk" }), kid: "k1", alg: "RS256" }] });

function settingsWith(changes: Partial<JwtSettings>): LoginSettings {
  const modules: ModuleSettings[] = [{ control: "required", jwt: { ...SETTINGS, ...changes } }];
  return { security: securityWith({ modules }), hosts: {} };
}

function start(changes: Partial<JwtSettings>) {
  const parts = loginsBy(settingsWith(changes).security);
  const attempt = (token: string, user?: string) =>
    parts.logins.login({ user, password: token, peer: peerAt("10.1.2.3:5") });
  return { ...parts, attempt };
}

function encoded(value: object): string {
  return Buffer.from(JSON.stringify(value)).toString("base64url");
}

function rsaToken(
  claims: object,
  key: KeyObject = rsa.privateKey,
  header: object = { alg: "RS256", kid: "k1" },
): string {
  const signed = `${encoded(header)}.${encoded(claims)}`;
  return `${signed}.${sign("sha256", Buffer.from(signed), key).toString("base64url")}`;
}

function file(name: string, text: string): string {
  const path = join(temporaryFolder(), name);
  writeFileSync(path, text);
  return path;
}

const ann = { sub: "ann", exp: NOW + 600 };

describe("a token", () => {
  it("by a secret is the password of its user, whatever user is named, with groups and an end", async () => {
    const { attempt } = start({ secret: JWT_SECRET });
    const login = { user: "ann", groups: ["a", "b"], expiresAt: (NOW + 630) * 1000 };
    const token = hmacToken({ ...ann, groups: ["a", "b", 5] });
    expect(await attempt(token)).toEqual(login);
    expect(await attempt(token, "anybody")).toEqual(login);
  });

  it.each([
    ["a set of keys", () => ({ jwks_file: file("jwks.json", jwks) })],
    ["a key", () => ({ key_file: file("key.pem", rsa.publicKey.export({ type: "spki", format: "pem" }).toString()) })],
  ])("by %s in a file is accepted, and one by another key is not", async (_what, settings) => {
    const { attempt } = start(settings());
    expect(await attempt(rsaToken(ann))).toMatchObject({ user: "ann" });
    const other = generateKeyPairSync("rsa", { modulusLength: 2048 });
    expect(await refusal(attempt(rsaToken(ann, other.privateKey)))).toMatch(/^The token is not accepted: /);
  });

  it("by a set of keys at a URL is accepted; when that does not answer, it is nobody's failure", async () => {
    const server = createServer((_request, response) => response.end(jwks));
    await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
    onTestFinished(() => void server.close());
    const address = server.address();
    const port = typeof address === "object" ? address?.port : 0;
    const { attempt } = start({ jwks_url: `http://127.0.0.1:${port}/keys` });
    expect(await attempt(rsaToken(ann))).toMatchObject({ user: "ann" });
    const settings = settingsWith({ jwks_url: `http://127.0.0.1:${port}/keys` });
    const parts = loginsBy(settings.security);
    const again = () => parts.logins.login({ user: "", password: rsaToken(ann), peer: peerAt("10.1.2.3:5") });
    await again();
    // A reload forgets no keys, whether the issuer is there or not.
    await new Promise((done) => {
      server.close(done);
      server.closeAllConnections();
    });
    parts.logins.reload(settings);
    expect(await again()).toMatchObject({ user: "ann" });
    const deaf = start({ jwks_url: "http://127.0.0.1:1/keys" });
    for (let n = 0; n < 20; n++) {
      expect(await refusal(deaf.attempt(rsaToken(ann)), "throttled")).toMatch(/cannot be found out at present/);
    }
    expect(deaf.log[0]?.text).toBe("a login could not be checked");
  });

  it("is accepted only by algorithms of the kind of the key", async () => {
    const pem = rsa.publicKey.export({ type: "spki", format: "pem" }).toString();
    const { attempt } = start({ key_file: file("key.pem", pem) });
    const signed = `${encoded({ alg: "HS256" })}.${encoded(ann)}`;
    const forged = `${signed}.${createHmac("sha256", pem).update(signed).digest("base64url")}`;
    await refusal(attempt(forged));
    await refusal(attempt(`${encoded({ alg: "none" })}.${encoded(ann)}.`));
    await refusal(start({ secret: JWT_SECRET }).attempt(rsaToken(ann)));
  });

  it.each<[string, object, Partial<JwtSettings>, RegExp]>([
    ["that has expired", { sub: "ann", exp: NOW - 31 }, {}, /^The token has expired$/],
    ["that is not valid yet", { ...ann, nbf: NOW + 31 }, {}, /"nbf"/],
    ["of another issuer", { ...ann, iss: "x" }, { issuer: "https://login.example" }, /"iss"/],
    ["for somebody else", { ...ann, aud: "x" }, { audience: ["delos"] }, /"aud"/],
    ["without a user", { exp: NOW + 5 }, {}, /no claim "sub"/],
    ["whose user is no text", { sub: 5 }, {}, /no claim "sub"/],
  ])("%s is refused, and it is said why", async (_what, claims, settings, text) => {
    const { attempt } = start({ secret: JWT_SECRET, ...settings });
    expect(await refusal(attempt(hmacToken(claims)))).toMatch(text);
  });

  it("of the right issuer for one of the audience is accepted", async () => {
    const { attempt } = start({ secret: JWT_SECRET, issuer: "https://login.example", audience: ["a", "delos"] });
    expect(await attempt(hmacToken({ ...ann, iss: "https://login.example", aud: ["delos"] }))).toMatchObject({
      user: "ann",
    });
  });

  it("may have user and groups in other claims", async () => {
    const { attempt } = start({ secret: JWT_SECRET, user_claim: "email", groups_claim: "realm_access.roles" });
    const nested = hmacToken({ email: "a@x", realm_access: { roles: ["r"] } });
    expect(await attempt(nested)).toMatchObject({ user: "a@x", groups: ["r"] });
    const scope = start({ secret: JWT_SECRET, groups_claim: "https://x.example/scope" });
    const uri = hmacToken({ sub: "ann", "https://x.example/scope": "read  write" });
    expect(await scope.attempt(uri)).toMatchObject({ groups: ["read", "write"] });
    const odd = start({ secret: JWT_SECRET, user_claim: "__proto__.constructor" });
    await refusal(odd.attempt(hmacToken(ann)));
  });

  it("without an end, or with a late one, lasts as long as max_lifetime says", async () => {
    const { attempt } = start({ secret: JWT_SECRET, max_lifetime: 1000 });
    expect(await attempt(hmacToken({ sub: "ann" }))).toMatchObject({ expiresAt: NOW * 1000 + 1000 });
    expect(await attempt(hmacToken(ann))).toMatchObject({ expiresAt: NOW * 1000 + 1000 });
  });

  it("is none without its dots, and nothing is a token", async () => {
    const { attempt } = start({ secret: JWT_SECRET });
    expect(await refusal(attempt("password", "ann"))).toBe("The password is no token");
    expect(await refusal(attempt(""))).toBe("The password is no token");
    expect(await refusal(attempt(`a.${"b".repeat(20_000)}.c`))).toBe("The password is no token");
  });

  it("still counts when it is looked at again, until it expires or the module becomes another one", async () => {
    const { attempt, logins, clock } = start({ secret: JWT_SECRET });
    const login = await attempt(hmacToken(ann));
    const peer = peerAt("10.1.2.3:5");
    logins.reload(settingsWith({ secret: JWT_SECRET }));
    expect(await logins.review(login, peer)).toEqual(login);
    clock.advance(630_000);
    expect(await refusal(logins.review(login, peer))).toMatch(/has expired/);
    const later = await attempt(hmacToken({ sub: "ann" }));
    logins.reload(settingsWith({ secret: JWT_SECRET, issuer: "https://login.example" }));
    await refusal(logins.review(later, peer));
  });
});

const message = (token: string, header = "n,,") => Buffer.from(`${header}\x01host=x\x01auth=Bearer ${token}\x01\x01`);
const begin = () => start({ secret: JWT_SECRET }).logins.begin("OAUTHBEARER", peerAt("10.1.2.3:5"));

describe("keys", () => {
  it.each(["{}", '{"keys": 5}', '{"keys": [5]}', "[]"])("are not read from %s", (text) => {
    expect(() => parseKeySet(text)).toThrow("is no JSON Web Key Set");
  });

  it("that are private are not taken", () => {
    const pem = rsa.privateKey.export({ type: "pkcs8", format: "pem" }).toString();
    expect(() => parsePublicKey(pem)).toThrow("expected a public key");
  });
});

describe("OAUTHBEARER (RFC 7628)", () => {
  it("takes a token in its one message, which may be asked for", async () => {
    const exchange = begin();
    expect(await exchange.step(Buffer.alloc(0))).toEqual({ done: false, data: Buffer.alloc(0) });
    expect(await exchange.step(message(hmacToken(ann)))).toMatchObject({ done: true, login: { user: "ann" } });
    expect(await begin().step(message(hmacToken(ann), "n,a=ann,"))).toMatchObject({ done: true });
  });

  it.each([
    ["of another user", message(hmacToken(ann), "n,a=bob,")],
    ["that is not signed", message(`${hmacToken(ann)}x`)],
    ["that is not there", Buffer.from("n,,\x01\x01")],
    ["behind no header", Buffer.from(`auth=Bearer ${hmacToken(ann)}`)],
    ["too long", Buffer.alloc(30_000, "n")],
  ])("refuses one %s", async (_what, data) => {
    await refusal(begin().step(data));
  });

  it("is offered only where tokens are taken", () => {
    expect(start({ secret: JWT_SECRET }).logins.mechanisms).toEqual(["OAUTHBEARER"]);
    expect(loginsBy(securityWith()).logins.mechanisms).toEqual(["SCRAM-SHA-256"]);
  });
});
