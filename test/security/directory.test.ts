import { createServer, type Socket } from "node:net";
import { describe, expect, it, onTestFinished } from "vitest";
import type { ModuleSettings } from "../../src/config/security-schema.ts";
import { temporaryFolder } from "../support/broker.ts";
import { writePair } from "../support/certificates.ts";
import { loginsBy, peerAt, refusal, securityWith } from "../support/logins.ts";
import { SLAPD_MISSING, startDirectory } from "../support/slapd.ts";
import { caFile, local, strangers } from "../tls/material.ts";

type LdapSettings = NonNullable<ModuleSettings["ldap"]>;

const SEARCHING: LdapSettings = {
  url: "",
  start_tls: false,
  ca: "",
  bind_dn: "cn=reader,dc=example",
  bind_password: "reads",
  user_dn: "",
  user_base: "ou=people,dc=example",
  user_filter: "(uid={user})",
  group_base: "ou=groups,dc=example",
  group_filter: "(member={dn})",
  group_attribute: "cn",
  timeout: 5000,
};

function start(changes: Partial<LdapSettings>) {
  const parts = loginsBy(securityWith({ modules: [{ control: "required", ldap: { ...SEARCHING, ...changes } }] }));
  const attempt = (user: string, password: string) =>
    parts.logins.login({ user, password, peer: peerAt("10.1.2.3:5") });
  return { ...parts, attempt };
}

const WRONG = "The user name or the password is not accepted";

describe.skipIf(SLAPD_MISSING !== "")(`a user of OpenLDAP${SLAPD_MISSING}`, () => {
  it("is found and bound, with groups, and refused with a wrong password", async () => {
    const { url } = await startDirectory();
    const { attempt } = start({ url });
    expect(await attempt("ann", "ann's")).toEqual({ user: "ann", groups: ["admins", "traders"] });
    expect(await attempt("bob, jr.", "bob's")).toEqual({ user: "bob, jr.", groups: ["traders"] });
    expect(await refusal(attempt("ann", "bob's"))).toBe(WRONG);
    expect(await refusal(attempt("nobody", "x"))).toBe(WRONG);
  });

  it("is never bound without a password, which a directory would take for nobody", async () => {
    const { url } = await startDirectory();
    await refusal(start({ url }).attempt("ann", ""));
    await refusal(start({ url, user_dn: "uid={user},ou=people,dc=example", user_base: "" }).attempt("ann", ""));
  });

  it("cannot be somebody else by characters of filters and names", async () => {
    const { url } = await startDirectory();
    const { attempt } = start({ url });
    for (const user of ["*", "ann)(uid=*", "a*", "ann\0", "\\61nn"])
      expect(await refusal(attempt(user, "ann's"))).toBe(WRONG);
    const direct = start({ url, user_dn: "uid={user},ou=people,dc=example", user_base: "" });
    for (const user of ["ann,ou=people", "ann+cn=Ann", "nn\\2C"]) {
      expect(await refusal(direct.attempt(user, "ann's"))).toBe(WRONG);
    }
  });

  it("can be bound by name, and looked up by it in groups", async () => {
    const { url } = await startDirectory();
    const { attempt } = start({ url, user_dn: "uid={user},ou=people,dc=example", user_base: "" });
    expect(await attempt("ann", "ann's")).toEqual({ user: "ann", groups: ["admins", "traders"] });
    expect(await attempt("bob, jr.", "bob's")).toMatchObject({ groups: ["traders"] });
  });

  it("is called as the directory spells it, and is nobody else to rules by another spelling", async () => {
    const { url } = await startDirectory();
    const searching = start({ url });
    const direct = start({ url, user_dn: "uid={user},ou=people,dc=example", user_base: "" });
    const either = start({ url, user_filter: "(|(uid={user})(cn={user}))" });
    for (const { attempt } of [searching, direct, either]) {
      for (const user of ["ann", "ANN", " Ann", "aNN  "]) expect((await attempt(user, "ann's")).user).toBe("ann");
      expect((await attempt("BOB,  jr.", "bob's")).user).toBe("bob, jr.");
    }
    expect((await either.attempt("bob (*)", "bob's")).user).toBe("Bob (*)");
  });

  it("is remembered for a minute", async () => {
    const directory = await startDirectory();
    const { url } = directory;
    const { attempt, clock } = start({ url });
    await attempt("ann", "ann's");
    await directory.stop();
    clock.advance(59_999);
    expect(await attempt("ann", "ann's")).toMatchObject({ user: "ann" });
    clock.advance(1);
    await refusal(attempt("ann", "ann's"), "throttled");
  });

  it("over TLS is asked for only where the directory is trusted", async () => {
    const folder = temporaryFolder();
    const { secureUrl: url, url: plain } = await startDirectory(writePair(folder, "slapd", local));
    const trust = caFile(folder);
    expect(await start({ url, ca: trust }).attempt("ann", "ann's")).toMatchObject({ user: "ann" });
    const byName = { url: plain.replace("127.0.0.1", "localhost"), start_tls: true };
    expect(await start({ ...byName, ca: trust }).attempt("ann", "ann's")).toMatchObject({ user: "ann" });
    expect(await start({ url: plain, start_tls: true, ca: trust }).attempt("ann", "ann's")).toMatchObject({
      user: "ann",
    });
    const wrong = writePair(folder, "strangers", strangers).certificate;
    const doubtful = start({ url, ca: wrong });
    await refusal(doubtful.attempt("ann", "ann's"), "throttled");
    expect(JSON.stringify(doubtful.log)).toMatch(/certificate/);
    await refusal(start({ ...byName, ca: wrong }).attempt("ann", "ann's"), "throttled");
  });
});

/** LDAP's answer that an extended operation, the first one, went well (RFC 4511 4.12). */
const DONE = Buffer.from("300c02010278070a010004000400", "hex");

/** A directory that says this once, and then nothing. */
async function silentDirectory(answer: Buffer): Promise<string> {
  const sockets: Socket[] = [];
  const server = createServer((socket) => {
    sockets.push(socket);
    socket.on("error", () => {});
    socket.once("data", () => socket.write(answer));
  });
  onTestFinished(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  await new Promise<void>((resolve) => server.listen(0, "localhost", resolve));
  const address = server.address();
  return `ldap://localhost:${typeof address === "object" ? address?.port : 0}`;
}

describe("a directory that does not answer", () => {
  it.each<[string, Buffer, Partial<LdapSettings>]>([
    ["anything", Buffer.alloc(0), {}],
    ["in TLS", DONE, { start_tls: true }],
  ])("%s holds up its users for a while only", async (_what, answer, more) => {
    const { attempt, log } = start({ url: await silentDirectory(answer), timeout: 300, ...more });
    const texts = await Promise.all(
      Array.from({ length: 12 }, (_, n) => refusal(attempt(`user${n}`, "x"), "throttled")),
    );
    expect(new Set(texts)).toEqual(new Set(["It cannot be found out at present who this is; try again in a moment"]));
    expect(log).toHaveLength(12);
  });

  it("is nobody's failure: the client is told to try again, the log why", async () => {
    const { attempt, log } = start({ url: "ldap://127.0.0.1:1" });
    for (let n = 0; n < 12; n++) await refusal(attempt("ann", "ann's"), "throttled");
    expect(log[0]).toMatchObject({ text: "a login could not be checked", fields: { user: "ann" } });
    expect(JSON.stringify(log)).not.toContain("ann's");
  });
});
