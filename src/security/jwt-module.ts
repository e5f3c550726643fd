/*
 * JSON Web Tokens (RFC 7519) as passwords. The keys come from one place:
 *
 *     jwks_url    a JSON Web Key Set, fetched when a token names a key that is not known, and kept
 *     jwks_file, key_file, secret
 *
 * A secret takes tokens by HMAC only and a public key none such, so that no public key serves as a secret.
 */
import { createPublicKey, createSecretKey, type KeyObject } from "node:crypto";
import type { JSONWebKeySet, JWTPayload, JWTVerifyGetKey } from "jose";
import type { Clock } from "../../core/time/clock.ts";
import type { JwtSettings } from "../config/security-schema.ts";
import {
  type Attempt,
  aside,
  evidenceOf,
  type Grant,
  type LoginModule,
  refused,
  unknown,
  type Verdict,
} from "./attempt.ts";
import type { Turnstile } from "./turnstile.ts";

const MOST_BYTES = 16 * 1024;
const TOKEN = /^[\w-]+\.[\w-]+\.[\w-]*$/;
const BY_HMAC = ["HS256", "HS384", "HS512"];
const BY_KEYS = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA", "Ed25519"];
/** Of an issuer that does not answer, or says nothing that makes sense. */
const ISSUERS_FAULTS = ["ERR_JWKS_TIMEOUT", "ERR_JWKS_INVALID", "ERR_JOSE_GENERIC"];

/** Where the keys are as they are now. */
export type Keys =
  | { readonly kind: "remote"; readonly get: () => Promise<JWTVerifyGetKey> }
  | { readonly kind: "set"; readonly set: JSONWebKeySet }
  | { readonly kind: "key"; readonly key: KeyObject };

/** A JSON Web Key Set at a URL: what was fetched is kept as long as this is. */
export function remoteKeys(url: string): Keys {
  let set: Promise<JWTVerifyGetKey> | undefined;
  const make = async (): Promise<JWTVerifyGetKey> => {
    const { createRemoteJWKSet } = await import("jose");
    return createRemoteJWKSet(new URL(url));
  };
  return { kind: "remote", get: () => (set ??= make()) };
}

/** Reads a JSON Web Key Set. Throws an Error with one sentence. */
export function parseKeySet(text: string): Keys {
  const set: unknown = JSON.parse(text);
  if (!isKeySet(set)) throw new Error('is no JSON Web Key Set; expected {"keys": [...]}');
  return { kind: "set", set };
}

/** Reads a public key or a certificate in PEM. Throws an Error with one sentence. */
export function parsePublicKey(text: string): Keys {
  if (text.includes("PRIVATE KEY"))
    throw new Error("holds a private key; expected a public key, which is all it takes");
  return { kind: "key", key: createPublicKey(text) };
}

/** A secret for HMAC. */
export function secretKey(secret: string): Keys {
  return { kind: "key", key: createSecretKey(Buffer.from(secret)) };
}

function isKeySet(value: unknown): value is JSONWebKeySet {
  if (typeof value !== "object" || value === null || !("keys" in value)) return false;
  const { keys } = value;
  return Array.isArray(keys) && keys.every((key) => typeof key === "object" && key !== null && "kty" in key);
}

/** Whether a password looks like a token. */
function isToken(password: string): boolean {
  return password.length <= MOST_BYTES && TOKEN.test(password);
}

/** Users by tokens. */
export class JwtModule implements LoginModule {
  private readonly settings: JwtSettings;
  private readonly keys: () => Keys;
  private readonly clock: Clock;
  private readonly turns: Turnstile;
  private readonly source: string;
  private resolved: { readonly of: Keys; readonly get: Promise<JWTVerifyGetKey | KeyObject> } | undefined = undefined;

  /** `keys` are those of now. */
  constructor(settings: JwtSettings, keys: () => Keys, clock: Clock, turns: Turnstile) {
    this.settings = settings;
    this.keys = keys;
    this.clock = clock;
    this.turns = turns;
    this.source = `jwt ${JSON.stringify(settings)}`;
  }

  check(attempt: Attempt): Verdict | Promise<Verdict> {
    const { password, evidence } = attempt;
    if (evidence !== undefined) return this.checkAgain(attempt);
    if (!isToken(password)) return aside("The password is no token");
    return this.turns.pass(() => this.verify(password));
  }

  private checkAgain(attempt: Attempt): Verdict {
    const before = evidenceOf(attempt, this.source);
    if (before === undefined) return aside("There was no token");
    const { expiresAt = 0 } = before.grant;
    if (expiresAt <= this.clock.now()) return refused("The token has expired");
    return { kind: "accepted", grant: before.grant, evidence: before };
  }

  private async verify(token: string): Promise<Verdict> {
    const { issuer, audience, clock_tolerance: toleranceMs } = this.settings;
    const { jwtVerify } = await import("jose");
    const options = {
      currentDate: new Date(this.clock.now()),
      clockTolerance: toleranceMs / 1000,
      ...(issuer === "" ? {} : { issuer }),
      ...(audience.length === 0 ? {} : { audience: [...audience] }),
    };
    try {
      const keys = await this.verifier();
      const isSecret = typeof keys !== "function" && keys.type === "secret";
      const algorithms = isSecret ? BY_HMAC : BY_KEYS;
      const { payload } =
        typeof keys === "function"
          ? await jwtVerify(token, keys, { ...options, algorithms })
          : await jwtVerify(token, keys, { ...options, algorithms });
      return this.verdict(payload);
    } catch (error) {
      return refusalFor(error);
    }
  }

  private verdict(payload: JWTPayload): Verdict {
    const { user_claim: userClaim, groups_claim: groupsClaim, clock_tolerance: tolerance } = this.settings;
    const user = claimOf(payload, userClaim);
    if (typeof user !== "string" || user === "") {
      return refused(
        `The token has no claim "${userClaim}" with the name of a user (security.modules, jwt.user_claim)`,
      );
    }
    const longest = this.clock.now() + this.settings.max_lifetime;
    const expiresAt = payload.exp === undefined ? longest : Math.min(longest, payload.exp * 1000 + tolerance);
    const grant: Grant = { user, groups: groupsOf(claimOf(payload, groupsClaim)), expiresAt };
    return { kind: "accepted", grant, evidence: { source: this.source, mark: "", grant } };
  }

  private verifier(): Promise<JWTVerifyGetKey | KeyObject> {
    const keys = this.keys();
    if (this.resolved?.of !== keys) this.resolved = { of: keys, get: verifierOf(keys) };
    return this.resolved.get;
  }
}

async function verifierOf(keys: Keys): Promise<JWTVerifyGetKey | KeyObject> {
  if (keys.kind === "key") return keys.key;
  if (keys.kind === "remote") return keys.get();
  const { createLocalJWKSet } = await import("jose");
  return createLocalJWKSet(keys.set);
}

function refusalFor(error: unknown): Verdict {
  const code = error instanceof Error && "code" in error ? String(error.code) : "";
  const unreachable = error instanceof TypeError && error.message === "fetch failed";
  if (unreachable || ISSUERS_FAULTS.includes(code)) return unknown(error);
  if (code === "ERR_JWT_EXPIRED") return refused("The token has expired");
  return refused(`The token is not accepted: ${error instanceof Error ? error.message : code}`);
}

/** What a claim says; `a.b` is b in a, unless there is a claim of that very name, as URIs have dots. */
function claimOf(payload: JWTPayload, path: string): unknown {
  if (Object.hasOwn(payload, path)) return payload[path];
  let value: unknown = payload;
  for (const step of path.split(".")) {
    if (typeof value !== "object" || value === null) return undefined;
    value = Object.entries(value).find(([name]) => name === step)?.[1];
  }
  return value;
}

function groupsOf(claim: unknown): string[] {
  if (typeof claim === "string") return claim.split(/[\s,]+/).filter((group) => group !== "");
  return Array.isArray(claim) ? claim.filter((group) => typeof group === "string") : [];
}
