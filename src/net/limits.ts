/*
 * How much users, addresses, listeners, virtual hosts and connections may do.
 *
 *     a connection comes  -> its address, its listener     \   each has an account while it has connections, and until what
 *     its client logs in  -> its user, its virtual host    /   it owes is paid: who reconnects does not begin anew
 *
 *     accounts with rates -> two meters of the connection, in and out
 *
 * Without limits nothing is looked up and no connection has meters. Other limits hold for who is there too: all are counted
 * anew, some in each turn. Nobody is sent away for it.
 */
import type { Client } from "../../core/client.ts";
import type { ClientLimits } from "../../core/client-limits.ts";
import { BrokerError } from "../../core/errors.ts";
import type { Clock } from "../../core/time/clock.ts";
import type { Config } from "../config/schema.ts";
import { Bucket } from "./bucket.ts";
import { Connection } from "./connection.ts";
import { addressSubject, type LimitRule, LimitRules, PERS, type Per, type Tally } from "./limit-rules.ts";
import { type Allowance, Meter, owedMs } from "./meter.ts";
import { Rate } from "./rate.ts";

/** Accounts without connections that are kept because they still owe something. */
const MOST_IDLE = 10_000;
/**
 * Connections that wait to be refused in the words of their protocol, for each address or listener; more are cut. Otherwise one
 * address could hold all connections of a listener by having them refused.
 */
const MOST_TO_TELL = 100;
/** Connections and clients that are counted anew in one turn. */
const RENEWED_AT_A_TIME = 500;

const WORDS: Readonly<Record<Per, string>> = {
  user: "User",
  address: "Address",
  listener: "Listener",
  virtual_host: "Virtual host",
  connection: "Connection",
};

/** What somebody did of late who is under a limit. */
export interface Account {
  readonly rule: LimitRule;
  readonly subject: string;
  /** Connections that it has. */
  readonly connections: number;
  readonly in: Allowance | undefined;
  readonly out: Allowance | undefined;
}

interface OpenAccount extends Account {
  connections: number;
  /** Those that were refused and do not know it yet. */
  toTell: number;
  readonly connectRate: Rate | undefined;
}

/** A connection that has come, for as long as it is there. */
export interface Arrival {
  /** Why it is not to be let in. */
  readonly refusal: BrokerError | undefined;
  /** Whether it is not even to be told. */
  readonly cut: boolean;
  readonly accounts: readonly OpenAccount[];
  /** Who was too many. */
  readonly refusedBy: OpenAccount | undefined;
  /** By which it was counted. */
  readonly rules: LimitRules | undefined;
}

const UNLIMITED: Arrival = { refusal: undefined, cut: false, accounts: [], refusedBy: undefined, rules: undefined };

/** What came of all limits of one kind, by those that hold no longer too. */
export interface KindTally extends Tally {
  readonly per: Per;
}

/** Who is there when limits change. */
interface Present {
  readonly connections: Iterable<Connection>;
  readonly clients: Iterable<Client>;
}

/** The limits of one broker. */
export class Limits implements ClientLimits {
  readonly #clock: Clock;
  #rules: LimitRules;
  /** Of limits that held once. */
  readonly #before = new Map<Per, { refused: number; waits: number }>();
  /** By limit and name: those with connections, and those without, of which the last one to go is at the end. */
  readonly #busy = new Map<string, OpenAccount>();
  readonly #idle = new Map<string, OpenAccount>();
  readonly #clients = new Map<Client, readonly OpenAccount[]>();

  constructor(limits: Config["limits"], clock: Clock) {
    this.#clock = clock;
    this.#rules = new LimitRules(limits);
  }

  /** How many users, addresses, listeners and virtual hosts it remembers. */
  get size(): number {
    return this.#busy.size + this.#idle.size;
  }

  /** In the order of the configuration. */
  get rules(): readonly LimitRule[] {
    return this.#rules.all;
  }

  /** What came of limits so far, whenever they held; connections that wait are those of now. */
  tallies(): KindTally[] {
    return PERS.map((per) => {
      const sum = { per, refused: 0, waits: 0, waiting: 0, ...this.#before.get(per) };
      for (const { limit, tally } of this.#rules.all) {
        if (limit.per !== per) continue;
        sum.refused += tally.refused;
        sum.waits += tally.waits;
        sum.waiting += tally.waiting;
      }
      return sum;
    });
  }

  /** Of who has connections or owes something; not those of single connections. */
  *accounts(): Generator<Account> {
    yield* this.#busy.values();
    const now = this.#clock.now();
    for (const account of this.#idle.values()) if (owes(account.in, now) || owes(account.out, now)) yield account;
  }

  /** Takes over other limits, for all who come from now on at once, and for those who are there soon. */
  configure(limits: Config["limits"], present: Present): void {
    for (const { limit, tally } of this.#rules.all) {
      const { refused = 0, waits = 0 } = this.#before.get(limit.per) ?? {};
      this.#before.set(limit.per, { refused: refused + tally.refused, waits: waits + tally.waits });
    }
    this.#rules = new LimitRules(limits);
    this.#busy.clear();
    this.#idle.clear();
    this.#clients.clear();
    this.#renew(this.#rules, this.#renewals(present));
  }

  /** Counts a connection; to be given back to `leave`. */
  arrive(endpoint: string, listener: string): Arrival {
    const rules = this.#rules;
    const accounts = this.#found(endpoint, listener);
    if (accounts.length === 0) return UNLIMITED;
    const refused = this.#refusal(accounts);
    if (refused !== undefined) return this.#refused(refused, []);
    this.#take(accounts);
    return { ...UNLIMITED, accounts, rules };
  }

  /** A connection that was counted comes from elsewhere, as a proxy says: to its listener that is the same one. */
  move(arrival: Arrival, endpoint: string, listener: string): Arrival {
    if (arrival.refusal !== undefined) {
      this.leave(arrival);
      return this.arrive(endpoint, listener);
    }
    const kept = arrival.accounts.filter(({ rule }) => rule.limit.per !== "address");
    for (const account of arrival.accounts) if (!kept.includes(account)) this.#release(account);
    const address = this.#account("address", endpoint);
    if (address === undefined) return { ...arrival, accounts: kept };
    const refused = this.#refusal([address]);
    if (refused !== undefined) return this.#refused(refused, kept);
    this.#take([address]);
    return { ...arrival, accounts: [address, ...kept], rules: this.#rules };
  }

  /** A connection that was counted by limits that hold no longer is counted by those that do. */
  renewed(arrival: Arrival, endpoint: string, listener: string): Arrival {
    if (arrival.rules === this.#rules || arrival.refusal !== undefined) return arrival;
    const accounts = this.#found(endpoint, listener);
    if (accounts.length === 0) return UNLIMITED;
    this.#take(accounts);
    return { ...UNLIMITED, accounts, rules: this.#rules };
  }

  /** Gives a connection the meters of its address and its listener. */
  meter(connection: Connection): void {
    const accounts = connection.arrival?.accounts ?? [];
    if (accounts.length > 0) this.#meter(connection, accounts, undefined);
  }

  /** The connection is gone. */
  leave({ accounts, refusedBy }: Arrival): void {
    for (const account of accounts) this.#release(account);
    if (refusedBy !== undefined) refusedBy.toTell--;
  }

  admit(client: Client): void {
    // Who asks over HTTP has no connection that lasts.
    if (this.#rules.isEmpty || !(client.peer instanceof Connection)) return;
    const accounts = this.#accountsOf(client);
    const refused = this.#refusal(accounts);
    if (refused !== undefined && (refused.error.code === "throttled" || !takesOver(client))) {
      refused.account.rule.tally.refused++;
      throw refused.error;
    }
    this.#count(client, client.peer, accounts);
  }

  release(client: Client): void {
    const accounts = this.#clients.get(client);
    if (accounts === undefined) return;
    this.#clients.delete(client);
    for (const account of accounts) this.#release(account);
  }

  /** Throws BrokerError "throttled" while something is owed by who has no connection that could be held up: over HTTP. */
  check(client: Client, direction: "in" | "out"): void {
    if (this.#rules.isEmpty) return;
    const now = this.#clock.now();
    for (const account of this.#accountsOfRequest(client)) {
      const { rule, subject, [direction]: allowance } = account;
      const ms = allowance === undefined ? 0 : owedMs(allowance, now);
      if (ms === 0) continue;
      rule.tally.waits++;
      const who = `${WORDS[rule.limit.per]} ${subject || "(none)"}`;
      const does = direction === "in" ? "sends" : "takes";
      throw new BrokerError("throttled", `${who} ${does} more than it may (${rule.key}); try again in ${ms} ms`);
    }
  }

  /** Counts what came over HTTP, or went. */
  charge(client: Client, direction: "in" | "out", messages: number, bytes: number): void {
    if (this.#rules.isEmpty) return;
    const now = this.#clock.now();
    for (const account of this.#accountsOfRequest(client)) {
      const allowance = account[direction];
      if (allowance === undefined) continue;
      allowance.messages?.spend(messages, now);
      allowance.bytes?.spend(bytes, now);
      const key = keyOf(account.rule, account.subject);
      if (!this.#busy.has(key)) this.#rest(key, account);
    }
  }

  #accountsOfRequest({ user = "", host, peer }: Client): OpenAccount[] {
    const found = [
      this.#account("user", user),
      this.#account("virtual_host", host.name),
      this.#account("address", peer.remoteAddress),
      this.#account("listener", peer.listener),
    ];
    return found.filter((account) => account !== undefined);
  }

  #count(client: Client, connection: Connection, accounts: readonly OpenAccount[]): void {
    if (accounts.length > 0) {
      this.#take(accounts);
      this.#clients.set(client, accounts);
    }
    // Also where only its address or its listener has a limit: until now nobody could count its messages.
    const all = [...(connection.arrival?.accounts ?? []), ...accounts];
    if (all.length > 0 || connection.isLimited) this.#meter(connection, all, client);
  }

  #renew(rules: LimitRules, renewals: Iterator<void>): void {
    // By others still: that reload has begun anew.
    if (rules !== this.#rules) return;
    for (let count = 0; count < RENEWED_AT_A_TIME; count++) if (renewals.next().done === true) return;
    this.#clock.after(0, () => this.#renew(rules, renewals));
  }

  *#renewals({ connections, clients }: Present): Generator<void> {
    for (const connection of connections) {
      const { arrival, remoteAddress, listener } = connection;
      connection.arrival = this.renewed(arrival ?? UNLIMITED, remoteAddress, listener);
      const { accounts } = connection.arrival;
      if (accounts.length > 0 || connection.isLimited) this.#meter(connection, accounts, undefined);
      yield;
    }
    for (const client of clients) {
      const { peer } = client;
      if (peer instanceof Connection && !this.#clients.has(client)) this.#count(client, peer, this.#accountsOf(client));
      yield;
    }
  }

  /** Of a connection of which no more is known. */
  #found(endpoint: string, listener: string): OpenAccount[] {
    if (this.#rules.isEmpty) return [];
    const found = [this.#account("address", endpoint), this.#account("listener", listener)];
    return found.filter((account) => account !== undefined);
  }

  #accountsOf({ user = "", host }: Client): OpenAccount[] {
    const own = this.#rules.of("connection", user);
    const found = [
      this.#account("user", user),
      this.#account("virtual_host", host.name),
      own === undefined ? undefined : this.#open(own, user),
    ];
    return found.filter((account) => account !== undefined);
  }

  #account(per: Per, name: string): OpenAccount | undefined {
    const rule = this.#rules.of(per, name);
    if (rule === undefined) return undefined;
    const subject = per === "address" ? addressSubject(name) : name;
    const key = keyOf(rule, subject);
    return this.#busy.get(key) ?? this.#idle.get(key) ?? this.#open(rule, subject);
  }

  #open(rule: LimitRule, subject: string): OpenAccount {
    const { limit, key, tally } = rule;
    const now = this.#clock.now();
    const allowance = (messages: number, bytes: number, disconnects: boolean): Allowance | undefined => {
      if (messages === 0 && bytes === 0) return undefined;
      return {
        messages: messages === 0 ? undefined : new Bucket(messages, now),
        bytes: bytes === 0 ? undefined : new Bucket(bytes, now),
        name: `${key} (per ${limit.per})`,
        disconnects,
        tally,
      };
    };
    return {
      rule,
      subject,
      connections: 0,
      toTell: 0,
      connectRate: limit.connect_rate === 0 ? undefined : new Rate(limit.connect_rate, now),
      in: allowance(limit.messages_in, limit.bytes_in, limit.exceeding === "disconnect"),
      out: allowance(limit.messages_out, limit.bytes_out, false),
    };
  }

  #refusal(accounts: readonly OpenAccount[]): { account: OpenAccount; error: BrokerError } | undefined {
    for (const account of accounts) {
      const { rule, subject, connections, connectRate } = account;
      const { limit, key } = rule;
      const who = `${WORDS[limit.per]} ${subject || "(none)"}`;
      if (limit.connections > 0 && connections >= limit.connections) {
        const text = `${who} has ${connections} connections, the most it may have (${key}.connections)`;
        return { account, error: new BrokerError("limit", text) };
      }
      if (connectRate?.take(this.#clock.now()) === false) {
        const rate = `more than ${limit.connect_rate} connections in a second`;
        return { account, error: new BrokerError("throttled", `${who} makes ${rate} (${key}.connect_rate)`) };
      }
    }
    return undefined;
  }

  #refused(
    { account, error }: { readonly account: OpenAccount; readonly error: BrokerError },
    accounts: readonly OpenAccount[],
  ): Arrival {
    account.rule.tally.refused++;
    const cut = ++account.toTell > MOST_TO_TELL;
    return { refusal: error, cut, accounts, refusedBy: account, rules: this.#rules };
  }

  #take(accounts: readonly OpenAccount[]): void {
    for (const account of accounts) {
      account.connections++;
      const { rule, subject } = account;
      if (account.connections > 1 || rule.limit.per === "connection") continue;
      const key = keyOf(rule, subject);
      this.#idle.delete(key);
      this.#busy.set(key, account);
    }
  }

  #release(account: OpenAccount): void {
    account.connections--;
    const key = keyOf(account.rule, account.subject);
    // One from before a reload is known no more.
    if (account.connections > 0 || this.#busy.get(key) !== account) return;
    this.#busy.delete(key);
    this.#rest(key, account);
  }

  #rest(key: string, account: OpenAccount): void {
    this.#idle.delete(key);
    this.#idle.set(key, account);
    const [oldest] = this.#idle.keys();
    if (this.#idle.size > MOST_IDLE && oldest !== undefined) this.#idle.delete(oldest);
  }

  #meter(connection: Connection, accounts: readonly OpenAccount[], client: Client | undefined): void {
    const incoming = accounts.flatMap(({ in: allowance }) => allowance ?? []);
    const outgoing = accounts.flatMap(({ out: allowance }) => allowance ?? []);
    const countsOut = client !== undefined && outgoing.some(({ messages }) => messages !== undefined);
    connection.limit({
      in: incoming.length === 0 ? undefined : new Meter(this.#clock, incoming, () => client?.published ?? 0),
      out:
        outgoing.length === 0
          ? undefined
          : new Meter(this.#clock, outgoing, countsOut ? () => delivered(client) : none),
      exceeded: ({ name }) => client?.evict(`It sends more than it may (${name})`, "too-fast"),
    });
  }
}

function keyOf({ key }: LimitRule, subject: string): string {
  return `${key} ${subject}`;
}

/** Whether a client takes the place of one of the same user that is still here, and about to go. Only MQTT's do. */
function takesOver({ clientId = "", host, user, protocol }: Client): boolean {
  if (clientId === "" || !protocol.startsWith("MQTT")) return false;
  const holder = host.sessions.all.get(`mqtt/${clientId}`)?.connection?.client;
  return holder !== undefined && holder.user === user;
}

function owes(allowance: Allowance | undefined, now: number): boolean {
  return allowance !== undefined && owedMs(allowance, now) > 0;
}

function delivered({ subscriptions }: Client): number {
  let sum = 0;
  for (const subscription of subscriptions) sum += subscription.delivered;
  return sum;
}

function none(): number {
  return 0;
}
