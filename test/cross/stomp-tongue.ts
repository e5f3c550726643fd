import { onTestFinished } from "vitest";
import { StompWire } from "../support/stomp-wire.ts";
import { bodyLines, type Dialect, type Place, showLifetime, showText, type Voice } from "./tongue.ts";

/** What a SEND or a MESSAGE says. */
export interface StompSaid {
  readonly headers?: Readonly<Record<string, string>>;
  /** Milliseconds from now on. */
  readonly lifetimeMs?: number;
  readonly body?: Buffer;
}

/** Headers that every frame has, or that are about its way. */
const OWN: ReadonlySet<string> = new Set([
  "ack",
  "content-length",
  "destination",
  "expires",
  "JMSXGroupFirstForConsumer",
  "message-id",
  "subscription",
  "timestamp",
]);

class StompVoice implements Voice<StompSaid> {
  readonly #wire: StompWire;

  constructor(wire: StompWire) {
    this.#wire = wire;
  }

  async say(place: Place, { headers, lifetimeMs, body = Buffer.from("x") }: StompSaid): Promise<void> {
    const ends = lifetimeMs === undefined ? {} : { expires: String(Date.now() + lifetimeMs) };
    const frame = { destination: stompName(place), "content-length": String(body.length), ...headers, ...ends };
    await this.#wire.request("SEND", frame, body);
  }

  async hear(): Promise<StompSaid> {
    const { headers: found, body } = await this.#wire.message();
    const expires = found.get("expires");
    const headers = Object.fromEntries([...found].filter(([name]) => !OWN.has(name)));
    return { headers, body, ...(expires === undefined ? {} : { lifetimeMs: Number(expires) - Date.now() }) };
  }
}

export const stomp: Dialect<StompSaid> = {
  name: "STOMP",
  async connect(port, places) {
    const wire = await StompWire.connect(port);
    onTestFinished(() => wire[Symbol.dispose]());
    for (const place of places) {
      await wire.request("SUBSCRIBE", { id: place.kind, destination: stompName(place), ack: "auto" });
    }
    return new StompVoice(wire);
  },
  lines({ headers = {}, lifetimeMs, body }) {
    const lines = Object.entries(headers).map(([name, value]) =>
      /^[\x20-\x7e]+$/.test(name + value) && name.length + value.length < 100
        ? `${name}:${value}`
        : `${showText(name)}: ${showText(value)}`,
    );
    if (lifetimeMs !== undefined) lines.push(`expires: in ${showLifetime(lifetimeMs)}`);
    return [...lines, ...bodyLines(body)];
  },
};

/** A place as a destination. */
function stompName({ kind, name }: Place): string {
  return `/${kind}/${name}`;
}
