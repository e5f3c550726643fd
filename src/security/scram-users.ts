import { createHmac, randomBytes } from "node:crypto";
import type { UserSettings } from "../config/security-schema.ts";
import { deriveScramKeys, NEW_ITERATIONS, parseScramKeys, SALT_BYTES, type ScramKeys } from "./scram.ts";

/** What keys show of themselves. */
interface Shape {
  readonly iterations: number;
  readonly saltBytes: number;
}

const USUAL: Shape = { iterations: NEW_ITERATIONS, saltBytes: SALT_BYTES };

/**
 * The keys of those who can log in by SCRAM: as they stand in the configuration, or made from a password that stands
 * there when they are needed first. A name that nobody has gets keys too, which look like those of the others and show the
 * same salt each time: nobody learns from them which users there are.
 */
export class ScramUsers {
  readonly #stored = new Map<string, ScramKeys>();
  readonly #passwords = new Map<string, string>();
  readonly #derived = new Map<string, Promise<ScramKeys>>();
  readonly #shapes: readonly Shape[];

  constructor(
    users: Readonly<Record<string, UserSettings>>,
    guest?: { readonly name: string; readonly password: string },
  ) {
    if (guest !== undefined) this.#passwords.set(guest.name, guest.password);
    for (const [name, { password, scram_sha_256: text, enabled }] of Object.entries(users)) {
      this.#passwords.delete(name);
      if (!enabled) continue;
      if (password !== undefined) this.#passwords.set(name, password);
      const keys = text === undefined ? undefined : parseScramKeys(text);
      if (keys !== undefined) this.#stored.set(name, keys);
    }
    this.#shapes = this.#differentShapes();
  }

  /** Whether a proof by these keys means anything. */
  has(name: string): boolean {
    return this.#stored.has(name) || this.#passwords.has(name);
  }

  /** The keys of a name; `secret` makes the salts that are not in the configuration. */
  keysOf(name: string, secret: Buffer): Promise<ScramKeys> {
    const keys = this.#stored.get(name);
    if (keys !== undefined) return Promise.resolve(keys);
    const password = this.#passwords.get(name);
    if (password === undefined) return Promise.resolve(this.#keysOfNobody(name, secret));
    let derived = this.#derived.get(name);
    if (derived === undefined) {
      derived = deriveScramKeys(password, saltOf(name, secret, SALT_BYTES), NEW_ITERATIONS);
      this.#derived.set(name, derived);
    }
    return derived;
  }

  #keysOfNobody(name: string, secret: Buffer): ScramKeys {
    const choice = createHmac("sha256", secret).update(`shape ${name}`).digest().readUInt32BE();
    const { iterations, saltBytes } = this.#shapes[choice % this.#shapes.length] ?? USUAL;
    return {
      iterations,
      salt: saltOf(name, secret, saltBytes),
      storedKey: randomBytes(32),
      serverKey: randomBytes(32),
    };
  }

  #differentShapes(): Shape[] {
    const shapes = new Map<string, Shape>();
    for (const { iterations, salt } of this.#stored.values()) {
      shapes.set(`${iterations} ${salt.length}`, { iterations, saltBytes: salt.length });
    }
    if (this.#passwords.size > 0 || shapes.size === 0) shapes.set(`${NEW_ITERATIONS} ${SALT_BYTES}`, USUAL);
    return [...shapes.keys()].sort().flatMap((key) => shapes.get(key) ?? []);
  }
}

function saltOf(name: string, secret: Buffer, bytes: number): Buffer {
  return createHmac("sha512", secret).update(`salt ${name}`).digest().subarray(0, bytes);
}
