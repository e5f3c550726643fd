/*
 * Hashes of passwords as RabbitMQ keeps them: in base64, four bytes of salt and the digest of salt and password. They are quick to
 * guess at, so that one only counts until its user logs in: see `Accounts`.
 *
 *     kept here as   rabbitmq-sha256$BASE64   or   rabbitmq-sha512$BASE64
 */
import { createHash, timingSafeEqual } from "node:crypto";

/** A stored hash, taken apart. */
export interface RabbitHash {
  readonly digest: "sha256" | "sha512";
  readonly salt: Buffer;
  readonly hash: Buffer;
}

const SALT_BYTES = 4;
const BYTES = { sha256: 32, sha512: 64 } as const;
const NAMES: Readonly<Record<string, RabbitHash["digest"]>> = {
  rabbit_password_hashing_sha256: "sha256",
  rabbit_password_hashing_sha512: "sha512",
};

/** The text to keep of a hash in RabbitMQ's definitions; undefined when it is none, or one by MD5. */
export function keptRabbitHash(algorithm: string, base64: string): string | undefined {
  const digest = Object.hasOwn(NAMES, algorithm) ? NAMES[algorithm] : undefined;
  const text = `rabbitmq-${digest ?? ""}$${base64}`;
  return parseRabbitHash(text) === undefined ? undefined : text;
}

/** Reads a kept hash; undefined when it is none. */
export function parseRabbitHash(text: string): RabbitHash | undefined {
  const match = /^rabbitmq-(sha256|sha512)\$([A-Za-z0-9+/]+=*)$/.exec(text);
  if (match === null) return undefined;
  const digest = match[1] === "sha512" ? "sha512" : "sha256";
  const bytes = Buffer.from(match[2] ?? "", "base64");
  if (bytes.length !== SALT_BYTES + BYTES[digest]) return undefined;
  return { digest, salt: bytes.subarray(0, SALT_BYTES), hash: bytes.subarray(SALT_BYTES) };
}

/** Whether the password is the one that was hashed. */
export function isOfRabbitHash(password: string, { digest, salt, hash }: RabbitHash): boolean {
  return timingSafeEqual(createHash(digest).update(salt).update(password).digest(), hash);
}
