import { utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import type { PeerCertificate } from "../../core/protocol.ts";
import type { ModuleSettings, UserSettings } from "../../src/config/security-schema.ts";
import { siteOf } from "../../src/security/addresses.ts";
import { parseNamedUsers } from "../../src/security/certificate-module.ts";
import { canonicalName, NamePattern } from "../../src/security/names.ts";
import { hashPassword } from "../../src/security/password.ts";
import { parseProperties } from "../../src/security/properties.ts";
import { parseUsers, plainPasswords } from "../../src/security/users-file.ts";
import { temporaryFolder } from "../support/broker.ts";
import { eventually } from "../support/eventually.ts";
import { certificateOf, loginsBy, peerAt, refusal, securityWith, users } from "../support/logins.ts";

const HERE = "127.0.0.1:5";
const AWAY = "10.1.2.3:5";
const bobHash = await hashPassword("bob's");

interface Showing {
  readonly user?: string;
  readonly password?: string;
  readonly from?: string;
  readonly certificate?: PeerCertificate;
}

function stack(modules: ModuleSettings[], people: Record<string, Partial<UserSettings>> = {}) {
  const parts = loginsBy(securityWith({ modules, users: users(people) }));
  const login = ({ user, password, from = AWAY, certificate }: Showing) =>
    parts.logins.login({ user, password, peer: peerAt(from, certificate) });
  return { ...parts, login };
}

/** A file of a folder of this test. */
function file(name: string, text: string): string {
  const path = join(temporaryFolder(), name);
  writeFileSync(path, text);
  return path;
}

const USERS: ModuleSettings = { control: "sufficient", users: { file: "" } };

const groupsIn = (text: string, match: "user" | "certificate" | "address" = "user"): ModuleSettings => ({
  control: "optional",
  groups: { file: file("groups.properties", text), match, separator: "|" },
});

const certificateBy = (settings: Partial<NonNullable<ModuleSettings["certificate"]>>): ModuleSettings[] => [
  { control: "required", certificate: { user: "common_name", allow: [], file: "", ...settings } },
];

const fromWhere = (given: Partial<NonNullable<ModuleSettings["source_address"]>>): ModuleSettings[] => [
  { control: "requisite", source_address: { allow: [], deny: [], allow_file: "", deny_file: "", ...given } },
  USERS,
];

const guestsToo = (loopback_only: boolean): ModuleSettings[] => [
  { control: "optional", certificate: { user: "common_name", allow: [], file: "" } },
  USERS,
  { control: "optional", guest: { user: "visitor", groups: ["guests"], loopback_only } },
];

describe("users", () => {
  it("of Apollo's users.properties log in with plain passwords, and with hashes put there", async () => {
    const path = file("users.properties", `# people\nann=ann\\u0027s\nbob:${bobHash}\n`);
    const { login } = stack([{ control: "required", users: { file: path } }]);
    expect(await login({ user: "ann", password: "ann's" })).toEqual({ user: "ann", groups: [] });
    expect(await login({ user: "bob", password: "bob's" })).toEqual({ user: "bob", groups: [] });
    await refusal(login({ user: "bob", password: bobHash }));
  });

  it("of a file in YAML have groups, and can be disabled", async () => {
    const path = file("users.yaml", `ann: {password: x, groups: [a]}\nbob: {password: x, enabled: false}\n`);
    const { login } = stack([{ control: "required", users: { file: path } }]);
    expect(await login({ user: "ann", password: "x" })).toEqual({ user: "ann", groups: ["a"] });
    await refusal(login({ user: "bob", password: "x" }));
  });

  it.each([
    ["u.yaml", "ann: {}", "user ann must have either"],
    ["u.yaml", "ann: {password: 5}", "ann.password: "],
    ["u.yaml", "ann: {passwort: x}", "ann"],
    ["u.yaml", "- ann", "expected names of users"],
    ["u.yaml", "a: [", "Flow sequence"],
    ["u.yaml", "ann: {password_hash: scrypt$1}", "password_hash of user ann is not what"],
    ["u.properties", "ann=ENC(abc)", "is encrypted as by Apollo's tools"],
    ["u.properties", "ann", "user ann has no password"],
  ])("in %s that says %j are refused without showing a password", (path, text, found) => {
    expect(() => parseUsers(path, text)).toThrow(found);
  });

  it("whose passwords everybody can read are known", () => {
    expect(plainPasswords(parseUsers("u.properties", `ann=x\nbob=${bobHash}`))).toEqual(["ann"]);
  });

  it("that change in their file are others at once, and a file with a mistake changes nothing but the log", async () => {
    const path = file("users.properties", "ann=one");
    const { login, logins, clock, log } = stack([{ control: "required", users: { file: path } }]);
    let changes = 0;
    logins.changed = () => void changes++;
    logins.start();
    await login({ user: "ann", password: "one" });
    const rewrite = (text: string, seconds: number): void => {
      writeFileSync(path, text);
      utimesSync(path, seconds, seconds);
    };
    rewrite("ann=two", 1000);
    await eventually(() => {
      clock.advance(5000);
      expect(changes).toBe(1);
    });
    await login({ user: "ann", password: "two" });
    await refusal(login({ user: "ann", password: "one" }));
    rewrite("ann=", 2000);
    await eventually(() => {
      clock.advance(5000);
      expect(log.map(({ text }) => text)).toContain("a file of logins cannot be read");
    });
    expect(await login({ user: "ann", password: "two" })).toMatchObject({ user: "ann" });
    logins.stop();
  });
});

describe("a file of properties", () => {
  it("is read as Java does", () => {
    const text = "a=1\n b : 2 \n\n! no\nc 3\nd\\=e=f\\\n   g\nh\nu\\u00e9=\\u00e9\r\nlast=x\\\\";
    expect([...parseProperties(text)]).toEqual([
      ["a", "1"],
      ["b", "2 "],
      ["c", "3"],
      ["d=e", "fg"],
      ["h", ""],
      ["u\u00e9", "\u00e9"],
      ["last", "x\\"],
    ]);
  });
});

describe("groups", () => {
  it("of Apollo's groups.properties are those of whoever is let in, whichever module did", async () => {
    const { login } = stack([groupsIn("admins=ann|bob\nall= ann | cy"), USERS], {
      ann: { password: "x", groups: ["own"] },
    });
    expect(await login({ user: "ann", password: "x" })).toEqual({ user: "ann", groups: ["own", "admins", "all"] });
  });

  it("let nobody in", async () => {
    const { login } = stack([groupsIn("admins=ann"), USERS]);
    await refusal(login({ user: "ann", password: "x" }));
  });

  it("can be those of certificates and of addresses", async () => {
    const machines = groupsIn("machines=cn=pump, o=X|CN=other", "certificate");
    const near = groupsIn("near=10.1.2.3", "address");
    const address: ModuleSettings = {
      control: "requisite",
      source_address: { allow: [], deny: [], allow_file: "", deny_file: "" },
    };
    const certificate: ModuleSettings = { control: "required", certificate: { user: "none", allow: [], file: "" } };
    const parts = stack([address, near, certificate]);
    const shown = certificateOf("CN=pump,O=X");
    expect(await parts.login({ certificate: shown })).toEqual({
      user: undefined,
      groups: ["near"],
      principals: [
        { kind: "address", name: "10.1.2.3" },
        { kind: "certificate", name: "CN=pump,O=X" },
      ],
    });
    const other = stack([machines, certificate]);
    expect(await other.login({ certificate: shown })).toMatchObject({ groups: ["machines"] });
  });
});

describe("certificates", () => {
  const pump = certificateOf("CN=pump-7,OU=Plant 2,O=Example", [
    "DNS:pump.example",
    "email:ann@example.org",
    "URI:urn:x",
  ]);

  it.each([
    ["common_name", "pump-7"],
    ["dn", "CN=pump-7,OU=Plant 2,O=Example"],
    ["dns", "pump.example"],
    ["email", "ann@example.org"],
    ["uri", "urn:x"],
    ["none", undefined],
  ] as const)("give the user by %s", async (user, name) => {
    const login = await stack(certificateBy({ user })).login({ certificate: pump });
    expect(login).toEqual({ user: name, groups: [], principals: [{ kind: "certificate", name: pump.subject }] });
  });

  it("without what the user is called by are refused", async () => {
    const { login } = stack(certificateBy({ user: "email" }));
    expect(await refusal(login({ certificate: certificateOf("CN=x") }))).toMatch(/has no email .*certificate\.user/);
  });

  it("are needed where they are required, whatever password there is", async () => {
    const { login } = stack([...certificateBy({}), USERS], { ann: { password: "x" } });
    expect(await refusal(login({ user: "ann", password: "x" }))).toMatch(/has shown no certificate/);
    expect(await login({ user: "ann", password: "x", certificate: pump })).toMatchObject({ user: "ann" });
  });

  it("are let in by pattern", async () => {
    const { login } = stack(certificateBy({ allow: ["cn=pump-*, *"] }));
    expect(await login({ certificate: pump })).toMatchObject({ user: "pump-7" });
    expect(await refusal(login({ certificate: certificateOf("CN=valve-7,O=Example") }))).toMatch(
      /CN=valve-7,O=Example is not/,
    );
  });

  it("have the users that a file gives them", async () => {
    const text = "CN=pump-7, OU=Plant 2, O=Example: seven\nCN=valve-*: valves\n'CN=plain,O=X':\n";
    const { login } = stack(certificateBy({ file: file("dn.yaml", text) }));
    expect(await login({ certificate: pump })).toMatchObject({ user: "seven" });
    expect(await login({ certificate: certificateOf("CN=valve-9") })).toMatchObject({ user: "valves" });
    expect(await login({ certificate: certificateOf("CN=plain,O=X") })).toMatchObject({ user: "plain" });
    await refusal(login({ certificate: certificateOf("CN=valve-9,O=Other") }));
  });

  it.each(["- a", "a: 5", "a: b: c"])("are not read from a file that says %j", (text) => {
    expect(() => parseNamedUsers(text)).toThrow();
  });
});

describe("a distinguished name", () => {
  it("is the same in all spellings", () => {
    expect(canonicalName("cn = a\\,b , O=x y")).toBe("CN=a\\,b,O=x y");
  });

  it.each([
    ["CN=*,O=X", "CN=a\\,b,O=X", true],
    ["CN=*,O=X", "CN=a,OU=b,O=X", false],
    ["*,O=X", "CN=a,OU=b,O=X", true],
    ["*,O=X", "O=X", false],
    ["CN=a.c", "CN=abc", false],
    ["CN=pump-*-x", "CN=pump-1-x", true],
  ])("%j has %j in it: %j", (pattern, name, matches) => {
    expect(new NamePattern(pattern).matches(canonicalName(name))).toBe(matches);
  });
});

describe("source addresses", () => {
  const ann = { ann: { password: "x" } };

  it.each<[string, Parameters<typeof fromWhere>[0], string, boolean]>([
    ["a network", { allow: ["10.0.0.0/8"] }, "10.1.2.3:5", true],
    ["a network", { allow: ["10.0.0.0/8"] }, "11.1.2.3:5", false],
    ["an address of IPv6", { allow: ["2001:db8::/32"] }, "[2001:db8::7]:5", true],
    ["IPv4 in IPv6", { allow: ["10.0.0.0/8"] }, "[::ffff:10.1.2.3]:5", true],
    ["what is denied too", { allow: ["10.0.0.0/8"], deny: ["10.1.2.3"] }, "10.1.2.3:5", false],
    ["all but what is denied", { deny: ["10.1.2.3"] }, "10.1.2.4:5", true],
  ])("of %s: %j and %s", async (_what, given, address, allowed) => {
    const { login } = stack(fromWhere(given), ann);
    const attempt = login({ user: "ann", password: "x", from: address });
    if (allowed) expect(await attempt).toMatchObject({ user: "ann" });
    else expect(await refusal(attempt)).toMatch(/Nobody may log in from .* \(security\.modules, source_address\)/);
  });

  it("stand in files too, and let nobody in by themselves", async () => {
    const allow_file = file("white.txt", "# ours\n10.1.2.3  # ann's\n\n");
    const deny_file = file("black.txt", "10.9.0.0/16\n");
    const { login } = stack(fromWhere({ allow_file, deny_file }), ann);
    expect(await login({ user: "ann", password: "x" })).toMatchObject({ user: "ann" });
    await refusal(login({ user: "ann", password: "x", from: "10.9.1.1:5" }));
    await refusal(login({ user: "ann", password: "y" }));
    await refusal(login({}));
  });

  it.each([
    ["10.1.2.3:5", "10.1.2.3"],
    ["[2001:db8:0:1::7]:5", "2001:db8:0:1"],
    ["[2001:db8::1:0:0:7]:5", "2001:db8:0:0"],
    ["[::1]:5", "0:0:0:0"],
    ["nowhere", "nowhere"],
  ])("%s belong to the site %s", (address, site) => expect(siteOf(address)).toBe(site));
});

describe("guests", () => {
  it("are those who show nothing at all", async () => {
    const { login } = stack(guestsToo(false), { ann: { password: "x" } });
    expect(await login({})).toEqual({ user: "visitor", groups: ["guests"] });
    expect(await login({ certificate: certificateOf("CN=pump") })).toMatchObject({ user: "pump", groups: [] });
    expect(await login({ user: "ann", password: "x" })).toEqual({ user: "ann", groups: [] });
    await refusal(login({ user: "ann", password: "y" }));
    await refusal(login({ user: "ann" }));
  });

  it("from elsewhere are told what would let them in", async () => {
    const { login } = stack(guestsToo(true));
    expect(await login({ from: HERE })).toMatchObject({ user: "visitor" });
    expect(await refusal(login({}))).toContain("loopback_only");
  });
});

it("a realm that is off lets everybody in, as nobody", async () => {
  const { logins } = loginsBy(securityWith({ enabled: false }));
  expect(await logins.login({ user: "ann", password: "x", peer: peerAt(AWAY) })).toEqual({
    user: undefined,
    groups: [],
  });
});
