/*
 * Users of an LDAP directory:
 *
 *     user_dn:  bind as that name with the password of the client               -> it is them
 *     else:     bind as bind_dn, search user_base by user_filter, bind as what was found
 *     groups:   as bind_dn if there is one, search group_base by group_filter   -> group_attribute of each
 */
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

/** Users and groups of a directory. */
export class LdapModule implements LoginModule {
  private readonly settings: LdapSettings;
  private readonly authority: () => string | undefined;
  private readonly checks: Checks<Grant>;
  private readonly source: string;

  /** `authority` are the certificates to trust now, in PEM. */
  constructor(settings: LdapSettings, authority: () => string | undefined, checks: Checks<Grant>) {
    this.settings = settings;
    this.authority = authority;
    this.checks = checks;
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
    const client = new Client({ url, timeout, connectTimeout: timeout, ...(secure ? { tlsOptions: tls } : {}) });
    try {
      if (startTls) await client.startTLS({ ...tls, servername: new URL(url).hostname });
      const name = await this.find(client, user);
      if (name === undefined) return undefined;
      try {
        await client.bind(name, password);
      } catch (error) {
        if (error instanceof InvalidCredentialsError) return undefined;
        throw error;
      }
      return { user, groups: await this.groupsOf(client, user, name) };
    } finally {
      await client.unbind().catch(() => {});
    }
  }

  /** The name of a user in the directory; undefined unless there is exactly one. */
  private async find(client: Client, user: string): Promise<string | undefined> {
    const { user_dn: template, user_base: base, user_filter: filter } = this.settings;
    if (template !== "") return template.replaceAll("{user}", () => escapeName(user));
    await this.bindAsSearcher(client);
    const { searchEntries } = await client.search(base, {
      filter: filter.replaceAll("{user}", () => escapeFilter(user)),
      attributes: ["1.1"],
      sizeLimit: 2,
    });
    return searchEntries.length === 1 ? searchEntries[0]?.dn : undefined;
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
