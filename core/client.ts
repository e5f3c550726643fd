import { type Login, type Permissions, subjectOf } from "./access/access.ts";
import { Address, type AddressKind } from "./addresses/address.ts";
import type { Engine } from "./engine.ts";
import { Entry } from "./queue/entry.ts";
import { BrokerError } from "./errors.ts";
import type { BindingDeclaration, ExchangeDeclaration } from "./exchanges/exchange.ts";
import type { Gate, GateWaiter } from "./memory/gate.ts";
import type { Message } from "./message.ts";
import type { ClientListener, Consumer, Delivery, EvictionCause, Outcome, Peer } from "./protocol.ts";
import type { QueueDeclaration, QueueStatus } from "./queue/queue-declaration.ts";
import type { Queue } from "./queue/queue.ts";
import type { HostSession } from "./sessions/session.ts";
import { Route } from "./routing/route.ts";
import type { Timer } from "./time/clock.ts";
import type { Tracer, Traffic } from "./traffic.ts";
import type { SubscribeOptions, Subscription } from "./subscription.ts";
import { type HeldDeliveries, Transaction, type TransactionOwner, type Work } from "./transaction.ts";
import type { VirtualHost } from "./virtual-host.ts";
import type { Will } from "./sessions/wills.ts";

/** A confirmation that waits for a batch of the store. */
interface Confirm {
  readonly batch: number;
  readonly token: string | number;
}

/** What a virtual host asks to know of a session that connects. */
export interface ConnectOptions {
  readonly peer: Peer;
  readonly login: Login;
  /** `STOMP 1.2`, for people. */
  readonly protocol: string;
  readonly clientId?: string | undefined;
  readonly listener: ClientListener;
}

/** What its virtual host makes a client of. */
export interface ClientOptions extends ConnectOptions {
  readonly permissions: Permissions;
  /** Bytes of messages that one of its transactions may hold. */
  readonly transactionBytes: number;
}

/** What a client asks for that wants one message of a queue. */
export interface PullOptions {
  readonly address: Address;
  /** False: the message is consumed as soon as the consumer took it. */
  readonly settling: boolean;
  readonly consumer: Consumer;
}

/** When a queue may be deleted. */
export interface DeleteConditions {
  readonly ifUnused: boolean;
  readonly ifEmpty: boolean;
}

/** The core's side of one connection: where its sends go, what it consumes, what it waits for. */
export class Client implements GateWaiter, TransactionOwner {
  /** Unique for ever: `default-2-1f`. */
  readonly id: string;
  readonly host: VirtualHost;
  readonly peer: Peer;
  readonly protocol: string;
  /** What it calls itself, where its protocol has a word for that. */
  readonly clientId: string | undefined;
  /** Milliseconds since 1970. */
  readonly connectedAt: number;
  readonly permissions: Permissions;
  readonly subscriptions = new Set<Subscription>();
  closed = false;
  /** Messages sent by it, and their bytes. */
  published = 0;
  publishedBytes = 0;
  /** The session it has opened, if any. */
  session: HostSession | undefined = undefined;
  private currentLogin: Login;
  private readonly engine: Engine;
  private readonly listener: ClientListener;
  private readonly transactionBytes: number;
  private readonly transactions = new Set<Transaction>();
  private readonly temporaries = new Map<string, Address>();
  private readonly tracer: Tracer | undefined;
  private gate: Gate | undefined = undefined;
  /** The newest batch with something this client said. */
  private touched = 0;
  private confirms: Confirm[] = [];
  private confirmsFrom = 0;
  private subscriptionCounter = 0;
  private currentWill: Will | undefined = undefined;
  private expiry: Timer | undefined = undefined;

  constructor(id: string, host: VirtualHost, engine: Engine, options: ClientOptions) {
    this.id = id;
    this.host = host;
    this.engine = engine;
    this.tracer = engine.traffic.tracer;
    this.currentLogin = options.login;
    this.permissions = options.permissions;
    this.peer = options.peer;
    this.protocol = options.protocol;
    this.clientId = options.clientId;
    this.connectedAt = engine.clock.now();
    this.listener = options.listener;
    this.transactionBytes = options.transactionBytes;
    this.watchExpiry();
  }

  get login(): Login {
    return this.currentLogin;
  }

  get user(): string | undefined {
    return this.currentLogin.user;
  }

  /**
   * The same user has logged in anew, maybe with other groups. What it does from now on is checked by the new login, and so
   * are its routes and its will; what it has open and may not have any more is ended after this turn, as when rules change.
   * Throws BrokerError for another user.
   */
  renewLogin(login: Login): void {
    if (login.user !== this.user) {
      throw new BrokerError(
        "not-authenticated",
        `The new login is of user ${login.user ?? "(none)"}; expected ${this.user ?? "(none)"}, whose connection this is`,
      );
    }
    this.currentLogin = login;
    this.permissions.become(subjectOf(login, this.peer, this.clientId));
    this.session?.loginRenewed();
    this.watchExpiry();
    this.engine.clock.endOfTurn(() => this.host.review.client(this));
    if (this.currentWill === undefined) return;
    this.host.wills.set(this, this.currentWill);
    this.touch();
  }

  /** True after a send that filled something up: handle no more input until `ClientListener.unblocked`. */
  get blocked(): boolean {
    return this.gate !== undefined;
  }

  /** What watches the messages it is given. */
  get traffic(): Traffic {
    return this.engine.traffic;
  }

  /** Why the broker is not reading from this client. */
  get waitingOn(): string {
    if (this.gate !== undefined) return `blocked sending to: ${this.gate.subject}`;
    const { heldBy } = this.peer;
    return heldBy === undefined ? "client request" : `held up by ${heldBy}`;
  }

  /** The ways that its session keeps to where it sends: those it used lately, if they are very many. */
  routes(): Iterable<Route> {
    return this.listener.routes?.() ?? [];
  }

  /** Where sends to these addresses go; makes what may be made. Keep it: it renews itself. Throws BrokerError. */
  route(addresses: readonly Address[]): Route {
    return new Route(addresses, (address) => this.host.admission(address, this), this.permissions);
  }

  /** Sends a message, or holds it until the transaction commits. Throws BrokerError. */
  publish(route: Route, message: Message, transaction?: Transaction): void {
    if (transaction !== undefined) {
      this.include(transaction, { do: "publish", route, message });
      return;
    }
    this.send(route, message, false);
  }

  /** Sets the retained message of the topics of a route, or with undefined removes it. Publishes nothing. */
  retain(route: Route, message: Message | undefined, transaction?: Transaction): void {
    for (const address of route.addresses) {
      if (address.kind !== "topic")
        throw new BrokerError(
          "bad-request",
          `Only topics retain a message; ${address.name} is of the kind ${address.kind}`,
        );
    }
    if (transaction !== undefined) {
      this.include(transaction, { do: "retain", route, message });
      return;
    }
    if (message === undefined) route.checkRights();
    else route.check(message);
    this.keepRetained(route, message);
  }

  /** Published if it closes with this still set; see `Wills`. To be set after a session was opened. */
  get will(): Will | undefined {
    return this.currentWill;
  }

  set will(will: Will | undefined) {
    if (this.closed || will === this.currentWill) return;
    this.currentWill = will;
    this.host.wills.set(this, will);
    this.touch();
  }

  /** Begins to receive; the first message comes at the end of this turn at the earliest. Throws BrokerError. */
  subscribe(options: SubscribeOptions): Subscription {
    const writes = this.engine.writes;
    const subscription = this.host.attachments.subscribe(this, this.nextSubscriptionId(), options);
    if (this.engine.writes !== writes) this.touched = this.engine.store.gathering;
    return subscription;
  }

  /**
   * Asks for one message of a queue: `consumer.deliver` gets it, or `consumer.exhausted` is told that there is none; in this
   * turn unless something must be read. The subscription settles what came; it ends by itself then. Throws BrokerError.
   */
  pull(options: PullOptions): Subscription {
    const writes = this.engine.writes;
    const subscription = this.host.requests.pull(this, this.nextSubscriptionId(), options);
    if (this.engine.writes !== writes) this.touched = this.engine.store.gathering;
    return subscription;
  }

  /** Makes a queue, or finds that it is as declared. Throws BrokerError "conflict" if it differs, "exclusive" if it is another's. */
  declareQueue(declaration: QueueDeclaration): QueueStatus {
    const { name } = declaration.address;
    const isNew = !this.host.queues.has(name);
    const status = this.noting(() => this.host.requests.declare(this, declaration));
    if (isNew && !declaration.exclusive) this.host.audit.done(this, "declare", "queue", name);
    if (declaration.exclusive) this.temporaries.set(`queue ${status.address.name}`, status.address);
    return status;
  }

  /** What a queue has. Throws BrokerError "not-found", or "exclusive" if it is another connection's. */
  checkQueue(address: Address): QueueStatus {
    return this.host.requests.status(this, address);
  }

  /** Deletes a queue; returns how many messages went with it, none if it is not there. Throws BrokerError "in-use", "exclusive". */
  deleteQueue(address: Address, only: DeleteConditions): number {
    const isThere = this.host.queues.has(address.name);
    const count = this.noting(() => this.host.requests.delete(this, address, only));
    const isExclusive = this.temporaries.delete(`queue ${address.name}`);
    if (isThere && !isExclusive) this.host.audit.done(this, "delete", "queue", address.name);
    return count;
  }

  /** Throws away what nobody holds of a queue; returns how many messages that were. Throws BrokerError. */
  purgeQueue(address: Address): number {
    const count = this.noting(() => this.host.requests.purge(this, address));
    this.host.audit.done(this, "purge", "queue", address.name);
    return count;
  }

  /** Makes an exchange, or finds that it is as declared. Throws BrokerError "conflict" if it differs. */
  declareExchange(declaration: ExchangeDeclaration): void {
    const isNew = this.host.exchanges.find(declaration.name) === undefined;
    this.noting(() => this.host.exchangeRequests.declare(this, declaration));
    if (isNew) this.host.audit.done(this, "declare", "exchange", declaration.name);
  }

  /** What an exchange is. Throws BrokerError "not-found", "not-authorized". */
  checkExchange(name: string): ExchangeDeclaration {
    this.host.guard.checkSight(this, "exchange", name);
    return this.host.exchanges.get(name).declaration;
  }

  /** Deletes an exchange, if it is there, with all its bindings. Throws BrokerError "in-use", "not-authorized". */
  deleteExchange(name: string, only: { readonly ifUnused: boolean }): void {
    const isThere = this.host.exchanges.find(name) !== undefined;
    this.noting(() => this.host.exchangeRequests.delete(this, name, only));
    if (isThere) this.host.audit.done(this, "delete", "exchange", name);
  }

  /** Has an exchange lead to a queue; the same binding twice is one. Throws BrokerError "not-found", "exclusive". */
  bindQueue(queue: Address, binding: BindingDeclaration): void {
    this.noting(() => this.host.exchangeRequests.bindQueue(this, queue, binding));
  }

  /** Takes a binding back, if it is there. Throws BrokerError "not-found" for the exchange or the queue. */
  unbindQueue(queue: Address, binding: BindingDeclaration): void {
    this.noting(() => this.host.exchangeRequests.unbindQueue(this, queue, binding));
  }

  /** Has an exchange lead to another one. Throws BrokerError "not-found". */
  bindExchange(destination: string, binding: BindingDeclaration): void {
    this.noting(() => this.host.exchangeRequests.bindExchange(this, destination, binding));
  }

  /** Takes a binding back, if it is there. Throws BrokerError "not-found" for either exchange. */
  unbindExchange(destination: string, binding: BindingDeclaration): void {
    this.noting(() => this.host.exchangeRequests.unbindExchange(this, destination, binding));
  }

  /**
   * Where sends to an exchange with a key go; nothing is made for it. Keep it: it renews itself, which throws like this when
   * the exchange is gone. `addresses[0]` is the address for the messages. The exchange "" leads to the queue of the key's
   * name, or nowhere. Throws BrokerError "not-found", "not-authorized".
   */
  exchangeRoute(exchange: string, key: string): Route {
    return this.host.exchangeRequests.route(this, exchange, key);
  }

  /**
   * Where sends to an exchange with several keys go, as one: whoever is led to by more than one of them gets a message once, and
   * it is refused as a whole. For a single message. `apart`: each key by itself, as what is for later has to be.
   */
  exchangeRouteOfAll(exchange: string, keys: readonly string[], apart: boolean): Route {
    return this.host.exchangeRequests.routeOfAll(this, exchange, keys, apart);
  }

  /** A number for a subscription that no other one of this client has. */
  nextSubscriptionId(): number {
    return ++this.subscriptionCounter;
  }

  /** Something was just written on behalf of this client: what it asks to be confirmed from now on waits for that. */
  touch(): void {
    this.touched = this.engine.store.gathering;
  }

  /** Whether a delivery's message is still to be written; if so, what is to be confirmed from now on waits for that too. */
  awaits(delivery: Delivery): boolean {
    if (!(delivery instanceof Entry) || delivery.batch <= this.engine.store.durable) return false;
    if (delivery.batch > this.touched) this.touched = delivery.batch;
    return true;
  }

  /** Deletes a durable subscription with what it holds, attached or not. Throws BrokerError. */
  deleteDurable(id: string): void {
    this.host.deleteDurable(id, this);
    this.touched = this.engine.store.gathering;
  }

  /** Settles a delivery, now or when the transaction commits. Credit comes back at once. */
  settle(subscription: Subscription, delivery: Delivery, outcome: Outcome, transaction?: Transaction): void {
    const size = delivery.size;
    if (transaction !== undefined) {
      const { open } = transaction;
      try {
        this.include(transaction, { do: "settle", subscription, delivery, outcome });
      } catch (refusal) {
        // It grew over its limit: the delivery has gone back with the others, whose credit came back when they were settled.
        if (open) subscription.refill(size);
        throw refusal;
      }
    } else {
      const writes = this.engine.writes;
      subscription.settle(delivery, outcome);
      if (this.engine.writes !== writes) this.touched = this.engine.store.gathering;
    }
    subscription.refill(size);
  }

  begin(): Transaction {
    const transaction = new Transaction(this);
    this.transactions.add(transaction);
    return transaction;
  }

  /** Calls `ClientListener.confirmed(token)` once all that this client has said so far is safe: maybe at once. */
  confirm(token: string | number): void {
    if (this.touched <= this.engine.store.durable) {
      this.listener.confirmed(token);
      return;
    }
    if (this.confirms.length === this.confirmsFrom) this.host.awaitDurable(this, this.touched);
    this.confirms.push({ batch: this.touched, token });
  }

  /** Confirmations that wait for the disk. */
  get unconfirmed(): number {
    return this.confirms.length - this.confirmsFrom;
  }

  /** Batches up to this one are on disk; returns true while confirmations wait for later ones. */
  durable(batch: number): boolean {
    const confirms = this.confirms;
    let from = this.confirmsFrom;
    for (; from < confirms.length; from++) {
      const confirm = confirms[from];
      if (confirm === undefined || confirm.batch > batch) break;
      this.listener.confirmed(confirm.token);
    }
    if (from === confirms.length) {
      // The same list again, as for `Output`: new ones would be taken for long-lived.
      confirms.length = 0;
      this.confirmsFrom = 0;
      return false;
    }
    this.confirmsFrom = from;
    if (from > 1024 && from * 2 > confirms.length) {
      this.confirms = confirms.slice(from);
      this.confirmsFrom = 0;
    }
    return true;
  }

  /** A destination that lives with this client: anyone may send to it, only this client may consume from it. */
  temporary(kind: AddressKind, name: string): Address {
    const key = `${kind} ${name}`;
    let address = this.temporaries.get(key);
    if (address === undefined) {
      address = new Address(kind, ["temp", this.id, name]);
      this.host.addTemporary(address, this);
      this.temporaries.set(key, address);
    }
    return address;
  }

  /** Deletes a temporary destination of this client before its time, with what it holds. */
  dropTemporary(address: Address): void {
    for (const [key, there] of this.temporaries) {
      if (there !== address) continue;
      this.temporaries.delete(key);
      this.host.removeTemporary(address);
    }
  }

  /** A queue that it had declared for itself alone was deleted. */
  exclusiveGone(name: string): void {
    this.temporaries.delete(`queue ${name}`);
  }

  /** The queues and topics that live with it. */
  get ownDestinations(): Iterable<Address> {
    return this.temporaries.values();
  }

  private watchExpiry(): void {
    this.expiry?.cancel();
    this.expiry = undefined;
    const { user, expiresAt } = this.currentLogin;
    if (expiresAt === undefined) return;
    this.expiry = this.engine.clock.after(expiresAt - this.engine.clock.now(), () => {
      this.evict(`The login of user ${user ?? "(none)"} has expired; log in with a new token`, "expired");
    });
  }

  /** Ends the session: consumers, transactions and temporary destinations with it. */
  close(): void {
    if (this.closed) return;
    this.closed = true;
    this.expiry?.cancel();
    this.gate?.leave(this);
    this.gate = undefined;
    for (const subscription of this.subscriptions) subscription.close();
    for (const transaction of this.transactions) transaction.abort();
    for (const address of this.temporaries.values()) this.host.removeTemporary(address);
    this.confirms = [];
    this.confirmsFrom = 0;
    this.session?.disconnected();
    this.host.wills.left(this, this.session === undefined ? 0 : this.host.sessions.leftMs(this.session.id));
    this.host.disconnected(this);
  }

  /** Has the session end the connection, with a reason for the peer and the log. */
  evict(reason: string, cause?: EvictionCause): void {
    if (!this.closed) this.listener.evicted(reason, cause);
  }

  gateOpened(): void {
    this.gate = undefined;
    if (this.closed) return;
    const { brake } = this.engine;
    if (brake === undefined) this.listener.unblocked();
    else this.waitAt(brake);
  }

  carryOut(work: readonly Work[]): void {
    for (const item of work) {
      // The first gate that closes is waited at; a commit is never cut in two by it.
      if (item.do === "publish") this.send(item.route, item.message, true);
      else if (item.do === "retain") this.keepRetained(item.route, item.message);
      else {
        const writes = this.engine.writes;
        item.subscription.settle(item.delivery, item.outcome);
        if (this.engine.writes !== writes) this.touched = this.engine.store.gathering;
      }
    }
  }

  giveBack(held: Iterable<HeldDeliveries>): void {
    const writes = this.engine.writes;
    const queues = new Set<Queue>();
    for (const { holder, entries } of held) {
      holder.queue.giveBack(holder, entries, "failed");
      queues.add(holder.queue);
    }
    for (const queue of queues) queue.dispatch();
    if (this.engine.writes !== writes) this.touched = this.engine.store.gathering;
  }

  ended(transaction: Transaction): void {
    this.transactions.delete(transaction);
  }

  keep(message: Message): void {
    this.engine.slab.keep(message);
  }

  /** Does something: what is to be confirmed from now on waits for what it wrote, if anything. */
  private noting<T>(act: () => T): T {
    const { writes } = this.engine;
    const result = act();
    if (this.engine.writes !== writes) this.touch();
    return result;
  }

  /** What was checked. */
  private keepRetained({ addresses }: Route, message: Message | undefined): void {
    const writes = this.engine.writes;
    for (const address of addresses) this.host.retain(address, message);
    if (this.engine.writes !== writes) this.touched = this.engine.store.gathering;
  }

  private send(route: Route, message: Message, checked: boolean): void {
    this.published++;
    this.publishedBytes += message.end - message.start;
    const engine = this.engine;
    const { traffic } = engine;
    if (--traffic.sends <= 0) traffic.follow(message);
    const writes = engine.writes;
    let gate: Gate | undefined;
    if (this.tracer === undefined) gate = route.publish(message, this, checked);
    else gate = this.sendTraced(route, message, checked, this.tracer);
    if (engine.writes !== writes) {
      this.touched = engine.store.gathering;
      if (engine.storeGate.closed) gate = engine.storeGate;
    }
    if (engine.brake !== undefined) gate = engine.brake;
    if (gate !== undefined) this.waitAt(gate);
  }

  private sendTraced(route: Route, message: Message, checked: boolean, tracer: Tracer): Gate | undefined {
    try {
      const gate = route.publish(message, this, checked);
      tracer.published(message, this);
      return gate;
    } catch (refusal) {
      tracer.published(message, this, refusal);
      throw refusal;
    }
  }

  private include(transaction: Transaction, work: Work): void {
    if (!transaction.open) throw new BrokerError("bad-request", "The transaction has ended");
    transaction.add(work);
    if (transaction.bytes <= this.transactionBytes && transaction.size <= MAX_TRANSACTION_WORK) return;
    const found = `${transaction.size} operations with ${transaction.bytes} bytes`;
    transaction.abort();
    throw new BrokerError(
      "limit",
      `The transaction grew to ${found}; at most ${MAX_TRANSACTION_WORK} operations and ${this.transactionBytes} bytes ` +
        "are allowed (transactions.max_bytes); it was rolled back",
    );
  }

  private waitAt(gate: Gate): void {
    // What was sent after the gate closed may have opened it again; nobody would call then.
    if (this.gate !== undefined || !gate.closed) return;
    this.gate = gate;
    gate.wait(this);
  }
}

/** Operations in one transaction: what can be carried out within one turn without stalling everybody else. */
const MAX_TRANSACTION_WORK = 100_000;
