import type { Action, Actor } from "../access/access.ts";
import type { Address } from "../addresses/address.ts";
import type { Admission } from "../routing/admission.ts";
import type { BindingDeclaration, Exchange, ExchangeDeclaration } from "./exchange.ts";
import type { Client } from "../client.ts";
import { DEFAULT_EXCHANGE, exchangeAddress, routingOf, TOPIC_EXCHANGE, topicPattern } from "./routing-key.ts";
import { BrokerError } from "../errors.ts";
import { type LeadingRight, rightToBind, rightToLead } from "./leading-right.ts";
import { type BindingEnd, type Exchanges, toExchange } from "./exchanges.ts";
import type { Pattern } from "../addresses/pattern.ts";
import type { Queue } from "../queue/queue.ts";
import { Route } from "../routing/route.ts";
import type { TopicFeed } from "../topic/topic-feed.ts";

/** What begins the names that only the broker gives. */
const RESERVED = "amq.";

/** What requests need of their virtual host. */
export interface ExchangeRequestsOptions {
  readonly hostName: string;
  readonly exchanges: Exchanges;
  /** Throws BrokerError when no further destination may be made. */
  readonly checkRoom: () => void;
  /** Throws BrokerError("not-authorized") when an actor may not do that; `whole`: or not with all that a pattern matches. */
  readonly check: (
    actor: Actor,
    action: Action,
    kind: "queue" | "topic" | "exchange",
    name: string,
    whole?: boolean,
  ) => void;
  /** The queue of an address, if the client may have to do with it. Throws BrokerError "not-found", "exclusive". */
  readonly queueFor: (client: Client, address: Address) => Queue;
  /** Where an actor's sends to an address go. Throws BrokerError. */
  readonly admission: (address: Address, actor: Actor) => Admission;
}

/** What clients ask of the exchanges of one virtual host: to be declared, bound, deleted, sent to, received from. */
export class ExchangeRequests {
  private readonly options: ExchangeRequestsOptions;
  private readonly exchanges: Exchanges;

  constructor(options: ExchangeRequestsOptions) {
    this.options = options;
    this.exchanges = options.exchanges;
  }

  /** See `Client.declareExchange`. */
  declare(client: Client, declaration: ExchangeDeclaration): void {
    const { name } = declaration;
    const { hostName, check, checkRoom } = this.options;
    if (name === DEFAULT_EXCHANGE) throw onDefault();
    const found = this.exchanges.find(name);
    if (found !== undefined) {
      const difference = found.difference(declaration);
      if (difference === undefined) return;
      const [what, rest = ""] = difference.split(": ");
      throw new BrokerError("conflict", `${what} for exchange '${name}' in vhost '${hostName}': ${rest}`);
    }
    if (name.startsWith(RESERVED)) {
      throw new BrokerError("not-authorized", `exchange name '${name}' contains reserved prefix '${RESERVED}*'`);
    }
    check(client, "create", "exchange", name);
    // What it leads nowhere goes there without asking.
    if (declaration.alternate !== undefined) this.checkRight(client, rightToLead(declaration.alternate));
    checkRoom();
    // Throws when the name is too long, before there is an exchange that nobody can send to.
    exchangeAddress(name, "");
    this.exchanges.declare(declaration.alternate === undefined ? declaration : madeBy(client, declaration));
  }

  /** See `Client.deleteExchange`. */
  delete(client: Client, name: string, { ifUnused }: { readonly ifUnused: boolean }): void {
    const { hostName, check } = this.options;
    if (name === DEFAULT_EXCHANGE) throw onDefault();
    check(client, "destroy", "exchange", name);
    const exchange = this.exchanges.find(name);
    if (exchange === undefined) return;
    if (exchange.predeclared) {
      throw new BrokerError("not-authorized", `exchange '${name}' in vhost '${hostName}' is the broker's own`);
    }
    if (ifUnused && exchange.bindings.size > 0) {
      throw new BrokerError("in-use", `exchange '${name}' in vhost '${hostName}' in use`);
    }
    this.exchanges.remove(exchange);
  }

  /** See `Client.bindQueue`. */
  bindQueue(client: Client, queue: Address, binding: BindingDeclaration): void {
    const end = this.queueEnd(client, queue);
    this.exchanges.bind(this.source(client, binding), end, madeBy(client, binding));
  }

  /** See `Client.unbindQueue`. */
  unbindQueue(client: Client, queue: Address, binding: BindingDeclaration): void {
    const end = this.queueEnd(client, queue);
    this.exchanges.unbind(this.source(client, binding), end, binding);
  }

  /** See `Client.bindExchange`. */
  bindExchange(client: Client, destination: string, binding: BindingDeclaration): void {
    const source = this.source(client, binding);
    this.exchanges.bind(source, this.exchangeEnd(client, destination, source, binding), madeBy(client, binding));
  }

  /** See `Client.unbindExchange`. */
  unbindExchange(client: Client, destination: string, binding: BindingDeclaration): void {
    const source = this.source(client, binding);
    this.exchanges.unbind(source, this.exchangeEnd(client, destination, source, binding), binding);
  }

  /** Gives a subscriber what an exchange leads on with a key, until `Exchanges.unsubscribe`. Throws BrokerError. */
  subscribe(feed: TopicFeed, { address, text }: Pattern): void {
    if (address === undefined) {
      throw new BrokerError("bad-request", `${text} has a wildcard for exchanges; expected the name of one, and a key`);
    }
    const [source = "", key = ""] = address.levels;
    if (source === DEFAULT_EXCHANGE || source === TOPIC_EXCHANGE) {
      throw new BrokerError("bad-request", `What exchange '${source}' leads to is subscribed to as a queue or a topic`);
    }
    const { client, id } = feed.subscription;
    const binding = { source, key, arguments: new Map() };
    const end = { to: feed, name: `subscriber ${client.id}/${id}`, owner: feed, stored: undefined };
    this.exchanges.bind(this.source(client, binding), end, binding);
  }

  /** Throws BrokerError("not-authorized") when a client may not subscribe to an exchange any more. */
  checkSource(client: Client, { address }: Pattern): void {
    this.options.check(client, "receive", "exchange", address?.levels[0] ?? "");
  }

  /** See `Client.exchangeRoute`. */
  route(client: Client, exchange: string, key: string): Route {
    const { admission, check } = this.options;
    const address = this.exchanges.addressOf(exchange, key);
    const { permissions } = client;
    if (exchange !== DEFAULT_EXCHANGE) return new Route([address], (to) => admission(to, client), permissions);
    const wayTo = (to: Address): Admission => {
      check(client, "send", "queue", to.name);
      return this.exchanges.wayToQueue(to, key);
    };
    return new Route([address], wayTo, permissions);
  }

  /** See `Client.exchangeRouteOfAll`. */
  routeOfAll(client: Client, exchange: string, keys: readonly string[], apart: boolean): Route {
    const { admission, check } = this.options;
    const { permissions } = client;
    const addresses = Array.from(new Set(keys), (key) => this.exchanges.addressOf(exchange, key));
    const [address] = addresses;
    if (exchange === DEFAULT_EXCHANGE) {
      const wayTo = (to: Address): Admission => {
        check(client, "send", "queue", to.name);
        return this.exchanges.wayToQueue(to, routingOf(to).key);
      };
      return new Route(addresses, wayTo, permissions);
    }
    if (apart || exchange === TOPIC_EXCHANGE || address === undefined) {
      return new Route(addresses, (to) => admission(to, client), permissions);
    }
    const wayTo = (to: Address): Admission =>
      this.exchanges.wayOfAll(
        this.checkedExchange(exchange, client),
        addresses.map((each) => routingOf(each).key),
        to,
      );
    return new Route([address], wayTo, permissions);
  }

  /** Where an actor's sends go to the address of an exchange. Throws BrokerError. */
  admission(address: Address, actor: Actor): Admission {
    const [name = "", key = ""] = address.levels;
    if (name === DEFAULT_EXCHANGE || name === TOPIC_EXCHANGE) {
      return this.options.admission(exchangeAddress(name, key), actor);
    }
    return this.exchanges.way(this.checkedExchange(name, actor), key, address);
  }

  /** An exchange that an actor may send to. Throws BrokerError. */
  private checkedExchange(name: string, actor: Actor): Exchange {
    this.options.check(actor, "send", "exchange", name);
    const exchange = this.exchanges.get(name);
    if (exchange.declaration.internal) {
      const where = `exchange '${name}' in vhost '${this.options.hostName}'`;
      throw new BrokerError("not-authorized", `cannot publish to internal ${where}`);
    }
    return exchange;
  }

  /** The exchange that a binding leads on from. */
  private source(client: Client, { source, key }: BindingDeclaration): Exchange {
    if (source === DEFAULT_EXCHANGE) throw onDefault();
    const exchange = this.exchanges.get(source);
    // Nobody can leave out a part of what comes by a binding: it stays when its maker has gone.
    if (source === TOPIC_EXCHANGE) this.options.check(client, "receive", "topic", topicPattern(key).text, true);
    else this.options.check(client, "receive", "exchange", source);
    return exchange;
  }

  private queueEnd(client: Client, address: Address): BindingEnd {
    const queue = this.options.queueFor(client, address);
    this.options.check(client, "send", "queue", address.name);
    return this.exchanges.toQueue(queue, address);
  }

  private exchangeEnd(client: Client, name: string, source: Exchange, { key }: BindingDeclaration): BindingEnd {
    if (name === DEFAULT_EXCHANGE) throw onDefault();
    const exchange = this.exchanges.get(name);
    this.checkRight(client, rightToBind(source, key, name));
    return toExchange(exchange);
  }

  private checkRight(client: Client, { kind, name }: LeadingRight): void {
    this.options.check(client, "send", kind, name, true);
  }
}

/** By whose rights it goes from now on. */
function madeBy<T extends BindingDeclaration | ExchangeDeclaration>(client: Client, declaration: T): T {
  return { ...declaration, maker: client.permissions.subject };
}

function onDefault(): BrokerError {
  return new BrokerError("not-authorized", "operation not permitted on the default exchange");
}
