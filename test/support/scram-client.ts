import { createHash, createHmac, pbkdf2Sync, randomBytes } from "node:crypto";

/** The client's side of SCRAM-SHA-256, with all it says open to a test's changes. */
export class ScramClient {
  readonly #password: string;
  readonly #nonce: string;
  readonly #header: string;
  readonly #bare: string;
  #signature = "";

  constructor(
    user: string,
    password: string,
    { header = "n,,", nonce = randomBytes(18).toString("base64") }: { header?: string; nonce?: string } = {},
  ) {
    this.#password = password;
    this.#nonce = nonce;
    this.#header = header;
    this.#bare = `n=${user.replaceAll("=", "=3D").replaceAll(",", "=2C")},r=${nonce}`;
  }

  first(): Buffer {
    return Buffer.from(this.#header + this.#bare);
  }

  /** The last message, as an answer to the server's first one. */
  last(challenge: Buffer | undefined): Buffer {
    const said = challenge?.toString() ?? "";
    const [, nonce = "", salt = "", iterations = ""] = /^r=([^,]+),s=([^,]+),i=(\d+)$/.exec(said) ?? [];
    if (!nonce.startsWith(this.#nonce) || nonce === this.#nonce) throw new Error(`Not a challenge: ${said}`);
    const salted = pbkdf2Sync(this.#password, Buffer.from(salt, "base64"), Number(iterations), 32, "sha256");
    const key = hmac(salted, "Client Key");
    const withoutProof = `c=${Buffer.from(this.#header).toString("base64")},r=${nonce}`;
    const all = `${this.#bare},${said},${withoutProof}`;
    const mask = hmac(createHash("sha256").update(key).digest(), all);
    const proof = Buffer.from(key.map((byte, at) => byte ^ (mask[at] ?? 0)));
    this.#signature = `v=${hmac(hmac(salted, "Server Key"), all).toString("base64")}`;
    return Buffer.from(`${withoutProof},p=${proof.toString("base64")}`);
  }

  /** Whether the server has proven to know the password's keys too. */
  trusts(last: Buffer | undefined): boolean {
    return this.#signature !== "" && last?.toString() === this.#signature;
  }
}

function hmac(key: Buffer, text: string): Buffer {
  return createHmac("sha256", key).update(text).digest();
}
