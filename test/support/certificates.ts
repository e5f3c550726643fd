/*
 * Certificates made on the spot (RFC 5280), of elliptic curves, as making keys of RSA takes long.
 *
 *     const ca = authority("Plant CA");
 *     const server = ca.issue({ commonName: "broker", names: ["DNS:localhost", "IP:127.0.0.1"] });
 */
import { generateKeyPairSync, type KeyObject, sign, X509Certificate } from "node:crypto";
import { writeFileSync } from "node:fs";
import { join } from "node:path";

/** A certificate with its key, both in PEM. */
export interface Pair {
  readonly certificate: string;
  readonly key: string;
}

/** What a certificate is to say. */
export interface Wanted {
  readonly commonName: string;
  readonly organization?: string;
  /** `DNS:localhost`, `IP:127.0.0.1`, `email:ann@example.org`. */
  readonly names?: readonly string[];
  readonly from?: Date;
  readonly to?: Date;
}

/** Somebody who signs certificates. */
export interface Authority extends Pair {
  issue(wanted: Wanted): Pair;
}

const DAY_MS = 86_400_000;
const ECDSA_WITH_SHA256 = sequence(oid("1.2.840.10045.4.3.2"));
const GENERAL_NAMES: Readonly<Record<string, number>> = { email: 0x81, DNS: 0x82, URI: 0x86, IP: 0x87 };
let serial = 1;

/** A self-signed authority. */
export function authority(commonName: string): Authority {
  const keys = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const wanted = { commonName };
  const certificate = make(wanted, keys.publicKey, { subject: wanted, key: keys.privateKey }, true);
  return {
    certificate,
    key: pem(keys.privateKey),
    issue: (leaf) => {
      const own = generateKeyPairSync("ec", { namedCurve: "P-256" });
      const issuer = { subject: wanted, key: keys.privateKey };
      return { certificate: make(leaf, own.publicKey, issuer, false), key: pem(own.privateKey) };
    },
  };
}

/** Writes what is in PEM to files of a folder, and gives their paths. */
export function writePair(
  folder: string,
  name: string,
  { certificate, key }: Pair,
): { certificate: string; key: string } {
  const paths = { certificate: join(folder, `${name}.crt`), key: join(folder, `${name}.key`) };
  writeFileSync(paths.certificate, certificate);
  writeFileSync(paths.key, key, { mode: 0o600 });
  return paths;
}

function pem(key: KeyObject): string {
  return key.export({ type: "pkcs8", format: "pem" }).toString();
}

function make(
  wanted: Wanted,
  publicKey: KeyObject,
  issuer: { readonly subject: Wanted; readonly key: KeyObject },
  isAuthority: boolean,
): string {
  const { from = new Date(Date.now() - DAY_MS), to = new Date(Date.now() + DAY_MS) } = wanted;
  const extensions = [extension("2.5.29.19", sequence(...(isAuthority ? [tagged(0x01, Buffer.from([0xff]))] : [])))];
  if (wanted.names !== undefined) extensions.push(extension("2.5.29.17", sequence(...wanted.names.map(generalName))));
  const body = sequence(
    tagged(0xa0, integer(2)),
    integer(serial++),
    ECDSA_WITH_SHA256,
    distinguishedName(issuer.subject),
    sequence(time(from), time(to)),
    distinguishedName(wanted),
    publicKey.export({ type: "spki", format: "der" }),
    tagged(0xa3, sequence(...extensions)),
  );
  const signature = tagged(0x03, Buffer.concat([Buffer.from([0]), sign("sha256", body, issuer.key)]));
  return new X509Certificate(sequence(body, ECDSA_WITH_SHA256, signature)).toString();
}

function distinguishedName({ organization, commonName }: Wanted): Buffer {
  const parts: [id: string, text: string][] = [["2.5.4.3", commonName]];
  if (organization !== undefined) parts.unshift(["2.5.4.10", organization]);
  return sequence(...parts.map(([id, text]) => tagged(0x31, sequence(oid(id), tagged(0x0c, Buffer.from(text))))));
}

function generalName(text: string): Buffer {
  const cut = text.indexOf(":");
  const kind = text.slice(0, cut);
  const value = text.slice(cut + 1);
  const bytes = kind === "IP" ? Buffer.from(value.split(".").map(Number)) : Buffer.from(value);
  return tagged(GENERAL_NAMES[kind] ?? 0x82, bytes);
}

function extension(id: string, value: Buffer): Buffer {
  return sequence(oid(id), tagged(0x04, value));
}

function time(date: Date): Buffer {
  return tagged(0x18, Buffer.from(`${date.toISOString().replace(/[-:T]/g, "").slice(0, 14)}Z`));
}

function oid(text: string): Buffer {
  const [first = 0, second = 0, ...rest] = text.split(".").map(Number);
  const bytes = [first * 40 + second];
  for (const arc of rest) {
    const sevens = [arc & 0x7f];
    for (let left = arc >>> 7; left > 0; left >>>= 7) sevens.unshift((left & 0x7f) | 0x80);
    bytes.push(...sevens);
  }
  return tagged(0x06, Buffer.from(bytes));
}

function integer(value: number): Buffer {
  const hex = value.toString(16);
  const bytes = Buffer.from(hex.length % 2 === 0 ? hex : `0${hex}`, "hex");
  return tagged(0x02, (bytes[0] ?? 0) < 0x80 ? bytes : Buffer.concat([Buffer.from([0]), bytes]));
}

function sequence(...parts: Buffer[]): Buffer {
  return tagged(0x30, Buffer.concat(parts));
}

function tagged(tag: number, content: Buffer): Buffer {
  const { length } = content;
  if (length < 0x80) return Buffer.concat([Buffer.from([tag, length]), content]);
  const head = length < 0x100 ? [tag, 0x81, length] : [tag, 0x82, length >> 8, length & 0xff];
  return Buffer.concat([Buffer.from(head), content]);
}
