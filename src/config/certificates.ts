/*
 * TLS of each listener and of management, from settings to what is in the files. What one of them does not set for itself is taken from the
 * section "tls", each setting by itself.
 */
import { createPrivateKey, type KeyObject, X509Certificate } from "node:crypto";
import { readFileSync } from "node:fs";
import { type Credentials, type NamedTls, secureContext, type TlsOptions } from "../net/tls.ts";
import type { Tell } from "./coherence.ts";
import type { Config } from "./schema.ts";
import { joinKey } from "./setting.ts";
import type { TlsSection } from "./tls-schema.ts";

type Path = readonly (string | number)[];

/** Whom to tell what is wrong with certificates and keys. */
export interface CertificateTells {
  readonly refuse: Tell;
  readonly warn: Tell;
}

/** A port that may speak TLS: where its section is, and what that says. */
interface Place {
  readonly path: Path;
  readonly section: Config["management"]["tls"];
}

function listenerPlace({ listeners }: Config, name: string): Place | undefined {
  const section = listeners[name]?.tls;
  return section === undefined ? undefined : { path: ["listeners", name, "tls"], section };
}

function managementPlace({ management }: Config): Place {
  return { path: ["management", "tls"], section: management.tls };
}

/** Whether a listener has a certificate to speak TLS with. */
export function speaksTls(config: Config, listener: string): boolean {
  const place = listenerPlace(config, listener);
  return place !== undefined && hasCertificate(config, place);
}

/** Whether management has a certificate to speak TLS with. */
export function managesByTls(config: Config): boolean {
  return hasCertificate(config, managementPlace(config));
}

/** Whether a listener listens at all: one that requires TLS needs a certificate. */
export function listens(config: Config, listener: string): boolean {
  const { enabled, tls } = config.listeners[listener] ?? {};
  return enabled === true && (tls?.required !== true || speaksTls(config, listener));
}

/** What is in the files of every port that speaks TLS. */
export interface Certificates {
  readonly listeners: ReadonlyMap<string, TlsOptions>;
  readonly management: TlsOptions | undefined;
}

/** Reads the files of every port that speaks TLS; those with a fault in them are told, and left out. */
export function readCertificates(config: Config, now: number, tells: CertificateTells): Certificates {
  const reader = new CertificateReader(now, tells);
  const listeners = new Map<string, TlsOptions>();
  for (const name of Object.keys(config.listeners)) {
    const place = listenerPlace(config, name);
    if (place === undefined || !listens(config, name) || !hasCertificate(config, place)) continue;
    const options = optionsOf(config, place, reader);
    if (options !== undefined) listeners.set(name, options);
  }
  const managed = config.management.enabled && managesByTls(config);
  return { listeners, management: managed ? optionsOf(config, managementPlace(config), reader) : undefined };
}

function hasCertificate(config: Config, place: Place): boolean {
  return effective(config, place, "certificate").value !== "" && place.section.enabled;
}

interface Located<T> {
  readonly value: T;
  readonly path: Path;
}

function effective<K extends keyof TlsSection>(config: Config, place: Place, key: K): Located<TlsSection[K]> {
  const section: Partial<TlsSection> = place.section;
  const own = section[key];
  if (own === undefined) return { value: config.tls[key], path: ["tls", key] };
  return { value: own, path: [...place.path, key] };
}

function optionsOf(config: Config, place: Place, reader: CertificateReader): TlsOptions | undefined {
  const certificate = effective(config, place, "certificate");
  const credentials = reader.credentials(
    certificate,
    effective(config, place, "key"),
    effective(config, place, "passphrase"),
  );
  const ca = effective(config, place, "ca");
  const trusted = ca.value === "" ? undefined : reader.certificates(ca);
  const names = namesOf(effective(config, place, "names"), reader);
  const clients = effective(config, place, "client_certificates");
  // Without it Node would trust whoever a browser trusts.
  if (clients.value !== "none" && ca.value === "") reader.refuse(clients.path, `${clients.value} needs a ca to trust`);
  if (credentials === undefined || (ca.value !== "" && trusted === undefined)) return undefined;
  const options: TlsOptions = {
    required: place.section.required,
    credentials,
    names: [...names, ...hostNames(config)],
    ca: trusted,
    clientCertificates: clients.value,
    minimumVersion: effective(config, place, "minimum_version").value,
    ciphers: effective(config, place, "ciphers").value,
  };
  return reader.usable(options, certificate.path, effective(config, place, "ciphers")) ? options : undefined;
}

function namesOf({ value, path }: Located<TlsSection["names"]>, reader: CertificateReader): NamedTls[] {
  return value.map((entry, index) => {
    const at = (key: string): Path => [...path, index, key];
    const { certificate = "", key = "", passphrase = "", virtual_host: virtualHost = "" } = entry;
    const credentials =
      certificate === ""
        ? undefined
        : reader.credentials(
            { value: certificate, path: at("certificate") },
            { value: key, path: at("key") },
            { value: passphrase, path: at("passphrase") },
          );
    return { match: entry.match, credentials, virtualHost: virtualHost === "" ? undefined : virtualHost };
  });
}

/** Whoever calls the broker by a name or alias of a virtual host means that one. */
function hostNames({ hosts }: Config): NamedTls[] {
  return Object.entries(hosts).flatMap(([name, { aliases }]) =>
    [name, ...aliases].map((match) => ({ match, credentials: undefined, virtualHost: name })),
  );
}

/** Reads files, each fault told once. */
class CertificateReader {
  private readonly now: number;
  private readonly tells: CertificateTells;
  private readonly told = new Set<string>();

  constructor(now: number, tells: CertificateTells) {
    this.now = now;
    this.tells = tells;
  }

  credentials(
    certificate: Located<string>,
    key: Located<string>,
    passphrase: Located<string>,
  ): Credentials | undefined {
    const chain = this.certificates(certificate);
    if (key.value === "") {
      this.refuse(key.path, `must name the file of the key of ${certificate.value}`);
      return undefined;
    }
    const bytes = this.file(key);
    if (bytes === undefined || chain === undefined) return undefined;
    const secret = this.privateKey(bytes, key, passphrase);
    if (secret === undefined) return undefined;
    if (!new X509Certificate(chain).checkPrivateKey(secret)) {
      this.refuse(key.path, `${key.value} is not the key of the certificate in ${certificate.value}`);
      return undefined;
    }
    return { certificate: chain, key: bytes, passphrase: passphrase.value };
  }

  /** The certificates in a file, of which the first is looked at. */
  certificates(file: Located<string>): Buffer | undefined {
    const bytes = this.file(file);
    if (bytes === undefined) return undefined;
    try {
      if (!bytes.includes("-----BEGIN CERTIFICATE-----")) throw new Error("it has no -----BEGIN CERTIFICATE-----");
      this.checkTime(new X509Certificate(bytes), file);
      return bytes;
    } catch (error) {
      this.refuse(file.path, `${file.value} holds no certificate in PEM: ${messageOf(error)}`);
      return undefined;
    }
  }

  /** Whether OpenSSL takes it all together. */
  usable(options: TlsOptions, path: Path, ciphers: Located<string>): boolean {
    let tried = path;
    try {
      secureContext({ ...options, ciphers: "" }, options.credentials);
      for (const { credentials } of options.names) if (credentials) secureContext(options, credentials);
      tried = ciphers.path;
      secureContext(options, options.credentials);
      return true;
    } catch (error) {
      this.refuse(tried, `cannot be used: ${messageOf(error)}`);
      return false;
    }
  }

  private privateKey(bytes: Buffer, key: Located<string>, passphrase: Located<string>): KeyObject | undefined {
    try {
      return createPrivateKey(passphrase.value === "" ? bytes : { key: bytes, passphrase: passphrase.value });
    } catch (error) {
      if (!bytes.includes("ENCRYPTED")) {
        this.refuse(key.path, `${key.value} holds no private key in PEM: ${messageOf(error)}`);
      } else if (passphrase.value === "") {
        this.refuse(key.path, `the key in ${key.value} is encrypted, and ${keyText(passphrase.path)} is not set`);
      } else {
        this.refuse(passphrase.path, `is not what the key in ${key.value} is encrypted with`);
      }
      return undefined;
    }
  }

  private file({ value, path }: Located<string>): Buffer | undefined {
    try {
      return readFileSync(value);
    } catch (error) {
      const code = error instanceof Error && "code" in error ? error.code : undefined;
      if (code === "ENOENT") this.refuse(path, `there is no file ${value}`);
      else if (code === "EACCES") this.refuse(path, `${value} may not be read by this user`);
      else this.refuse(path, `${value} cannot be read: ${messageOf(error)}`);
      return undefined;
    }
  }

  private checkTime({ validFrom, validTo, validFromDate, validToDate }: X509Certificate, file: Located<string>): void {
    if (validToDate.getTime() < this.now)
      this.warn(file.path, `the certificate in ${file.value} expired on ${validTo}`);
    if (validFromDate.getTime() > this.now) {
      this.warn(file.path, `the certificate in ${file.value} is not valid before ${validFrom}`);
    }
  }

  /** Tells what is wrong with a setting. */
  refuse(path: Path, text: string): void {
    this.tell(this.tells.refuse, path, text);
  }

  private warn(path: Path, text: string): void {
    this.tell(this.tells.warn, path, text);
  }

  private tell(tell: Tell, path: Path, text: string): void {
    const sentence = `${keyText(path)}: ${text}`;
    if (this.told.has(sentence)) return;
    this.told.add(sentence);
    tell(path, sentence);
  }
}

/** A path as `--set` takes it: `listeners.mqtt.tls.names[0].key`. */
function keyText(path: Path): string {
  return path.reduce<string>((key, step) => (typeof step === "number" ? `${key}[${step}]` : joinKey(key, step)), "");
}

function messageOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return "reason" in error && typeof error.reason === "string" ? error.reason : error.message;
}
