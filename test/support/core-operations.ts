import type { Address } from "../../core/address.ts";
import { BrokerError } from "../../core/errors.ts";
import type { Operation, OperationResult } from "../../core/operation.ts";
import { Operations } from "../../core/operations.ts";
import { Queue } from "../../core/queue.ts";
import type { Destination } from "../../core/route.ts";
import type { VirtualHost } from "../../core/virtual-host.ts";
import { type CoreBroker, parse } from "./core-broker.ts";

/** The virtual host of a core under test. */
export function hostOf(core: CoreBroker): VirtualHost {
  const host = core.broker.host(undefined);
  if (host === undefined) throw new Error("There is no default host");
  return host;
}

/** A queue of it, made if need be. */
export function queueOf(core: CoreBroker, name: string): Queue {
  const found = create(core, parse(`queue:${name}`));
  if (!(found instanceof Queue)) throw new Error(`${name} is no queue`);
  return found;
}

/** The operations on its queues. */
export function operationsOf(core: CoreBroker): Operations {
  return new Operations({
    engine: core.broker.engine,
    durables: hostOf(core).durables,
    find: (address) => find(core, address),
    create: (address) => create(core, address),
  });
}

function find(core: CoreBroker, address: Address): Destination | undefined {
  const { queues, topics } = hostOf(core);
  return (address.kind === "queue" ? queues : topics).get(address.name);
}

function create(core: CoreBroker, address: Address): Destination {
  // Whoever looks for the way there makes what may be made.
  core.client().core.route([address]);
  const found = find(core, address);
  if (found === undefined) throw new BrokerError("not-found", `The ${address.kind} ${address.name} is not there`);
  return found;
}

/** Lets time go on, and whoever waits for a promise with it. */
export async function pass(core: CoreBroker, ms: number): Promise<void> {
  core.clock.advance(ms);
  for (let i = 0; i < 5; i++) await Promise.resolve();
  core.settle();
}

/** Lets time go on until the operation has ended. */
export async function endOf(core: CoreBroker, operation: Operation): Promise<OperationResult> {
  for (let i = 0; i < 1000; i++) {
    await pass(core, 20);
    const result = await Promise.race([operation.finished, Promise.resolve(undefined)]);
    if (result !== undefined) return result;
  }
  throw new Error(`The operation still waits on ${operation.waitingOn}`);
}
