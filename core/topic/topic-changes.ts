import type { AddressTree } from "../addresses/routing-tree.ts";
import { Pattern } from "../addresses/pattern.ts";
import type { Clock } from "../time/clock.ts";
import type { Topic } from "./topic.ts";

/** Topics changed in one turn, and names looked at in vain for each of them. */
const AT_ONCE = 1000;
/** What the walk over the tree looks at in vain before it says so counts as so many topics. */
const IN_VAIN = 16;

const EVERY_TOPIC = new Pattern("topic", [{ rest: 1 }]);

/** A change that was not made to all topics in the turn in which it came. */
interface Change {
  readonly number: number;
  readonly pattern: Pattern;
  readonly apply: (topic: Topic) => void;
}

/**
 * Changes of who gets which topics, in their order. A wildcard may be about very many topics: the first of them are changed
 * at once, the others in later turns or, when somebody asks for their targets, right then. So nobody sees a topic as
 * it was before a change, and no turn is long.
 */
export class TopicChanges {
  /** The number of the newest change that is, or was, not made to all topics in its turn. */
  last = 0;
  private readonly clock: Clock;
  private readonly topics: AddressTree<Topic>;
  /** In ascending order. */
  private pending: Change[] = [];
  private walking = false;

  constructor(clock: Clock, topics: AddressTree<Topic>) {
    this.clock = clock;
    this.topics = topics;
  }

  /** Changes the topics that match. `apply` may be called twice in a row, and must not change which topics there are. */
  make(pattern: Pattern, apply: (topic: Topic) => void): void {
    if (pattern.address !== undefined) {
      const topic = this.topics.get(pattern.address);
      if (topic !== undefined) this.change(topic, apply);
      return;
    }
    let cost = 0;
    for (const topic of this.topics.walk(pattern)) {
      if (topic !== undefined) this.change(topic, apply);
      cost += topic === undefined ? IN_VAIN : 1;
      if (cost < AT_ONCE) continue;
      this.pending.push({ number: ++this.last, pattern, apply });
      if (!this.walking) this.walk();
      return;
    }
  }

  /** Makes the changes to a topic that it has not seen. */
  catchUp(topic: Topic): void {
    const { changesSeen } = topic;
    // First, for who changes it asks for its targets.
    topic.changesSeen = this.last;
    for (const { number, pattern, apply } of this.pending) {
      if (number > changesSeen && pattern.matches(topic.address)) apply(topic);
    }
  }

  private change(topic: Topic, apply: (topic: Topic) => void): void {
    if (topic.changesSeen !== this.last) this.catchUp(topic);
    apply(topic);
  }

  /** Visits, in turns of their own, all topics that may not have seen a change. */
  private walk(): void {
    const first = this.pending[0];
    this.walking = first !== undefined;
    if (first === undefined) return;
    const upTo = this.last;
    const topics = this.topics.walk(this.pending.length === 1 ? first.pattern : EVERY_TOPIC);
    const go = (): void => {
      for (let cost = 0; cost < AT_ONCE; ) {
        const { value: topic, done } = topics.next();
        if (done === true) {
          this.pending = this.pending.filter(({ number }) => number > upTo);
          this.walk();
          return;
        }
        cost += topic === undefined ? IN_VAIN : 1;
        if (topic !== undefined && topic.changesSeen !== this.last) this.catchUp(topic);
      }
      this.clock.after(0, go);
    };
    this.clock.after(0, go);
  }
}
