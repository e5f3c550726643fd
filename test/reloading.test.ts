import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { type LoadedConfig, loadConfig } from "../src/config/load.ts";
import type { Config } from "../src/config/schema.ts";
import { ROOT, startBroker, temporaryFolder } from "./support/broker.ts";
import { type Answer, startManagement } from "./support/management.ts";
import { StompWire } from "./support/stomp-wire.ts";

const ANN = { headers: { login: "ann", passcode: "secret" } };
const BEN = { headers: { login: "ben", passcode: "secret" } };
const OFF = ["mqtt", "amqp", "openwire"].map((name) => `listeners.${name}.enabled=false`);

function configOf(...sets: readonly string[]): Config {
  const loaded = loadConfig({ sets: ["store.kind=memory", ...OFF, ...sets], directory: ROOT });
  if (!loaded.ok) throw new Error(loaded.problems.join("\n"));
  return loaded.config;
}

function user(name: string): string {
  return `security.users.${name}.password=secret`;
}

describe("a reload of a broker that other machines can reach", () => {
  const open = ["listeners.stomp.host=0.0.0.0", user("ann")];

  it.each([
    ["guests from anywhere", "security.guest.loopback_only=false", "security.guest.loopback_only"],
    ["nobody being asked who they are", "security.enabled=false", "security.enabled"],
  ])("is refused for %s, though its file now has the port on the loopback", async (_what, set, key) => {
    const { server } = await startBroker(open);
    await expect(server.reload(configOf(user("ann"), set))).rejects.toThrow(
      new RegExp(`^${key}: .*listeners\\.stomp\\.host: 0\\.0\\.0\\.0.*until it is started anew`),
    );
    expect((await server.reload(configOf(user("ann"), user("ben")))).applied).toContain("security.users.ben");
  });

  it("is refused too where the port is off in the file, or required a certificate that is there no more", async () => {
    const { server } = await startBroker(open);
    const changed = [user("ann"), "security.enabled=false"];
    await expect(server.reload(configOf("listeners.stomp.enabled=false", ...changed))).rejects.toThrow(
      /security\.enabled/,
    );
    await expect(server.reload(configOf("listeners.stomp.tls.enabled=false", ...changed))).rejects.toThrow(
      /security\.enabled/,
    );
  });

  it("is fine for what is meant, and on the loopback", async () => {
    const meant = ["security.enabled=false", "security.allow_open=true"];
    const exposed = await startBroker(open);
    expect((await exposed.server.reload(configOf(...meant))).applied).toContain("security.enabled");
    const local = await startBroker([user("ann")]);
    expect((await local.server.reload(configOf("security.enabled=false"))).applied).toContain("security.enabled");
  });
});

describe("management", () => {
  const USERS = ["security.users.admin.groups=[admins]", user("admin")];

  /** Asks to reload what the text says, over what a broker that can be reached was started with. */
  async function asking(path: string, text: string): Promise<Answer> {
    const sets = ["store.kind=memory", ...OFF, ...USERS, text];
    const load = (): LoadedConfig => loadConfig({ sets, directory: ROOT });
    const api = await startManagement(["listeners.stomp.host=0.0.0.0"], { load });
    return api.post(`/api/v1/configuration/${path}`);
  }

  it("says why a reload would open the broker to others, and plans none", async () => {
    const detail: unknown = expect.stringMatching(/security\.enabled.*until it is started anew/);
    expect(await asking("reload", "security.enabled=false")).toMatchObject({ status: 400, body: { detail } });
    expect((await asking("plan", "security.enabled=false")).body).toMatchObject({ valid: false, problems: [detail] });
  });

  it("says which file a reload could not write", async () => {
    const { status, body } = await asking("reload", 'audit={"to": "file", "file": "/nowhere/a"}');
    expect({ status, body }).toMatchObject({
      status: 400,
      body: { detail: expect.stringContaining("audit.file: /nowhere/a") },
    });
  });
});

describe("a reload that cannot be done", () => {
  it("changes nothing, whatever it is that fails", async () => {
    const folder = temporaryFolder();
    const users = join(folder, "users.json");
    const { server, port } = await startBroker([user("ann"), `audit.file=${folder}/audit.ndjson`, "audit.to=file"]);
    // A file of users that is gone between the reading of the configuration and its taking over.
    writeFileSync(users, "ben: {password: secret}\n");
    const modules = `security.modules=[{control: sufficient, users: {file: ${JSON.stringify(users)}}}]`;
    const noUsers = configOf(modules, `audit.file=${folder}/other.ndjson`, "audit.to=file");
    rmSync(users);
    await expect(server.reload(noUsers)).rejects.toThrow();
    const noAudit = configOf(
      user("ben"),
      "security.guest.enabled=false",
      "audit.to=file",
      `audit.file=${folder}/none/a`,
    );
    await expect(server.reload(noAudit)).rejects.toThrow(/audit\.file/);
    using ann = await StompWire.connect(port, ANN);
    await ann.request("SEND", { destination: "/queue/a" }, "x");
    using ben = await StompWire.open(port);
    await ben.sendPlain("CONNECT", { "accept-version": "1.2", host: "localhost", ...BEN.headers });
    await ben.refused();
    expect(readFileSync(`${folder}/audit.ndjson`, "utf8")).toContain('"user":"ann"');
    mkdirSync(`${folder}/none`);
    expect((await server.reload(noAudit)).applied).toEqual(
      expect.arrayContaining(["security.users.ben", "audit.file"]),
    );
  });

  it("is one of a broker that is stopping", async () => {
    const broker = await startBroker();
    const stopped = broker.stop();
    await expect(broker.server.reload(configOf())).rejects.toThrow("The broker is stopping");
    await stopped;
  });
});

describe("a reload", () => {
  it("begins the audit file anew, where a program that rotates logs has renamed it", async () => {
    const folder = temporaryFolder();
    const file = `${folder}/audit.ndjson`;
    const settings = ["audit.to=file", `audit.file=${file}`];
    const { server } = await startBroker(settings);
    renameSync(file, `${file}.old`);
    await server.reload(configOf(...settings));
    expect(existsSync(file)).toBe(true);
  });

  it("while another one is under way leaves what the later one says", async () => {
    const { server, port } = await startBroker([user("ann")]);
    const results = await Promise.all([
      server.reload(configOf(user("ben"))),
      server.reload(configOf(user("ann"))),
      server.reload(configOf(user("ben"), user("ann"))),
    ]);
    expect(results.map(({ applied }) => applied.length > 0)).toEqual([true, true, true]);
    for (const who of [ANN, BEN]) {
      using client = await StompWire.connect(port, who);
      await client.request("SEND", { destination: "/queue/a" }, "x");
    }
  });
});
