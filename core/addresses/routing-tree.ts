/*
 * Who subscribed to an address, and which addresses a subscription is for: two trees with one level of a name per level
 * of the tree. Neither looks at the kind; their owner holds one per kind.
 */
import type { Address } from "./address.ts";
import type { LevelExpression } from "./level-expression.ts";
import { matchesLevel, type Pattern, type PatternLevel } from "./pattern.ts";

/** Of a pattern and of an address, what these trees look at. There may be no level at all. */
type PatternLevels = Pick<Pattern, "levels">;
type AddressLevels = Pick<Address, "levels">;

/** Past this many values an array would be slow to remove from; below it, it is smaller than a set. */
const maxListed = 16;

interface ExpressionBranch<T> {
  readonly text: string;
  readonly regex: LevelExpression;
  readonly node: PatternNode<T>;
}

class PatternNode<T> {
  names: Map<string, PatternNode<T>> | undefined = undefined;
  any: PatternNode<T> | undefined = undefined;
  restOrNone: PatternNode<T> | undefined = undefined;
  rest: PatternNode<T> | undefined = undefined;
  expressions: ExpressionBranch<T>[] | undefined = undefined;
  values: T[] | Set<T> | undefined = undefined;
  /** For the node of a rest: the match that last came here. */
  match = 0;

  get empty(): boolean {
    return (
      this.values === undefined &&
      this.names === undefined &&
      this.any === undefined &&
      this.restOrNone === undefined &&
      this.rest === undefined &&
      this.expressions === undefined
    );
  }
}

/** Finds the values stored under all patterns that match an address. */
export class PatternTree<T> {
  private readonly root = new PatternNode<T>();
  private count = 0;
  private matchCount = 0;

  /** Nodes held for the patterns; 0 when there is nothing in the tree. */
  get branches(): number {
    return this.count;
  }

  /** Stores a value under a pattern, once however often it is added. */
  add(pattern: PatternLevels, value: T): void {
    let node = this.root;
    for (const level of pattern.levels) node = childOf(node, level) ?? this.grow(node, level);
    const values = node.values;
    if (values === undefined) {
      node.values = [value];
    } else if (values instanceof Set) {
      values.add(value);
    } else if (!values.includes(value)) {
      if (values.length < maxListed) values.push(value);
      else node.values = new Set(values).add(value);
    }
  }

  /** Whether a value is stored under a pattern. */
  has(pattern: PatternLevels, value: T): boolean {
    let node: PatternNode<T> | undefined = this.root;
    for (const level of pattern.levels) {
      node = childOf(node, level);
      if (node === undefined) return false;
    }
    const { values = [] } = node;
    return values instanceof Set ? values.has(value) : values.includes(value);
  }

  /** Removes a value from a pattern; false if it was not there. */
  remove(pattern: PatternLevels, value: T): boolean {
    return this.removeBelow(this.root, pattern.levels, 0, value);
  }

  /**
   * Visits each value once for each pattern it is stored under that matches, in no particular order. `each` must neither
   * change this tree nor match in it.
   */
  match(address: AddressLevels, each: (value: T) => void): void {
    this.matchCount++;
    this.visit(this.root, address.levels, 0, each);
  }

  /** The same, but for the patterns that begin with a wildcard. */
  matchNamed({ levels }: AddressLevels, each: (value: T) => void): void {
    this.matchCount++;
    const { names, expressions = [] } = this.root;
    const [name = ""] = levels;
    const named = names?.get(name);
    if (named !== undefined) this.visit(named, levels, 1, each);
    for (const { regex, node } of expressions) if (regex.test(name)) this.visit(node, levels, 1, each);
  }

  private visit(node: PatternNode<T>, names: readonly string[], at: number, each: (value: T) => void): void {
    const name = names[at];
    if (name === undefined) {
      if (node.values !== undefined) for (const value of node.values) each(value);
    } else {
      const named = node.names?.get(name);
      if (named !== undefined) this.visit(named, names, at + 1, each);
      if (node.any !== undefined) this.visit(node.any, names, at + 1, each);
      const expressions = node.expressions;
      if (expressions !== undefined) {
        for (let i = 0; i < expressions.length; i++) {
          const branch = expressions[i];
          if (branch?.regex.test(name)) this.visit(branch.node, names, at + 1, each);
        }
      }
      if (node.rest !== undefined) this.visitRest(node.rest, names, at + 1, each);
    }
    if (node.restOrNone !== undefined) this.visitRest(node.restOrNone, names, at, each);
  }

  /**
   * The rest may end at any level from `from` on. Rests below each other come here again and again within one match, but
   * levels are tried in ascending order, so the first visit has the lowest `from` and covers all later ones.
   */
  private visitRest(node: PatternNode<T>, names: readonly string[], from: number, each: (value: T) => void): void {
    if (node.match === this.matchCount) return;
    node.match = this.matchCount;
    for (let at = from; at <= names.length; at++) this.visit(node, names, at, each);
  }

  private grow(node: PatternNode<T>, level: PatternLevel): PatternNode<T> {
    const child = new PatternNode<T>();
    this.count++;
    if (typeof level === "string") (node.names ??= new Map()).set(level, child);
    else if ("regex" in level) (node.expressions ??= []).push({ text: level.text, regex: level.regex, node: child });
    else if ("any" in level) node.any = child;
    else if (level.rest === 0) node.restOrNone = child;
    else node.rest = child;
    return child;
  }

  private removeBelow(node: PatternNode<T>, levels: readonly PatternLevel[], at: number, value: T): boolean {
    const level = levels[at];
    if (level === undefined) return removeValue(node, value);
    const child = childOf(node, level);
    if (child === undefined || !this.removeBelow(child, levels, at + 1, value)) return false;
    if (child.empty) {
      cut(node, level);
      this.count--;
    }
    return true;
  }
}

function childOf<T>(node: PatternNode<T>, level: PatternLevel): PatternNode<T> | undefined {
  if (typeof level === "string") return node.names?.get(level);
  if ("regex" in level) return node.expressions?.find((branch) => branch.text === level.text)?.node;
  if ("any" in level) return node.any;
  return level.rest === 0 ? node.restOrNone : node.rest;
}

function cut<T>(node: PatternNode<T>, level: PatternLevel): void {
  if (typeof level === "string") {
    node.names?.delete(level);
    if (node.names?.size === 0) node.names = undefined;
  } else if ("regex" in level) {
    const others = node.expressions?.filter((branch) => branch.text !== level.text);
    node.expressions = others?.length === 0 ? undefined : others;
  } else if ("any" in level) {
    node.any = undefined;
  } else if (level.rest === 0) {
    node.restOrNone = undefined;
  } else {
    node.rest = undefined;
  }
}

function removeValue<T>(node: PatternNode<T>, value: T): boolean {
  const values = node.values;
  if (values === undefined) return false;
  if (values instanceof Set) {
    if (!values.delete(value)) return false;
    if (values.size === 0) node.values = undefined;
    return true;
  }
  const place = values.indexOf(value);
  if (place < 0) return false;
  values.splice(place, 1);
  if (values.length === 0) node.values = undefined;
  return true;
}

class AddressNode<T> {
  names: Map<string, AddressNode<T>> | undefined = undefined;
  held: { readonly value: T } | undefined = undefined;
}

/** Finds the values of all addresses that a pattern matches. */
export class AddressTree<T> {
  private readonly root = new AddressNode<T>();
  private count = 0;

  /** Nodes held for the addresses; 0 when there is nothing in the tree. */
  get branches(): number {
    return this.count;
  }

  /** Stores the value of an address in place of the one it had. */
  set(address: Address, value: T): void {
    let node = this.root;
    for (const name of address.levels) {
      let child = node.names?.get(name);
      if (child === undefined) {
        child = new AddressNode();
        (node.names ??= new Map()).set(name, child);
        this.count++;
      }
      node = child;
    }
    node.held = { value };
  }

  /** The value of an address, if it has one. */
  get(address: Address): T | undefined {
    let node: AddressNode<T> | undefined = this.root;
    for (const name of address.levels) {
      node = node.names?.get(name);
      if (node === undefined) return undefined;
    }
    return node.held?.value;
  }

  /** Removes an address; false if it was not there. */
  delete(address: Address): boolean {
    return this.deleteBelow(this.root, address.levels, 0);
  }

  /** Visits the value of every address that matches, in no particular order. `each` must not change this tree. */
  matching(pattern: Pattern, each: (value: T) => void): void {
    const steps = pattern.levels.flatMap((level) => (isRest(level) && level.rest === 1 ? oneOrMore : [level]));
    const states: number[] = [];
    enter(states, steps, 0);
    visitAddresses(this.root, steps, states, each);
  }

  /**
   * The same as they are asked for, so that very many keep nobody waiting; undefined when some were looked at in vain. The tree
   * may change meanwhile; what is set anew where it was comes once.
   */
  *walk(pattern: Pattern): Generator<T | undefined, void, void> {
    const steps = pattern.levels.flatMap((level) => (isRest(level) && level.rest === 1 ? oneOrMore : [level]));
    const states: number[] = [];
    enter(states, steps, 0);
    yield* walkAddresses(this.root, steps, states);
  }

  private deleteBelow(node: AddressNode<T>, names: readonly string[], at: number): boolean {
    const name = names[at];
    if (name === undefined) {
      const held = node.held !== undefined;
      node.held = undefined;
      return held;
    }
    const child = node.names?.get(name);
    if (child === undefined || !this.deleteBelow(child, names, at + 1)) return false;
    if (child.held === undefined && child.names === undefined) {
      node.names?.delete(name);
      if (node.names?.size === 0) node.names = undefined;
      this.count--;
    }
    return true;
  }
}

/** Names that a walk looks at in vain before it lets others have their turn. */
const namesAtOnce = 256;

const oneOrMore: PatternLevel[] = [{ any: true }, { rest: 0 }];

function isRest(level: PatternLevel | undefined): level is { readonly rest: 0 | 1 } {
  return level !== undefined && typeof level !== "string" && "rest" in level;
}

/**
 * The steps are levels of a pattern with no other rest than "none or more"; the states are the steps that may come next.
 * They go down the tree together, so that no node is visited twice, however many rests there are.
 */
function visitAddresses<T>(
  node: AddressNode<T>,
  steps: readonly PatternLevel[],
  states: readonly number[],
  each: (value: T) => void,
): void {
  if (node.held !== undefined && states.includes(steps.length)) each(node.held.value);
  if (node.names === undefined) return;
  const step = steps[states[0] ?? steps.length];
  // A second state is there only after a rest, and then every branch may lead on.
  if (states.length === 1 && typeof step === "string") {
    const child = node.names.get(step);
    if (child !== undefined) visitAddresses(child, steps, advance(steps, states, step), each);
    return;
  }
  for (const [name, child] of node.names) {
    const next = advance(steps, states, name);
    if (next.length > 0) visitAddresses(child, steps, next, each);
  }
}

/** One level on the way down: the names that are still to be looked at. */
interface WalkLevel<T> {
  readonly names: Iterator<readonly [string, AddressNode<T>]>;
  readonly states: readonly number[];
}

function* walkAddresses<T>(
  root: AddressNode<T>,
  steps: readonly PatternLevel[],
  first: readonly number[],
): Generator<T | undefined, void, void> {
  const way: WalkLevel<T>[] = [];
  let node: AddressNode<T> | undefined = root;
  let states = first;
  let inVain = 0;
  for (;;) {
    if (node !== undefined) {
      if (node.held !== undefined && states.includes(steps.length)) {
        inVain = 0;
        yield node.held.value;
      }
      way.push({ names: namesFor(node, steps, states), states });
    }
    const level = way.at(-1);
    if (level === undefined) return;
    if (++inVain % namesAtOnce === 0) yield undefined;
    const next = level.names.next();
    node = undefined;
    if (next.done === true) {
      way.pop();
    } else {
      states = advance(steps, level.states, next.value[0]);
      if (states.length > 0) node = next.value[1];
    }
  }
}

/** Those below a node that may lead on: a second state is there only after a rest, and then every branch may. */
function namesFor<T>(
  { names }: AddressNode<T>,
  steps: readonly PatternLevel[],
  states: readonly number[],
): Iterator<readonly [string, AddressNode<T>]> {
  const step = steps[states[0] ?? steps.length];
  if (names === undefined) return [].values();
  if (states.length !== 1 || typeof step !== "string") return names.entries();
  const child = names.get(step);
  const only: (readonly [string, AddressNode<T>])[] = child === undefined ? [] : [[step, child]];
  return only.values();
}

/** The states after one level of this name. */
function advance(steps: readonly PatternLevel[], states: readonly number[], name: string): number[] {
  const next: number[] = [];
  for (const state of states) {
    const step = steps[state];
    if (step === undefined) continue;
    if (isRest(step)) enter(next, steps, state);
    else if (matchesLevel(step, name)) enter(next, steps, state + 1);
  }
  return next;
}

/** Adds a state, and the one after it if it is a rest: that may be none. */
function enter(states: number[], steps: readonly PatternLevel[], state: number): void {
  if (states.includes(state)) return;
  states.push(state);
  if (isRest(steps[state])) enter(states, steps, state + 1);
}
