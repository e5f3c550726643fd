/*
 * Live figures for whoever watches, as server-sent events:
 *
 *     every second: figures of all virtual hosts, made once -> rates since the second before -> one text -> every stream
 *     (less often where there is so much to look at that it would keep the broker from its work)
 *
 * Nothing is measured while nobody watches. A reader that is too slow is cut off, and one that may not watch any more is
 * found out soon. Every stream ends after some minutes: the reader connects again by itself and begins with what is then.
 */
import type { ServerResponse } from "node:http";
import type { Broker } from "../../core/broker.ts";
import type { Clock, Timer } from "../../core/time/clock.ts";
import { BrokerError } from "../../core/errors.ts";
import type { HostLooks } from "../metrics/host-looks.ts";
import { type Counted, HostFigures, sumOf } from "./figures.ts";

const INTERVAL_MS = 1000;
const MOST_STREAMS = 100;
/** Bytes that wait for one reader. */
const MOST_WAITING = 256 * 1024;
/** How long a reader that was cut off waits before it connects again. */
const RETRY_MS = 2000;
const LIFETIME_MS = 5 * 60_000;
/** How often it is asked whether somebody still may watch. */
const REVIEW_MS = 5000;

/** What is told as a rate besides as it is. */
const FLOWS = ["received", "sent", "dropped", "bytes_received", "bytes_written"] as const;

type Rates = Record<(typeof FLOWS)[number], number>;

interface Sample {
  readonly at: number;
  readonly broker: Counted;
  readonly hosts: ReadonlyMap<string, Counted>;
}

interface Stream {
  readonly response: ServerResponse;
  /** The virtual host it is told of; undefined for all, and the broker as a whole. */
  readonly host: string | undefined;
  readonly until: number;
  /** Rejects when its reader may not watch any more. */
  readonly review: () => Promise<unknown>;
  reviewedAt: number;
}

/** All streams of one broker. */
export class EventStreams {
  private readonly broker: Broker;
  private readonly clock: Clock;
  private readonly looks: HostLooks;
  private readonly figures: HostFigures;
  private readonly streams = new Set<Stream>();
  private last: Sample | undefined = undefined;
  private timer: Timer | undefined = undefined;
  private sampling = false;
  private counter = 0;

  constructor(broker: Broker, looks: HostLooks) {
    this.broker = broker;
    this.clock = broker.clock;
    this.looks = looks;
    this.figures = new HostFigures(looks);
  }

  /** Throws BrokerError when there are too many. */
  check(): void {
    if (this.streams.size < MOST_STREAMS) return;
    throw new BrokerError("limit", `${this.streams.size} streams of events are open, the most there may be`);
  }

  /** Tells a reader from now on, with the figures of one virtual host or of all, until `review` rejects. */
  open(response: ServerResponse, host: string | undefined, review: () => Promise<unknown>): void {
    const now = this.clock.now();
    const stream: Stream = { response, host, until: now + LIFETIME_MS, review, reviewedAt: now };
    response.once("close", () => {
      this.streams.delete(stream);
      if (this.streams.size === 0) this.rest();
    });
    this.streams.add(stream);
    response.write(`retry: ${RETRY_MS}\n\n`);
    if (this.last !== undefined) this.tell(stream, this.last, this.last, new Map());
    if (this.timer === undefined) void this.round();
  }

  /** Ends all of them. */
  close(): void {
    this.rest();
    for (const { response } of this.streams) response.destroy();
  }

  private rest(): void {
    this.timer?.cancel();
    this.timer = undefined;
    this.last = undefined;
  }

  private async round(): Promise<void> {
    if (this.sampling) return;
    this.sampling = true;
    const now = await this.sample();
    this.sampling = false;
    if (this.streams.size === 0) return;
    const before = this.last ?? now;
    this.last = now;
    const pauseMs = this.looks.pauseMs(this.broker.hosts.values(), INTERVAL_MS);
    this.timer = this.clock.after(pauseMs, () => void this.round());
    const texts = new Map<string | undefined, string>();
    for (const stream of this.streams) {
      if (stream.response.writableLength > MOST_WAITING) stream.response.destroy();
      else if (now.at >= stream.until) stream.response.end();
      else this.tell(stream, before, now, texts);
      this.review(stream, now.at);
    }
  }

  private review(stream: Stream, now: number): void {
    if (now - stream.reviewedAt < REVIEW_MS) return;
    stream.reviewedAt = now;
    stream.review().catch(() => stream.response.end());
  }

  private tell({ response, host }: Stream, before: Sample, now: Sample, texts: Map<string | undefined, string>): void {
    let text = texts.get(host);
    if (text === undefined) {
      text = `event: figures\nid: ${++this.counter}\ndata: ${JSON.stringify(shown(before, now, host))}\n\n`;
      texts.set(host, text);
    }
    response.write(text);
  }

  private async sample(): Promise<Sample> {
    const figures = await Promise.all(
      Array.from(this.broker.hosts.values(), async (host) => [host.name, await this.figures.now(host)] as const),
    );
    const hosts = new Map(figures);
    return { at: this.clock.now(), broker: sumOf(hosts.values()), hosts };
  }
}

function shown(before: Sample, now: Sample, host: string | undefined): unknown {
  const seconds = (now.at - before.at) / 1000;
  const of = (earlier: Counted | undefined, later: Counted) => ({
    figures: later,
    rates: ratesOf(earlier, later, seconds),
  });
  const hosts = Array.from(now.hosts).filter(([name]) => host === undefined || name === host);
  const each = Object.fromEntries(hosts.map(([name, later]) => [name, of(before.hosts.get(name), later)]));
  return host === undefined
    ? { time: now.at, ...of(before.broker, now.broker), hosts: each }
    : { time: now.at, hosts: each };
}

/** A second. */
function ratesOf(earlier: Counted | undefined, later: Counted, seconds: number): Rates {
  const rates: Rates = { received: 0, sent: 0, dropped: 0, bytes_received: 0, bytes_written: 0 };
  if (earlier === undefined || seconds <= 0) return rates;
  for (const name of FLOWS) rates[name] = Math.round(((later[name] - earlier[name]) / seconds) * 10) / 10;
  return rates;
}
