import type { Admission } from "./admission.ts";
import type { Address } from "../addresses/address.ts";
import type { Clock } from "../time/clock.ts";
import { named } from "./divert.ts";
import { BrokerError } from "../errors.ts";
import { escapeCanonical } from "../addresses/escape.ts";
import { routingOf } from "../exchanges/routing-key.ts";
import { type Annotation, type Message, TRAIT } from "../message.ts";
import { levelsOfDurable, type Policies, type Policy } from "../policy.ts";
import type { Death, DeadLetters } from "../queue/departures.ts";
import type { Queue } from "../queue/queue.ts";
import { canonical } from "../addresses/spelling.ts";

/** What dead letters need of their virtual host. */
export interface DeadLetterOptions {
  readonly clock: Clock;
  readonly policies: Policies;
  /** The way into a destination, made if it is not there. Throws BrokerError. */
  readonly admission: (address: Address) => Admission;
  /** The way into what an exchange leads to with a routing key; undefined when there is no such exchange. */
  readonly exchange: (name: string, key: string) => Admission | undefined;
  /** Whether the dead letters of a queue go where it was declared that they go. */
  readonly leads: (queue: Address) => boolean;
}

/** One way in which a message died, and how often: as an annotation, the newest first. */
export interface DeathRecord {
  /** The queue's name. */
  readonly queue: string;
  readonly reason: Death["reason"];
  readonly count: number;
  /** Where it had been sent, as AMQP 0-9-1 says it. */
  readonly exchange: string;
  readonly key: string;
  /** When it died so for the first time: milliseconds since 1970. */
  readonly at: number;
  /** Milliseconds its sender had given it, if it died of that. */
  readonly expiration?: number;
}

/** The annotation with all deaths of a message: a JSON list of `DeathRecord`. */
const HISTORY = "dead_letter_history";
/** Ways to die that are remembered of one message. */
const LONGEST_HISTORY = 32;

/** How a message died so far, the newest way first. */
export function deathsOf(message: Message): readonly DeathRecord[] {
  const text = message.annotations.get(HISTORY);
  if (typeof text !== "string") return [];
  const read: unknown = JSON.parse(text);
  return Array.isArray(read) ? read : [];
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
    const { deadLetterQueue, expiryQueue, deadLetterExchange } = queue.policy;
    const leads = queue.address === undefined || this.options.leads(queue.address);
    if (deadLetterExchange !== undefined && leads) {
      return this.toExchange(deadLetterExchange, origin, queue, message, death);
    }
    const expired = death.reason === "expired";
    const target = graveOf(expired ? expiryQueue : deadLetterQueue, origin);
    if (target === undefined) return "nowhere";
    // What expires among the dead letters has no further to go.
    if (this.isGrave(queue, message)) return expired ? "nowhere" : "stays";
    const admission = this.options.admission(target);
    if (admission.destination === queue) return expired ? "nowhere" : "stays";
    // Among the dead letters it is anybody's.
    const traits = message.traits & ~TRAIT.assigned;
    const copy = message.with({ annotations: this.annotations(origin, message, death), expiresAt: 0, traits });
    admission.bury(copy);
    return "moved";
  }

  private toExchange(name: string, origin: Origin, queue: Queue, message: Message, death: Death): "moved" | "nowhere" {
    const before = deathsOf(message);
    // It came here before, and nobody who looked at it sent it on its way: it would go round for ever.
    const goesRound = before.some((record) => record.queue === origin.name) && !before.some(isRejection);
    if (goesRound && death.reason !== "rejected" && death.reason !== "delivery-limit") return "nowhere";
    const admission = this.wayTo(name, queue.policy.deadLetterRoutingKey ?? routingOf(message.address).key);
    if (admission === undefined) return "nowhere";
    const annotations = this.annotations(origin, message, death);
    admission.bury(message.with({ address: admission.address, annotations, expiresAt: 0 }));
    return "moved";
  }

  /** What an exchange leads to; undefined also for a key of which it makes no address, such as one with too many words. */
  private wayTo(exchange: string, key: string): Admission | undefined {
    try {
      return this.options.exchange(exchange, key);
    } catch (refusal) {
      if (refusal instanceof BrokerError) return undefined;
      throw refusal;
    }
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
    annotations.set(HISTORY, JSON.stringify(historyWith(origin.name, message, death, now)));
    return annotations;
  }
}

function isRejection({ reason }: DeathRecord): boolean {
  return reason === "rejected" || reason === "delivery-limit";
}

/** The deaths of a message with one more. */
function historyWith(queue: string, message: Message, { reason }: Death, now: number): DeathRecord[] {
  const before = deathsOf(message);
  const same = before.find((record) => record.queue === queue && record.reason === reason);
  const newest: DeathRecord =
    same === undefined
      ? {
          queue,
          reason,
          count: 1,
          ...routingOf(message.address),
          at: now,
          ...(message.expiresAt !== 0 && { expiration: Math.max(message.expiresAt - message.receivedAt, 0) }),
        }
      : { ...same, count: same.count + 1 };
  return [newest, ...before.filter((record) => record !== same)].slice(0, LONGEST_HISTORY);
}

/** The queue that a policy names for an origin; none when its name would be none, such as one that is too long. */
export function graveOf(template: string | undefined, { name }: { readonly name: string }): Address | undefined {
  return template === undefined ? undefined : named("queue", template, name);
}
