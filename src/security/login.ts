/*
 * Who may log in, as the configuration says:
 *
 *     credentials -> the realm of the virtual host -> has this address or user failed too often? -> the login modules
 *
 * What a login was granted for is kept beside it, without any secret, so that it can be looked at again when the
 * configuration or a file has changed.
 */
import { randomBytes } from "node:crypto";
import type { Login } from "../../core/access/access.ts";
import type { Authenticator, Credentials, Exchange } from "../../core/broker.ts";
import { BrokerError } from "../../core/errors.ts";
import type { Peer } from "../../core/protocol.ts";
import type { Clock, Timer } from "../../core/time/clock.ts";
import type { Config } from "../config/schema.ts";
import type { UserSettings } from "../config/security-schema.ts";
import { ipOf, siteOf } from "./addresses.ts";
import type { Attempt, Evidence, Subject } from "./attempt.ts";
import { BearerExchange, OAUTHBEARER } from "./bearer-exchange.ts";
import { Realm, type RealmParts } from "./realm.ts";
import { SCRAM_SHA_256, type ScramAccount, ScramExchange, scramRefusal } from "./scram.ts";
import type { Decision } from "./stack.ts";
import { Throttle, TooManyFailures } from "./throttle.ts";
import { Turnstile } from "./turnstile.ts";

const SECRET_BYTES = 32;
/** How often files are looked at. */
const LOOK_MS = 5000;
const MOST_SHOWN = 128;
const MOST_REMEMBERED = 10_000;

/** What is told while it runs. */
interface LoginLog {
  warn(fields: object, text: string): void;
  error(fields: object, text: string): void;
}

/** The parts of the configuration that say who may log in. */
export type LoginSettings = Pick<Config, "security" | "hosts">;

/** Realms of one state of the configuration. */
interface Realms {
  readonly broker: Realm;
  /** By virtual host, of those with security of their own. */
  readonly hosts: ReadonlyMap<string, Realm>;
}

/** A realm, and the virtual host whose own it is. */
interface Place {
  readonly name: string | undefined;
  readonly realm: Realm;
}

/** What a login rests on. */
interface Ground {
  readonly user: string;
  readonly evidence: readonly Evidence[];
}

/** Checks credentials as the configuration says. */
export class ConfiguredLogin implements Authenticator {
  /** Makes the salts of names that have none; to be the same after a restart, as those of real users are. */
  secret: Buffer = randomBytes(SECRET_BYTES);
  /** Called when logins that were granted may be none any more: all, or those that `concerns` is true of. */
  changed: (concerns?: (login: Login) => boolean) => void = () => {};
  /** Called when the password of a user can be kept better from now on, with the hash that it was kept as. */
  strengthened: (name: string, before: string, user: UserSettings) => void = () => {};
  private readonly clock: Clock;
  private readonly log: LoginLog;
  private readonly parts: RealmParts;
  private readonly throttle: Throttle;
  private readonly grounds = new WeakMap<Login, Ground>();
  private readonly vouched = new WeakMap<Login, () => Login | undefined>();
  /** Of those who may log in to a virtual host in two ways: who did so as a user of the broker. */
  private readonly lastAtBroker = new Set<string>();
  private settings: LoginSettings;
  private realms: Realms;
  private timer: Timer | undefined = undefined;

  /** Throws an Error with one sentence when a file cannot be read. */
  constructor(settings: LoginSettings, clock: Clock, log: LoginLog) {
    this.clock = clock;
    this.log = log;
    this.settings = settings;
    this.parts = {
      clock,
      turns: {
        passwords: new Turnstile(2, 256),
        tokens: new Turnstile(16, 4096),
        directories: new Turnstile(8, 1024),
      },
      remoteKeySets: new Map(),
      accounts: {
        key: randomBytes(SECRET_BYTES),
        marks: new Map(),
        strengthened: (name, before, user) => this.strengthened(name, before, user),
      },
    };
    this.throttle = new Throttle(clock, () => this.settings.security.attempts);
    this.realms = this.realmsOf(settings);
  }

  get mechanisms(): readonly string[] {
    const realms = [this.realms.broker, ...this.realms.hosts.values()];
    // Clients take the best one that is offered: SCRAM, where nobody has keys for it, would keep them all out.
    const byKeys = realms.some(({ hasPasswords }) => hasPasswords) ? [SCRAM_SHA_256] : [];
    return realms.some(({ takesTokens }) => takesTokens) ? [...byKeys, OAUTHBEARER] : byKeys;
  }

  get differsByHost(): boolean {
    return this.realms.hosts.size > 0;
  }

  /** Looks at the files from time to time, until `stop`. */
  start(): void {
    this.timer = this.clock.after(LOOK_MS, () => void this.look());
  }

  stop(): void {
    this.timer?.cancel();
    this.timer = undefined;
  }

  /** Takes over a new configuration, and forgets what was remembered. Throws as the constructor does: then nothing changes. */
  reload(settings: LoginSettings): void {
    this.realms = this.realmsOf(settings);
    this.settings = settings;
    this.changed();
  }

  /** Takes over what is known of one user of the broker's own section, and nothing else; undefined for one that is no more. */
  changeUser(name: string, user: UserSettings | undefined): void {
    this.realms.broker.putUser(name, user);
    this.changed((login) => login.user === name || this.restsOn(login, name));
  }

  /** In which groups a user of the broker's own section is, with those that files give to the name. */
  groupsOf(user: string, groups: readonly string[]): string[] {
    return this.realms.broker.groupsOf(user, groups);
  }

  async login({ user = "", password = "", peer, host, orBroker }: Credentials): Promise<Login> {
    return this.admit({ user, password, peer, evidence: undefined }, host, orBroker);
  }

  begin(mechanism: string, peer: Peer, host?: string): Exchange {
    if (mechanism === SCRAM_SHA_256) return this.scramExchange(peer, host);
    if (mechanism === OAUTHBEARER) {
      return new BearerExchange((user, token) => this.login({ user, password: token, peer, host }));
    }
    throw refusal(`The mechanism ${mechanism} is not known; expected ${this.mechanisms.join(" or ")}`);
  }

  /** Takes note of a login that somebody else answers for; `now` tells what it would be, undefined for none any more. */
  vouch(login: Login, now: () => Login | undefined): void {
    this.vouched.set(login, now);
  }

  /** Some of what others answer for may be no login any more. */
  vouchersChanged(): void {
    this.changed((login) => this.vouched.has(login));
  }

  async review(login: Login, peer: Peer): Promise<Login> {
    const vouched = this.vouched.get(login);
    if (vouched !== undefined) {
      // A reload takes over one thing after the other.
      await Promise.resolve();
      const now = vouched();
      if (now === undefined) throw refusal(`The key ${login.user ?? ""} counts no more`);
      this.vouched.set(now, vouched);
      return now;
    }
    const ground = this.grounds.get(login);
    const realm = this.realms.hosts.get(login.realm ?? "") ?? this.realms.broker;
    if (!realm.enabled) return login;
    if (ground === undefined) {
      // Somebody else than the modules vouched for them, or nobody had to.
      if (login.user !== undefined) return login;
      throw refusal("Nobody is let in any more without a login");
    }
    const decision = await realm.decide({ ...ground, password: "", peer });
    if (decision.accepted) return this.loginOf(decision.subject, ground.user, login.realm);
    throw refusal(`The login of user ${login.user ?? "(none)"} counts no more: ${decision.text}`);
  }

  private restsOn(login: Login, user: string): boolean {
    return this.grounds.get(login)?.evidence.some(({ grant }) => grant.user === user) === true;
  }

  /** Throws BrokerError. */
  private async admit(given: Attempt, host: string | undefined, orBroker = false): Promise<Login> {
    const { realms } = this;
    const tried: Place[] = [];
    let failure: string | undefined;
    let refused: unknown;
    for (const place of this.placesOf(given.user, host, orBroker)) {
      const { name, realm } = place;
      if (!realm.enabled) return { user: undefined, groups: [], ...(name === undefined ? {} : { realm: name }) };
      try {
        const { version } = realm;
        const attempt = this.waiting(given, place);
        const decision = await realm.decide(attempt);
        // The configuration may have changed meanwhile: who was put out must not slip in.
        if (realms !== this.realms || version !== realm.version) return await this.admit(given, host, orBroker);
        if (decision.accepted) {
          if (orBroker) this.remember(given.user, host, place);
          this.noteAccepted(attempt, decision, place);
          return this.loginOf(decision.subject, attempt.user, name);
        }
        if (attempt.user !== given.user) this.checkWait(given.user, given.peer, name);
        if (decision.trouble === undefined) {
          tried.push(place);
          failure ??= decision.text;
        }
        refused ??= this.refusalOf(decision, given);
      } catch (reason) {
        if (!(reason instanceof TooManyFailures)) throw reason;
        refused ??= reason;
      }
    }
    // A conversation tells of its failures itself.
    if (given.evidence === undefined && failure !== undefined) this.failed(given, failure, tried);
    throw refused;
  }

  /** Where a login may be one: first where the last one of that name was. */
  private placesOf(user: string, host: string | undefined, orBroker: boolean): Place[] {
    const broker: Place = { name: undefined, realm: this.realms.broker };
    const realm = host === undefined ? undefined : this.realms.hosts.get(host);
    if (realm === undefined) return [broker];
    const own: Place = { name: host, realm };
    if (!orBroker) return [own];
    // Who need not log in there is still who he is here.
    if (!realm.enabled) return [broker];
    return this.lastAtBroker.has(nameAt(host, user)) && broker.realm.enabled ? [broker, own] : [own, broker];
  }

  private remember(user: string, host: string | undefined, { name }: Place): void {
    const key = nameAt(host, user.slice(0, MOST_SHOWN));
    this.lastAtBroker.delete(key);
    if (name !== undefined) return;
    this.lastAtBroker.add(key);
    for (const oldest of this.lastAtBroker) {
      if (this.lastAtBroker.size <= MOST_REMEMBERED) return;
      this.lastAtBroker.delete(oldest);
    }
  }

  private refusalOf({ text, trouble }: Extract<Decision, { accepted: false }>, { user, peer }: Attempt): BrokerError {
    if (trouble === undefined) return refusal(text);
    this.log.error({ ...shown(user, peer), cause: trouble }, "a login could not be checked");
    return new BrokerError("throttled", text);
  }

  /**
   * An attempt of somebody who need not wait, at least not without the password: who failed too often and has a certificate is
   * asked for that alone. Throws BrokerError("throttled").
   */
  private waiting(attempt: Attempt, { name }: Place): Attempt {
    const { user, peer } = attempt;
    const waits = this.throttle.waitMs(nameAt(name, user), siteOf(peer.remoteAddress)) > 0;
    if (waits && peer.certificate !== undefined && attempt.evidence === undefined) {
      return { ...attempt, user: "", password: "" };
    }
    this.checkWait(user, peer, name);
    return { ...attempt, mayTry: () => this.checkWait(user, peer, name) };
  }

  /** A name that others are called by gains nothing by it. */
  private noteAccepted(
    { user, peer }: Attempt,
    { subject, guess }: Extract<Decision, { accepted: true }>,
    { name }: Place,
  ): void {
    const site = siteOf(peer.remoteAddress);
    if (user === "" || user === subject.user) this.throttle.succeeded(nameAt(name, user), site);
    else if (guess) this.throttle.failed([nameAt(name, user)], site);
  }

  private failed(
    { user, password, peer }: Pick<Attempt, "user" | "password" | "peer">,
    text: string,
    places: readonly Pick<Place, "name">[],
  ): void {
    if (user !== "" || password !== "") {
      this.throttle.failed(
        places.map(({ name }) => nameAt(name, user)),
        siteOf(peer.remoteAddress),
      );
    }
    this.log.warn({ ...shown(user, peer), reason: text }, "a login was refused");
  }

  private checkWait(user: string, peer: Peer, realm: string | undefined): void {
    const waitMs = this.throttle.waitMs(nameAt(realm, user), siteOf(peer.remoteAddress));
    if (waitMs > 0) throw new TooManyFailures(waitMs);
  }

  private loginOf(subject: Subject, user: string, realm: string | undefined): Login {
    const { principals, expiresAt, evidence } = subject;
    const login: Login = {
      user: subject.user,
      groups: [...subject.groups],
      ...(principals.length === 0 ? {} : { principals }),
      ...(expiresAt === undefined ? {} : { expiresAt }),
      ...(realm === undefined ? {} : { realm }),
    };
    this.grounds.set(login, { user, evidence });
    return login;
  }

  private scramExchange(peer: Peer, host: string | undefined): Exchange {
    let user = "";
    const realm = host !== undefined && this.realms.hosts.has(host) ? host : undefined;
    const exchange = new ScramExchange((name) => {
      user = name;
      this.checkWait(name, peer, realm);
      return this.scramAccount(name, peer, host);
    });
    return {
      step: async (data) => {
        try {
          // Others may have failed since it began.
          if (user !== "") this.checkWait(user, peer, realm);
          return await exchange.step(data);
        } catch (error) {
          if (error instanceof BrokerError && error.code === "not-authenticated") {
            this.failed({ user, password: "", peer }, error.message, [{ name: realm }]);
          }
          throw error;
        }
      },
    };
  }

  private async scramAccount(user: string, peer: Peer, host: string | undefined): Promise<ScramAccount> {
    const { realms } = this;
    const realm = (host === undefined ? undefined : realms.hosts.get(host)) ?? realms.broker;
    const place = realm.scramPlaceOf(user);
    if (place === undefined) throw scramRefusal();
    const { version } = realm;
    const { scram } = place.accounts;
    const keys = await scram.keysOf(user, this.secret);
    const login = async (): Promise<Login> => {
      if (realms !== this.realms || version !== realm.version) {
        throw refusal("The configuration of users changed meanwhile; log in again");
      }
      const verdict = scram.has(user) ? place.vouch(user) : undefined;
      if (verdict?.kind !== "accepted" || verdict.evidence === undefined) throw scramRefusal();
      return this.admit({ user, password: "", peer, evidence: [verdict.evidence] }, host);
    };
    return { keys, login };
  }

  private async look(): Promise<void> {
    const { broker, hosts } = this.realms;
    let changed = false;
    for (const realm of [broker, ...hosts.values()]) {
      if (await realm.refresh((sentence) => this.log.error({ problem: sentence }, "a file of logins cannot be read"))) {
        changed = true;
      }
    }
    if (this.timer === undefined) return;
    if (changed) this.changed();
    this.start();
  }

  private realmsOf({ security, hosts }: LoginSettings): Realms {
    const own = new Map<string, Realm>();
    for (const [name, settings] of Object.entries(hosts)) {
      if (settings.security === undefined) continue;
      own.set(name, new Realm(settings.security, `hosts.${name}.security`, this.parts));
    }
    return { broker: new Realm(security, "security", this.parts), hosts: own };
  }
}

/** What somebody is known by who fails: users of one virtual host are not those of another who are called so too. */
function nameAt(realm: string | undefined, user: string): string {
  return realm === undefined || user === "" ? user : `${realm}\0${user}`;
}

function refusal(text: string): BrokerError {
  return new BrokerError("not-authenticated", text);
}

/** Who somebody said to be, for the log. */
function shown(user: string, { remoteAddress, certificate, listener }: Peer): object {
  return {
    user: user.slice(0, MOST_SHOWN),
    address: ipOf(remoteAddress) ?? remoteAddress,
    listener,
    ...(certificate === undefined ? {} : { dn: certificate.subject }),
  };
}
