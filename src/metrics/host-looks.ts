import type { Clock } from "../../core/time/clock.ts";
import type { HostTotals } from "../../core/totals.ts";
import type { VirtualHost } from "../../core/virtual-host.ts";
import { inTurns } from "../turns.ts";

/** How old totals may be that are looked at by people. */
const RECENT_MS = 1000;
/** Of the time that passes, looks take this part at most. */
const MOST_SHARE = 1 / 50;

/** Totals, as they were then. */
interface Seen {
  readonly at: number;
  readonly totals: HostTotals;
}

/** What is asked of one virtual host: the look that is under way, and the one that begins after it. */
interface Asked {
  readonly now: Promise<HostTotals>;
  next: Promise<HostTotals> | undefined;
}

/**
 * Looks at what virtual hosts have done. A look takes in everything there is in a host: it is made in short turns, and whoever
 * asks at the same time gets the same.
 */
export class HostLooks {
  private readonly clock: Clock;
  private readonly asked = new WeakMap<VirtualHost, Asked>();
  private readonly seen = new WeakMap<VirtualHost, Seen>();
  private readonly costs = new WeakMap<VirtualHost, number>();

  constructor(clock: Clock) {
    this.clock = clock;
  }

  /** With everything that was done before this was asked. */
  of(host: VirtualHost): Promise<HostTotals> {
    const asked = this.asked.get(host);
    if (asked !== undefined) {
      const begin = (): Promise<HostTotals> => this.begin(host);
      asked.next ??= asked.now.then(begin, begin);
      return asked.next;
    }
    return this.begin(host);
  }

  /** As it was a moment ago at most; longer ago where a look takes long. */
  async recent(host: VirtualHost): Promise<HostTotals> {
    const seen = this.seen.get(host);
    const age = this.clock.now() - (seen?.at ?? 0);
    if (seen !== undefined && age >= 0 && age < this.pauseMs([host], RECENT_MS)) return seen.totals;
    return this.asked.get(host)?.now ?? this.of(host);
  }

  /** How long to wait until these are looked at again: so long, or longer where that would take too much of the time. */
  pauseMs(hosts: Iterable<VirtualHost>, leastMs: number): number {
    let cost = 0;
    for (const host of hosts) cost += this.costs.get(host) ?? 0;
    return Math.max(leastMs, cost / MOST_SHARE);
  }

  private begin(host: VirtualHost): Promise<HostTotals> {
    const asked: Asked = { now: this.look(host), next: undefined };
    this.asked.set(host, asked);
    void this.end(host, asked);
    return asked.now;
  }

  private async end(host: VirtualHost, asked: Asked): Promise<void> {
    try {
      await asked.now;
    } catch {
      // Told to those who asked.
    }
    if (asked.next === undefined) this.asked.delete(host);
  }

  private async look(host: VirtualHost): Promise<HostTotals> {
    const { result, ms } = await inTurns(host.totals.look());
    this.costs.set(host, ms);
    // Whoever watches the figures has looked for all the others too.
    this.seen.set(host, { at: this.clock.now(), totals: result });
    return result;
  }
}
