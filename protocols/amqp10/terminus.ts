/*
 * What the sources and targets of links ask for, in the core's terms. Filters of a source, by the names of their
 * descriptors or by their numbers:
 *
 *     apache.org:selector-filter:string   0x0000468C00000004   a selector of JMS; also as jms-selector
 *     apache.org:no-local-filter:list     0x0000468C00000003   nothing of what this connection sends; also as no-local
 *
 * Others are left out of the source that the broker says it has, as the specification wants it (amqp10 3.5.3).
 */
import type { AddressKind } from "../../core/addresses/address.ts";
import type { Pattern } from "../../core/addresses/pattern.ts";
import { BrokerError } from "../../core/errors.ts";
import { compileSelector, type Selector } from "../../core/selector/selector.ts";
import { kindOf, parseSource, type Temporaries } from "./address.ts";
import type { Fields, Source } from "./performatives.ts";
import { Described, Scalar, symbol, type Value } from "./values.ts";

/** What the filters of a source come to. */
export interface Filters {
  readonly selector: Selector | undefined;
  readonly noLocal: boolean;
  /** Those that are applied, to be said to the client. */
  readonly applied: Fields | undefined;
}

/** What a source is to receive from. */
export interface Wanted extends Filters {
  readonly patterns: readonly Pattern[];
  readonly attachDurable: string | undefined;
  /** Only looks at messages. */
  readonly browse: boolean;
  /** A subscription that outlives its link. */
  readonly durable: boolean;
  /** One subscription for all links of its name; of all containers if `global`. */
  readonly shared: boolean;
  readonly global: boolean;
}

type FilterName = "selector" | "no-local";

const NAMES: ReadonlyMap<string | bigint, FilterName> = new Map<string | bigint, FilterName>([
  ["apache.org:selector-filter:string", "selector"],
  [0x0000_468c_0000_0004n, "selector"],
  ["jms-selector", "selector"],
  ["apache.org:no-local-filter:list", "no-local"],
  [0x0000_468c_0000_0003n, "no-local"],
  ["no-local", "no-local"],
]);

const NO_FILTERS: Filters = { selector: undefined, noLocal: false, applied: undefined };

/** Reads the source of a receiver that names an address. Throws BrokerError. */
export function readSource(source: Source, address: string, plain: AddressKind, temporary: Temporaries): Wanted {
  const { capabilities, distributionMode } = source;
  const { patterns, attachDurable } = parseSource(address, kindOf(capabilities) ?? plain, temporary);
  const topics = patterns.filter(({ kind }) => kind === "topic").length;
  const browse = distributionMode === "copy" && topics === 0;
  if (distributionMode !== undefined && distributionMode !== "copy" && distributionMode !== "move") {
    throw new BrokerError("bad-request", `The distribution mode ${distributionMode} is neither move nor copy`);
  }
  const lasting = source.durable > 0 || source.expiryPolicy === "never";
  const shared = capabilities?.includes("shared") === true && topics > 0;
  return {
    patterns,
    attachDurable,
    browse,
    durable: lasting && topics > 0,
    shared,
    global: shared && capabilities.includes("global"),
    ...readFilters(source.filter),
  };
}

/** Reads the filters of a source. Throws BrokerError for a selector that is none. */
export function readFilters(filter: Fields | undefined): Filters {
  if (filter === undefined || filter.size === 0) return NO_FILTERS;
  let selector: Selector | undefined;
  let noLocal = false;
  const applied = new Map<string, Value>();
  for (const [key, value] of filter) {
    const name = nameOf(key, value);
    const content = value instanceof Described ? value.value : value;
    if (name === "selector" && typeof content === "string") {
      if (content.trim() !== "") selector = compileSelector(content);
    } else if (name === "no-local") {
      noLocal = content !== false;
    } else {
      continue;
    }
    applied.set(key, value);
  }
  return { selector, noLocal, applied };
}

/** The filters that a subscription which is there already has. */
export function describeSelector(selector: Selector | undefined): Fields | undefined {
  if (selector === undefined || selector.text.trim() === "") return undefined;
  const value = new Described(symbol("apache.org:selector-filter:string"), selector.text);
  return new Map([["jms-selector", value]]);
}

function nameOf(key: string, value: Value): FilterName | undefined {
  if (!(value instanceof Described)) return NAMES.get(key);
  const { descriptor } = value;
  const name = descriptor instanceof Scalar ? descriptor.value : descriptor;
  return typeof name === "string" || typeof name === "bigint" ? NAMES.get(name) : undefined;
}

/** What the broker says of a pattern that a subscription has. */
export function formatPattern(pattern: Pattern): string {
  return `${pattern.kind}://${pattern.text}`;
}

/** A number among the properties of a link, whatever type it is of; undefined without one. */
export function numberOf(properties: Fields | undefined, names: readonly string[]): number | undefined {
  for (const name of names) {
    const value = properties?.get(name);
    const plain = value instanceof Scalar ? value.value : value;
    if (typeof plain === "number") return plain;
    if (typeof plain === "bigint") return Number(plain);
  }
  return undefined;
}

/** The part of the id of a durable subscription that says the container's name. */
const ESCAPED = /[%/]/g;

/**
 * The id of the durable subscription of a link. Links that share one have names such as `NAME|2` and `NAME|global2`: what
 * stands behind the stroke tells them apart.
 */
export function durableId(
  container: string,
  link: string,
  { durable, shared, global }: Pick<Wanted, "durable" | "shared" | "global">,
): string {
  const cut = shared ? link.indexOf("|") : -1;
  const name = cut < 0 ? link : link.slice(0, cut);
  const kind = durable ? "amqp" : "amqp-volatile";
  if (global) return `${kind}-global/${name}`;
  return `${kind}/${container.replace(ESCAPED, encodeURIComponent)}/${name}`;
}
