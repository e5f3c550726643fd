import { Address, type AddressKind } from "../addresses/address.ts";
import { BrokerError } from "../errors.ts";
import type { Pattern } from "../addresses/pattern.ts";
import { PatternTree } from "../addresses/routing-tree.ts";
import type { Selector } from "../selector/selector.ts";
import { canonical } from "../addresses/spelling.ts";

/** Where a divert leads; `*` in the name, which is canonical, stands for the name of the destination it comes from. */
interface DivertTarget {
  readonly kind: AddressKind;
  readonly name: string;
}

/** What is sent to the destinations that match goes to the targets too or, if exclusive, only there. */
export interface DivertRule {
  readonly from: Pattern;
  readonly to: readonly DivertTarget[];
  /** Which messages it takes; all without. */
  readonly selector: Selector | undefined;
  readonly exclusive: boolean;
}

/** A rule as it applies to one destination. */
export interface Divert {
  readonly targets: readonly Address[];
  readonly selector: Selector | undefined;
  readonly exclusive: boolean;
}

/** The configured diverts of a virtual host. */
export class Diverts {
  private readonly tree = new PatternTree<DivertRule>();

  constructor(rules: readonly DivertRule[]) {
    for (const rule of rules) this.tree.add(rule.from, rule);
  }

  /** The diverts of a destination, but for targets whose name would be none, such as one that is too long. */
  of(source: Address): readonly Divert[] {
    const diverts: Divert[] = [];
    this.tree.match(source, ({ to, selector, exclusive }) => {
      const all = to.map(({ kind, name }) => named(kind, name, source.name)).filter((target) => target !== undefined);
      const targets = all.filter(({ kind, name }) => kind !== source.kind || name !== source.name);
      // Who diverts to where it comes from wants it there as well.
      const leaves = exclusive && targets.length === all.length;
      if (targets.length > 0) diverts.push({ targets, selector, exclusive: leaves });
    });
    return diverts;
  }
}

/** The address of a canonical name in which each `*` stands for another one; undefined when that is no valid name. */
export function named(kind: AddressKind, name: string, source: string): Address | undefined {
  try {
    return canonical.parse(
      kind,
      name.replaceAll("*", () => source),
    );
  } catch (refusal) {
    if (refusal instanceof BrokerError) return undefined;
    throw refusal;
  }
}
