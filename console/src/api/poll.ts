import { type Signal, signal } from "@preact/signals";
import { useEffect, useMemo } from "preact/hooks";
import type { Json, Row } from "./json.ts";
import { ask, reasonOf, wasGivenUp } from "./request.ts";

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
    if (everyMs > 0) this.timer = window.setInterval(() => void this.round(), everyMs);
  }

  stop(): void {
    this.abort.abort();
    window.clearInterval(this.timer);
  }

  private async round(): Promise<void> {
    if (this.path === undefined || document.hidden) return;
    const { signal: given } = this.abort;
    try {
      this.value.value = await ask(this.path, { query: this.query ?? {}, signal: given });
      this.failure.value = "";
    } catch (error) {
      if (!wasGivenUp(error)) this.failure.value = reasonOf(error);
    }
  }
}
