import type { Address } from "../addresses/address.ts";
import type { Gate } from "../memory/gate.ts";
import type { Message } from "../message.ts";
import type { Policy } from "../policy.ts";
import type { TopicTarget } from "../topic/topic.ts";

/** The subscribers of a topic, for what comes to it through an exchange: they are told the topic, which they asked for. */
export class SpaceTarget implements TopicTarget {
  /** Who gets it. */
  readonly targets: readonly TopicTarget[];
  private readonly address: Address;
  private readonly policy: Policy;

  constructor(address: Address, policy: Policy, targets: readonly TopicTarget[]) {
    this.address = address;
    this.policy = policy;
    this.targets = targets;
  }

  offer(message: Message, _policy: Policy, sender: unknown): Gate | undefined {
    const { targets } = this;
    const copy = message.with({ address: this.address });
    copy.shared = targets.length > 1;
    let closed: Gate | undefined;
    for (const target of targets) closed = target.offer(copy, this.policy, sender) ?? closed;
    return closed;
  }
}
