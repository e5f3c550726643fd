import type { Admission } from "./admission.ts";
import type { Address } from "../addresses/address.ts";
import type { Clock } from "../time/clock.ts";
import { named } from "./divert.ts";
import { escapeCanonical } from "../addresses/escape.ts";
import type { Annotation, Message } from "../message.ts";
import { levelsOfDurable, type Policies, type Policy } from "../policy.ts";
import type { Death, DeadLetters, Queue } from "../queue/queue.ts";
import { canonical } from "../addresses/spelling.ts";

/** What dead letters need of their virtual host. */
export interface DeadLetterOptions {
  readonly clock: Clock;
  readonly policies: Policies;
  /** The way into a destination, made if it is not there. Throws BrokerError. */
  readonly admission: (address: Address) => Admission;
}

/** A queue, or a durable subscription, that messages leave as dead letters. */
interface Origin {
  /** As in the annotation: `queue:orders.eu`, `dsub:billing`. */
  readonly text: string;
  /** What `*` stands for in the names of dead-letter queues. */
  readonly name: string;
  readonly policy: Policy;
}

/** Where the dead letters and the expired messages of a virtual host's queues go, by the policies. */
export class DeadLetterOffice {
  private readonly options: DeadLetterOptions;

  constructor(options: DeadLetterOptions) {
    this.options = options;
  }

  /** For the queue of an address. */
  ofQueue({ name }: Address): DeadLetters {
    return { take: (queue, message, death) => this.take(this.origin(`queue:${name}`), queue, message, death) };
  }

  /** For a durable subscription. */
  ofDurable(id: string): DeadLetters {
    return { take: (queue, message, death) => this.take(this.origin(`dsub:${id}`), queue, message, death) };
  }

  private origin(text: string): Origin {
    const { policies } = this.options;
    const cut = text.indexOf(":") + 1;
    const name = text.slice(cut);
    if (!text.startsWith("dsub:")) return { text, name, policy: policies.of(canonical.parse("queue", name)) };
    // Read as a name, as policies do.
    return { text, name: levelsOfDurable(name).map(escapeCanonical).join("."), policy: policies.ofDurable(name) };
  }

  private take(origin: Origin, queue: Queue, message: Message, death: Death): "moved" | "stays" | "nowhere" {
    const { deadLetterQueue, expiryQueue } = origin.policy;
    const expired = death.reason === "expired";
    const target = graveOf(expired ? expiryQueue : deadLetterQueue, origin);
    if (target === undefined) return "nowhere";
    // What expires among the dead letters has no further to go.
    if (this.isGrave(queue, message)) return expired ? "nowhere" : "stays";
    const admission = this.options.admission(target);
    if (admission.destination === queue) return expired ? "nowhere" : "stays";
    const copy = message.with({ annotations: this.annotations(origin, message, death), expiresAt: 0 });
    admission.enter(copy, undefined, true);
    return "moved";
  }

  /** Whether a queue is where the dead letters go of the origin that a message says it has. */
  private isGrave({ address }: Queue, message: Message): boolean {
    const text = message.annotations.get("dead_letter_origin");
    if (address === undefined || typeof text !== "string") return false;
    const origin = this.origin(text);
    const { deadLetterQueue, expiryQueue } = origin.policy;
    return [deadLetterQueue, expiryQueue].some((template) => graveOf(template, origin)?.name === address.name);
  }

  private annotations(origin: Origin, message: Message, death: Death): Map<string, Annotation> {
    const now = this.options.clock.now();
    const before = message.annotations;
    const count = before.get("dead_letter_count");
    const annotations = new Map<string, Annotation>([
      ["dead_letter_reason", death.reason],
      ["dead_letter_origin", origin.text],
      ["dead_letter_sequence", death.sequence],
      ["dead_letter_deliveries", death.deliveries],
      ["dead_letter_count", typeof count === "number" ? count + 1 : 1],
      ["dead_letter_at", now],
      ["dead_letter_first_at", before.get("dead_letter_first_at") ?? now],
    ]);
    if (message.expiresAt !== 0) annotations.set("dead_letter_expires_at", message.expiresAt);
    return annotations;
  }
}

/** The queue that a policy names for an origin; none when its name would be none, such as one that is too long. */
function graveOf(template: string | undefined, { name }: Origin): Address | undefined {
  return template === undefined ? undefined : named("queue", template, name);
}
