/*
 * How much users, addresses, listeners, virtual hosts and connections may do.
 *
 *     a connection comes  -> its address, its listener     \   each has an account while it has connections, and until what
 *     its client logs in  -> its user, its virtual host    /   it owes is paid: who reconnects does not begin anew
 *
 *     accounts with rates -> two meters of the connection, in and out
 *
 * Without limits nothing is looked up and no connection has meters.
 */
import type { Client } from "../../core/client.ts";
import type { ClientLimits } from "../../core/client-limits.ts";
import { BrokerError } from "../../core/errors.ts";
import type { Clock } from "../../core/time/clock.ts";
import type { Config } from "../config/schema.ts";
import { siteOf } from "../security/addresses.ts";
import { AddressSet, parseNetwork } from "./address-set.ts";
import { Bucket } from "./bucket.ts";
import { Connection } from "./connection.ts";
import { type Allowance, Meter } from "./meter.ts";
import { Rate } from "./rate.ts";

type Limit = Config["limits"][number];
type Per = Limit["per"];

/** Accounts without connections that are kept because they still owe something. */
const MOST_IDLE = 10_000;

const WORDS: Readonly<Record<Per, string>> = {
  user: "User",
  address: "Address",
  listener: "Listener",
  virtual_host: "Virtual host",
  connection: "Connection",
};

/** One limit of the configuration. */
interface Rule {
  readonly limit: Limit;
  readonly key: string;
  readonly fits: (subject: string) => boolean;
}

/** What somebody did of late who is under a limit. */
interface Account {
  readonly rule: Rule;
  readonly subject: string;
  connections: number;
  readonly connectRate: Rate | undefined;
  readonly in: Allowance | undefined;
  readonly out: Allowance | undefined;
}

/** A connection that has come, for as long as it is there. */
export interface Arrival {
  /** Why it is not to be let in. */
  readonly refusal: BrokerError | undefined;
  readonly accounts: readonly Account[];
}

const UNLIMITED: Arrival = { refusal: undefined, accounts: [] };

/** The limits of one broker. */
export class Limits implements ClientLimits {
  readonly #clock: Clock;
  #rules: readonly Rule[];
  /** By kind and name: those with connections, and those without, of which the last one to go is at the end. */
  readonly #busy = new Map<string, Account>();
  readonly #idle = new Map<string, Account>();
  readonly #clients = new Map<Client, readonly Account[]>();

  constructor(limits: Config["limits"], clock: Clock) {
    this.#clock = clock;
    this.#rules = limits.map(ruleOf);
  }

  /** How many users, addresses, listeners and virtual hosts it remembers. */
  get size(): number {
    return this.#busy.size + this.#idle.size;
  }

  /** Takes over other limits, for connections and logins from now on. */
  configure(limits: Config["limits"]): void {
    this.#rules = limits.map(ruleOf);
    this.#busy.clear();
    this.#idle.clear();
  }

  /** Counts a connection; to be given back to `leave`. */
  arrive(endpoint: string, listener: string): Arrival {
    if (this.#rules.length === 0) return UNLIMITED;
    const found = [this.#account("address", addressSubject(endpoint)), this.#account("listener", listener)];
    const accounts = found.filter((account) => account !== undefined);
    if (accounts.length === 0) return UNLIMITED;
    const refusal = this.#refusal(accounts);
    if (refusal !== undefined) return { refusal, accounts: [] };
    this.#take(accounts);
    return { refusal, accounts };
  }

  /** A connection that was counted comes from elsewhere, as a proxy says: to its listener that is the same one. */
  move(arrival: Arrival, endpoint: string, listener: string): Arrival {
    if (arrival.refusal !== undefined) return this.arrive(endpoint, listener);
    const kept = arrival.accounts.filter(({ rule }) => rule.limit.per !== "address");
    for (const account of arrival.accounts) if (!kept.includes(account)) this.#release(account);
    const address = this.#account("address", addressSubject(endpoint));
    if (address === undefined) return { refusal: undefined, accounts: kept };
    const refusal = this.#refusal([address]);
    if (refusal !== undefined) return { refusal, accounts: kept };
    this.#take([address]);
    return { refusal, accounts: [address, ...kept] };
  }

  /** Gives a connection the meters of its address and its listener. */
  meter(connection: Connection): void {
    const accounts = connection.arrival?.accounts ?? [];
    if (accounts.length > 0) this.#meter(connection, accounts, undefined);
  }

  /** The connection is gone. */
  leave({ accounts }: Arrival): void {
    for (const account of accounts) this.#release(account);
  }

  admit(client: Client): void {
    const { user = "", host, peer } = client;
    // Who asks over HTTP has no connection that lasts.
    if (this.#rules.length === 0 || !(peer instanceof Connection)) return;
    const found = [
      this.#account("user", user),
      this.#account("virtual_host", host.name),
      this.#fresh("connection", user),
    ];
    const accounts = found.filter((account) => account !== undefined);
    if (accounts.length === 0) return;
    const refusal = this.#refusal(accounts);
    if (refusal?.code === "throttled" || (refusal !== undefined && !this.#takesOver(client))) throw refusal;
    this.#take(accounts);
    this.#clients.set(client, accounts);
    this.#meter(peer, [...(peer.arrival?.accounts ?? []), ...accounts], client);
  }

  release(client: Client): void {
    const accounts = this.#clients.get(client);
    if (accounts === undefined) return;
    this.#clients.delete(client);
    for (const account of accounts) this.#release(account);
  }

  #account(per: Per, subject: string): Account | undefined {
    const key = keyOf(per, subject);
    return this.#busy.get(key) ?? this.#idle.get(key) ?? this.#fresh(per, subject);
  }

  #fresh(per: Per, subject: string): Account | undefined {
    const rule = this.#rules.find(({ limit, fits }) => limit.per === per && fits(subject));
    if (rule === undefined) return undefined;
    const { limit, key } = rule;
    const now = this.#clock.now();
    const allowance = (messages: number, bytes: number, disconnects: boolean): Allowance | undefined => {
      if (messages === 0 && bytes === 0) return undefined;
      return {
        messages: messages === 0 ? undefined : new Bucket(messages, now),
        bytes: bytes === 0 ? undefined : new Bucket(bytes, now),
        name: `${key} (per ${per})`,
        disconnects,
      };
    };
    return {
      rule,
      subject,
      connections: 0,
      connectRate: limit.connect_rate === 0 ? undefined : new Rate(limit.connect_rate, now),
      in: allowance(limit.messages_in, limit.bytes_in, limit.exceeding === "disconnect"),
      out: allowance(limit.messages_out, limit.bytes_out, false),
    };
  }

  #refusal(accounts: readonly Account[]): BrokerError | undefined {
    for (const { rule, subject, connections, connectRate } of accounts) {
      const { limit, key } = rule;
      const who = `${WORDS[limit.per]} ${subject || "(none)"}`;
      if (limit.connections > 0 && connections >= limit.connections) {
        return new BrokerError(
          "limit",
          `${who} has ${connections} connections, the most it may have (${key}.connections)`,
        );
      }
      if (connectRate?.take(this.#clock.now()) === false) {
        const rate = `more than ${limit.connect_rate} connections in a second`;
        return new BrokerError("throttled", `${who} makes ${rate} (${key}.connect_rate)`);
      }
    }
    return undefined;
  }

  /** Whether a client takes the place of one that is still here: that one is about to go. */
  #takesOver(client: Client): boolean {
    const { clientId, host } = client;
    if (clientId === undefined || clientId === "") return false;
    for (const other of host.clients) {
      if (other.clientId === clientId && other.user === client.user && this.#clients.has(other)) return true;
    }
    return false;
  }

  #take(accounts: readonly Account[]): void {
    for (const account of accounts) {
      account.connections++;
      const { rule, subject } = account;
      if (account.connections > 1 || rule.limit.per === "connection") continue;
      const key = keyOf(rule.limit.per, subject);
      this.#idle.delete(key);
      this.#busy.set(key, account);
    }
  }

  #release(account: Account): void {
    account.connections--;
    const { rule, subject } = account;
    const key = keyOf(rule.limit.per, subject);
    // One from before a reload is known no more.
    if (account.connections > 0 || this.#busy.get(key) !== account) return;
    this.#busy.delete(key);
    this.#idle.set(key, account);
    const [oldest] = this.#idle.keys();
    if (this.#idle.size > MOST_IDLE && oldest !== undefined) this.#idle.delete(oldest);
  }

  #meter(connection: Connection, accounts: readonly Account[], client: Client | undefined): void {
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

function keyOf(per: Per, subject: string): string {
  return `${per} ${subject}`;
}

function delivered({ subscriptions }: Client): number {
  let sum = 0;
  for (const subscription of subscriptions) sum += subscription.delivered;
  return sum;
}

function none(): number {
  return 0;
}

function ruleOf(limit: Limit, index: number): Rule {
  return { limit, key: `limits[${index}]`, fits: fitting(limit.per, limit.match) };
}

function fitting(per: Per, match: readonly string[]): (subject: string) => boolean {
  if (match.length === 0) return () => true;
  if (per === "address") {
    const networks = new AddressSet(match.filter((text) => parseNetwork(text) !== undefined));
    return (subject) => networks.has(subject.replace(/\/64$/, ""));
  }
  const expressions = match.map((text) => {
    const parts = text.split("*").map((part) => part.replace(/[.*+?^${}()|[\]\\]/g, "\\$&"));
    return new RegExp(`^${parts.join(".*")}$`, "s");
  });
  return (subject) => expressions.some((expression) => expression.test(subject));
}

/** Whoever has one address of IPv6 has at least 2 to the 64 of them. */
function addressSubject(endpoint: string): string {
  const site = siteOf(endpoint);
  return site.includes(":") ? `${site}::/64` : site;
}
