import type { Address } from "../../core/addresses/address.ts";
import type { Broker } from "../../core/broker.ts";
import { BrokerError } from "../../core/errors.ts";
import type { Operation, OperationResult } from "../../core/operations/operation.ts";
import { Operations } from "../../core/operations/operations.ts";
import { Queue } from "../../core/queue/queue.ts";
import type { Destination } from "../../core/routing/route.ts";
import type { VirtualHost } from "../../core/virtual-host.ts";
import { type CoreBroker, parse, TestClient } from "./core-broker.ts";

/** The virtual host of a broker under test. */
export function hostOf(broker: Broker): VirtualHost {
  const host = broker.host(undefined);
  if (host === undefined) throw new Error("There is no default host");
  return host;
}

/** A queue of it, made if need be. */
export function queueOf(broker: Broker, name: string): Queue {
  const found = create(broker, parse(`queue:${name}`));
  if (!(found instanceof Queue)) throw new Error(`${name} is no queue`);
  return found;
}

/** The operations on its queues. */
export function operationsOf(broker: Broker): Operations {
  return new Operations({
    engine: broker.engine,
    durables: hostOf(broker).durables,
    find: (address) => find(broker, address),
    create: (address) => create(broker, address),
  });
}

function find(broker: Broker, address: Address): Destination | undefined {
  const { queues, topics } = hostOf(broker);
  return (address.kind === "queue" ? queues : topics).get(address.name);
}

function create(broker: Broker, address: Address): Destination {
  // Whoever looks for the way there makes what may be made.
  new TestClient(broker).core.route([address]);
  const found = find(broker, address);
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
