import { signal } from "@preact/signals";
import { number, record, type Row } from "./json.ts";
import { ask } from "./request.ts";
import { Rates, Series } from "./series.ts";

/** Figures of the whole broker over the last minutes, for as long as somebody is signed in. */
export class Live {
  /** The broker as it was told last. */
  readonly broker = signal<Row>({});
  readonly messages = new Series(3);
  readonly bytes = new Series(2);
  readonly stored = new Series(2);
  readonly clients = new Series(2);
  private readonly flow = new Rates();
  private timer: number | undefined = undefined;

  start(): void {
    const round = (): void => {
      if (!document.hidden) void this.round();
    };
    round();
    this.timer = window.setInterval(round, 1000);
  }

  stop(): void {
    window.clearInterval(this.timer);
  }

  private async round(): Promise<void> {
    try {
      this.take(await ask("/broker"));
    } catch {
      // The bar above says when the broker does not answer.
    }
  }

  private take(broker: Row): void {
    const figures = record(broker, "figures");
    const at = number(broker, "time");
    this.broker.value = broker;
    const names = ["received", "sent", "dropped", "bytes_received", "bytes_written"];
    const rates = this.flow.of(
      at,
      names.map((name) => number(figures, name)),
    );
    if (rates === undefined) return;
    this.messages.add(at, rates.slice(0, 3));
    this.bytes.add(at, rates.slice(3));
    this.stored.add(at, [number(figures, "stored"), number(figures, "inflight")]);
    this.clients.add(at, [number(figures, "clients"), number(figures, "subscriptions")]);
  }
}

/** The one of this page. */
export const live = new Live();
