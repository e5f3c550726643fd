import {
  type Access,
  type Action,
  type Decision,
  explainDecision,
  type Login,
  permissionsOf,
  type ResourceKind,
} from "./access/access.ts";
import { AccessRules } from "./access/rules.ts";
import { type AuditTrail, NO_AUDIT } from "./audit.ts";
import type { Client } from "./client.ts";
import type { ClientLimits } from "./client-limits.ts";
import type { Clock, Random, Timer } from "./time/clock.ts";
import type { CronParser } from "./schedule/cron.ts";
import { Engine } from "./engine.ts";
import { BrokerError } from "./errors.ts";
import type { Peer } from "./protocol.ts";
import { ORDINARY, type QueueDescription, readQueueDescription } from "./queue/queue-description.ts";
import type { RecoveredQueue, Store } from "./store.ts";
import { canonical } from "./addresses/spelling.ts";
import type { Tracer } from "./traffic.ts";
import { type HostSettings, VirtualHost } from "./virtual-host.ts";

/** What a peer says to log in, and where it says it. */
export interface Credentials {
  readonly user: string | undefined;
  readonly password: string | undefined;
  readonly peer: Peer;
  /** The virtual host it is for; the default one if nobody knows yet. */
  readonly host?: string | undefined;
  /** Whether a user of the broker will do where that virtual host has users of its own. */
  readonly orBroker?: boolean;
}

/** What an authenticator says to a peer's data: a challenge, or that it is convinced, maybe with last words of its own. */
export type Step =
  | { readonly done: false; readonly data: Buffer }
  | { readonly done: true; readonly data: Buffer | undefined; readonly login: Login };

/** One conversation in which a peer proves who it is. Of no use once it has ended, in whichever way. */
export interface Exchange {
  /**
   * Takes what the peer says; empty data at the beginning if it said nothing yet. One call at a time. Rejects with
   * BrokerError("not-authenticated") and a text that may be shown to the peer.
   */
  step(data: Buffer): Promise<Step>;
}

/** Checks credentials. Rejects with BrokerError("not-authenticated") and a text that may be shown to the peer. */
export interface Authenticator {
  login(credentials: Credentials): Promise<Login>;
  /** The mechanisms of SASL that it knows besides, by their registered names, the best first; none if absent. */
  readonly mechanisms?: readonly string[];
  /** Begins a conversation by one of its mechanisms. Throws BrokerError("not-authenticated") for another one. */
  begin?(mechanism: string, peer: Peer, host?: string): Exchange;
  /** Whether who may log in differs between virtual hosts: a protocol that hears the host late has to wait. */
  readonly differsByHost?: boolean;
  /** Whether a login made earlier would still be one, and what it would be; no secret is asked for. As `login` does. */
  review?(login: Login, peer: Peer): Promise<Login>;
}

/** What a broker is made of. */
export interface BrokerOptions {
  readonly clock: Clock;
  readonly random: Random;
  readonly store: Store;
  readonly authenticator: Authenticator;
  readonly access?: Access;
  /** Who hears of every message that passes; nobody if absent. */
  readonly tracer?: Tracer | undefined;
  /** Who takes note of logins, refusals and what clients change; nobody if absent. */
  readonly audit?: AuditTrail;
  /** How many clients there may be; any number if absent. */
  readonly limits?: ClientLimits;
  /** Without it, messages that are to be delivered at cron times are refused. */
  readonly cron?: CronParser;
  /** What clients are told about who serves them, as in STOMP's `server` header. */
  readonly name: string;
  readonly version: string;
  /** The first one is the default. */
  readonly hosts: readonly HostSettings[];
  /** Whether a name no virtual host has leads to the default one. */
  readonly unknownHost: "default" | "refuse";
  /** Bytes of messages in memory, of all destinations. */
  readonly memoryBytes: number;
  /** The store failed: nothing can be promised any more, and the process must end. */
  readonly failed: (cause: Error) => void;
  /** Something worth telling an operator, in one sentence. */
  readonly report: (sentence: string) => void;
}

/** What an action is done to. */
export interface AccessTarget {
  readonly kind: ResourceKind;
  /** Canonical text of an address or a pattern; the plain name of anything else. */
  readonly name: string;
  readonly host?: string | undefined;
}

/** What came of a question about rights, and why. */
export interface AccessExplanation extends Decision {
  /** All of it in one sentence. */
  readonly text: string;
}

/** Milliseconds between looks at expiry, idle destinations and memory. */
const TICK_MS = 1000;
/** When a look found more than it may do in one turn. */
const SOON_MS = 5;
const STARTS = "starts";

/** The broker itself: virtual hosts over one store. Knows no protocol and does no I/O but through the store. */
export class Broker {
  readonly clock: Clock;
  readonly random: Random;
  readonly store: Store;
  readonly name: string;
  readonly version: string;
  readonly engine: Engine;
  readonly hosts = new Map<string, VirtualHost>();
  private readonly options: BrokerOptions;
  private readonly rules: Access;
  private readonly names = new Map<string, VirtualHost>();
  private readonly awaiting = new Set<Client>();
  private defaultHost: VirtualHost | undefined = undefined;
  private tick: Timer | undefined = undefined;
  private closed = false;

  constructor(options: BrokerOptions) {
    this.options = options;
    // Without rules everything is allowed.
    this.rules = options.access ?? new AccessRules();
    this.clock = options.clock;
    this.random = options.random;
    this.store = options.store;
    this.name = options.name;
    this.version = options.version;
    this.engine = new Engine({
      clock: options.clock,
      random: options.random,
      store: options.store,
      memoryLimit: options.memoryBytes,
      tracer: options.tracer,
    });
  }

  /** Opens the store and builds what it holds again. Rejects with a sentence for the operator. */
  async open(): Promise<void> {
    const recovered = await this.store.open({
      durable: (batch) => this.durable(batch),
      failed: (cause) => this.options.failed(cause),
      congested: (congested) => {
        if (congested) this.engine.storeGate.close();
        else this.engine.storeGate.open();
      },
    });
    for (const sentence of recovered.damage) this.options.report(sentence);
    const startNumber = this.countStart();
    for (const settings of this.options.hosts) {
      const host = new VirtualHost(
        {
          engine: this.engine,
          access: this.access,
          audit: this.audit,
          limits: this.options.limits,
          startNumber,
          cron: this.options.cron,
          report: this.options.report,
          awaitDurable: (client, batch) => {
            this.awaiting.add(client);
            this.engine.traffic.awaits(batch);
          },
        },
        settings,
      );
      this.hosts.set(settings.name, host);
      this.defaultHost ??= host;
      for (const name of [settings.name, ...settings.aliases]) this.names.set(name.toLowerCase(), host);
    }
    for (const queue of recovered.queues) this.recoverQueue(queue);
    this.recoverRetained();
    for (const host of this.hosts.values()) host.open();
    this.tick = this.clock.after(TICK_MS, () => this.look());
  }

  private get audit(): AuditTrail {
    return this.options.audit ?? NO_AUDIT;
  }

  /** The virtual host of a name; the default one for no name and, if so configured, for an unknown one. */
  host(name: string | undefined): VirtualHost | undefined {
    if (name === undefined || name === "") return this.defaultHost;
    const found = this.names.get(name.toLowerCase());
    return found ?? (this.options.unknownHost === "default" ? this.defaultHost : undefined);
  }

  /** Checks credentials; see `Authenticator`. */
  async login(credentials: Credentials): Promise<Login> {
    const { peer } = credentials;
    try {
      const login = await this.options.authenticator.login(credentials);
      this.loggedIn(login, peer);
      return login;
    } catch (refusal) {
      this.notLoggedIn(credentials.user, peer, refusal);
      throw refusal;
    }
  }

  /** The mechanisms by which a peer may prove who it is in a conversation. */
  get mechanisms(): readonly string[] {
    return this.options.authenticator.mechanisms ?? [];
  }

  /** Whether a login needs to know its virtual host. */
  get loginsDifferByHost(): boolean {
    return this.options.authenticator.differsByHost === true;
  }

  /** What a login made earlier is by now; rejects when it is none any more. See `Authenticator`. */
  review(login: Login, peer: Peer): Promise<Login> {
    return this.options.authenticator.review?.(login, peer) ?? Promise.resolve(login);
  }

  /** Begins such a conversation; see `Authenticator`. Throws BrokerError for a mechanism that is not known. */
  authenticate(mechanism: string, peer: Peer, host?: string): Exchange {
    const exchange = this.options.authenticator.begin?.(mechanism, peer, host);
    if (exchange !== undefined) return { step: (data) => this.step(exchange, data, peer) };
    throw new BrokerError("not-authenticated", `The mechanism ${mechanism} is not known`);
  }

  /** Who may do what. */
  get access(): Access {
    return this.rules;
  }

  /** What somebody is allowed may have changed: ends what is not any more, some of it in each turn. */
  reviewAccess(): void {
    for (const { review } of this.hosts.values()) review.begin();
  }

  /** Whether somebody may do something, with the rule that says so. `host` is the virtual host of what it is done to. */
  explainAccess(login: Login, action: Action, what: AccessTarget): AccessExplanation {
    const subject = { listener: undefined, clientId: undefined, ...login, principals: login.principals ?? [] };
    const decision = permissionsOf(this.access, subject, what.host ?? "").decide(action, what.kind, what.name);
    return { ...decision, text: explainDecision(subject, action, what, decision) };
  }

  private async step(exchange: Exchange, data: Buffer, peer: Peer): Promise<Step> {
    try {
      const step = await exchange.step(data);
      if (step.done) this.loggedIn(step.login, peer);
      return step;
    } catch (refusal) {
      this.notLoggedIn(undefined, peer, refusal);
      throw refusal;
    }
  }

  private loggedIn({ user }: Login, { remoteAddress: address, listener: resource }: Peer): void {
    this.audit.record({ at: this.clock.now(), user, address, action: "login", resource, result: "ok" });
  }

  private notLoggedIn(
    user: string | undefined,
    { remoteAddress: address, listener: resource }: Peer,
    why: unknown,
  ): void {
    const detail = why instanceof Error ? why.message : String(why);
    const result = why instanceof BrokerError ? "refused" : "failed";
    this.audit.record({ at: this.clock.now(), user, address, action: "login", resource, result, detail });
  }

  /** Writes what is left and lets the store go. Sessions must have ended. */
  async close(): Promise<void> {
    if (this.closed) return;
    this.closed = true;
    this.tick?.cancel();
    for (const host of this.hosts.values()) host.close();
    await this.store.close();
  }

  private durable(batch: number): void {
    const { traffic } = this.engine;
    traffic.durable(batch);
    for (const client of this.awaiting) {
      if (!client.durable(batch)) this.awaiting.delete(client);
    }
    if (this.awaiting.size > 0) traffic.awaits(batch + 1);
    this.engine.trim();
  }

  private look(): void {
    if (this.closed) return;
    this.engine.detachFresh();
    this.engine.traffic.adapt();
    let done = this.engine.sweep();
    this.engine.press();
    this.engine.trim();
    for (const host of this.hosts.values()) {
      if (!host.sweep()) done = false;
    }
    this.tick = this.clock.after(done ? TICK_MS : SOON_MS, () => this.look());
  }

  private countStart(): number {
    const last = this.store.get(STARTS, "count");
    const number = (last === undefined ? 0 : Number(last.toString())) + 1;
    this.store.put(STARTS, "count", Buffer.from(String(number)));
    return number;
  }

  private recoverQueue(recovered: RecoveredQueue): void {
    this.engine.noteQueueKey(recovered.key);
    let description: QueueDescription;
    try {
      description = readQueueDescription(recovered.description);
    } catch (cause) {
      const why = cause instanceof Error ? cause.message : String(cause);
      this.options.report(`The store holds ${recovered.count} messages in a queue that stays there untouched: ${why}`);
      return;
    }
    const host = this.hosts.get(description.host);
    if (host === undefined) {
      this.options.report(
        `The store holds ${recovered.count} messages of virtual host ${description.host}, which is not configured (hosts); they stay there untouched`,
      );
      return;
    }
    const kept = host.recover(description, (queue) => queue.recover(recovered, priorityOf(description)));
    if (!kept) this.store.deleteQueue(recovered.key);
  }

  private recoverRetained(): void {
    for (const { key, bytes } of this.store.keys("retained")) {
      const cut = key.indexOf("\0");
      const host = this.hosts.get(key.slice(0, cut));
      if (host === undefined) continue;
      try {
        host.recoverRetained(canonical.parse("topic", key.slice(cut + 1)), bytes);
      } catch (cause) {
        const why = cause instanceof Error ? cause.message : String(cause);
        this.options.report(
          `A retained message of virtual host ${host.name} is left out, its topic cannot be read: ${why}`,
        );
      }
    }
  }
}

function priorityOf(description: QueueDescription): number {
  return description.kind === "temporary" ? ORDINARY : description.priority;
}
