import { createHmac, randomBytes } from "node:crypto";
import type { Clock } from "../../core/time/clock.ts";
import type { Turnstile } from "./turnstile.ts";

const REMEMBERED_MS = 60_000;
const MOST_REMEMBERED = 10_000;
const KEY_BYTES = 32;

/**
 * Checks of passwords that cost much. When thousands of clients come back at once with the same one, they share one check,
 * and what was right is right for a minute. What is remembered is an HMAC under a key of this process, never a password.
 */
export class Checks<T> {
  private readonly clock: Clock;
  private readonly turns: Turnstile;
  private readonly key = randomBytes(KEY_BYTES);
  private readonly remembered = new Map<string, { readonly until: number; readonly result: T }>();
  private readonly running = new Map<string, Promise<T | undefined>>();

  constructor(clock: Clock, turns: Turnstile) {
    this.clock = clock;
    this.turns = turns;
  }

  /**
   * What a check of a name with a password comes to; undefined, which is not remembered, for what is wrong. It is made when its
   * turn has come.
   */
  run(name: string, password: string, check: () => Promise<T | undefined>): Promise<T | undefined> {
    const key = this.mac(name, password).toString("base64");
    const known = this.remembered.get(key);
    if (known !== undefined && known.until > this.clock.now()) return Promise.resolve(known.result);
    const others = this.running.get(key);
    if (others !== undefined) return others;
    const running = this.turns
      .pass(check)
      .then((result) => {
        if (result !== undefined) this.remember(key, result);
        return result;
      })
      .finally(() => this.running.delete(key));
    this.running.set(key, running);
    return running;
  }

  /** Says nothing of what it is made from, and is the same for the same. */
  mac(name: string, password: string): Buffer {
    return createHmac("sha256", this.key)
      .update(`${name.length}:${name}:${password.normalize("NFC")}`)
      .digest();
  }

  private remember(key: string, result: T): void {
    const { remembered } = this;
    remembered.delete(key);
    remembered.set(key, { until: this.clock.now() + REMEMBERED_MS, result });
    for (const oldest of remembered.keys()) {
      if (remembered.size <= MOST_REMEMBERED) break;
      remembered.delete(oldest);
    }
  }
}
