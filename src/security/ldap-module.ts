/*
 * Users of an LDAP directory:
 *
 *     user_dn:  bind as that name with the password of the client               -> it is them
 *     else:     bind as bind_dn, search user_base by user_filter, bind as what was found
 *     name:     as the directory has it: to that "BOB" and "bob " are bob, to access rules they are not
 *     groups:   as bind_dn if there is one, search group_base by group_filter   -> group_attribute of each
 */
import { isIP } from "node:net";
import { connect, type TLSSocket } from "node:tls";
import type { Client, Entry } from "ldapts";
import type { LdapSettings } from "../config/security-schema.ts";
import {
  type Attempt,
  aside,
  evidenceOf,
  type Grant,
  type LoginModule,
  refused,
  unknown,
  type Verdict,
  WRONG_PASSWORD,
  wrongPassword,
} from "./attempt.ts";
import type { Checks } from "./checks.ts";

const LONGEST_USER = 256;
const MOST_GROUPS = 1000;
/** RFC 4511 4.5.1.8. */
const NO_ATTRIBUTES = "1.1";
/** Where a name is the whole value of an attribute. */
const IN_FILTER = /\(\s*([\w-]+)\s*=\s*\{user\}\s*\)/g;
const IN_NAME = /(?:^|[,+])\s*([\w-]+)\s*=\s*\{user\}\s*(?=[,+]|$)/g;

/** Users and groups of a directory. */
export class LdapModule implements LoginModule {
  private readonly settings: LdapSettings;
  private readonly authority: () => string | undefined;
  private readonly checks: Checks<Grant>;
  private readonly source: string;
  /** Those that have the name of a user. */
  private readonly attributes: readonly string[];

  /** `authority` are the certificates to trust now, in PEM. */
  constructor(settings: LdapSettings, authority: () => string | undefined, checks: Checks<Grant>) {
    this.settings = settings;
    this.authority = authority;
    this.checks = checks;
    const { user_dn: template, user_filter: filter } = settings;
    const places = template === "" ? filter.matchAll(IN_FILTER) : template.matchAll(IN_NAME);
    this.attributes = [...new Set(Array.from(places, ([, attribute = ""]) => attribute))];
    this.source = `ldap ${JSON.stringify(settings)}`;
  }

  async check(attempt: Attempt): Promise<Verdict> {
    const { user, password, evidence } = attempt;
    if (evidence !== undefined) {
      const before = evidenceOf(attempt, this.source);
      if (before === undefined) return aside("No password was given");
      return { kind: "accepted", grant: before.grant, evidence: before };
    }
    // RFC 4513 5.1.2: a bind without a password succeeds, and says nothing of who it is.
    if (user === "" || password === "") return aside("No user name or no password was given");
    if (user.length > LONGEST_USER) return refused(WRONG_PASSWORD);
    let grant: Grant | undefined;
    try {
      grant = await this.checks.run(user, password, async () => {
        attempt.mayTry?.();
        return this.ask(user, password);
      });
    } catch (error) {
      if (error instanceof Error && "code" in error && error.code === "throttled") throw error;
      return unknown(error);
    }
    if (grant === undefined) return wrongPassword();
    return { kind: "accepted", grant, evidence: { source: this.source, mark: "", grant } };
  }

  private async ask(user: string, password: string): Promise<Grant | undefined> {
    const { Client, InvalidCredentialsError } = await import("ldapts");
    const { url, timeout, start_tls: startTls } = this.settings;
    const ca = this.authority();
    const tls = { minVersion: "TLSv1.2" as const, ...(ca === undefined ? {} : { ca: [ca] }) };
    const secure = url.startsWith("ldaps:");
    const client = new Client({
      url,
      timeout,
      connectTimeout: timeout,
      createSecureConnection: hurried(timeout),
      ...(secure ? { tlsOptions: tls } : {}),
    });
    try {
      if (startTls) await client.startTLS({ ...tls, ...namesOf(url) });
      const found = await this.find(client, user);
      if (found === undefined) return undefined;
      const { dn } = found;
      try {
        await client.bind(dn, password);
      } catch (error) {
        if (error instanceof InvalidCredentialsError) return undefined;
        throw error;
      }
      const spelled = spelling(user, found.entry ?? (await this.ownEntry(client, dn)), this.attributes);
      return { user: spelled, groups: await this.groupsOf(client, user, dn) };
    } finally {
      await client.unbind().catch(() => {});
    }
  }

  /** The name of a user in the directory, and what else that says if it was asked; undefined unless there is exactly one. */
  private async find(client: Client, user: string): Promise<{ dn: string; entry: Entry | undefined } | undefined> {
    const { user_dn: template, user_base: base, user_filter: filter } = this.settings;
    if (template !== "") return { dn: template.replaceAll("{user}", () => escapeName(user)), entry: undefined };
    await this.bindAsSearcher(client);
    const { searchEntries } = await client.search(base, {
      filter: filter.replaceAll("{user}", () => escapeFilter(user)),
      attributes: this.attributes.length === 0 ? [NO_ATTRIBUTES] : [...this.attributes],
      sizeLimit: 2,
    });
    const [entry, ...others] = searchEntries;
    return entry === undefined || others.length > 0 ? undefined : { dn: entry.dn, entry };
  }

  /** What somebody who is bound may see of himself: nothing, if he may not. */
  private async ownEntry(client: Client, dn: string): Promise<Entry | undefined> {
    if (this.attributes.length === 0) return undefined;
    const { ResultCodeError } = await import("ldapts");
    try {
      const { searchEntries } = await client.search(dn, { scope: "base", attributes: [...this.attributes] });
      return searchEntries[0];
    } catch (error) {
      // A name that is none of the directory's form has no entry; the connection is as it was.
      if (error instanceof ResultCodeError) return undefined;
      throw error;
    }
  }

  private async groupsOf(client: Client, user: string, name: string): Promise<string[]> {
    const { group_base: base, group_filter: filter, group_attribute: attribute } = this.settings;
    if (base === "") return [];
    await this.bindAsSearcher(client);
    const { searchEntries } = await client.search(base, {
      filter: filter.replace(/\{(dn|user)\}/g, (_whole, what) => escapeFilter(what === "dn" ? name : user)),
      attributes: [attribute],
      sizeLimit: MOST_GROUPS,
    });
    return searchEntries.flatMap((entry) => textsOf(entry, attribute)).sort();
  }

  private async bindAsSearcher(client: Client): Promise<void> {
    const { bind_dn: name, bind_password: password } = this.settings;
    if (name !== "") await client.bind(name, password);
  }
}

/** Begins TLS as Node does, and gives up after a time: the library would wait for ever for a directory that has begun it. */
function hurried(timeoutMs: number): typeof connect {
  return (...args: unknown[]) => {
    const socket: TLSSocket = Reflect.apply(connect, undefined, args);
    const timer = setTimeout(() => {
      socket.destroy(new Error(`TLS had not begun after ${timeoutMs / 1000} s (ldap.timeout)`));
    }, timeoutMs);
    for (const event of ["secureConnect", "close"]) socket.once(event, () => clearTimeout(timer));
    return socket;
  };
}

/** Whom the certificate of a directory is to be of. */
function namesOf(url: string): { host: string; servername?: string } {
  const host = new URL(url).hostname.replace(/^\[(.*)\]$/, "$1");
  // RFC 6066 3: an address is no name of a server.
  return isIP(host) === 0 ? { host, servername: host } : { host };
}

/** A name as the directory spells it, if that has it in one of the attributes. */
function spelling(user: string, entry: Entry | undefined, attributes: readonly string[]): string {
  if (entry === undefined) return user;
  const values = attributes.flatMap((attribute) => textsOf(entry, attribute));
  return values.find((value) => value === user) ?? values.find((value) => folded(value) === folded(user)) ?? user;
}

/** RFC 4518 2: what directories take for the same. */
function folded(text: string): string {
  return text.normalize("NFKC").toLowerCase().trim().replace(/\s+/g, " ");
}

function textsOf(entry: Entry, attribute: string): string[] {
  const values = entry[attribute] ?? [];
  const list: readonly (string | Buffer)[] = Array.isArray(values) ? values : [values];
  return list.map(String);
}

/** RFC 4515 3. */
function escapeFilter(text: string): string {
  return text.replace(/[\0()*\\]/g, asBytes);
}

/** RFC 4514 2.4. */
function escapeName(text: string): string {
  return text.replace(/[\p{Cc}",+<>;=\\# ]/gu, asBytes);
}

function asBytes(letter: string): string {
  return Array.from(Buffer.from(letter), (byte) => `\\${byte.toString(16).padStart(2, "0")}`).join("");
}
