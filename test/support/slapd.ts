import { execFileSync, spawn } from "node:child_process";
import { randomInt } from "node:crypto";
import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { Client } from "ldapts";
import { onTestFinished } from "vitest";
import { temporaryFolder } from "./broker.ts";
import { eventually } from "./eventually.ts";

const SLAPD = "/usr/sbin/slapd";
const SLAPADD = "/usr/sbin/slapadd";
const MODULES = "/usr/lib/ldap";

/** Why there is no directory to test with; empty if there is one. */
export const SLAPD_MISSING = existsSync(SLAPD) && existsSync(MODULES) ? "" : ` (skipped: there is no ${SLAPD})`;

const LDIF = `dn: dc=example
objectClass: dcObject
objectClass: organization
o: Example
dc: example

dn: ou=people,dc=example
objectClass: organizationalUnit
ou: people

dn: ou=groups,dc=example
objectClass: organizationalUnit
ou: groups

dn: uid=ann,ou=people,dc=example
objectClass: inetOrgPerson
uid: ann
cn: Ann
sn: Archer
userPassword: ann's

dn: uid=bob\\2C jr.,ou=people,dc=example
objectClass: inetOrgPerson
uid: bob, jr.
cn: Bob (*)
sn: Baker
userPassword: bob's

dn: cn=reader,dc=example
objectClass: organizationalRole
objectClass: simpleSecurityObject
cn: reader
userPassword: reads

dn: cn=traders,ou=groups,dc=example
objectClass: groupOfNames
cn: traders
member: uid=ann,ou=people,dc=example
member: uid=bob\\2C jr.,ou=people,dc=example

dn: cn=admins,ou=groups,dc=example
objectClass: groupOfNames
cn: admins
member: uid=ann,ou=people,dc=example
`;

/** A directory. */
export interface Directory {
  readonly url: string;
  /** Where it listens for TLS, if it was given a certificate. */
  readonly secureUrl: string;
  stop(): Promise<void>;
}

/** Starts a directory with a few people and groups, which nobody may read without a login; maybe with TLS. */
export async function startDirectory(tls?: { readonly certificate: string; readonly key: string }): Promise<Directory> {
  const folder = temporaryFolder();
  mkdirSync(join(folder, "data"));
  const schemas = ["core", "cosine", "inetorgperson"].map((name) => `include /etc/ldap/schema/${name}.schema`);
  const secured =
    tls === undefined ? [] : [`TLSCertificateFile ${tls.certificate}`, `TLSCertificateKeyFile ${tls.key}`];
  const config = [
    ...schemas,
    `modulepath ${MODULES}`,
    "moduleload back_mdb.la",
    `pidfile ${join(folder, "pid")}`,
    ...secured,
    "disallow bind_anon",
    "database mdb",
    'suffix "dc=example"',
    `directory ${join(folder, "data")}`,
    "access to attrs=userPassword by anonymous auth by * none",
    'access to * by dn.exact="cn=reader,dc=example" read by self read by * none',
  ];
  const file = join(folder, "slapd.conf");
  writeFileSync(file, `${config.join("\n")}\n`);
  writeFileSync(join(folder, "people.ldif"), LDIF);
  execFileSync(SLAPADD, ["-f", file, "-l", join(folder, "people.ldif")], { stdio: "pipe" });
  const [url, secureUrl] = [`ldap://127.0.0.1:${await freePort()}`, `ldaps://127.0.0.1:${await freePort()}`];
  const listens = tls === undefined ? `${url}/` : `${url}/ ${secureUrl}/`;
  const child = spawn(SLAPD, ["-d", "256", "-h", listens, "-f", file], { stdio: ["ignore", "ignore", "pipe"] });
  const gone = new Promise<void>((done) => child.once("exit", () => done()));
  const stop = (): Promise<void> => {
    child.kill("SIGKILL");
    return gone;
  };
  onTestFinished(stop);
  let said = "";
  await new Promise<void>((done, fail) => {
    child.stderr.on("data", (chunk: Buffer) => {
      said += chunk.toString();
      if (said.includes("slapd starting")) done();
    });
    void gone.then(() => fail(new Error(`slapd ended: ${said}`)));
  });
  await eventually(() => answers(url));
  return { url, secureUrl, stop };
}

/** Whether the directory knows who may look people up: it says that it starts before it does. */
async function answers(url: string): Promise<boolean> {
  const client = new Client({ url, timeout: 1000, connectTimeout: 1000 });
  try {
    await client.bind("cn=reader,dc=example", "reads");
    return true;
  } catch {
    return false;
  } finally {
    await client.unbind().catch(() => {});
  }
}

/** Below those that the system gives to connections, so that none of them takes it before the directory does. */
async function freePort(): Promise<number> {
  for (;;) {
    const port = randomInt(15_000, 30_000);
    const server = createServer();
    const isFree = await new Promise<boolean>((done) => {
      server.once("error", () => done(false));
      server.listen(port, "127.0.0.1", () => done(true));
    });
    if (!isFree) continue;
    await new Promise((done) => server.close(done));
    return port;
  }
}
