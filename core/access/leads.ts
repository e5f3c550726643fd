/*
 * What leads messages on by itself does so by the rights of whoever made it, as they were when it was made and by the rules of
 * now. When these allow it no more it stays, as it was declared, but leads nowhere; and on again, when they do:
 *
 *     binding                  receive from what it leads on from, send to what it leads to
 *     alternate exchange       send to it
 *     dead-letter exchange     send to it, or to the queue; without it, what the queue's policy says holds
 *
 * A queue that is one connection's alone goes by what its client may do now.
 */
import { type Binding, Exchange } from "../exchanges/exchange.ts";
import type { Exchanges } from "../exchanges/exchanges.ts";
import { type LeadingRight, rightToBind, rightToLead } from "../exchanges/leading-right.ts";
import { TOPIC_EXCHANGE, topicPattern } from "../exchanges/routing-key.ts";
import { Queue } from "../queue/queue.ts";
import type { QueueDeclaration } from "../queue/queue-declaration.ts";
import type { DeclaredQueues } from "../routing/declared-queues.ts";
import type { Destinations } from "../routing/destinations.ts";
import type { Client } from "../client.ts";
import type { Permissions, Subject } from "./access.ts";
import type { Steps } from "./review.ts";

/** What leads need of their virtual host. */
export interface LeadsOptions {
  readonly hostName: string;
  readonly exchanges: Exchanges;
  readonly declared: DeclaredQueues;
  readonly destinations: Destinations;
  /** What a subject may do. */
  readonly permissions: (subject: Subject) => Permissions;
  /** Something worth telling an operator, in one sentence. */
  readonly report: (sentence: string) => void;
}

/** How much leads nowhere any more, and how much leads on again. */
interface Changes {
  suspended: number;
  resumed: number;
  first: string | undefined;
}

/** The bindings, alternates and dead-letter exchanges of one virtual host, as far as they go by somebody's rights. */
export class Leads {
  private readonly options: LeadsOptions;
  /** Of those who made something; there are few of them for very many bindings. */
  private readonly rights = new WeakMap<Subject, Permissions>();

  constructor(options: LeadsOptions) {
    this.options = options;
  }

  /** Looks at all that the store had: rules may have changed while nobody was there. */
  recover(): void {
    const steps = this.review();
    while (steps.next().done !== true);
  }

  /** Looks at everything; in steps. */
  *review(): Steps {
    const { exchanges, declared } = this.options;
    const changes: Changes = { suspended: 0, resumed: 0, first: undefined };
    for (const exchange of Array.from(exchanges.all())) {
      this.lookAtAlternate(exchange, changes);
      for (const binding of Array.from(exchange.bindings.values())) {
        this.lookAt(binding, changes);
        yield 1;
      }
      yield 1;
    }
    for (const declaration of Array.from(declared.all())) {
      this.lookAtDeadLetters(declaration, changes);
      yield 1;
    }
    this.tell(changes);
  }

  /** Looks at what belongs to one client alone; in steps. */
  *reviewOf(client: Client): Steps {
    const { exchanges, destinations, declared } = this.options;
    const changes: Changes = { suspended: 0, resumed: 0, first: undefined };
    for (const address of Array.from(client.ownDestinations)) {
      const queue = address.kind === "queue" ? destinations.queues.get(address.name) : undefined;
      const declaration = declared.of(address);
      if (declaration !== undefined) this.lookAtDeadLetters(declaration, changes);
      if (queue === undefined) continue;
      for (const binding of Array.from(exchanges.bindingsTo(queue))) {
        this.lookAt(binding, changes);
        yield 1;
      }
    }
    this.tell(changes);
  }

  private lookAt(binding: Binding, changes: Changes): void {
    const suspended = !this.mayLead(binding);
    if (suspended === binding.suspended) return;
    this.options.exchanges.suspend(binding, suspended);
    note(changes, suspended, `binding of the exchange ${binding.source.name} with the key "${binding.key}"`);
  }

  private lookAtAlternate(exchange: Exchange, changes: Changes): void {
    const { maker, alternate } = exchange.declaration;
    if (maker === undefined || alternate === undefined) return;
    const suspended = !maySend(this.rightsOf(maker), rightToLead(alternate));
    if (suspended === exchange.suspended) return;
    this.options.exchanges.suspendAlternate(exchange, suspended);
    note(changes, suspended, `alternate of the exchange ${exchange.name}`);
  }

  private lookAtDeadLetters({ address, policy, maker }: QueueDeclaration, changes: Changes): void {
    const { deadLetterExchange: exchange, deadLetterRoutingKey: key } = policy;
    if (maker === undefined || exchange === undefined) return;
    const permissions = this.options.destinations.ownerOf(address)?.permissions ?? this.rightsOf(maker);
    const suspended = !maySend(permissions, rightToLead(exchange, key));
    if (this.options.declared.suspend(address, suspended)) {
      note(changes, suspended, `dead-letter exchange of the queue ${address.name}`);
    }
  }

  private mayLead({ source, key, to, owner, maker }: Binding): boolean {
    // What subscribers get is looked at with their subscriptions.
    const name = to instanceof Exchange ? to.name : owner instanceof Queue ? owner.address?.name : undefined;
    if (maker === undefined || name === undefined) return true;
    const permissions = this.permissionsFor(owner, maker);
    const ofTopics = source.name === TOPIC_EXCHANGE;
    const from = ofTopics
      ? permissions.decide("receive", "topic", topicPattern(key).text)
      : permissions.decide("receive", "exchange", source.name);
    if (!from.allowed || from.except !== undefined) return false;
    return maySend(permissions, to instanceof Exchange ? rightToBind(source, key, name) : { kind: "queue", name });
  }

  private permissionsFor(owner: Binding["owner"], maker: Subject): Permissions {
    const address = owner instanceof Queue ? owner.address : undefined;
    const client = address && this.options.destinations.ownerOf(address);
    return client?.permissions ?? this.rightsOf(maker);
  }

  private rightsOf(maker: Subject): Permissions {
    let permissions = this.rights.get(maker);
    if (permissions === undefined) this.rights.set(maker, (permissions = this.options.permissions(maker)));
    return permissions;
  }

  private tell({ suspended, resumed, first = "" }: Changes): void {
    const { hostName, report } = this.options;
    if (suspended + resumed === 0) return;
    report(
      `By the access rules, and the rights of those who made them, ${suspended} bindings, alternates and dead-letter exchanges of ` +
        `virtual host ${hostName} lead nowhere any more, and ${resumed} lead on again (the first: ${first}); a binding is whose who may have it and makes it again`,
    );
  }
}

function maySend(permissions: Permissions, { kind, name }: LeadingRight): boolean {
  const { allowed, except } = permissions.decide("send", kind, name);
  return allowed && except === undefined;
}

function note(changes: Changes, suspended: boolean, what: string): void {
  if (suspended) changes.suspended++;
  else changes.resumed++;
  changes.first ??= what;
}
