/*
 * Passwords are kept as scrypt$N$r$p$salt$hash, salt and hash in base64. N, r and p are kept with each hash, so the cost
 * can be raised later without making old hashes useless.
 */
import { createHash, randomBytes, randomInt, scrypt, timingSafeEqual } from "node:crypto";

/** A stored password, taken apart. */
export interface PasswordHash {
  /** Cost: a power of two. */
  readonly N: number;
  readonly r: number;
  readonly p: number;
  readonly salt: Buffer;
  readonly hash: Buffer;
}

/** Those that are not taken for one another. */
const LETTERS = "ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz23456789";
const PASSWORD_LENGTH = 24;
const NEW = { N: 16_384, r: 8, p: 1 };
const SALT_BYTES = 16;
const HASH_BYTES = 32;
/** A configured cost above this is a mistake: every login would stop the machine. */
const MOST_MEMORY = 256 * 1024 * 1024;

/** A password that nobody can guess, to be typed. */
export function newPassword(): string {
  return Array.from({ length: PASSWORD_LENGTH }, () => LETTERS[randomInt(LETTERS.length)]).join("");
}

/** Reads a stored hash; undefined when it is none, or one that would cost too much or too little to check. */
export function parsePasswordHash(text: string): PasswordHash | undefined {
  const match = /^scrypt\$(\d{1,8})\$(\d{1,3})\$(\d{1,3})\$([A-Za-z0-9+/]+=*)\$([A-Za-z0-9+/]+=*)$/.exec(text);
  if (match === null) return undefined;
  const [N = 0, r = 0, p = 0] = match.slice(1, 4).map(Number);
  const [salt, hash] = [Buffer.from(match[4] ?? "", "base64"), Buffer.from(match[5] ?? "", "base64")];
  if (N < 2 || (N & (N - 1)) !== 0 || r < 1 || p < 1 || p > 16 || 128 * N * r > MOST_MEMORY) return undefined;
  if (salt.length < 8 || hash.length < 16 || hash.length > 128) return undefined;
  return { N, r, p, salt, hash };
}

/** A new hash of a password, in the form that `parsePasswordHash` reads. */
export async function hashPassword(password: string): Promise<string> {
  const salt = randomBytes(SALT_BYTES);
  const hash = await derive(password, { ...NEW, salt, hash: Buffer.alloc(HASH_BYTES) });
  return ["scrypt", NEW.N, NEW.r, NEW.p, salt.toString("base64"), hash.toString("base64")].join("$");
}

/** Whether the password is the one that was hashed. Runs on the thread pool and takes the same time either way. */
export async function verifyPassword(password: string, stored: PasswordHash): Promise<boolean> {
  return timingSafeEqual(await derive(password, stored), stored.hash);
}

/** A hash of no password that anybody knows: checking against it costs what checking a real one does. */
export function unknowablePassword(): PasswordHash {
  return { ...NEW, salt: randomBytes(SALT_BYTES), hash: randomBytes(HASH_BYTES) };
}

/** Whether two texts are the same, in a time that does not tell where they differ. */
export function isSameText(one: string, other: string): boolean {
  return timingSafeEqual(digest(one), digest(other));
}

function digest(text: string): Buffer {
  return createHash("sha256").update(text).digest();
}

function derive(password: string, { N, r, p, salt, hash }: PasswordHash): Promise<Buffer> {
  // Node refuses just what the default parameters of many hashes need unless it is told more.
  const options = { N, r, p, maxmem: 256 * N * r };
  return new Promise((resolve, reject) => {
    scrypt(password.normalize("NFC"), salt, hash.length, options, (error, key) => {
      if (error === null) resolve(key);
      else reject(error);
    });
  });
}
