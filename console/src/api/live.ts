import { signal } from "@preact/signals";
import { isRecord, type Json, number, record, type Row, text } from "./json.ts";
import { ask, at, Problem, reach, resting } from "./request.ts";
import { Series } from "./series.ts";
import { broker as known, host, visit } from "./session.ts";

const ABOUT_MS = 5000;
/** How long until somebody who was refused tries again. */
const AGAIN_MS = 15_000;

/** Figures over the last minutes, for as long as somebody is signed in; the broker sends them every second. */
class Live {
  /** What the broker says of itself, every few seconds. */
  readonly broker = signal<Row>({});
  /** Why there is nothing to be told. */
  readonly failure = signal("");
  /** Its figures, or those of the virtual host for whoever may see no more. */
  readonly figures = signal<Row>({});
  readonly messages = new Series(3);
  readonly bytes = new Series(2);
  readonly stored = new Series(2);
  readonly clients = new Series(2);
  /** The first figures of a stream have no earlier ones to be compared with. */
  private first = true;
  private events: EventSource | undefined = undefined;
  private about: number | undefined = undefined;
  private again: number | undefined = undefined;

  start(): void {
    this.listen();
    const look = (): void => {
      if (!resting()) void this.look();
    };
    look();
    this.about = window.setInterval(look, ABOUT_MS);
  }

  stop(): void {
    window.clearInterval(this.about);
    window.clearTimeout(this.again);
    this.events?.close();
  }

  /** What one user was told is not for another. */
  forget(): void {
    this.broker.value = {};
    this.figures.value = {};
    this.failure.value = "";
    for (const series of [this.messages, this.bytes, this.stored, this.clients]) series.clear();
  }

  private listen(): void {
    const path = seesAll() ? "/events" : `${at("hosts", host.peek())}/events`;
    const events = new EventSource(`/api/v1${path}`);
    this.events = events;
    events.addEventListener("open", () => {
      this.first = true;
    });
    events.addEventListener("figures", ({ data }) => {
      const value: Json = JSON.parse(String(data));
      if (isRecord(value)) this.take(value);
    });
    events.addEventListener("error", () => {
      // One that lost its connection comes back by itself; one that was refused does not.
      if (events.readyState === EventSource.CLOSED) this.again = window.setTimeout(() => this.listen(), AGAIN_MS);
      // The broker ends each of them after a while: whether it is there, another request says.
      if (!resting()) void this.look();
    });
  }

  private async look(): Promise<void> {
    try {
      if (seesAll()) this.broker.value = await ask("/broker");
      else await ask(at("hosts", host.peek()));
      this.failure.value = "";
    } catch (error) {
      // Otherwise the bar above says that the broker does not answer.
      if (error instanceof Problem && error.status === 403) this.failure.value = error.message;
    }
  }

  private take(told: Row): void {
    reach.value = "ok";
    const time = number(told, "time");
    const about = "figures" in told ? told : record(record(told, "hosts"), host.peek());
    const figures = record(about, "figures");
    const rates = record(about, "rates");
    this.figures.value = figures;
    if (this.first) {
      this.first = false;
      return;
    }
    this.messages.add(time, numbers(rates, "received", "sent", "dropped"));
    this.bytes.add(time, numbers(rates, "bytes_received", "bytes_written"));
    this.stored.add(time, numbers(figures, "stored", "inflight"));
    this.clients.add(time, numbers(figures, "clients", "subscriptions"));
  }
}

function numbers(row: Row, ...names: readonly string[]): number[] {
  return names.map((name) => number(row, name));
}

/** Whether who is signed in may look at the broker as a whole. */
function seesAll(): boolean {
  return text(known.peek(), "name") !== "";
}

/** The one of this page. */
export const live = new Live();

visit.subscribe(() => live.forget());
