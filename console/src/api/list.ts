/*
 * A list of any length, of which only the pages near the screen are here. The broker filters, orders and cuts it:
 *
 *     rows on the screen -> pages that hold them -> asked for if they are not here -> version + 1, and the table draws
 */
import { signal } from "@preact/signals";
import { number, type Row, rows } from "./json.ts";
import { ask, reasonOf, wasGivenUp } from "./request.ts";

/** Rows the broker is asked for at a time. */
const PAGE_ROWS = 100;
const MOST_PAGES = 12;
/** How long a page waits before it is asked for: who scrolls on does not want it. */
const SETTLE_MS = 50;

/** What a list is asked for. */
export interface ListRequest {
  readonly path: string;
  readonly fields: readonly string[];
  readonly filter: string;
  /** A field, with a minus before it for the other way round. */
  readonly order: string;
}

/** One list, as it was asked for once; what is asked for in another way is another one. */
export class List {
  readonly total = signal<number | undefined>(undefined);
  readonly failure = signal("");
  /** Grows when rows came. */
  readonly version = signal(0);
  private readonly request: ListRequest;
  private readonly pages = new Map<number, readonly Row[]>();
  private readonly abort = new AbortController();
  private readonly asked = new Set<number>();
  private wanted: readonly [number, number] = [0, 0];
  private timer: number | undefined = undefined;

  constructor(request: ListRequest) {
    this.request = request;
  }

  /** The row of a place, if it is here. */
  row(place: number): Row | undefined {
    return this.pages.get(Math.floor(place / PAGE_ROWS))?.[place % PAGE_ROWS];
  }

  /** Says which rows are on the screen. */
  want(first: number, last: number): void {
    this.wanted = [Math.floor(first / PAGE_ROWS), Math.floor(Math.max(first, last) / PAGE_ROWS)];
    if (this.missing().length === 0) return;
    window.clearTimeout(this.timer);
    this.timer = window.setTimeout(() => void this.load(this.missing()), this.version.peek() === 0 ? 0 : SETTLE_MS);
  }

  /** Whether something was asked for that has not come yet. */
  get waiting(): boolean {
    return this.asked.size > 0;
  }

  /** Asks again for what is on the screen, and forgets the rest. */
  async refresh(): Promise<void> {
    const [first, last] = this.wanted;
    for (const page of this.pages.keys()) if (page < first || page > last) this.pages.delete(page);
    await this.load(this.onScreen());
  }

  close(): void {
    window.clearTimeout(this.timer);
    this.abort.abort();
  }

  private onScreen(): number[] {
    const [first, last] = this.wanted;
    return Array.from({ length: last - first + 1 }, (_, index) => first + index);
  }

  private missing(): number[] {
    return this.onScreen().filter((page) => !this.pages.has(page) && !this.asked.has(page));
  }

  private async load(pages: readonly number[]): Promise<void> {
    await Promise.all(pages.map((page) => this.loadPage(page)));
  }

  private async loadPage(page: number): Promise<void> {
    const { path, fields, filter, order } = this.request;
    this.asked.add(page);
    try {
      const query = { f: fields.join(","), q: filter, o: order, p: page, ps: PAGE_ROWS };
      const reply = await ask(path, { query, signal: this.abort.signal });
      this.pages.set(page, rows(reply, "items"));
      this.total.value = number(reply, "total_rows");
      this.failure.value = "";
      this.forget();
      this.version.value++;
    } catch (error) {
      if (!wasGivenUp(error)) this.failure.value = reasonOf(error);
    } finally {
      this.asked.delete(page);
    }
  }

  private forget(): void {
    const [first, last] = this.wanted;
    for (const page of this.pages.keys()) {
      if (this.pages.size <= MOST_PAGES) return;
      if (page < first || page > last) this.pages.delete(page);
    }
  }
}

/** A filter as the broker takes it: a selector as it is, any other text as a part of `field`. */
export function filterOf(typed: string, field: string): string {
  const given = typed.trim();
  if (given === "" || isSelector(given)) return given;
  const literal = given.replaceAll(/[%_!]/g, "!$&").replaceAll("'", "''");
  return `${field} LIKE '%${literal}%'${/[%_!]/.test(given) ? " ESCAPE '!'" : ""}`;
}

/** Whether a text compares a field with something, and is not just a part of a name. */
export function isSelector(typed: string): boolean {
  return /^[\s(]*(?:not[\s(]+)?[a-z_]\w*\s*(?:[=<>]|\s(?:not\s+)?(?:like|in|between|is)[\s(])/i.test(typed);
}
