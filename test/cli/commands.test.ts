import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { loadConfig } from "../../src/config/load.ts";
import { parsePasswordHash, verifyPassword } from "../../src/security/password.ts";
import { deriveScramKeys, parseScramKeys } from "../../src/security/scram.ts";

const ROOT = resolve(import.meta.dirname, "../..");
const OWN_NODE = join(ROOT, "node_modules/.bin/node");
const NODE = existsSync(OWN_NODE) ? OWN_NODE : process.execPath;

let directory = "";

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "delos-cli-"));
});

afterEach(() => rmSync(directory, { recursive: true, force: true }));

/** Runs `delos` in the temporary directory. */
function delos(args: readonly string[], options: { input?: string; env?: Record<string, string> } = {}) {
  const { DELOS_CONFIG: _, ...env } = process.env;
  const { status, stdout, stderr } = spawnSync(NODE, [join(ROOT, "src/main.ts"), ...args], {
    cwd: directory,
    input: options.input ?? "",
    env: { ...env, ...options.env },
    encoding: "utf8",
  });
  return { status, stdout, stderr };
}

function write(name: string, text: string): void {
  writeFileSync(join(directory, name), text);
}

describe("delos", () => {
  it("without a command says what there is, and exits 2", () => {
    const { status, stdout, stderr } = delos([]);
    expect([status, stdout]).toEqual([2, ""]);
    for (const command of ["serve", "check", "init", "hash-password", "version"])
      expect(stderr).toContain(`\n  ${command} `);
  });

  it.each([[["help"]], [["--help"]], [["-h"]]])("%j says the same and exits 0", (args) => {
    const { status, stdout } = delos(args);
    expect(status).toBe(0);
    expect(stdout).toMatch(/^Usage: delos COMMAND/);
  });

  it.each(["serve", "check", "init", "hash-password", "version"])("helps with %s in both ways", (command) => {
    const help = delos(["help", command]);
    expect(help.status).toBe(0);
    expect(help.stdout).toMatch(new RegExp(`^Usage: delos ${command}`));
    expect(delos([command, "--help"])).toEqual(help);
  });

  it("suggests the command that was meant, and exits 2", () => {
    expect(delos(["sevre"])).toEqual({
      status: 2,
      stdout: "",
      stderr: 'delos: the command "sevre" is not known; did you mean "serve"?\nTry "delos help".\n',
    });
    expect(delos(["constructor"]).status).toBe(2);
  });

  it.each([
    [["check", "--confg", "x"], "the option --confg is not known; did you mean --config?"],
    [["check", "--zzzzzzzzz"], "the option --zzzzzzzzz is not known"],
    [["check", "--config"], "Option '-c, --config <value>' argument missing"],
    [["check", "extra"], '"extra" is one word too many'],
    [["check", "--queue", "a", "--topic", "b"], "--queue, --topic and --durable-subscription exclude each other"],
    [
      ["check", "--queue", "a.*"],
      '--queue: "a.*" has the wildcard "*", but a name without wildcards is expected here; to have it in a name, write "%2A"',
    ],
    [["init"], "DIR is missing"],
    [["version", "extra"], '"extra" is one word too many'],
  ])("%j is a usage error: %s", (args, problem) => {
    const { status, stdout, stderr } = delos(args);
    expect([status, stdout]).toEqual([2, ""]);
    expect(stderr).toBe(`delos ${args[0]}: ${problem}\nTry "delos ${args[0]} --help".\n`);
  });

  it.each([[["version"]], [["--version"]]])("%j prints the version of the package", (args) => {
    const { version } = JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8"));
    expect(delos(args)).toMatchObject({ status: 0, stdout: expect.stringContaining(`delos ${version} `) });
  });
});

describe("delos check", () => {
  it("prints every value with its origin, and masks secrets", () => {
    write("my.yaml", "broker:\n  name: mine\nsecurity:\n  users:\n    ann:\n      password: topsecret\n");
    const { status, stdout, stderr } = delos(["check", "-c", "my.yaml", "--set", "stomp.max_body=1m"], {
      env: { DELOS__detection__timeout: "1500" },
    });
    expect(status).toBe(0);
    const lines = stdout.split("\n").map((line) => line.replace(/ +#/, " #"));
    expect(lines).toContain("broker.name = mine # my.yaml:2:9");
    expect(lines).toContain("stomp.max_body = 1m # --set stomp.max_body");
    expect(lines).toContain("detection.timeout = 1500ms # environment DELOS__detection__timeout");
    expect(lines).toContain("hosts.default.aliases = [localhost, 127.0.0.1, /] # default");
    expect(lines).toContain("security.users.ann.password = ******** # my.yaml:6:17");
    expect(stdout + stderr).not.toContain("topsecret");
    expect(stderr).toMatch(/^warning: my\.yaml:6:17: security\.users\.ann\.password: /);
  });

  it("prints the same as JSON", () => {
    const { status, stdout } = delos(["check", "--json", "--set", "queues=[{match: a.b, memory: 1m}]"]);
    expect(status).toBe(0);
    const settings: unknown = JSON.parse(stdout);
    expect(settings).toContainEqual({ key: "queues[0].memory", value: "1m", origin: "--set queues" });
    expect(settings).toContainEqual({ key: "listeners.stomp.port", value: 61_613, origin: "default" });
  });

  it("prints only what can be read back", () => {
    const { stdout } = delos(["check", "--json"]);
    const settings: { key: string; value: unknown }[] = JSON.parse(stdout);
    const readable = settings.filter(({ value }) => value !== "********" && value !== null);
    const sets = readable.flatMap(({ key, value }) => [
      "--set",
      `${key}=${typeof value === "string" ? value : JSON.stringify(value)}`,
    ]);
    expect(sets.length).toBeGreaterThan(100);
    expect(delos(["check", "--json", ...sets])).toMatchObject({ status: 0, stderr: "" });
  });

  it.each([
    ["--queue", "orders.eu", "full = reject # queues[1] (orders.**)"],
    ["--queue", "orders.eu", "memory = 1m # queues[0] (**)"],
    ["--topic", "orders.eu", "slow_subscriber = spill # topics[0] (*.eu)"],
    ["--durable-subscription", "any: id*", "max_messages = 9 # durable_subscriptions[0] (**)"],
    ["--queue", "orders.eu", "max_deliveries = 0 # default"],
    ["--queue", "orders.eu", 'dead_letter_queue = "" # default'],
  ])("%s %s prints what holds for it and which entry says so", (option, name, line) => {
    write(
      "my.yaml",
      "queues: [{memory: 1m}, {match: 'orders.**', full: reject}]\n" +
        "topics: [{match: '*.eu', slow_subscriber: spill}]\ndurable_subscriptions: [{max_messages: 9}]\n",
    );
    const { status, stdout } = delos(["check", "-c", "my.yaml", option, name]);
    expect(status).toBe(0);
    expect(stdout.split("\n").map((found) => found.replace(/ +#/, " #"))).toContain(line);
  });

  it("prints what holds for one destination as JSON", () => {
    const { stdout } = delos(["check", "--json", "--topic", "a", "--set", "topics[0].max_ttl=90s"]);
    expect(JSON.parse(stdout)).toContainEqual({ key: "max_ttl", value: "90s", origin: "topics[0] (**)" });
  });

  it("tells everything that is wrong, and exits 2", () => {
    write("my.yaml", "stmp: {}\nlog:\n  level: loud\n");
    const { status, stdout, stderr } = delos(["check", "--config", "my.yaml"]);
    expect([status, stdout]).toEqual([2, ""]);
    expect(stderr).toBe(
      'my.yaml:1:1: key "stmp" is not known; did you mean "stomp"?\n' +
        'my.yaml:3:10: log.level: expected one of trace, debug, info, warn, error, fatal, found "loud"\n',
    );
  });

  it("reads the file that DELOS_CONFIG names, unless another is named", () => {
    write("a.yaml", "broker: {name: from-a}");
    write("b.yaml", "broker: {name: from-b}");
    const env = { DELOS_CONFIG: "a.yaml" };
    expect(delos(["check"], { env }).stdout).toContain("broker.name = from-a");
    expect(delos(["check", "-c", "b.yaml"], { env }).stdout).toContain("broker.name = from-b");
  });

  it("exits 2 when there is no such file", () => {
    expect(delos(["check", "-c", "none.yaml"])).toEqual({
      status: 2,
      stdout: "",
      stderr: "none.yaml: there is no such file\n",
    });
  });

  it("prints the schema for editors", () => {
    const { status, stdout } = delos(["check", "--schema"]);
    expect(status).toBe(0);
    expect(stdout).toBe(readFileSync(join(ROOT, "conf/delos.schema.json"), "utf8"));
  });
});

describe("delos init", () => {
  it("makes a configuration that works, with a password that is printed once and kept as a hash", async () => {
    const { status, stdout } = delos(["init", "broker"]);
    expect(status).toBe(0);
    const password = /Password {2}([A-Za-z0-9]{24}) /.exec(stdout)?.[1] ?? "";
    expect(password).not.toBe("");
    expect(stdout).toContain("\n  delos serve --config broker/delos.yaml\n");

    const text = readFileSync(join(directory, "broker/delos.yaml"), "utf8");
    expect(text).not.toContain(password);
    expect(text.split("\n")[0]).toContain("$schema=delos.schema.json");
    expect(text.match(/# /g)?.length).toBeGreaterThan(50);
    const loaded = loadConfig({ directory, file: "broker/delos.yaml" });
    expect(loaded).toMatchObject({
      ok: true,
      warnings: [],
      config: {
        store: { directory: join(directory, "broker/data") },
        security: { users: { admin: { groups: ["admins"] } }, guest: { enabled: false } },
      },
    });
    const hash = loaded.ok ? parsePasswordHash(loaded.config.security.users["admin"]?.password_hash ?? "") : undefined;
    if (hash === undefined) throw new Error("There is no hash");
    expect(await verifyPassword(password, hash)).toBe(true);
  });

  it("lets nobody else read the configuration or the data", () => {
    delos(["init", "broker"]);
    expect(statSync(join(directory, "broker/delos.yaml")).mode & 0o077).toBe(0);
    expect(statSync(join(directory, "broker/data")).mode & 0o077).toBe(0);
  });

  it("makes another password each time", () => {
    const [a, b] = ["a", "b"].map((name) => /Password {2}(\S+)/.exec(delos(["init", name]).stdout)?.[1]);
    expect(a).toHaveLength(24);
    expect(a).not.toBe(b);
  });

  it("refuses a directory that is not empty, unless it is forced; then the data stays", () => {
    mkdirSync(join(directory, "broker/data"), { recursive: true });
    write("broker/data/messages", "precious");
    write("broker/delos.yaml", "broker: {name: old}");
    const refused = delos(["init", "broker"]);
    expect([refused.status, refused.stdout]).toEqual([2, ""]);
    expect(refused.stderr).toContain(`${join(directory, "broker")} is not empty`);
    expect(readFileSync(join(directory, "broker/delos.yaml"), "utf8")).toBe("broker: {name: old}");

    expect(delos(["init", "broker", "--force"]).status).toBe(0);
    expect(readFileSync(join(directory, "broker/data/messages"), "utf8")).toBe("precious");
    expect(readFileSync(join(directory, "broker/delos.yaml"), "utf8")).toContain("password_hash");
  });

  it("takes a directory that is there and empty", () => {
    expect(delos(["init", "."]).status).toBe(0);
    expect(existsSync(join(directory, "delos.yaml"))).toBe(true);
  });

  it("fails with a sentence where no directory can be made", () => {
    write("file", "");
    const { status, stderr } = delos(["init", "file/broker"]);
    expect(status).toBe(1);
    expect(stderr).toMatch(/^delos init: ENOTDIR[^\n]*\n$/);
  });
});

describe("delos hash-password", () => {
  it("prints the hash of the first line of its input", async () => {
    const { status, stdout } = delos(["hash-password"], { input: "p\u00e4ss wort\nmore\n" });
    expect(status).toBe(0);
    const hash = parsePasswordHash(stdout.trim());
    if (hash === undefined) throw new Error(`Not a hash: ${stdout}`);
    expect(await verifyPassword("p\u00e4ss wort", hash)).toBe(true);
    expect(await verifyPassword("p\u00e4ss wort\nmore", hash)).toBe(false);
  });

  it("prints the keys for SCRAM instead when asked to", async () => {
    const { status, stdout } = delos(["hash-password", "--scram"], { input: "p\u00e4ss wort\n" });
    expect(status).toBe(0);
    const keys = parseScramKeys(stdout.trim());
    if (keys === undefined) throw new Error(`Not keys: ${stdout}`);
    expect(await deriveScramKeys("p\u00e4ss wort", keys.salt, keys.iterations)).toEqual(keys);
  });

  it("refuses an empty password", () => {
    expect(delos(["hash-password"])).toEqual({
      status: 2,
      stdout: "",
      stderr: "delos hash-password: the password is empty\n",
    });
  });
});
