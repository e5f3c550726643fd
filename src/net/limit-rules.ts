/*
 * Which limit of the configuration holds for whom: of each kind the first one that fits.
 */
import type { Config } from "../config/schema.ts";
import { siteOf } from "../security/addresses.ts";
import { AddressSet, parseNetwork } from "./address-set.ts";

/** One limit as it is configured. */
type Limit = Config["limits"][number];
/** Whose connections count together. */
export type Per = Limit["per"];

/** All kinds of them. */
export const PERS: readonly Per[] = ["address", "listener", "user", "virtual_host", "connection"];

/** What came of one limit since it was configured. */
export interface Tally {
  /** Connections that were refused. */
  refused: number;
  /** Times that a connection had to wait, or ended because it may not. */
  waits: number;
  /** Connections that wait now. */
  waiting: number;
}

/** One limit of the configuration. */
export interface LimitRule {
  readonly limit: Limit;
  /** `limits[0]` */
  readonly key: string;
  readonly tally: Tally;
  readonly fits: (subject: string) => boolean;
}

/** The limits of one state of the configuration. */
export class LimitRules {
  readonly all: readonly LimitRule[];
  readonly #byKind: ReadonlyMap<Per, readonly LimitRule[]>;

  constructor(limits: Config["limits"]) {
    this.all = limits.map(ruleOf);
    this.#byKind = Map.groupBy(this.all, ({ limit }) => limit.per);
  }

  get isEmpty(): boolean {
    return this.all.length === 0;
  }

  /** The one that holds for somebody: a name, or of "address" an endpoint. */
  of(per: Per, subject: string): LimitRule | undefined {
    return this.#byKind.get(per)?.find(({ fits }) => fits(subject));
  }
}

/** As what an endpoint is counted: whoever has one address of IPv6 has at least 2 to the 64 of them. */
export function addressSubject(endpoint: string): string {
  const site = siteOf(endpoint);
  return site.includes(":") ? `${site}::/64` : site;
}

function ruleOf(limit: Limit, index: number): LimitRule {
  const tally = { refused: 0, waits: 0, waiting: 0 };
  return { limit, key: `limits[${index}]`, tally, fits: fitting(limit.per, limit.match) };
}

function fitting(per: Per, match: readonly string[]): (subject: string) => boolean {
  if (match.length === 0) return () => true;
  if (per === "address") {
    const networks = new AddressSet(match.filter((text) => parseNetwork(text) !== undefined));
    return (endpoint) => networks.has(endpoint);
  }
  const expressions = match.map((text) => {
    const parts = text.split("*").map((part) => part.replace(/[.*+?^${}()|[\]\\]/g, "\\$&"));
    return new RegExp(`^${parts.join(".*")}$`, "s");
  });
  return (subject) => expressions.some((expression) => expression.test(subject));
}
