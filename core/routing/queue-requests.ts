import type { Action } from "../access/access.ts";
import type { Address, AddressKind } from "../addresses/address.ts";
import type { Client, DeleteConditions, PullOptions } from "../client.ts";
import type { DeclaredQueues } from "./declared-queues.ts";
import type { Destinations } from "./destinations.ts";
import { rightToLead } from "../exchanges/leading-right.ts";
import { BrokerError } from "../errors.ts";
import type { QueueDeclaration, QueueStatus } from "../queue/queue-declaration.ts";
import type { Queue } from "../queue/queue.ts";
import { Subscription } from "../subscription.ts";

/** What requests need of their virtual host. */
export interface QueueRequestsOptions {
  readonly hostName: string;
  readonly declared: DeclaredQueues;
  readonly destinations: Destinations;
  /** Throws BrokerError("not-authorized") when a client may not do that; `whole`: or not with all that a pattern matches. */
  readonly check: (client: Client, action: Action, kind: AddressKind, name: string, whole?: boolean) => void;
  /** The same for who may do nothing with a queue. */
  readonly checkSight: (client: Client, name: string) => void;
}

/** What clients ask of the queues of one virtual host by their names: to be made, looked at, emptied, deleted, pulled from. */
export class QueueRequests {
  private readonly options: QueueRequestsOptions;

  constructor(options: QueueRequestsOptions) {
    this.options = options;
  }

  /** Makes a queue, or finds that it is as declared. Throws BrokerError. */
  declare(client: Client, declaration: QueueDeclaration): QueueStatus {
    const { declared, destinations, check } = this.options;
    const { address } = declaration;
    if (!destinations.queues.has(address.name)) {
      this.checkName(address);
      check(client, "create", "queue", address.name);
      this.checkTopic(client, declaration);
      this.checkDeadLetters(client, declaration);
    }
    this.options.checkSight(client, address.name);
    const made = { ...declaration, maker: client.permissions.subject };
    const queue = declared.declare(client, made, destinations);
    // One that is there by use is to stay, if that is somebody's to say who only wants to use it.
    const mayMake = client.permissions.decide("create", "queue", address.name).allowed;
    if (mayMake && destinations.ownerOf(address) === undefined) declared.adopt(made, queue);
    return declared.status(queue, address);
  }

  /** What was declared of a queue; undefined for one that was not declared. */
  declarationOf(address: Address): QueueDeclaration | undefined {
    return this.options.declared.of(address);
  }

  /** What a queue has. Throws BrokerError when it is not there, or another connection's alone. */
  status(client: Client, address: Address): QueueStatus {
    this.options.checkSight(client, address.name);
    return this.options.declared.status(this.find(client, address), address);
  }

  /** Deletes a queue; returns how many messages went with it, none if there is no such queue. Throws BrokerError. */
  delete(client: Client, address: Address, only: DeleteConditions): number {
    const { destinations, hostName, check } = this.options;
    check(client, "destroy", "queue", address.name);
    if (!destinations.queues.has(address.name)) return 0;
    const queue = this.find(client, address);
    const { count } = queue;
    const name = `queue '${address.name}' in vhost '${hostName}'`;
    if (only.ifUnused && queue.consumerCount > 0) throw new BrokerError("in-use", `${name} in use`);
    if (only.ifEmpty && count > 0) throw new BrokerError("in-use", `${name} is not empty`);
    if (destinations.ownerOf(address) === undefined) destinations.deleteQueue(address);
    else destinations.removeTemporary(address);
    return count;
  }

  /** Throws away what nobody holds of a queue; returns how many messages that were. Throws BrokerError. */
  purge(client: Client, address: Address): number {
    this.options.check(client, "consume", "queue", address.name);
    return this.find(client, address).purge();
  }

  /** Gives a client one message; see `Client.pull`. Throws BrokerError. */
  pull(client: Client, id: number, { address, settling, consumer }: PullOptions): Subscription {
    this.options.check(client, "consume", "queue", address.name);
    const queue = this.find(client, address);
    this.options.declared.touch(address);
    const credit = { messages: 1, bytes: 0 };
    const subscription = new Subscription(id, client, { patterns: [], settling, credit, consumer, details: true });
    client.subscriptions.add(subscription);
    subscription.pull(queue);
    return subscription;
  }

  /** Throws BrokerError for the name that a temporary queue of some connection may come to have. */
  private checkName(address: Address): void {
    if (!this.options.destinations.isAbandoned(address)) return;
    throw new BrokerError(
      "not-authorized",
      `The name ${address.name} is for a temporary queue of one connection alone`,
    );
  }

  /** A queue that gets what a virtual topic gets has it for whoever consumes from it. */
  private checkTopic(client: Client, { address, exclusive }: QueueDeclaration): void {
    const topic = exclusive ? undefined : this.options.destinations.virtualTopicOf(address);
    if (topic !== undefined) this.options.check(client, "receive", "topic", topic.name);
  }

  /** What a queue gives up goes elsewhere without asking: whoever makes the queue must be allowed to send there. */
  private checkDeadLetters(client: Client, { policy }: QueueDeclaration): void {
    const { deadLetterExchange: exchange, deadLetterRoutingKey: key } = policy;
    if (exchange === undefined) return;
    const { kind, name } = rightToLead(exchange, key);
    this.options.check(client, "send", kind, name, true);
  }

  /** Throws BrokerError "not-found", or "exclusive" when it is another connection's alone. */
  find(client: Client, address: Address): Queue {
    const { declared, destinations, hostName } = this.options;
    const queue = destinations.queues.get(address.name);
    if (queue === undefined) throw new BrokerError("not-found", `no queue '${address.name}' in vhost '${hostName}'`);
    declared.checkOwner(client, address, destinations);
    return queue;
  }
}
