/** Points of each node: more make the shares more equal, and a change of the ring dearer. */
const POINTS = 20;

/** What stands on a ring. */
export interface RingNode {
  /** Decides where its points are; no two nodes of a ring have the same. */
  readonly ordinal: number;
  /** The ring's own: the last walk that came by. */
  visit: number;
  /** True once it was taken away; it cannot be added again. */
  left: boolean;
}

/**
 * Consistent hashing: each node has points all round a ring of 32-bit hashes, and a key belongs to the node whose point is
 * the next at or after its hash. A node that comes or goes changes the answer for its own share of the keys alone.
 */
export class HashRing<N extends RingNode> {
  /** The points in order, and whose each is. */
  private hashes = new Uint32Array(0);
  private nodes: N[] = [];
  /** Changes that the points do not show yet: many at once cost as much as one. */
  private readonly joining = new Set<N>();
  private leaving = 0;
  private visit = 0;

  /** Adds a node that is not there. */
  add(node: N): void {
    this.joining.add(node);
  }

  /** Takes a node away that is there. */
  remove(node: N): void {
    node.left = true;
    if (!this.joining.delete(node)) this.leaving++;
  }

  /** Whose a key with this hash is; undefined while nobody is there. */
  first(hash: number): N | undefined {
    this.refresh();
    return this.nodes[this.after(hash)];
  }

  /** The first node from this hash on, once round the ring, that is accepted; each is asked once. */
  find(hash: number, accepts: (node: N) => boolean): N | undefined {
    this.refresh();
    const { nodes } = this;
    const visit = ++this.visit;
    let left = nodes.length / POINTS;
    for (let i = this.after(hash); left > 0; i = i + 1 === nodes.length ? 0 : i + 1) {
      const node = nodes[i];
      if (node === undefined || node.visit === visit) continue;
      node.visit = visit;
      if (accepts(node)) return node;
      left--;
    }
    return undefined;
  }

  /** The index of the first point at or after a hash, or of the first of all. */
  private after(hash: number): number {
    const { hashes } = this;
    let low = 0;
    let high = hashes.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((hashes[middle] ?? 0) < hash) low = middle + 1;
      else high = middle;
    }
    return low === hashes.length ? 0 : low;
  }

  /** Merges what joined into the points and leaves out what left, in one pass. */
  private refresh(): void {
    const { joining, leaving } = this;
    if (joining.size === 0 && leaving === 0) return;
    const added = [...joining].flatMap(pointsOf).sort((a, b) => a.hash - b.hash);
    const { hashes: oldHashes, nodes: oldNodes } = this;
    const length = oldNodes.length + (joining.size - leaving) * POINTS;
    const hashes = new Uint32Array(length);
    const nodes: N[] = [];
    let old = 0;
    for (let next = 0; next <= added.length; next++) {
      const point = added[next];
      const before = point?.hash ?? Number.POSITIVE_INFINITY;
      for (let node = oldNodes[old]; node !== undefined && (oldHashes[old] ?? 0) <= before; node = oldNodes[++old]) {
        if (node.left) continue;
        hashes[nodes.length] = oldHashes[old] ?? 0;
        nodes.push(node);
      }
      if (point === undefined) break;
      hashes[nodes.length] = point.hash;
      nodes.push(point.node);
    }
    this.hashes = hashes;
    this.nodes = nodes;
    joining.clear();
    this.leaving = 0;
  }
}

function pointsOf<N extends RingNode>(node: N): { hash: number; node: N }[] {
  return Array.from({ length: POINTS }, (_, point) => ({ hash: avalanche(node.ordinal * POINTS + point), node }));
}

/** Where a text lies on a ring: FNV-1a over its code units, then every bit made to depend on all. */
export function hashText(text: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
  return avalanche(hash);
}

/** Mixes the bits of a 32-bit number, one to one (the last step of MurmurHash3). */
function avalanche(value: number): number {
  let hash = value | 0;
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}
