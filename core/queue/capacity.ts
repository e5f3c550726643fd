import type { Backlog } from "./backlog.ts";
import type { Departures } from "./departures.ts";
import type { Engine } from "../engine.ts";
import type { Message } from "../message.ts";
import type { Queue } from "./queue.ts";

/** Over how long the rate of deliveries is measured that decides whether publishers wait for consumers. */
const RATE_WINDOW_MS = 50;
/** How long publishers wait for consumers that keep up, at most. */
const LONGEST_WAIT_MS = 100;
/** Of a quota: publishers that waited go on once less than this part of it is used. */
const REOPEN = 0.95;

/** How much a queue takes: its quotas and what happens at them, and when its gate is closed. */
export class Capacity {
  /** Whether there is a quota at all. */
  readonly limited: boolean;
  private readonly queue: Queue;
  private readonly engine: Engine;
  private readonly departures: Departures;
  /** When the measured rate of deliveries began, and the bytes delivered until then. */
  private rateSince = 0;
  private rateFrom = 0;
  /** Whether consumers kept up when it was last measured. */
  private quick = false;
  /** Whether publishers wait for nothing but room in the quota. */
  private quotaAlone = false;

  constructor(queue: Queue, engine: Engine, departures: Departures) {
    this.queue = queue;
    this.engine = engine;
    this.departures = departures;
    const { maxMessages, maxBytes } = queue.policy;
    this.limited = maxMessages > 0 || maxBytes > 0;
  }

  /** Whether a message may come in; makes room for it where the policy says so, else counts it as lost. */
  admit(message: Message, regardless: boolean): boolean {
    const { queue } = this;
    const { full, maxBytes } = queue.policy;
    if (full === "block" || !this.over(message)) return true;
    if (full === "drop-head") {
      if (maxBytes === 0 || message.size <= maxBytes) {
        // What consumers hold is not theirs to lose: the queue may hold more by as much.
        while (this.over(message) && this.departures.dropOldest());
        return true;
      }
    } else if ((full === "reject" || full === "reject-dead-letter") && regardless) {
      return true;
    }
    if (full === "reject-dead-letter") this.departures.turnAway(message);
    else queue.ledger.lose("dropped-newest");
    return false;
  }

  /** Messages came back that did not count while consumers held them: the oldest go, where the policy says so. */
  shed(): void {
    const { maxMessages, maxBytes, countsHeld, full } = this.queue.policy;
    if (!this.limited || countsHeld || full !== "drop-head") return;
    const over = (): boolean =>
      (maxMessages > 0 && this.count > maxMessages) || (maxBytes > 0 && this.bytes > maxBytes);
    while (over() && this.departures.dropOldest());
  }

  /** Why a message is refused, where the policy is to refuse. */
  refusal(message: Message): string | undefined {
    const { count, bytes } = this;
    const { subject, policy } = this.queue;
    const refuses = policy.full === "reject" || policy.full === "reject-dead-letter";
    if (!refuses || !this.limited || !this.over(message)) return undefined;
    const most = [
      ...(policy.maxMessages > 0 ? [`${policy.maxMessages} messages (max_messages)`] : []),
      ...(policy.maxBytes > 0 ? [`${policy.maxBytes} bytes (max_bytes)`] : []),
    ];
    return `The ${subject} holds ${count} messages with ${bytes} bytes, at most ${most.join(" and ")} are allowed`;
  }

  /** Closes the gate when the quota is used up and publishers are to wait. */
  check(): void {
    const { gate, policy } = this.queue;
    if (!this.limited || policy.full !== "block" || !this.used(1)) return;
    if (!gate.closed) this.quotaAlone = true;
    gate.close();
  }

  /** Closes the gate until there is room in memory. */
  closeForMemory(): void {
    this.quotaAlone = false;
    this.queue.gate.close();
  }

  /** Opens the gate if there is room in memory and in the quota again. */
  reopen(): void {
    if (this.quotaAlone || this.queue.memoryBytes <= this.queue.policy.memoryBytes / 2) this.open();
  }

  /** Opens the gate if there is room in the quota. */
  open(): void {
    if (this.queue.gate.closed && !(this.limited && this.used(REOPEN))) this.queue.gate.open();
  }

  /**
   * True when consumers are so quick that it is better to let publishers wait for them a moment than to write to the
   * store what is read back at once.
   */
  waitsForConsumers(backlog: Backlog): boolean {
    const { gate, ledger } = this.queue;
    const { share } = backlog;
    if (gate.closed) return backlog.inMemory < share * 2;
    const now = this.engine.clock.now();
    const elapsed = now - this.rateSince;
    if (elapsed >= RATE_WINDOW_MS) {
      const perMs = (ledger.deliveredBytes - this.rateFrom) / elapsed;
      this.quick = elapsed < LONGEST_WAIT_MS * 10 && perMs > 0 && perMs * LONGEST_WAIT_MS >= share;
      this.rateSince = now;
      this.rateFrom = ledger.deliveredBytes;
    }
    if (!this.quick) return false;
    this.closeForMemory();
    this.engine.clock.after(LONGEST_WAIT_MS, () => this.open());
    return true;
  }

  /** Messages that count, and their bytes. */
  private get count(): number {
    const { count, held, policy } = this.queue;
    return policy.countsHeld ? count : count - held;
  }

  private get bytes(): number {
    const { bytes, heldBytes, policy } = this.queue;
    return policy.countsHeld ? bytes : bytes - heldBytes;
  }

  /** Whether a message is more than the queue may hold; what it replaces makes room for it. */
  private over(message: Message): boolean {
    const { queue } = this;
    const { maxMessages, maxBytes } = queue.policy;
    const replaced = queue.replacedBy(message);
    const count = replaced === undefined ? this.count : this.count - 1;
    if (maxMessages > 0 && count >= maxMessages) return true;
    return maxBytes > 0 && this.bytes - (replaced?.size ?? 0) + message.size > maxBytes;
  }

  private used(part: number): boolean {
    const { count, bytes } = this;
    const { maxMessages, maxBytes } = this.queue.policy;
    // A quota of very few messages opens as soon as one is gone.
    if (maxMessages > 0 && count >= Math.max(Math.ceil(maxMessages * part), 1)) return true;
    return maxBytes > 0 && bytes >= maxBytes * part;
  }
}
