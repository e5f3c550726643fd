import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { hashPassword } from "../../src/security/password.ts";
import { deriveScramKeys, formatScramKeys } from "../../src/security/scram.ts";
import { startBroker, temporaryFolder, type TestBroker } from "../support/broker.ts";
import { eventually } from "../support/eventually.ts";
import { SLAPD_MISSING, startDirectory } from "../support/slapd.ts";
import { hmacToken, JWT_SECRET } from "../support/tokens.ts";
import type { Wire } from "../support/wire.ts";
import { ca, caFile, tlsSettings } from "../tls/material.ts";
import { CARRIERS, dial } from "./logins/carrier.ts";
import {
  BY_BEARER,
  BY_SCRAM,
  inside,
  type Known,
  type Showing,
  type Told,
  type Tongue,
  TONGUES,
} from "./logins/tongues.ts";

const annHash = await hashPassword("ann's");
const annKeys = formatScramKeys(await deriveScramKeys("ann's", undefined, 4096));
const pump = ca.issue({ commonName: "pump-7", organization: "Example" });
const valve = ca.issue({ commonName: "valve-1", organization: "Example" });
const YEAR_S = 31_536_000;
const token = (claims: object = {}): string =>
  hmacToken({ sub: "ann", groups: ["staff"], exp: Math.floor(Date.now() / 1000) + YEAR_S, ...claims });

const NOBODY: Showing = {};
const ANN: Showing = { user: "ann", password: "ann's" };
const WRONG: Showing = { user: "ann", password: "bob's" };
const UNKNOWN: Showing = { user: "nobody", password: "ann's" };
const EMPTY: Showing = { user: "ann", password: "" };

/** One way to find out who somebody is. */
interface Case {
  readonly what: string;
  /** What the broker is told; files go to the folder. */
  readonly settings: (folder: string) => readonly string[] | Promise<readonly string[]>;
  readonly lets: readonly (readonly [Showing, Known])[];
  readonly refuses: readonly Showing[];
  /** Ways to log in by it besides those for everything. */
  readonly besides?: readonly Tongue[];
  /** Why it cannot be tested here. */
  readonly missing?: string;
}

const file = (folder: string, name: string, text: string): string => {
  const path = join(folder, name);
  writeFileSync(path, text);
  return path;
};
const modules = (...entries: readonly string[]): string => `security.modules=[${entries.join(", ")}]`;
const USERS = "{control: sufficient, users: {}}";
const STAFF: Known = { user: "ann", groups: ["staff"] };
const BY_PASSWORD = { lets: [[ANN, STAFF]], refuses: [WRONG, UNKNOWN, EMPTY, NOBODY] } as const;

const CASES: readonly Case[] = [
  {
    what: "users of the configuration",
    settings: () => [
      "security.guest.enabled=false",
      `security.users.ann.password_hash=${annHash}`,
      `security.users.ann.scram_sha_256=${annKeys}`,
      "security.users.ann.groups=[staff]",
    ],
    ...BY_PASSWORD,
    besides: BY_SCRAM,
  },
  {
    what: "users of a file",
    settings: (folder) => {
      const text = `ann: { password_hash: "${annHash}", scram_sha_256: "${annKeys}", groups: [staff] }\n`;
      return [modules(`{control: required, users: {file: ${file(folder, "users.yaml", text)}}}`)];
    },
    ...BY_PASSWORD,
    besides: BY_SCRAM,
  },
  {
    what: "Apollo's users.properties and groups.properties",
    settings: (folder) => [
      modules(
        `{control: optional, groups: {file: ${file(folder, "groups.properties", "staff=ann|bob\n")}}}`,
        `{control: sufficient, users: {file: ${file(folder, "users.properties", "ann=ann's\n")}}}`,
      ),
    ],
    ...BY_PASSWORD,
    besides: BY_SCRAM,
  },
  {
    what: "users who are disabled",
    settings: () => ["security.users.ann.password=ann's", "security.users.ann.enabled=false"],
    lets: [],
    refuses: [ANN, WRONG],
    besides: BY_SCRAM,
  },
  {
    what: "certificates, and groups of them",
    settings: (folder) => [
      modules(
        `{control: optional, groups: {match: certificate, file: ${file(folder, "groups", "pumps=CN=pump-7,O=Example\n")}}}`,
        "{control: sufficient, certificate: {allow: ['CN=pump-*,O=Example']}}",
      ),
    ],
    lets: [[{ certificate: pump }, { user: "pump-7", groups: ["pumps"] }]],
    refuses: [{ certificate: valve }, NOBODY, ANN],
  },
  {
    what: "certificates and passwords, both required",
    settings: () => [
      "security.users.ann.password=ann's",
      "security.users.ann.groups=[staff]",
      modules("{control: required, certificate: {user: none}}", "{control: required, users: {}}"),
    ],
    lets: [[{ ...ANN, certificate: valve }, STAFF]],
    refuses: [ANN, { certificate: valve }, { ...WRONG, certificate: valve }],
  },
  {
    what: "addresses that may log in, and groups of them",
    settings: (folder) => [
      "security.users.ann.password=ann's",
      modules(
        "{control: requisite, source_address: {allow: [127.0.0.0/8]}}",
        `{control: optional, groups: {match: address, file: ${file(folder, "groups", "staff=127.0.0.1\n")}}}`,
        USERS,
      ),
    ],
    ...BY_PASSWORD,
    besides: BY_SCRAM,
  },
  {
    what: "addresses that may not log in",
    settings: () => [
      "security.users.ann.password=ann's",
      modules("{control: requisite, source_address: {deny: [127.0.0.1]}}", USERS),
    ],
    lets: [],
    refuses: [ANN, NOBODY],
    besides: BY_SCRAM,
  },
  {
    what: "the guest where there are no modules",
    settings: () => [],
    lets: [
      [NOBODY, { user: "guest", groups: [] }],
      [
        { user: "guest", password: "guest" },
        { user: "guest", groups: [] },
      ],
    ],
    refuses: [{ user: "guest", password: "other" }, ANN],
  },
  {
    what: "guests",
    settings: () => [
      "security.users.ann.password=ann's",
      "security.users.ann.groups=[staff]",
      modules(USERS, "{control: optional, guest: {user: visitor, groups: [visitors]}}"),
    ],
    lets: [
      [NOBODY, { user: "visitor", groups: ["visitors"] }],
      [ANN, STAFF],
    ],
    refuses: [WRONG, UNKNOWN],
  },
  {
    what: "tokens",
    settings: () => [modules(`{control: sufficient, jwt: {secret: ${JWT_SECRET}}}`)],
    lets: [
      [{ user: "ann", password: token() }, STAFF],
      [{ password: token() }, STAFF],
    ],
    refuses: [ANN, NOBODY, { user: "ann", password: token({ exp: 1 }) }, { user: "ann", password: `${token()}x` }],
    besides: BY_BEARER,
  },
  {
    what: "users of a directory",
    settings: async () => {
      const { url } = await startDirectory();
      const search = "bind_dn: 'cn=reader,dc=example', bind_password: reads, user_base: 'ou=people,dc=example'";
      return [modules(`{control: sufficient, ldap: {url: '${url}', ${search}, group_base: 'ou=groups,dc=example'}}`)];
    },
    lets: [[ANN, { user: "ann", groups: ["admins", "traders"] }]],
    refuses: [WRONG, UNKNOWN, EMPTY, NOBODY],
    missing: SLAPD_MISSING,
  },
];

async function start({ settings }: Case, overHttp: boolean): Promise<TestBroker> {
  const folder = temporaryFolder();
  return startBroker([
    ...tlsSettings(folder),
    `tls.ca=${caFile(folder)}`,
    "tls.client_certificates=want",
    `management.enabled=${overHttp}`,
    "security.attempts.delay=0",
    ...(await settings(folder)),
  ]);
}

/** Whether it can be said this way. */
function fits({ takes }: Tongue, { user, password, certificate }: Showing): boolean {
  const bare = user === undefined && password === undefined;
  return !bare || (certificate === undefined ? takes.nothing : takes.certificate);
}

async function answer(broker: TestBroker, tongue: Tongue, carrier: (typeof CARRIERS)[number], showing: Showing) {
  const { subprotocol = "" } = tongue;
  const wires: Wire[] = [];
  const open = async (): Promise<Wire> => {
    const wire = await dial(broker.port, carrier, subprotocol, showing.certificate);
    wires.push(wire);
    return wire;
  };
  const told = await tongue.login(open, showing, broker.managementPort);
  const found: Told | Known = told ?? (await inside(broker));
  for (const wire of wires) wire[Symbol.dispose]();
  await eventually(() => broker.server.broker.hosts.get("default")?.clients.size === 0);
  return found;
}

for (const given of CASES) {
  const { what, lets, refuses, besides = [], missing = "" } = given;
  describe.skipIf(missing !== "")(`${what}${missing}`, () => {
    it.each([...TONGUES, ...besides].map((tongue) => [tongue.name, tongue] as const))(
      "let in over %s who is to be let in, and nobody else",
      async (_name, tongue) => {
        const broker = await start(given, tongue.subprotocol === undefined);
        for (const carrier of tongue.subprotocol === undefined ? (["TCP"] as const) : CARRIERS) {
          for (const [showing, known] of lets.filter(([each]) => fits(tongue, each))) {
            expect([carrier, showing, await answer(broker, tongue, carrier, showing)]).toEqual([
              carrier,
              showing,
              known,
            ]);
          }
          // Each costs a check of a password; what is refused does not depend on what bytes go by.
          const most = carrier === "TCP" ? refuses.length : 1;
          for (const showing of refuses.filter((each) => fits(tongue, each)).slice(0, most)) {
            const told = expect.stringMatching(tongue.refusal);
            expect([carrier, showing, await answer(broker, tongue, carrier, showing)]).toEqual([
              carrier,
              showing,
              { told },
            ]);
          }
        }
      },
    );
  });
}

it("over HTTP nobody is let in who says nothing, whatever else he shows", async () => {
  for (const given of CASES.filter(({ missing = "" }) => missing === "")) {
    const broker = await start(given, true);
    const http = TONGUES.find(({ name }) => name === "HTTP");
    for (const showing of [NOBODY, { certificate: pump }]) {
      expect([
        given.what,
        await http?.login(() => Promise.reject(new Error("none")), showing, broker.managementPort),
      ]).toEqual([given.what, { told: "401" }]);
    }
    await broker.stop();
  }
});
