import { parseDocument } from "yaml";
import type { PeerCertificate } from "../../core/protocol.ts";
import type { CertificateSettings } from "../config/security-schema.ts";
import { type Attempt, aside, type LoginModule, refused, type Verdict } from "./attempt.ts";
import { canonicalName, NamePattern } from "./names.ts";

/** The users that a file gives to distinguished names; the patterns in their order. */
export interface NamedUsers {
  readonly exact: ReadonlyMap<string, string | undefined>;
  readonly patterns: readonly { readonly pattern: NamePattern; readonly user: string | undefined }[];
}

/** Reads Apollo's dn_file, a map in YAML from distinguished names, here also patterns, to users. Throws an Error. */
export function parseNamedUsers(text: string): NamedUsers {
  const document = parseDocument(text, { uniqueKeys: true });
  const [error] = document.errors;
  if (error !== undefined) throw new Error(error.message.split("\n", 1)[0]);
  const given: unknown = document.toJS() ?? {};
  if (typeof given !== "object" || given === null || Array.isArray(given)) {
    throw new Error("expected distinguished names, each with a colon and its user behind it");
  }
  const exact = new Map<string, string | undefined>();
  const patterns: { pattern: NamePattern; user: string | undefined }[] = [];
  for (const [name, value] of Object.entries(given)) {
    if (value !== null && typeof value !== "string")
      throw new Error(`the user of ${name} is no text; put it in quotes`);
    const user = value ?? undefined;
    if (name.includes("*")) patterns.push({ pattern: new NamePattern(name), user });
    else exact.set(canonicalName(name), user);
  }
  return { exact, patterns };
}

const KINDS: Readonly<Record<string, string>> = { email: "email:", dns: "DNS:", uri: "URI:" };

/** Certificates that were verified by TLS. */
export class CertificateModule implements LoginModule {
  private readonly settings: CertificateSettings;
  private readonly allowed: readonly NamePattern[];
  private readonly named: () => NamedUsers | undefined;

  /** `named` is what the file says now, if there is one. */
  constructor(settings: CertificateSettings, named: () => NamedUsers | undefined) {
    this.settings = settings;
    this.allowed = settings.allow.map((pattern) => new NamePattern(pattern));
    this.named = named;
  }

  check({ peer }: Attempt): Verdict {
    const { certificate } = peer;
    if (certificate === undefined) return aside("The client has shown no certificate that tls.ca has signed");
    const { subject } = certificate;
    const name = canonicalName(subject);
    const named = this.named();
    const entry = entryOf(name, named);
    const allowed = this.allowed.length === 0 ? named === undefined : this.isAllowed(name);
    if (!allowed && entry === undefined) {
      return refused(
        `The certificate of ${subject} is not among those that are let in (security.modules, certificate)`,
      );
    }
    const user = entry?.user ?? this.userOf(certificate);
    if (user === undefined && this.settings.user !== "none") {
      return refused(
        `The certificate of ${subject} has no ${this.settings.user} to be the name of its user (security.modules, ` +
          "certificate.user)",
      );
    }
    const principals = [{ kind: "certificate" as const, name: subject }];
    return { kind: "accepted", grant: user === undefined ? { principals } : { user, principals } };
  }

  private isAllowed(name: string): boolean {
    return this.allowed.some((pattern) => pattern.matches(name));
  }

  private userOf({ subject, commonName, alternativeNames }: PeerCertificate): string | undefined {
    const { user } = this.settings;
    if (user === "none") return undefined;
    if (user === "dn") return subject;
    if (user === "common_name") return commonName === "" ? undefined : commonName;
    const prefix = KINDS[user] ?? "";
    return alternativeNames
      .find((name) => name.startsWith(prefix) && name.length > prefix.length)
      ?.slice(prefix.length);
  }
}

function entryOf(name: string, named: NamedUsers | undefined): { readonly user: string | undefined } | undefined {
  if (named === undefined) return undefined;
  if (named.exact.has(name)) return { user: named.exact.get(name) };
  return named.patterns.find(({ pattern }) => pattern.matches(name));
}
