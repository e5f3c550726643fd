import type { Queue } from "../../core/queue/queue.ts";
import type { ExchangeDeclaration, ExchangeType } from "../../core/exchanges/exchange.ts";
import type { PropertyValue } from "../../core/message.ts";
import type { Route } from "../../core/routing/route.ts";
import { type CoreBroker, type MessageOptions, parse, plainMessage, type TestClient } from "./core-broker.ts";

/** An exchange as most tests want it. */
export function exchange(
  name: string,
  type: ExchangeType,
  options: Partial<ExchangeDeclaration> = {},
): ExchangeDeclaration {
  return { name, type, durable: false, autoDelete: false, internal: false, arguments: new Map(), ...options };
}

/** Says that a queue or another exchange is to get what an exchange leads on. */
export function bind(
  client: TestClient,
  source: string,
  destination: string,
  key = "",
  given: Readonly<Record<string, PropertyValue>> = {},
): void {
  const binding = { source, key, arguments: new Map(Object.entries(given)) };
  const [kind, name = ""] = destination.split(":");
  if (kind === "exchange") client.core.bindExchange(name, binding);
  else client.core.bindQueue(parse(destination), binding);
}

/** The same, the other way. */
export function unbind(
  client: TestClient,
  source: string,
  destination: string,
  key = "",
  given: Readonly<Record<string, PropertyValue>> = {},
): void {
  const binding = { source, key, arguments: new Map(Object.entries(given)) };
  const [kind, name = ""] = destination.split(":");
  if (kind === "exchange") client.core.unbindExchange(name, binding);
  else client.core.unbindQueue(parse(destination), binding);
}

/** Makes a queue that is there until it is deleted. */
export function declareQueue(client: TestClient, name: string, durable = true): void {
  const address = parse(`queue:${name}`);
  const flags = { durable, exclusive: false, autoDelete: false };
  client.core.declareQueue({ address, ...flags, policy: {}, expiresMs: 0, arguments: new Map() });
}

/** Sends to an exchange; returns the route, to be used again. */
export function publish(
  client: TestClient,
  to: string | Route,
  key: string,
  body: string,
  options: MessageOptions = {},
): Route {
  const route = typeof to === "string" ? client.core.exchangeRoute(to, key) : to;
  const [address] = route.addresses;
  if (address === undefined) throw new Error(`The exchange has no address for ${key}`);
  client.core.publish(route, plainMessage(address, body, options));
  return route;
}

/** A queue that is there. */
export function queueOf({ broker }: CoreBroker, name: string): Queue {
  const queue = broker.host(undefined)?.queues.get(name);
  if (queue === undefined) throw new Error(`There is no queue ${name}`);
  return queue;
}

/** How many messages queues hold. */
export function counts(core: CoreBroker, ...names: string[]): number[] {
  return names.map((name) => queueOf(core, name).count);
}
