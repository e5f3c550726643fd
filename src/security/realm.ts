/*
 * Who may log in to the broker, or to a virtual host with security of its own: the login modules of one state of the
 * configuration, and the files they look at.
 */
import type { Clock } from "../../core/time/clock.ts";
import type {
  CertificateSettings,
  JwtSettings,
  LdapSettings,
  ModuleSettings,
  RealmSettings,
  SourceAddressSettings,
  UserSettings,
} from "../config/security-schema.ts";
import { type AccountParts, Accounts } from "./accounts.ts";
import { AddressSet } from "../net/address-set.ts";
import { parseNetworks } from "./addresses.ts";
import type { Attempt, Grant, LoginModule, Subject, Verdict } from "./attempt.ts";
import { CertificateModule, parseNamedUsers } from "./certificate-module.ts";
import { Checks } from "./checks.ts";
import { GroupsModule, parseGroups } from "./groups-module.ts";
import { GuestModule, NoGuestModule } from "./guest-module.ts";
import { JwtModule, type Keys, parseKeySet, parsePublicKey, remoteKeys, secretKey } from "./jwt-module.ts";
import { LdapModule } from "./ldap-module.ts";
import { isSameText } from "./password.ts";
import { SourceAddressModule } from "./source-address-module.ts";
import { type Decision, decide, type Placed } from "./stack.ts";
import type { Turnstile } from "./turnstile.ts";
import { UsersModule } from "./users-module.ts";
import { parseUsers } from "./users-file.ts";
import { WatchedFile } from "./watched-file.ts";

/** What all realms of one broker share. */
export interface RealmParts {
  readonly clock: Clock;
  /** For what takes a processor's time, and for what waits for others. */
  readonly turns: { readonly passwords: Turnstile; readonly tokens: Turnstile; readonly directories: Turnstile };
  /** Key sets by their URLs. */
  readonly remoteKeySets: Map<string, Keys>;
  /** For what accounts remember of passwords. */
  readonly accounts: Pick<AccountParts, "key" | "marks" | "strengthened">;
}

/** Who a name is for SCRAM, and what its proof is worth. */
export interface ScramPlace {
  readonly accounts: Accounts;
  readonly vouch: (user: string) => Verdict;
}

/** One set of login modules. */
export class Realm {
  readonly enabled: boolean;
  /** Counts changes of its files and users. */
  version = 0;
  private readonly settings: RealmSettings;
  private readonly parts: RealmParts;
  /** Where its section is, for error texts: `security`, `hosts.plant.security`. */
  private readonly key: string;
  private readonly files: WatchedFile<unknown>[] = [];
  private readonly stack: Placed[];
  private readonly scram: ScramPlace[] = [];
  /** The users of its section, wherever it asks for them. */
  private readonly section: Accounts[] = [];

  /** Throws an Error with one sentence when a file cannot be read. */
  constructor(settings: RealmSettings, key: string, parts: RealmParts) {
    this.settings = settings;
    this.key = key;
    this.parts = parts;
    this.enabled = settings.enabled;
    const { modules } = settings;
    if (!settings.enabled) this.stack = [];
    else if (modules.length === 0) this.stack = this.defaultStack();
    else this.stack = modules.map((entry) => ({ control: entry.control, module: this.moduleOf(entry) }));
  }

  /** Asks the modules. Throws BrokerError("throttled") when one has no time. */
  decide(attempt: Attempt): Promise<Decision> {
    return decide(this.stack, attempt);
  }

  /** Where a name is looked up for SCRAM; undefined without users that have passwords. */
  scramPlaceOf(user: string): ScramPlace | undefined {
    return this.scram.find(({ accounts }) => accounts.scram.has(user)) ?? this.scram[0];
  }

  /** Whether there are users whose passwords are known here. */
  get hasPasswords(): boolean {
    return this.scram.length > 0;
  }

  /** Whether it takes tokens. */
  get takesTokens(): boolean {
    return this.settings.modules.some(({ jwt }) => jwt !== undefined);
  }

  /** The groups of one of its users: those that the user has, and those that modules add to the name. */
  groupsOf(user: string, groups: readonly string[]): string[] {
    const subject: Subject = {
      user,
      groups: new Set(groups),
      principals: [],
      expiresAt: undefined,
      evidence: [],
    };
    for (const { module } of this.stack) module.complete?.(subject);
    return [...subject.groups];
  }

  /** Takes in another state of a user of its section; undefined for one that is no more. */
  putUser(name: string, settings: UserSettings | undefined): void {
    for (const accounts of this.section) accounts.put(name, settings);
    this.version++;
  }

  /** Reads the files again that have changed; true if any has. What cannot be read is told to `complain`, and stays. */
  async refresh(complain: (sentence: string) => void): Promise<boolean> {
    let changed = false;
    for (const file of this.files) {
      if (await file.refresh((sentence) => complain(`${this.key}: ${sentence}`))) changed = true;
    }
    if (changed) this.version++;
    return changed;
  }

  /** The guest, then the users of the section; who is called like the guest comes before the guest. */
  private defaultStack(): Placed[] {
    const { users, guest } = this.settings;
    const { name, password, enabled, loopback_only } = guest;
    const accounts = new Accounts(users, this.accountParts, enabled ? guest : undefined);
    this.section.push(accounts);
    const module = new UsersModule(() => accounts, this.key);
    const guests = enabled
      ? new GuestModule({
          user: name,
          groups: [],
          loopback_only,
          key: `${this.key}.guest`,
          claims: (user, given) => user === name && isSameText(given, password) && !accounts.has(name),
        })
      : new NoGuestModule(`${this.key}.guest`);
    const vouch = (user: string): Verdict =>
      guests instanceof GuestModule && accounts.find(user) === undefined ? guests.vouch() : module.vouch(user);
    this.scram.push({ accounts, vouch });
    return [
      { control: "sufficient", module: guests },
      { control: "sufficient", module },
    ];
  }

  private moduleOf(entry: ModuleSettings): LoginModule {
    const { groups, certificate, source_address: addresses, guest, jwt, ldap } = entry;
    if (groups !== undefined) {
      const file = this.watch(groups.file, (text) => parseGroups(text, groups));
      return new GroupsModule(() => file.value, groups.match);
    }
    if (certificate !== undefined) return this.certificateModule(certificate);
    if (addresses !== undefined) return this.addressModule(addresses);
    if (guest !== undefined) return new GuestModule({ ...guest, key: `${this.key}.modules: guest` });
    if (jwt !== undefined) {
      return new JwtModule(jwt, this.keysOf(jwt), this.parts.clock, this.parts.turns.tokens);
    }
    if (ldap !== undefined) return this.ldapModule(ldap);
    return this.usersModule(entry.users?.file ?? "");
  }

  private usersModule(path: string): LoginModule {
    const accounts = this.accountsOf(path);
    const module = new UsersModule(accounts, path === "" ? this.key : path);
    this.scram.push({
      get accounts() {
        return accounts();
      },
      vouch: (user) => module.vouch(user),
    });
    return module;
  }

  private accountsOf(path: string): () => Accounts {
    if (path === "") {
      const accounts = new Accounts(this.settings.users, this.accountParts);
      this.section.push(accounts);
      return () => accounts;
    }
    const file = this.watch(path, (text) => new Accounts(parseUsers(path, text), this.accountParts));
    return () => file.value;
  }

  private certificateModule(settings: CertificateSettings): LoginModule {
    if (settings.file === "") return new CertificateModule(settings, () => undefined);
    const file = this.watch(settings.file, parseNamedUsers);
    return new CertificateModule(settings, () => file.value);
  }

  private addressModule(settings: SourceAddressSettings): LoginModule {
    const lists = (entries: readonly string[], path: string): (() => AddressSet[]) => {
      const fixed = entries.length === 0 ? [] : [new AddressSet(entries)];
      if (path === "") return () => fixed;
      const file = this.watch(path, parseNetworks);
      return () => [...fixed, file.value];
    };
    const allow = lists(settings.allow, settings.allow_file);
    const deny = lists(settings.deny, settings.deny_file);
    return new SourceAddressModule(() => ({ allow: allow(), deny: deny() }));
  }

  private ldapModule(settings: LdapSettings): LoginModule {
    const authority = settings.ca === "" ? undefined : this.watch(settings.ca, (text) => text);
    const checks = new Checks<Grant>(this.parts.clock, this.parts.turns.directories);
    return new LdapModule(settings, () => authority?.value, checks);
  }

  private keysOf({ jwks_url: url, jwks_file: set, key_file: key, secret }: JwtSettings): () => Keys {
    if (set !== "" || key !== "") {
      const file = set === "" ? this.watch(key, parsePublicKey) : this.watch(set, parseKeySet);
      return () => file.value;
    }
    const keys = url === "" ? secretKey(secret) : this.remoteKeys(url);
    return () => keys;
  }

  /** An issuer that does not answer just now is known all the same after a reload. */
  private remoteKeys(url: string): Keys {
    const { remoteKeySets } = this.parts;
    const known = remoteKeySets.get(url) ?? remoteKeys(url);
    remoteKeySets.set(url, known);
    return known;
  }

  private watch<T>(path: string, parse: (text: string) => T): WatchedFile<T> {
    const file = new WatchedFile(path, parse);
    this.files.push(file);
    return file;
  }

  private get accountParts() {
    return { clock: this.parts.clock, turns: this.parts.turns.passwords, ...this.parts.accounts };
  }
}
