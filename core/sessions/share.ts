import type { Interest } from "./interests.ts";
import { type Annotation, type Message, TRAIT } from "../message.ts";
import type { Delivery } from "../protocol.ts";
import type { Subscription } from "../subscription.ts";

/** Annotations of a message that was assigned to one session: what that wanted of the share by which it came. */
export const ASSIGNED = { tag: "subscription_tag", retainAsPublished: "subscription_retain_as_published" } as const;

/** A delivery with its message as it is delivered. */
export interface AssignedDelivery {
  readonly delivery: Delivery;
  readonly message: Message;
}

/** A connected session's part in a shared subscription. */
export class Share {
  readonly group: string;
  interest: Interest;
  readonly subscription: Subscription;

  constructor(group: string, interest: Interest, subscribe: (share: Share) => Subscription) {
    this.group = group;
    this.interest = interest;
    this.subscription = subscribe(this);
  }

  /** Its session wants it otherwise. */
  change(interest: Interest): void {
    this.interest = interest;
    if (interest.quality > 0 && !this.subscription.settling) this.subscription.beginSettling();
  }

  /** A message of the share as one of its session's own. */
  assigned(message: Message): Message {
    const { tag, retainAsPublished } = this.interest;
    const traits = message.traits | TRAIT.assigned;
    if (tag === 0 && !retainAsPublished) return message.with({ traits });
    const annotations = new Map<string, Annotation>();
    if (tag !== 0) annotations.set(ASSIGNED.tag, tag);
    if (retainAsPublished) annotations.set(ASSIGNED.retainAsPublished, true);
    return message.with({ traits, annotations });
  }
}
