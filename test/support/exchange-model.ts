/*
 * What exchanges have to do, in the plainest way: bindings in one list, and each message followed through it.
 */
import type { ExchangeType } from "../../core/exchanges/exchange.ts";

/** An exchange of the model. */
export interface ModelExchange {
  readonly name: string;
  readonly type: ExchangeType;
  readonly alternate: string | undefined;
  readonly autoDelete: boolean;
  readonly predeclared: boolean;
}

/** A binding of the model; `to` is `queue:NAME`, `exchange:NAME` or `feed:NAME`. */
export interface ModelBinding {
  readonly source: string;
  readonly to: string;
  readonly key: string;
  /** The value of the property `n` that a headers exchange asks for. */
  readonly wanted: string;
}

/** The exchanges of the model. */
export class ExchangeModel {
  readonly exchanges = new Map<string, ModelExchange>();
  readonly queues = new Set<string>();
  bindings: ModelBinding[] = [];

  declare(exchange: ModelExchange): boolean {
    const found = this.exchanges.get(exchange.name);
    if (found === undefined) this.exchanges.set(exchange.name, exchange);
    return found === undefined || JSON.stringify(found) === JSON.stringify(exchange);
  }

  delete(name: string): void {
    if (!this.exchanges.delete(name)) return;
    this.drop(({ source, to }) => source === name || to === `exchange:${name}`);
  }

  bind(binding: ModelBinding): boolean {
    if (!this.knows(binding)) return false;
    if (!this.bindings.some((other) => same(other, binding))) this.bindings.push(binding);
    return true;
  }

  unbind(binding: ModelBinding): boolean {
    if (!this.knows(binding)) return false;
    this.drop((other) => same(other, binding));
    return true;
  }

  deleteQueue(name: string): void {
    this.queues.delete(name);
    this.leave(`queue:${name}`);
  }

  /** Takes back whatever leads to a queue or a feed. */
  leave(to: string): void {
    this.drop((binding) => binding.to === to);
  }

  /** The queues and feeds that a message reaches: a feed as often as it is bound to a topic or to another exchange. */
  reached(start: string, key: string, n: string): Set<string> {
    const found = new Set<string>();
    const seen = new Set([start]);
    const work = [start];
    for (let name = work.pop(); name !== undefined; name = work.pop()) {
      const exchange = this.exchanges.get(name);
      if (exchange === undefined) continue;
      const wanting = this.bindings.filter((each) => each.source === name && wants(exchange.type, each, key, n));
      const next = wanting.map(({ to }) => to);
      if (next.length === 0 && exchange.alternate !== undefined) next.push(`exchange:${exchange.alternate}`);
      for (const to of next) {
        const other = to.slice(to.indexOf(":") + 1);
        if (!to.startsWith("exchange:")) found.add(to);
        else if (!seen.has(other)) {
          seen.add(other);
          work.push(other);
        }
      }
    }
    return found;
  }

  private knows({ source, to }: ModelBinding): boolean {
    const name = to.slice(to.indexOf(":") + 1);
    const there = to.startsWith("queue:") ? this.queues.has(name) : to.startsWith("feed:") || this.exchanges.has(name);
    return there && this.exchanges.has(source);
  }

  private drop(which: (binding: ModelBinding) => boolean): void {
    const gone = this.bindings.filter(which);
    this.bindings = this.bindings.filter((binding) => !which(binding));
    for (const { source } of gone) {
      const useless = !this.bindings.some((other) => other.source === source);
      if (useless && this.exchanges.get(source)?.autoDelete === true) this.delete(source);
    }
  }
}

function same(a: ModelBinding, b: ModelBinding): boolean {
  return a.source === b.source && a.to === b.to && a.key === b.key && a.wanted === b.wanted;
}

function wants(type: ExchangeType, { key, wanted }: ModelBinding, given: string, n: string): boolean {
  if (type === "fanout") return true;
  if (type === "direct") return key === given;
  return type === "headers" ? wanted === n : matches(key.split("."), given.split("."));
}

function matches([first, ...others]: string[], words: string[]): boolean {
  if (first === undefined) return words.length === 0;
  if (first === "#") return matches(others, words) || (words.length > 0 && matches(["#", ...others], words.slice(1)));
  return words.length > 0 && (first === "*" || first === words[0]) && matches(others, words.slice(1));
}
