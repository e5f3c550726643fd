import type { Message } from "../message.ts";
import type { Policy } from "../policy.ts";

/** What a policy says of each single message: how large it may be, and how long it may live. */
export class Bounds {
  private readonly policy: Policy;

  private constructor(policy: Policy) {
    this.policy = policy;
  }

  /** The bounds of a policy; undefined when it has none. */
  static of(policy: Policy): Bounds | undefined {
    const { maxMessageBytes, defaultTtlMs, minTtlMs, maxTtlMs } = policy;
    return maxMessageBytes > 0 || defaultTtlMs > 0 || minTtlMs > 0 || maxTtlMs > 0 ? new Bounds(policy) : undefined;
  }

  /** Why a message is too large, as the end of a sentence; undefined if it is not. */
  excess(message: Message): string | undefined {
    const { maxMessageBytes } = this.policy;
    if (maxMessageBytes === 0 || message.size <= maxMessageBytes) return undefined;
    return `takes at most ${maxMessageBytes} bytes (max_message_size), the message has ${message.size}`;
  }

  /** When a message expires: what its sender said, 0 being never, within the bounds. Time counts from now. */
  expiry({ expiresAt }: Message, now: number): number {
    const { defaultTtlMs, minTtlMs, maxTtlMs } = this.policy;
    let at = expiresAt;
    if (at === 0 && defaultTtlMs > 0) at = now + defaultTtlMs;
    // What has expired stays expired.
    if (minTtlMs > 0 && at > now && at < now + minTtlMs) at = now + minTtlMs;
    if (maxTtlMs > 0 && (at === 0 || at > now + maxTtlMs)) at = now + maxTtlMs;
    return at;
  }

  /** The message with the expiry that it has here: a copy, if that differs. */
  fitted(message: Message, now: number): Message {
    const expiresAt = this.expiry(message, now);
    return expiresAt === message.expiresAt ? message : message.with({ expiresAt });
  }
}
