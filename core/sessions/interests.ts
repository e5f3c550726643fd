import type { Address, AddressKind } from "../addresses/address.ts";
import type { Pattern } from "../addresses/pattern.ts";
import { PatternTree } from "../addresses/routing-tree.ts";

/** How surely a session wants messages: 0 once at most and never kept for it, 1 once at least, 2 exactly once. */
export type Quality = 0 | 1 | 2;

/** What a session wants of one pattern. */
export interface Interest {
  readonly pattern: Pattern;
  readonly quality: Quality;
  /** Leaves out what the session itself sends to the topics. */
  readonly noLocal: boolean;
  /** The session wants to know whether the sender had its message retained. */
  readonly retainAsPublished: boolean;
  /** The session's own name for it; 0 for none. */
  readonly tag: number;
}

/** What the interests that match an address come to, for it is delivered once. */
export interface Grant {
  /** The highest of them. */
  readonly quality: Quality;
  /** True when all of them say so. */
  readonly noLocal: boolean;
  /** True when any of them says so. */
  readonly retainAsPublished: boolean;
  /** Each one once, without 0, in ascending order. */
  readonly tags: readonly number[];
}

/** Grants kept, for as many addresses; one session may be interested in millions. */
const MOST_GRANTS = 1024;

/** What a session is interested in, each pattern once. */
export class Interests {
  private readonly byPattern = new Map<string, Interest>();
  private readonly wildcards = new Map<AddressKind, PatternTree<Interest>>();
  /** By address as an object: whoever reads many messages has one for each name. Null: nothing matches. */
  private readonly grants = new Map<Address, Grant | null>();
  /** What was asked for last: messages of one address often follow each other. */
  private lastAddress: Address | undefined = undefined;
  private lastGrant: Grant | undefined = undefined;
  private readonly byQuality = [0, 0, 0];
  private noLocals = 0;
  private notPlain = 0;

  get size(): number {
    return this.byPattern.size;
  }

  /** The highest quality of any; 0 without any. */
  get highest(): Quality {
    if (this.byQuality[2] !== 0) return 2;
    return this.byQuality[1] === 0 ? 0 : 1;
  }

  /** Whether any leaves out what the session itself sends. */
  get someNoLocal(): boolean {
    return this.noLocals > 0;
  }

  /** Whether no delivery is to say more than its message: none asks for a tag, nor to see what was retained. */
  get plain(): boolean {
    return this.notPlain === 0;
  }

  /** Adds an interest, or replaces that in the same pattern; returns true when there was one. */
  set(interest: Interest): boolean {
    const before = this.remove(interest.pattern);
    const { pattern } = interest;
    this.byPattern.set(keyOf(pattern), interest);
    if (pattern.address === undefined) this.tree(pattern.kind).add(pattern, interest);
    this.count(interest, 1);
    return before !== undefined;
  }

  /** The interest in this very pattern. */
  get(pattern: Pattern): Interest | undefined {
    return this.byPattern.get(keyOf(pattern));
  }

  /** Removes the interest in a pattern and returns it; undefined when there was none. */
  remove(pattern: Pattern): Interest | undefined {
    this.grants.clear();
    this.lastAddress = undefined;
    const key = keyOf(pattern);
    const interest = this.byPattern.get(key);
    if (interest === undefined) return undefined;
    this.byPattern.delete(key);
    if (pattern.address === undefined) this.tree(pattern.kind).remove(pattern, interest);
    this.count(interest, -1);
    return interest;
  }

  /** All of them, in the order in which they were set. */
  all(): IterableIterator<Interest> {
    return this.byPattern.values();
  }

  /** What is wanted of an address; undefined when nothing matches. */
  grantOf(address: Address): Grant | undefined {
    if (address === this.lastAddress) return this.lastGrant;
    let grant = this.grants.get(address);
    if (grant === undefined) {
      grant = this.makeGrant(address);
      if (this.grants.size >= MOST_GRANTS) this.grants.clear();
      this.grants.set(address, grant);
    }
    this.lastAddress = address;
    this.lastGrant = grant ?? undefined;
    return this.lastGrant;
  }

  private makeGrant(address: Address): Grant | null {
    const matching: Interest[] = [];
    const exact = this.byPattern.get(`${address.kind} ${address.name}`);
    if (exact?.pattern.address !== undefined) matching.push(exact);
    this.wildcards.get(address.kind)?.match(address, (interest) => matching.push(interest));
    if (matching.length === 0) return null;
    const tags = new Set<number>();
    let quality: Quality = 0;
    let noLocal = true;
    let retainAsPublished = false;
    for (const interest of matching) {
      if (interest.quality > quality) quality = interest.quality;
      noLocal &&= interest.noLocal;
      retainAsPublished ||= interest.retainAsPublished;
      if (interest.tag !== 0) tags.add(interest.tag);
    }
    return { quality, noLocal, retainAsPublished, tags: [...tags].sort((a, b) => a - b) };
  }

  private count({ quality, noLocal, tag, retainAsPublished }: Interest, by: 1 | -1): void {
    this.byQuality[quality] = Number(this.byQuality[quality]) + by;
    if (noLocal) this.noLocals += by;
    if (tag !== 0 || retainAsPublished) this.notPlain += by;
  }

  private tree(kind: AddressKind): PatternTree<Interest> {
    let tree = this.wildcards.get(kind);
    if (tree === undefined) {
      tree = new PatternTree();
      this.wildcards.set(kind, tree);
    }
    return tree;
  }
}

function keyOf({ kind, text }: Pattern): string {
  return `${kind} ${text}`;
}
