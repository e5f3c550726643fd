/*
 * A broker put together from a configuration:
 *
 *     listeners -> detection -> protocol sessions -> Broker (virtual hosts) -> Store
 */
import { isDeepStrictEqual } from "node:util";
import type { Address, AddressKind } from "../core/addresses/address.ts";
import { AccessRules } from "../core/access/rules.ts";
import { Broker } from "../core/broker.ts";
import type { Client } from "../core/client.ts";
import type { Clock, Random } from "../core/time/clock.ts";
import type { WireFormat } from "../core/message.ts";
import { canonical } from "../core/addresses/spelling.ts";
import type { Store } from "../core/store.ts";
import type { HostSettings } from "../core/virtual-host.ts";
import { amqp091Format } from "../protocols/amqp091/convert.ts";
import { amqp10Format } from "../protocols/amqp10/convert.ts";
import { mqtt5Format, mqttFormat } from "../protocols/mqtt/convert.ts";
import { stompFormat } from "../protocols/stomp/convert.ts";
import { LmdbStore } from "../store/lmdb/store.ts";
import { MemoryStore } from "../store/memory/store.ts";
import { Audit } from "./audit.ts";
import { systemClock, systemRandom } from "./clock.ts";
import { parseCron } from "./cron.ts";
import { accessRuleSet } from "./config/access.ts";
import { type Certificates, listens, readCertificates } from "./config/certificates.ts";
import { divertRules, durableRules, policyRules, virtualTopicRules } from "./config/destinations.ts";
import type { LoadedConfig } from "./config/load.ts";
import type { Config } from "./config/schema.ts";
import type { Log } from "./log.ts";
import type { ManagementContext, Planned, Reloaded } from "./management/context.ts";
import { httpFormat } from "./management/http-message.ts";
import type { Management } from "./management/server.ts";
import { packageVersion } from "./cli/package.ts";
import { reviewLogins } from "./security/live-logins.ts";
import type { Measure } from "./metrics/resources.ts";
import { Vitals } from "./metrics/vitals.ts";
import { ConfiguredLogin } from "./security/login.ts";
import { ManagedAccounts } from "./security/managed-accounts.ts";
import type { Connection } from "./net/connection.ts";
import type { Listener } from "./net/listener.ts";
import { Limits } from "./net/limits.ts";
import { plainFormat } from "./plain-message.ts";
import { createListeners } from "./ports.ts";
import { changesBetween, openedBy, withReloadable } from "./reloading.ts";
import { SysTopics } from "./sys-topics.ts";
import { openTracer } from "./tracing.ts";

/** A broker that listens. */
export interface RunningServer {
  readonly listeners: readonly { readonly name: string; readonly host: string; readonly port: number }[];
  /** Where the data is; undefined when it lives in memory only. */
  readonly directory: string | undefined;
  readonly broker: Broker;
  /** Who did what. */
  readonly audit: Audit;
  /** Where management listens; undefined when it is off. */
  readonly management: { readonly host: string; readonly port: number } | undefined;
  /** Takes over what can be changed while it runs; says by key what was and what needs a restart. */
  reload(config: Config): Promise<{ applied: string[]; needsRestart: string[] }>;
  /** Stops accepting, says goodbye to every client, writes what is left. */
  stop(reason: string): Promise<void>;
  /** Resolves when the broker can promise nothing any more and the process must end. */
  readonly failed: Promise<Error>;
}

/** What tests put in place of the real thing. */
export interface ServerParts {
  readonly clock?: Clock;
  readonly random?: Random;
  readonly store?: Store;
  /** Measures memory and disk. */
  readonly measure?: Measure;
  /** Reads the configuration anew, when management is asked to; with a text, as if its file held that. */
  readonly load?: (text?: string) => LoadedConfig;
}

/** The formats of every protocol there is, by the names that stores keep. */
const FORMATS: ReadonlyMap<string, WireFormat> = new Map(
  [plainFormat, httpFormat, stompFormat, mqttFormat, mqtt5Format, amqp091Format, amqp10Format].map((format) => [
    format.name,
    format,
  ]),
);

/** Starts a broker; rejects with one sentence that names the setting to change. */
export async function startServer(config: Config, log: Log, parts: ServerParts = {}): Promise<RunningServer> {
  const clock = parts.clock ?? systemClock;
  const login = new ConfiguredLogin(config, clock, log.component("security"));
  const { promise: failed, resolve: fail } = Promise.withResolvers<Error>();
  const audit = new Audit(config.audit, clock, log.component("audit"));
  const limits = new Limits(config.limits, clock);
  const access = new AccessRules(accessRuleSet(config));
  const broker = new Broker({
    clock,
    random: parts.random ?? systemRandom,
    store: parts.store ?? createStore(config, clock, (sentence) => log.component("store").error({}, sentence)),
    authenticator: login,
    access,
    audit,
    limits,
    tracer: openTracer(clock, packageVersion()),
    cron: parseCron,
    name: config.broker.name,
    version: packageVersion(),
    hosts: hostSettings(config),
    unknownHost: config.unknown_host,
    memoryBytes: config.memory.messages,
    failed: fail,
    report: (sentence) => log.component("core").warn({}, sentence),
  });
  // Before anything is open that would have to be closed when a file is not as it was a moment ago.
  const certificates = certificatesOf(config, clock);
  await broker.open();
  login.secret = keptSecret(broker.store, login.secret);
  login.changed = (concerns) =>
    void reviewLogins(broker, concerns).catch((error) => log.error({ err: error }, "logins were not reviewed"));
  const accounts = new ManagedAccounts(broker.store);
  login.strengthened = (name, before, user) => accounts.strengthen(name, before, user);
  login.reload(accounts.over(config));
  const listeners = createListeners(config, {
    broker,
    clock,
    log,
    limits,
    tls: certificates.listeners,
    consolePort: () => running.management?.port,
  });
  const running: Server = new Server(
    config,
    broker,
    listeners,
    { login, accounts, log, audit, limits, access },
    failed,
  );
  try {
    await running.manage(certificates, parts);
    await running.listen();
  } catch (error) {
    await running.stop("the start failed");
    throw error;
  }
  return running;
}

/** The secret of the store; the given one if it has none yet, which it then has. */
function keptSecret(store: Store, fresh: Buffer): Buffer {
  const kept = store.get("login", "secret");
  if (kept !== undefined) return kept;
  store.put("login", "secret", fresh);
  return fresh;
}

/** What a server is made of besides its broker and its listeners. */
interface Parts {
  readonly login: ConfiguredLogin;
  readonly accounts: ManagedAccounts;
  readonly log: Log;
  readonly audit: Audit;
  readonly limits: Limits;
  readonly access: AccessRules;
}

class Server implements RunningServer {
  readonly broker: Broker;
  readonly audit: Audit;
  readonly failed: Promise<Error>;
  readonly directory: string | undefined;
  listeners: { name: string; host: string; port: number }[] = [];
  management: { host: string; port: number } | undefined = undefined;
  private manager: Management | undefined = undefined;
  private vitals: Vitals | undefined = undefined;
  private certificates: Certificates = { listeners: new Map(), management: undefined };
  /** Without the accounts that are managed while it runs. */
  private config: Config;
  private readonly accounts: ManagedAccounts;
  private readonly all: readonly Listener[];
  private readonly login: ConfiguredLogin;
  private readonly log: Log;
  private readonly limits: Limits;
  private started = false;
  private stopping = false;
  private readonly access: AccessRules;
  private sysTopics: SysTopics | undefined = undefined;

  constructor(
    config: Config,
    broker: Broker,
    listeners: readonly Listener[],
    { login, accounts, log, audit, limits, access }: Parts,
    failed: Promise<Error>,
  ) {
    this.config = config;
    this.broker = broker;
    this.all = listeners;
    this.login = login;
    this.accounts = accounts;
    this.log = log;
    this.audit = audit;
    this.limits = limits;
    this.access = access;
    this.failed = failed;
    this.directory = config.store.kind === "memory" ? undefined : config.store.directory;
  }

  /** Prepares to tell how it is, and management, if that is on. */
  async manage(certificates: Certificates, { load, measure }: ServerParts): Promise<void> {
    const { log, broker, directory, failed, limits, all: listeners } = this;
    this.certificates = certificates;
    const vitals = new Vitals(broker, {
      config: () => this.config,
      listeners,
      limits,
      certificates: () => this.certificates,
      directory,
      failed,
      log: log.component("metrics"),
      heard: (alarm, raised, reason) => {
        this.note(raised ? "alarm" : "alarm-over", `${alarm}: ${reason}`);
        this.sysTopics?.tellAlarms();
      },
      measure,
    });
    this.vitals = vitals;
    if (!this.config.management.enabled) return;
    // Loaded only when it is wanted: it takes a tenth of a second.
    const { Management } = await import("./management/server.ts");
    const context: ManagementContext = {
      broker,
      config: () => this.accounts.over(this.config),
      accounts: this.accounts,
      vouch: (login, now) => this.login.vouch(login, now),
      groupsOf: (user, groups) => this.login.groupsOf(user, groups),
      accountChanged: (user) => this.accountChanged(user),
      listeners: () => this.all,
      limits: this.limits,
      certificates: () => this.certificates,
      log,
      audit: this.audit,
      clock: broker.clock,
      reload: () => this.reread(load),
      plan: (text) => this.plan(load, text),
      health: vitals.health,
      metrics: vitals.metrics,
      looks: vitals.looks,
      resources: vitals.resources,
    };
    this.manager = await Management.create(context, certificates.management);
  }

  /** What was done to an account counts from now on. */
  private accountChanged(user: string | undefined): void {
    if (user === undefined) {
      this.login.vouchersChanged();
      return;
    }
    const { users } = this.accounts.over(this.config).security;
    this.login.changeUser(user, Object.hasOwn(users, user) ? users[user] : undefined);
    this.manager?.endSessions(user);
  }

  /** What the configuration would be, with this text in place of its file; undefined if it came from nowhere. */
  private plan(load: ServerParts["load"], text: string | undefined): Planned | undefined {
    const loaded = load?.(text);
    if (loaded === undefined || !loaded.ok) return loaded;
    const problems = this.openedBy(withReloadable(this.config, loaded.config));
    if (problems.length > 0) return { ok: false, problems };
    return { ...loaded, ...changesBetween(this.config, loaded.config) };
  }

  private async reread(load: ServerParts["load"]): Promise<Reloaded> {
    const loaded = load?.();
    if (loaded === undefined) return { ok: false, problems: ["This broker was not started from a configuration file"] };
    if (!loaded.ok) return { ok: false, problems: loaded.problems };
    try {
      return { ok: true, ...(await this.reload(loaded.config)) };
    } catch (error) {
      return { ok: false, problems: [error instanceof Error ? error.message : String(error)] };
    }
  }

  /** What a configuration would open to other machines; what listens goes on as it does, whatever it says. */
  private openedBy(config: Config): string[] {
    return openedBy(this.accounts.over(config), new Set(this.all.map(({ name }) => name)));
  }

  async listen(): Promise<void> {
    this.login.start();
    await this.vitals?.start();
    // First, to be able to say that it is still starting.
    this.management = await this.manager?.listen();
    for (const listener of this.all) {
      this.listeners.push({ name: listener.name, ...(await listener.listen()) });
    }
    this.vitals?.health.running();
    this.started = true;
    this.note("start", this.listeners.map(({ name, host, port }) => `${name} on ${host} port ${port}`).join(", "));
    const intervalMs = this.config.mqtt.sys_interval;
    const { vitals } = this;
    if (intervalMs === 0 || vitals === undefined) return;
    const sockets = (): number => this.all.reduce((sum, { accepted }) => sum + accepted, 0);
    this.sysTopics = new SysTopics(this.broker, intervalMs, sockets, vitals.looks);
  }

  async reload(config: Config): Promise<{ applied: string[]; needsRestart: string[] }> {
    if (this.stopping) throw new Error("The broker is stopping");
    // First what may fail: then nothing has changed.
    const certificates = certificatesOf(config, this.broker.clock);
    const tls = certificates.listeners;
    const next = withReloadable(this.config, config);
    const problems = this.openedBy(next);
    if (problems.length > 0) throw new Error(problems.join("; "));
    const rules = accessRuleSet(next);
    const audit = this.audit.prepare(config.audit);
    try {
      this.login.reload(this.accounts.over(next));
    } catch (error) {
      audit.leave();
      throw error;
    }
    audit.take();
    const changes = changesBetween(this.config, config);
    const applied = new Set(changes.applied);
    const needsRestart = new Set(changes.needsRestart);
    this.log.configure(config.log);
    if (!isDeepStrictEqual(config.limits, this.config.limits)) {
      this.limits.configure(config.limits, { connections: this.connections(), clients: this.clients() });
    }
    for (const listener of this.all) {
      const own = next.listeners[listener.name];
      if (own !== undefined) listener.limit({ maxConnections: own.max_connections, connectRate: own.connect_rate });
      // One that is to listen no more keeps what it has until the restart, so that nobody gets in without TLS.
      if (!listens(config, listener.name)) needsRestart.add(`listeners.${listener.name}.enabled`);
      else if (listener.secure(tls.get(listener.name))) applied.add(`listeners.${listener.name}.tls`);
    }
    for (const name of Object.keys(config.listeners)) {
      const running = this.all.some((listener) => listener.name === name);
      if (!running && listens(config, name)) needsRestart.add(`listeners.${name}.enabled`);
    }
    this.config = next;
    if ([...applied].some((key) => key.endsWith("access_rules"))) {
      this.access.replace(rules);
      this.broker.reviewAccess();
    }
    this.certificates = certificates;
    if (this.manager?.reload(certificates.management) === true) applied.add("management.tls");
    this.note("reload", `applied: ${[...applied].join(", ")}; needs a restart: ${[...needsRestart].join(", ")}`);
    return { applied: [...applied], needsRestart: [...needsRestart] };
  }

  private *connections(): Generator<Connection> {
    for (const { connections } of this.all) yield* connections;
  }

  private *clients(): Generator<Client> {
    for (const { clients } of this.broker.hosts.values()) yield* clients;
  }

  /** Of the broker as a whole. */
  private note(act: string, detail: string): void {
    const { audit, broker } = this;
    const at = broker.clock.now();
    audit.record({
      at,
      user: undefined,
      address: "",
      action: `broker.${act}`,
      resource: broker.name,
      result: "ok",
      detail,
    });
  }

  async stop(reason: string): Promise<void> {
    this.stopping = true;
    this.vitals?.health.stopping();
    this.sysTopics?.stop();
    this.login.stop();
    if (this.started) this.note("stop", reason);
    const timeoutMs = this.config.shutdown.timeout;
    try {
      await Promise.all(this.all.map((listener) => listener.shutdown(reason, timeoutMs)));
      // Last, to be able to say that it is stopping.
      await this.manager?.close(reason);
    } finally {
      // Whatever failed before: what is confirmed is to be on disk, and another process is to find the store free.
      this.vitals?.stop();
      await this.broker.close();
      this.audit.close();
    }
  }
}

function createStore(config: Config, clock: Clock, onDamage: (sentence: string) => void): Store {
  const options = {
    formats: FORMATS,
    addresses: (name: string, kind: AddressKind): Address => canonical.parse(kind, name),
    clock,
    congestionBytes: config.store.max_pending,
  };
  if (config.store.kind === "memory") return new MemoryStore(options);
  return new LmdbStore({ ...options, directory: config.store.directory, onDamage });
}

function hostSettings(config: Config): HostSettings[] {
  const policies = policyRules(config);
  const durablePolicies = durableRules(config);
  const diverts = divertRules(config);
  const virtualTopics = virtualTopicRules(config);
  const schedule = { catchUpPerSecond: config.schedule.catch_up_rate, maxMessages: config.schedule.max_messages };
  // The default one first: it takes in clients that name no host.
  const names = Object.keys(config.hosts).sort((a, b) => Number(b === "default") - Number(a === "default"));
  return names.flatMap((name) => {
    const host = config.hosts[name];
    if (host === undefined) return [];
    return {
      name,
      aliases: host.aliases,
      realm: host.security === undefined ? undefined : name,
      policies,
      durablePolicies,
      diverts,
      virtualTopics,
      schedule,
      autoCreate: config.auto_create_destinations,
      maxDestinations: host.max_destinations,
      transactionBytes: config.transactions.max_bytes,
    };
  });
}

/** Of every port. Throws one sentence for all that is wrong with certificates. */
function certificatesOf(config: Config, clock: Clock): Certificates {
  const problems: string[] = [];
  const certificates = readCertificates(config, clock.now(), {
    refuse: (_path, text) => problems.push(text),
    // Told when the configuration was loaded.
    warn: () => {},
  });
  if (problems.length > 0) throw new Error(problems.join("; "));
  return certificates;
}
