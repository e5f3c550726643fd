/*
 * SCRAM-SHA-256, the server's side (RFC 5802, RFC 7677): a user proves to know the password without saying it.
 *
 *     client                                        server
 *       n,,n=USER,r=CLIENTNONCE            ->
 *                                          <-       r=CLIENTNONCE SERVERNONCE,s=SALT,i=ITERATIONS
 *       c=biws,r=NONCES,p=PROOF            ->
 *                                          <-       v=SIGNATURE
 *
 * Kept of a password is ITERATIONS$SALT$STOREDKEY$SERVERKEY, all but the first in base64: enough to check a proof, and not
 * enough to make one. Channel binding is not offered.
 */
import { isUtf8 } from "node:buffer";
import { createHash, createHmac, pbkdf2, randomBytes, timingSafeEqual } from "node:crypto";
import type { Login } from "../../core/access/access.ts";
import type { Exchange, Step } from "../../core/broker.ts";
import { BrokerError } from "../../core/errors.ts";

/** The mechanism's registered name. */
export const SCRAM_SHA_256 = "SCRAM-SHA-256";

/** What is kept of a password. */
export interface ScramKeys {
  readonly iterations: number;
  readonly salt: Buffer;
  readonly storedKey: Buffer;
  readonly serverKey: Buffer;
}

/** What a name stands for. A name that nobody has is answered like any other, with keys that no proof fits. */
export interface ScramAccount {
  readonly keys: ScramKeys;
  /** Called once the proof is right. Rejects with BrokerError for who may not log in even so. */
  login(): Promise<Login>;
}

/** RFC 7677 4: about what a tenth of a second was worth then; clients pay for it. */
export const NEW_ITERATIONS = 15_000;
/** RFC 7677 4. */
const LEAST_ITERATIONS = 4096;
/** Clients are told the number and work that long: many refuse more. */
const MOST_ITERATIONS = 10_000_000;
export const SALT_BYTES = 16;
const MOST_SALT_BYTES = 64;
const KEY_BYTES = 32;
const NONCE_BYTES = 18;
const MOST_NONCE = 256;
const MOST_MESSAGE_BYTES = 2048;
const NOTHING: Buffer = Buffer.alloc(0);

const REFUSED =
  "The user name or the password is not accepted, or the user has no keys for SCRAM-SHA-256 " +
  '(security.users.NAME.scram_sha_256, which "delos hash-password --scram" makes)';

/** Reads stored keys; undefined when the text is none, or its numbers are out of bounds. */
export function parseScramKeys(text: string): ScramKeys | undefined {
  const match = /^(\d{1,8})\$([^$]+)\$([^$]+)\$([^$]+)$/.exec(text);
  if (match === null) return undefined;
  const iterations = Number(match[1]);
  const [salt, storedKey, serverKey] = match.slice(2).map(fromBase64);
  if (salt === undefined || storedKey?.length !== KEY_BYTES || serverKey?.length !== KEY_BYTES) return undefined;
  if (iterations < LEAST_ITERATIONS || iterations > MOST_ITERATIONS) return undefined;
  if (salt.length < 8 || salt.length > MOST_SALT_BYTES) return undefined;
  return { iterations, salt, storedKey, serverKey };
}

/** Stored keys in the form that `parseScramKeys` reads. */
export function formatScramKeys({ iterations, salt, storedKey, serverKey }: ScramKeys): string {
  return [iterations, ...[salt, storedKey, serverKey].map((bytes) => bytes.toString("base64"))].join("$");
}

/** The keys of a password. Runs on the thread pool. */
export async function deriveScramKeys(
  password: string,
  salt: Buffer = randomBytes(SALT_BYTES),
  iterations: number = NEW_ITERATIONS,
): Promise<ScramKeys> {
  const salted = await new Promise<Buffer>((resolve, reject) => {
    pbkdf2(prepare(password), salt, iterations, KEY_BYTES, "sha256", (error, key) => {
      if (error === null) resolve(key);
      else reject(error);
    });
  });
  const clientKey = hmac(salted, "Client Key");
  return { iterations, salt, storedKey: sha256(clientKey), serverKey: hmac(salted, "Server Key") };
}

/**
 * The form of a password that clients compute with: RFC 4013 without its prohibitions, which change no password but refuse
 * some.
 */
function prepare(password: string): string {
  return password
    .replace(/[\u00a0\u1680\u2000-\u200b\u202f\u205f\u3000]/gu, " ")
    .replace(/\u00ad|\u034f|\u1806|[\u180b-\u180d]|\u200c|\u200d|\u2060|[\ufe00-\ufe0f]|\ufeff/gu, "")
    .normalize("NFKC");
}

/** The conversation with one peer. */
export class ScramExchange implements Exchange {
  readonly #find: (user: string) => Promise<ScramAccount>;
  readonly #serverNonce: string;
  #state: "first" | "final" | "busy" | "ended" = "first";
  #asked = false;
  #first: ClientFirst | undefined = undefined;
  #account: ScramAccount | undefined = undefined;
  #serverFirst = "";

  /** `find` tells what a name stands for; `serverNonce` must be another one for every exchange. */
  constructor(
    find: (user: string) => Promise<ScramAccount>,
    serverNonce: string = randomBytes(NONCE_BYTES).toString("base64"),
  ) {
    this.#find = find;
    this.#serverNonce = serverNonce;
  }

  async step(data: Buffer): Promise<Step> {
    const state = this.#state;
    this.#state = "busy";
    try {
      if (state === "first" && data.length === 0 && !this.#asked) {
        // RFC 4422 3: the client speaks first in this mechanism, so it is asked to.
        this.#asked = true;
        this.#state = "first";
        return { done: false, data: NOTHING };
      }
      if (state === "first") {
        const challenge = await this.#challenge(textOf(data));
        this.#state = "final";
        return { done: false, data: challenge };
      }
      if (state !== "final") throw refusal("The exchange is over, or its last step is not answered yet");
      const step = await this.#verify(textOf(data));
      this.#state = "ended";
      return step;
    } catch (error) {
      this.#state = "ended";
      throw error;
    }
  }

  async #challenge(text: string): Promise<Buffer> {
    const first = parseClientFirst(text);
    const account = await this.#find(first.user);
    const { salt, iterations } = account.keys;
    this.#first = first;
    this.#account = account;
    this.#serverFirst = `r=${first.nonce}${this.#serverNonce},s=${salt.toString("base64")},i=${iterations}`;
    return Buffer.from(this.#serverFirst);
  }

  async #verify(text: string): Promise<Step> {
    const account = this.#account;
    const first = this.#first;
    if (account === undefined || first === undefined) throw refusal("There was no first message");
    const { binding, nonce, proof, withoutProof } = parseClientFinal(text);
    if (binding !== Buffer.from(first.header).toString("base64")) {
      throw refusal("c= of the last message is not the header of the first one");
    }
    if (nonce !== first.nonce + this.#serverNonce) throw refusal("r= of the last message is not the agreed nonce");
    const { storedKey, serverKey } = account.keys;
    const said = `${first.bare},${this.#serverFirst},${withoutProof}`;
    const signature = hmac(storedKey, said);
    const clientKey = Buffer.from(proof.map((byte, at) => byte ^ (signature[at] ?? 0)));
    if (!timingSafeEqual(sha256(clientKey), storedKey)) throw refusal(REFUSED);
    const login = await account.login();
    return { done: true, data: Buffer.from(`v=${hmac(serverKey, said).toString("base64")}`), login };
  }
}

/** The refusal of a user that cannot log in, in the words for a wrong password. */
export function scramRefusal(): BrokerError {
  return refusal(REFUSED);
}

interface ClientFirst {
  /** `n,,` or `y,,`. */
  readonly header: string;
  /** What follows the header. */
  readonly bare: string;
  readonly user: string;
  readonly nonce: string;
}

function parseClientFirst(text: string): ClientFirst {
  if (text.startsWith("p=")) throw refusal("Channel binding is not offered; expected a message that begins with n,,");
  const match = /^([ny]),([^,]*),([^,]*),([^,]*)(?:,.*)?$/s.exec(text);
  if (match === null) throw refusal("The first message is malformed; expected n,,n=USER,r=NONCE");
  const [, flag = "", authorization = "", userField = "", nonceField = ""] = match;
  if (authorization !== "") throw refusal("A user cannot log in for another one: expected n,, without a=");
  if (userField.startsWith("m=")) throw refusal("m= asks for an extension that is not known");
  if (!userField.startsWith("n=")) throw refusal("The first message is malformed; expected n=USER after n,,");
  const user = unescapeName(userField.slice(2));
  if (user === undefined) throw refusal("The user name is empty, or has a = that is neither =2C nor =3D");
  const nonce = nonceField.slice(2);
  if (!nonceField.startsWith("r=") || !isNonce(nonce)) {
    throw refusal(`r= of the first message is not a nonce; expected 1 to ${MOST_NONCE} printable characters of ASCII`);
  }
  const header = `${flag},,`;
  return { header, bare: text.slice(header.length), user, nonce };
}

function isNonce(text: string): boolean {
  return text.length > 0 && text.length <= MOST_NONCE && /^[\x21-\x2b\x2d-\x7e]+$/.test(text);
}

function unescapeName(text: string): string | undefined {
  if (text === "" || /=(?!2C|3D)/.test(text) || text.includes("\0")) return undefined;
  return text.replaceAll("=2C", ",").replaceAll("=3D", "=");
}

function parseClientFinal(text: string): { binding: string; nonce: string; proof: Buffer; withoutProof: string } {
  const match = /^(c=([^,]*),r=([^,]*)(?:,[^,]*)*),p=([^,]*)$/s.exec(text);
  const proof = match === null ? undefined : fromBase64(match[4] ?? "");
  if (match === null || proof?.length !== KEY_BYTES) {
    throw refusal("The last message is malformed; expected c=BINDING,r=NONCE,p=PROOF");
  }
  const [, withoutProof = "", binding = "", nonce = ""] = match;
  return { binding, nonce, proof, withoutProof };
}

function textOf(data: Buffer): string {
  if (data.length > MOST_MESSAGE_BYTES) {
    throw refusal(`A message of ${data.length} bytes; at most ${MOST_MESSAGE_BYTES} are allowed`);
  }
  if (!isUtf8(data)) throw refusal("A message is not UTF-8");
  return data.toString("utf8");
}

/** Undefined unless it is exactly the base64 of something. */
function fromBase64(text: string): Buffer | undefined {
  const bytes = Buffer.from(text, "base64");
  return bytes.toString("base64") === text ? bytes : undefined;
}

function hmac(key: Buffer, text: string): Buffer {
  return createHmac("sha256", key).update(text).digest();
}

function sha256(bytes: Buffer): Buffer {
  return createHash("sha256").update(bytes).digest();
}

function refusal(text: string): BrokerError {
  return new BrokerError("not-authenticated", text);
}
