import type { Binding, ExchangeType } from "./exchange.ts";
import { HeaderMatch } from "./header-match.ts";
import type { Message } from "../message.ts";
import { Pattern, type PatternLevel } from "../addresses/pattern.ts";
import { PatternTree } from "../addresses/routing-tree.ts";

/** Which keys something concerns. */
export interface KeyScope {
  /** The only one, if there is only one. */
  readonly exact: string | undefined;
  matches(key: string): boolean;
}

/** Every key. */
export const ALL_KEYS: KeyScope = { exact: undefined, matches: () => true };

/** The bindings of one exchange, to be found by what its type looks at. */
export interface BindingTable {
  /** Throws BrokerError when its key or its arguments make no sense for this type; then it is not there. */
  add(binding: Binding): void;
  remove(binding: Binding): void;
  /** Shows those that want a message with this key. Of headers exchanges only with a message. */
  match(key: string, message: Message | undefined, each: (binding: Binding) => void): void;
  /** For which keys it makes a difference that a binding is there. */
  scopeOf(binding: Binding): KeyScope;
}

/** A table for bindings of exchanges of a type. */
export function tableFor(type: ExchangeType): BindingTable {
  switch (type) {
    case "direct":
      return new DirectTable();
    case "fanout":
      return new FanoutTable();
    case "topic":
      return new TopicTable();
    case "headers":
      return new HeadersTable();
  }
}

class DirectTable implements BindingTable {
  private readonly byKey = new Map<string, Set<Binding>>();

  add(binding: Binding): void {
    const found = this.byKey.get(binding.key);
    if (found === undefined) this.byKey.set(binding.key, new Set([binding]));
    else found.add(binding);
  }

  remove(binding: Binding): void {
    const found = this.byKey.get(binding.key);
    if (found?.delete(binding) === true && found.size === 0) this.byKey.delete(binding.key);
  }

  match(key: string, _message: Message | undefined, each: (binding: Binding) => void): void {
    for (const binding of this.byKey.get(key) ?? []) each(binding);
  }

  scopeOf({ key }: Binding): KeyScope {
    return only(key);
  }
}

class FanoutTable implements BindingTable {
  private readonly all = new Set<Binding>();

  add(binding: Binding): void {
    this.all.add(binding);
  }

  remove(binding: Binding): void {
    this.all.delete(binding);
  }

  match(_key: string, _message: Message | undefined, each: (binding: Binding) => void): void {
    for (const binding of this.all) each(binding);
  }

  scopeOf(): KeyScope {
    return ALL_KEYS;
  }
}

/** The words of a key are levels; a key without any has none, which `#` matches and `*` does not. */
class TopicTable implements BindingTable {
  private readonly tree = new PatternTree<Binding>();

  add(binding: Binding): void {
    this.tree.add(patternOf(binding.key), binding);
  }

  remove(binding: Binding): void {
    this.tree.remove(patternOf(binding.key), binding);
  }

  match(key: string, _message: Message | undefined, each: (binding: Binding) => void): void {
    this.tree.match({ levels: wordsOf(key) }, each);
  }

  scopeOf({ key }: Binding): KeyScope {
    const pattern = patternOf(key);
    if (!(pattern instanceof Pattern) || pattern.address !== undefined) return only(key);
    return {
      exact: undefined,
      matches: (other) => pattern.matches({ kind: "topic", levels: wordsOf(other), name: other }),
    };
  }
}

class HeadersTable implements BindingTable {
  private readonly matches = new Map<Binding, HeaderMatch>();

  add(binding: Binding): void {
    this.matches.set(binding, new HeaderMatch(binding.arguments));
  }

  remove(binding: Binding): void {
    this.matches.delete(binding);
  }

  match(_key: string, message: Message | undefined, each: (binding: Binding) => void): void {
    if (message === undefined) return;
    for (const [binding, match] of this.matches) if (match.test(message)) each(binding);
  }

  scopeOf(): KeyScope {
    return ALL_KEYS;
  }
}

function only(key: string): KeyScope {
  return { exact: key, matches: (other) => other === key };
}

function wordsOf(key: string): string[] {
  return key === "" ? [] : key.split(".");
}

function patternOf(key: string): Pattern | { readonly levels: readonly PatternLevel[] } {
  const words = wordsOf(key);
  return words.length === 0 ? { levels: [] } : new Pattern("topic", words.map(patternLevel));
}

function patternLevel(word: string): PatternLevel {
  if (word === "*") return { any: true };
  return word === "#" ? { rest: 0 } : word;
}
