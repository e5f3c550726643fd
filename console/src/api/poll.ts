import { type Signal, signal } from "@preact/signals";
import { useEffect, useMemo } from "preact/hooks";
import type { Json, Row } from "./json.ts";
import { ask, reasonOf, resting, wasGivenUp } from "./request.ts";

/** Something that is asked for again and again while it is shown. */
export interface Polled {
  readonly value: Signal<Row | undefined>;
  readonly failure: Signal<string>;
  /** Asks now, and not only at the next time. */
  readonly again: () => void;
}

/** Asks for `path` now and every `everyMs` after; 0 asks once. An undefined path asks for nothing. */
export function usePolled(path: string | undefined, everyMs: number, query?: Readonly<Record<string, Json>>): Polled {
  const asked = JSON.stringify(query ?? null);
  const poll = useMemo(() => new Poll(path, query), [path, asked]);
  useEffect(() => {
    poll.start(everyMs);
    return () => poll.stop();
  }, [poll, everyMs]);
  return poll;
}

class Poll implements Polled {
  readonly value = signal<Row | undefined>(undefined);
  readonly failure = signal("");
  readonly again = (): void => void this.round();
  private newest = 0;
  private waiting = 0;
  private readonly path: string | undefined;
  private readonly query: Readonly<Record<string, Json>> | undefined;
  private abort = new AbortController();
  private timer: number | undefined = undefined;

  constructor(path: string | undefined, query: Readonly<Record<string, Json>> | undefined) {
    this.path = path;
    this.query = query;
  }

  start(everyMs: number): void {
    this.abort = new AbortController();
    void this.round();
    if (everyMs === 0) return;
    this.timer = window.setInterval(() => {
      // Who answers slowly is not asked ever more.
      if (this.waiting === 0 && !resting()) void this.round();
    }, everyMs);
  }

  stop(): void {
    this.abort.abort();
    window.clearInterval(this.timer);
  }

  private async round(): Promise<void> {
    if (this.path === undefined) return;
    const { signal: given } = this.abort;
    const own = ++this.newest;
    this.waiting++;
    try {
      const reply = await ask(this.path, { query: this.query ?? {}, signal: given });
      // An answer that was overtaken tells nothing new.
      if (own !== this.newest) return;
      this.value.value = reply;
      this.failure.value = "";
    } catch (error) {
      if (!wasGivenUp(error) && own === this.newest) this.failure.value = reasonOf(error);
    } finally {
      this.waiting--;
    }
  }
}
