/*
 * Queues that clients declare: with properties of their own, for one connection alone, deleted when unused. A declaration
 * is a record of its own in the store, read before the queues are, so that a queue is built again with what it says.
 */
import type { Address } from "../addresses/address.ts";
import type { Client } from "../client.ts";
import type { Engine } from "../engine.ts";
import { BrokerError } from "../errors.ts";
import { type Policies, type Policy } from "../policy.ts";
import {
  decodeDeclaration,
  difference,
  encodeDeclaration,
  type QueueDeclaration,
  type QueueStatus,
} from "../queue/queue-declaration.ts";
import type { Queue } from "../queue/queue.ts";

/** The store's kind of these records. */
const KIND = "declared-queue";

/** What the declared queues of a virtual host are made with. */
export interface DeclaredQueuesOptions {
  readonly engine: Engine;
  readonly hostName: string;
  readonly policies: Policies;
  readonly report: (sentence: string) => void;
}

/** Where queues are made and found. */
export interface QueueRegistry {
  readonly queues: ReadonlyMap<string, Queue>;
  /** Makes one. Throws BrokerError when there is no room. */
  create(address: Address): unknown;
  addTemporary(address: Address, owner: Client): void;
  ownerOf(address: Address): Client | undefined;
  deleteQueue(address: Address): void;
}

/** Only what is declared, and since when it is used. */
interface Declared {
  readonly declaration: QueueDeclaration;
  readonly policy: Policy;
  lastUsed: number;
  /** Its dead letters do not go where it says: whoever declared it may not send there any more. */
  suspended: boolean;
  /** Somebody consumed from it: when nobody does any more, an auto-delete queue goes. */
  consumed: boolean;
}

/** The declared queues of one virtual host. Asks nobody's leave: that is the virtual host's business. */
export class DeclaredQueues {
  private readonly options: DeclaredQueuesOptions;
  private readonly engine: Engine;
  private readonly byName = new Map<string, Declared>();

  /** Reads what the store has. */
  constructor(options: DeclaredQueuesOptions) {
    this.options = options;
    this.engine = options.engine;
    const prefix = `${options.hostName}\0`;
    for (const { key } of this.engine.store.keys(KIND, prefix)) {
      if (!key.startsWith(prefix)) break;
      const record = this.engine.store.get(KIND, key);
      if (record === undefined) continue;
      try {
        const declaration = decodeDeclaration(record);
        this.byName.set(declaration.address.name, this.declared(declaration));
      } catch (cause) {
        options.report(cause instanceof Error ? cause.message : String(cause));
      }
    }
  }

  /** What was declared of a queue. */
  of(address: Address): QueueDeclaration | undefined {
    return this.byName.get(address.name)?.declaration;
  }

  /** The policy of a declared queue: what was declared over what is configured. */
  policyOf(address: Address): Policy | undefined {
    return this.byName.get(address.name)?.policy;
  }

  /** All that was declared. */
  *all(): Iterable<QueueDeclaration> {
    for (const { declaration } of this.byName.values()) yield declaration;
  }

  /** Has the dead letters of a queue not go where it says, or go there again; true if that is a change. */
  suspend(address: Address, suspended: boolean): boolean {
    const declared = this.byName.get(address.name);
    if (declared === undefined || declared.suspended === suspended) return false;
    declared.suspended = suspended;
    return true;
  }

  /** Whether the dead letters of a queue go where it was declared that they go. */
  leads(address: Address): boolean {
    return this.byName.get(address.name)?.suspended !== true;
  }

  /** Makes again what was declared and holds nothing. After recovery. */
  recover(registry: QueueRegistry, make: (address: Address) => void): void {
    for (const { declaration } of this.byName.values()) {
      if (!registry.queues.has(declaration.address.name)) make(declaration.address);
    }
  }

  /** Declares a queue, which may be there already if it is the same. Throws BrokerError. */
  declare(client: Client, declaration: QueueDeclaration, registry: QueueRegistry): Queue {
    const { address } = declaration;
    const found = registry.queues.get(address.name);
    if (found !== undefined) {
      this.checkOwner(client, address, registry);
      this.compare(declaration);
      return found;
    }
    this.byName.set(address.name, this.declared(declaration));
    try {
      if (declaration.exclusive) registry.addTemporary(address, client);
      else registry.create(address);
    } catch (refusal) {
      this.byName.delete(address.name);
      throw refusal;
    }
    const queue = registry.queues.get(address.name);
    if (queue === undefined) throw new RangeError(`The ${address.kind} ${address.name} was not made`);
    if (survives(declaration)) {
      this.engine.put(KIND, this.key(address), encodeDeclaration(declaration));
      queue.persist();
    }
    return queue;
  }

  /** Whoever made a queue by using it let it go when nobody uses it any more; who declares it does not. */
  adopt(declaration: QueueDeclaration, queue: Queue): void {
    const { address } = declaration;
    if (this.byName.has(address.name) || !survives(declaration)) return;
    this.byName.set(address.name, this.declared(declaration));
    this.engine.put(KIND, this.key(address), encodeDeclaration(declaration));
    queue.persist();
  }

  /** What a queue has, as a declaration is answered. */
  status(queue: Queue, address: Address): QueueStatus {
    this.touch(address);
    return { address, messages: queue.count - queue.held, consumers: queue.consumerCount };
  }

  /** Throws BrokerError("exclusive") when a queue is another connection's alone. */
  checkOwner(client: Client, address: Address, registry: QueueRegistry): void {
    const owner = registry.ownerOf(address);
    if (owner === undefined || owner === client) return;
    throw new BrokerError(
      "exclusive",
      `cannot obtain exclusive access to locked queue '${address.name}' in vhost '${this.options.hostName}': ` +
        "it belongs to another connection",
    );
  }

  /** Somebody uses a queue. */
  touch(address: Address): void {
    const declared = this.byName.get(address.name);
    if (declared !== undefined) declared.lastUsed = this.engine.clock.now();
  }

  /** Somebody consumes from a queue. */
  joined(queue: Queue): void {
    const declared = queue.address === undefined ? undefined : this.byName.get(queue.address.name);
    if (declared !== undefined) declared.consumed = true;
  }

  /** A consumer has left a queue: deletes it if that was the last one and it was declared so. */
  left(queue: Queue, registry: QueueRegistry): void {
    const { address } = queue;
    if (address === undefined || queue.deleted) return;
    const declared = this.byName.get(address.name);
    if (declared === undefined) return;
    declared.lastUsed = this.engine.clock.now();
    if (declared.declaration.autoDelete && declared.consumed && queue.consumerCount === 0)
      registry.deleteQueue(address);
  }

  /** A queue is gone. */
  forget(address: Address): void {
    const declared = this.byName.get(address.name);
    if (declared === undefined) return;
    this.byName.delete(address.name);
    if (survives(declared.declaration)) this.engine.removeRecord(KIND, this.key(address));
  }

  /** Deletes what was not used for as long as it was declared to be kept. */
  sweep(registry: QueueRegistry): void {
    const now = this.engine.clock.now();
    for (const declared of this.byName.values()) {
      const { address, expiresMs } = declared.declaration;
      if (expiresMs === 0) continue;
      const queue = registry.queues.get(address.name);
      if (queue !== undefined && queue.consumerCount > 0) declared.lastUsed = now;
      else if (now - declared.lastUsed >= expiresMs) registry.deleteQueue(address);
    }
  }

  /** Throws BrokerError("conflict") when a queue that is there is not what is declared. */
  private compare(wanted: QueueDeclaration): void {
    const { address } = wanted;
    const found = this.byName.get(address.name)?.declaration;
    const differs = found === undefined ? differsFromOrdinary(wanted) : difference(wanted, found);
    if (differs !== undefined) {
      const [what, rest = ""] = differs.split(": ");
      const where = `for queue '${address.name}' in vhost '${this.options.hostName}'`;
      throw new BrokerError("conflict", `${what} ${where}: ${rest}`);
    }
  }

  private declared(declaration: QueueDeclaration): Declared {
    const policy = {
      ...this.options.policies.of(declaration.address),
      ...declaration.policy,
      // When it goes is declared too.
      autoDeleteAfterMs: 0,
    };
    return { declaration, policy, lastUsed: this.engine.clock.now(), suspended: false, consumed: false };
  }

  private key({ name }: Address): string {
    return `${this.options.hostName}\0${name}`;
  }
}

/** Whether a declared queue is there again after a restart. */
export function survives({ durable, exclusive }: QueueDeclaration): boolean {
  return durable && !exclusive;
}

/** What keeps a queue that was made by using it from being what is declared. */
function differsFromOrdinary({ exclusive, arguments: given }: QueueDeclaration): string | undefined {
  if (exclusive) return "inequivalent arg 'exclusive': received 'true' but current is 'false'";
  for (const [name, value] of given)
    return `inequivalent arg '${name}': received '${String(value)}' but current is none`;
  return undefined;
}
