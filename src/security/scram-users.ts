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
  readonly #guest: { readonly name: string; readonly password: string } | undefined;
  #shapes: readonly Shape[] | undefined = undefined;

  /** `guest` is one of them as long as nobody else is called so. */
  constructor(guest?: { readonly name: string; readonly password: string }) {
    this.#guest = guest;
    if (guest !== undefined) this.#passwords.set(guest.name, guest.password);
  }

  /** Takes in a user, or another state of one; undefined for one that is no more. */
  put(name: string, settings: UserSettings | undefined): void {
    for (const kept of [this.#passwords, this.#stored, this.#derived]) kept.delete(name);
    this.#shapes = undefined;
    if (settings === undefined && name === this.#guest?.name) this.#passwords.set(name, this.#guest.password);
    if (settings?.enabled !== true) return;
    const { password, scram_sha_256: text } = settings;
    if (password !== undefined) this.#passwords.set(name, password);
    const keys = text === undefined ? undefined : parseScramKeys(text);
    if (keys !== undefined) this.#stored.set(name, keys);
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
    const shapes = (this.#shapes ??= this.#differentShapes());
    const { iterations, saltBytes } = shapes[choice % shapes.length] ?? USUAL;
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
