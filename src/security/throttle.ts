/*
 * Failed logins, counted by address and by user:
 *
 *     failures:   1 ... free | free + 1      2      3   ...
 *     waits:          0      |  delay     * 2    * 4   ... max_delay
 *
 * Whoever logged in from an address before has an account of their own there: nobody locks them out by failing in their
 * name, or from behind the same router.
 */
import type { Clock } from "../../core/time/clock.ts";
import { BrokerError } from "../../core/errors.ts";
import type { AttemptSettings } from "../config/security-schema.ts";

const MOST_CHARACTERS = 128;

/** Somebody has to wait until the next try. */
export class TooManyFailures extends BrokerError {
  readonly seconds: number;

  constructor(waitMs: number) {
    const seconds = Math.ceil(waitMs / 1000);
    super("throttled", `Too many logins have failed; try again in ${seconds} s (security.attempts)`);
    this.seconds = seconds;
  }
}

interface Failures {
  count: number;
  /** No try before. */
  until: number;
  last: number;
}

/** Makes those wait who fail to log in again and again. */
export class Throttle {
  private readonly clock: Clock;
  private readonly settings: () => AttemptSettings;
  /** The one that failed least lately comes first. */
  private readonly byKey = new Map<string, Failures>();
  private readonly trusted = new Set<string>();

  constructor(clock: Clock, settings: () => AttemptSettings) {
    this.clock = clock;
    this.settings = settings;
  }

  /** What is kept in memory. */
  get size(): number {
    return this.byKey.size + this.trusted.size;
  }

  /** Milliseconds until somebody may try again; 0 for at once. */
  waitMs(user: string, site: string): number {
    const now = this.clock.now();
    return Math.max(0, ...this.keysOf(user, site).map((key) => (this.byKey.get(key)?.until ?? 0) - now));
  }

  /** Somebody failed under these names, in one try. */
  failed(users: readonly string[], site: string): void {
    const { free, delay, max_delay: most, forget_after: memory, max_tracked: tracked } = this.settings();
    if (delay === 0) return;
    const now = this.clock.now();
    for (const key of new Set(users.flatMap((user) => this.keysOf(user, site)))) {
      const known = this.byKey.get(key);
      const count = known === undefined || now - known.last > memory ? 1 : known.count + 1;
      const wait = count < free ? 0 : Math.min(most, delay * 2 ** Math.min(count - free, 30));
      this.byKey.delete(key);
      this.byKey.set(key, { count, until: now + wait, last: now });
    }
    drop(this.byKey, 2 * tracked);
  }

  succeeded(user: string, site: string): void {
    const pair = pairOf(user, site);
    this.byKey.delete(pair);
    this.trusted.delete(pair);
    this.trusted.add(pair);
    drop(this.trusted, this.settings().max_tracked);
  }

  private keysOf(name: string, site: string): string[] {
    // Nobody is to fill the memory with names.
    const user = name.slice(0, MOST_CHARACTERS);
    const pair = pairOf(user, site);
    if (this.trusted.has(pair)) return [pair];
    return user === "" ? [`address ${site}`] : [`address ${site}`, `user ${user}`];
  }
}

function pairOf(user: string, site: string): string {
  return `pair ${site} ${user.slice(0, MOST_CHARACTERS)}`;
}

/** Forgets the oldest ones beyond a number. */
function drop(kept: Map<string, unknown> | Set<string>, most: number): void {
  for (const oldest of kept.keys()) {
    if (kept.size <= most) return;
    kept.delete(oldest);
  }
}
