import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { originText } from "../../src/config/given.ts";
import { type ConfigSources, defaultConfig, loadConfig } from "../../src/config/load.ts";
import type { Config } from "../../src/config/schema.ts";
import { originOf } from "../../src/config/setting.ts";

let directory = "";

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "delos-config-"));
});

afterEach(() => rmSync(directory, { recursive: true, force: true }));

function write(name: string, text: string): string {
  mkdirSync(dirname(join(directory, name)), { recursive: true });
  writeFileSync(join(directory, name), text);
  return name;
}

function load(yaml: string, sources: Partial<ConfigSources> = {}) {
  return loadConfig({ directory, file: write("delos.yaml", yaml), ...sources });
}

function config(yaml: string, sources: Partial<ConfigSources> = {}): Config {
  const loaded = load(yaml, sources);
  if (!loaded.ok) throw new Error(loaded.problems.join("\n"));
  return loaded.config;
}

function problems(yaml: string, sources: Partial<ConfigSources> = {}): readonly string[] {
  const loaded = load(yaml, sources);
  return loaded.ok ? [] : loaded.problems;
}

function warnings(yaml: string): readonly string[] {
  const loaded = load(yaml);
  return loaded.ok ? loaded.warnings : [];
}

describe("a configuration", () => {
  it("without a file is the defaults", () => {
    const { listeners, stomp, store, security } = defaultConfig("/somewhere");
    expect(Object.entries(listeners).map(([name, { port }]) => [name, port])).toEqual([
      ["stomp", 61_613],
      ["mqtt", 1883],
      ["amqp", 5672],
      ["openwire", 61_616],
      ["stomps", 61_614],
      ["mqtts", 8883],
      ["amqps", 5671],
    ]);
    expect(stomp.max_body).toBe(100 * 1024 * 1024);
    expect(stomp.heart_beat.send).toBe(10_000);
    expect(store.directory).toBe("/somewhere/data");
    expect(security.guest).toEqual({ enabled: true, name: "guest", password: "guest", loopback_only: true });
  });

  it.each(["", "# nothing but a comment\n", "stomp:\n#  max_body: 1m\nlisteners:\nqueues:\n"])(
    "is the defaults when the file says nothing: %j",
    (yaml) => {
      expect(config(yaml)).toEqual(defaultConfig(directory));
    },
  );

  it("takes sizes and durations in every spelling", () => {
    const { stomp } = config(
      "stomp: {max_body: 2m, max_header_bytes: 4096, connect_timeout: 1.5s, error_close_delay: 20}",
    );
    expect([stomp.max_body, stomp.max_header_bytes, stomp.connect_timeout, stomp.error_close_delay]).toEqual([
      2_097_152, 4096, 1500, 20,
    ]);
  });

  it("lets the environment override the file, and the command line both", () => {
    const yaml = "broker: {name: file}\nlog: {level: warn}\nstomp: {max_headers: 5, max_body: 1k}";
    const environment = {
      DELOS__broker__name: "environment",
      DELOS__LOG__LEVEL: "error",
      DELOS__stomp__max_headers: "6",
    };
    const result = config(yaml, {
      environment,
      sets: ["broker.name=argument", "stomp.max_headers=7", "stomp.max_headers=8"],
    });
    expect(result.broker.name).toBe("argument");
    expect(result.log.level).toBe("error");
    expect(result.stomp.max_headers).toBe(8);
    expect(result.stomp.max_body).toBe(1024);
  });

  it("knows where every value comes from", () => {
    const loaded = load("broker:\n  name: file\nqueues:\n  - match: a\n", {
      environment: { DELOS__LOG__LEVEL: "error" },
      sets: ["stomp.max_headers=7"],
    });
    if (!loaded.ok) throw new Error(loaded.problems.join("\n"));
    const origin = (...path: (string | number)[]) => originText(originOf(loaded.settings, path));
    expect(origin("broker", "name")).toBe("delos.yaml:2:9");
    expect(origin("queues", 0, "match")).toBe("delos.yaml:4:12");
    expect(origin("log", "level")).toBe("environment DELOS__LOG__LEVEL");
    expect(origin("stomp", "max_headers")).toBe("--set stomp.max_headers");
    expect(origin("stomp", "max_body")).toBe("default");
  });

  it("keeps the default listeners beside new ones, and changes them one key at a time", () => {
    const { listeners } = config(
      "listeners: {mqtt: {enabled: false}, extra: {port: 7000, websocket: {origins: ['*']}}}",
    );
    expect(Object.keys(listeners)).toEqual(["stomp", "mqtt", "amqp", "openwire", "stomps", "mqtts", "amqps", "extra"]);
    expect(listeners["mqtt"]).toMatchObject({ enabled: false, port: 1883 });
    expect(listeners["extra"]).toEqual({
      enabled: true,
      host: "127.0.0.1",
      port: 7000,
      protocols: [],
      max_connections: 15_000,
      connect_rate: 0,
      websocket: { enabled: true, origins: ["*"], trusted_proxies: [] },
      proxy_protocol: { trusted: [], required: false },
      tls: { enabled: true, required: false },
    });
  });

  it("leaves open what a policy does not set, so that entries can be laid over each other", () => {
    const { queues, topics } = config(
      "queues: [{memory: 1m}, {match: 'a.*', persistent: false}]\ntopics: [{slow_subscriber: spill}]",
    );
    expect(queues).toEqual([
      { match: "**", memory: 1_048_576 },
      { match: "a.*", persistent: false },
    ]);
    expect(topics).toEqual([{ match: "**", slow_subscriber: "spill" }]);
  });

  it("has a new virtual host or user with nothing set under its name", () => {
    expect(config("hosts:\n  prod:\n").hosts["prod"]).toEqual({
      aliases: [],
      max_destinations: 100_000,
      access_rules: [],
    });
  });

  it("replaces lists as a whole", () => {
    expect(config("hosts: {default: {aliases: [a]}}").hosts["default"]?.aliases).toEqual(["a"]);
  });

  it("takes a name such as __proto__ for a name", () => {
    const { hosts } = config("hosts: {__proto__: {aliases: [a]}, constructor: {}}");
    expect(Object.keys(hosts)).toEqual(["default", "__proto__", "constructor"]);
    expect(Object.getPrototypeOf(hosts)).toBe(Object.prototype);
  });

  it("is refused when aliases of aliases would make very much of it", () => {
    const levels = Array.from({ length: 9 }, (_, n) => `k${n + 1}: &a${n + 1} [${`*a${n},`.repeat(9)}]`);
    expect(problems(["k0: &a0 [x]", ...levels].join("\n"))).toEqual([
      expect.stringContaining("more than 50000 values"),
    ]);
  });

  it("can use anchors and aliases", () => {
    expect(config("queues: [&a {match: a, memory: 1m}, *a]").queues).toHaveLength(2);
  });
});

describe("a relative data directory", () => {
  it("in a file counts from the directory of the file", () => {
    const file = write("etc/delos.yaml", "store: {directory: ../var}");
    expect(loadConfig({ directory, file })).toMatchObject({ config: { store: { directory: join(directory, "var") } } });
  });

  it("elsewhere counts from where the broker is started", () => {
    const file = write("etc/delos.yaml", "");
    const from = (sources: Partial<ConfigSources>) => loadConfig({ directory, file, ...sources });
    expect(from({})).toMatchObject({ config: { store: { directory: join(directory, "data") } } });
    expect(from({ sets: ["store.directory=x"] })).toMatchObject({
      config: { store: { directory: join(directory, "x") } },
    });
  });
});

describe("the environment", () => {
  it("finds keys in any case, and names there are in any case", () => {
    const environment = { DELOS__LISTENERS__STOMP__MAX_CONNECTIONS: "7", DELOS__HOSTS__DEFAULT__ALIASES: "[a, b]" };
    const { listeners, hosts } = config("", { environment });
    expect(listeners["stomp"]?.max_connections).toBe(7);
    expect(Object.keys(listeners)).toHaveLength(7);
    expect(hosts["default"]?.aliases).toEqual(["a", "b"]);
  });

  it("takes a new name as it is written", () => {
    const { security } = config("", { environment: { DELOS__SECURITY__USERS__Ann__PASSWORD: "0123" } });
    expect(security.users).toEqual({ Ann: { password: "0123", groups: [], enabled: true } });
  });

  it("changes single entries of a list, in the order of their numbers", () => {
    const environment: Record<string, string> = { DELOS__HOSTS__DEFAULT__ALIASES__1: "b" };
    for (let index = 0; index < 12; index++) environment[`DELOS__QUEUES__${index}__MATCH`] = `q.${index}`;
    const { hosts, queues } = config("queues: [{match: a, memory: 1m}]", { environment });
    expect(hosts["default"]?.aliases).toEqual(["localhost", "b", "/"]);
    expect(queues).toHaveLength(12);
    expect(queues[0]).toEqual({ match: "q.0", memory: 1_048_576 });
    expect(queues[11]).toEqual({ match: "q.11" });
  });

  it("reads a secret from the file that a variable ending in __FILE names", () => {
    write("secret", "s3 cret: #1\n");
    const { security } = config("", { environment: { DELOS__security__users__ann__password__FILE: "secret" } });
    expect(security.users["ann"]?.password).toBe("s3 cret: #1");
  });

  it("says which variable names a file that cannot be read", () => {
    const [problem] = problems("", { environment: { DELOS__security__users__ann__password__FILE: "nowhere" } });
    expect(problem).toMatch(/^environment DELOS__security__users__ann__password__FILE: cannot read .*nowhere: ENOENT/);
  });

  it("of other programs is left alone", () => {
    expect(
      config("", { environment: { DELOS_PORT: "tcp://10.0.0.1:61613", DELOS_SERVICE_HOST: "x", PATH: "/bin" } }),
    ).toEqual(defaultConfig(directory));
  });
});

describe("--set", () => {
  it("takes lists and maps as inline YAML, and keys with dots in quotes", () => {
    const { hosts, queues, listeners } = config("", {
      sets: ['hosts."a.b".aliases=[c, d]', "queues=[{match: x, memory: 1m}]", "listeners.new={port: 9}"],
    });
    expect(hosts["a.b"]?.aliases).toEqual(["c", "d"]);
    expect(queues).toEqual([{ match: "x", memory: 1_048_576 }]);
    expect(listeners["new"]?.port).toBe(9);
  });

  it("changes or adds single entries of a list, by their places from 0", () => {
    const yaml = "queues: [{match: a, memory: 1m}, {match: b, redelivery: {delay: 1s}}]\nhosts: {x: }";
    const sets = [
      "queues[1].redelivery.max_delay=2s",
      "queues[0].match=0",
      "queues[2]={match: c}",
      "queues[2].full=reject",
      "hosts.x.aliases[0]=5",
    ];
    const { queues, hosts } = config(yaml, { sets });
    expect(queues).toEqual([
      { match: "0", memory: 1_048_576 },
      { match: "b", redelivery: { delay: 1000, max_delay: 2000 } },
      { match: "c", full: "reject" },
    ]);
    expect(hosts["x"]?.aliases).toEqual(["5"]);
  });

  it("knows where the values of a changed entry come from", () => {
    const loaded = load("queues:\n  - match: a\n    memory: 1m\n", { sets: ["queues[0].match=b"] });
    if (!loaded.ok) throw new Error(loaded.problems.join("\n"));
    expect(originText(originOf(loaded.settings, ["queues", 0, "match"]))).toBe("--set queues[0].match");
    expect(originText(originOf(loaded.settings, ["queues", 0, "memory"]))).toBe("delos.yaml:3:13");
  });

  it("takes text as it is, equals signs and all", () => {
    expect(config("", { sets: ["broker.name=a=b: 'c'"] }).broker.name).toBe("a=b: 'c'");
  });

  it.each([
    ["broker", "--set broker: expected key=value, such as --set stomp.max_body=1m"],
    ["=x", "--set : expected key=value, such as --set stomp.max_body=1m"],
    ["stmp.max_body=1", '--set stmp.max_body: key "stmp" is not known; did you mean "stomp"?'],
    [
      "log.level.x=1",
      "--set log.level.x: log.level: expected one of trace, debug, info, warn, error, fatal, found a section of keys",
    ],
    ["queues[1].match=a", "--set queues[1].match: queues[1]: the next entry to be made is queues[0]"],
    ["queues[0].mach=a", '--set queues[0].mach: key "queues[0].mach" is not known; did you mean "match"?'],
    ["queues.x.match=a", "--set queues.x.match: queues: expected a list such as [a, b], found a section of keys"],
    ["broker[0]=a", '--set broker[0]: key "broker.0" is not known; known here: name'],
    ["queues=[", "--set queues: not valid YAML: Flow sequence must end with a ]"],
    [
      "hosts.default.aliases=a",
      '--set hosts.default.aliases: hosts.default.aliases: expected a list such as [a, b], found "a"',
    ],
  ])("is refused as %s", (set, problem) => {
    expect(problems("", { sets: [set] })).toEqual([problem]);
  });
});

describe("a wrong configuration", () => {
  it.each([
    ["stmp: 1", 'delos.yaml:1:1: key "stmp" is not known; did you mean "stomp"?'],
    [
      "listeners:\n  stomp:\n    prot: 5",
      'delos.yaml:3:5: key "listeners.stomp.prot" is not known; did you mean "port"?',
    ],
    ["broker: {colour: red}", 'delos.yaml:1:10: key "broker.colour" is not known; known here: name'],
    ["queues: {0: {match: a}}", "delos.yaml:1:9: queues: expected a list such as [a, b], found a section of keys"],
    ["queues: [{mach: a}]", 'delos.yaml:1:11: key "queues[0].mach" is not known; did you mean "match"?'],
    ["stomp: 5", "delos.yaml:1:8: stomp: expected keys and values, found 5"],
    ["- a", "delos.yaml:1:1: expected keys and values, found a list"],
    ["stomp: {max_headers: 0}", "delos.yaml:1:22: stomp.max_headers: expected a whole number of at least 1, found 0"],
    [
      "stomp: {max_headers: 1.5}",
      "delos.yaml:1:22: stomp.max_headers: expected a whole number of at least 1, found 1.5",
    ],
    [
      "stomp: {max_headers: }",
      "delos.yaml:1:22: stomp.max_headers: expected a whole number of at least 1, found nothing",
    ],
    [
      "stomp: {max_body: 5x}",
      'delos.yaml:1:19: stomp.max_body: expected a size such as 64k, 10m or 1g, or a number of bytes, found "5x"',
    ],
    [
      "detection: {timeout: 0}",
      "delos.yaml:1:22: detection.timeout: expected a duration such as 500ms, 30s, 5m or 1h, or a number of milliseconds, at least 1, found 0",
    ],
    [
      "log: {level: wran}",
      'delos.yaml:1:14: log.level: expected one of trace, debug, info, warn, error, fatal, found "wran"; did you mean "warn"?',
    ],
    [
      "listeners: {a: {port: 65536}}",
      "delos.yaml:1:23: listeners.a.port: expected a whole number from 0 to 65535, found 65536",
    ],
    [
      "listeners: {a: {host: b}}",
      "delos.yaml:1:16: listeners.a.port: must be set; expected a whole number from 0 to 65535",
    ],
    [
      "listeners: {stomp: {enabled: yes}}",
      'delos.yaml:1:30: listeners.stomp.enabled: expected true or false, found "yes"',
    ],
    ["broker: {name: 5}", "delos.yaml:1:16: broker.name: expected text, found 5; put it in quotes"],
    ["hosts: {'': {}}", "delos.yaml:1:9: hosts: a name must have 1 to 128 characters and no control characters"],
    ["queues: [{match: 'a{'}]", /^delos\.yaml:1:18: queues\[0\]\.match: /],
    ["connection: {output_low_water: 1m}", /^delos\.yaml:1:32: connection\.output_low_water: must be less than/],
    ["stomp: {max_header_bytes: 1m}", /^delos\.yaml:1:27: stomp\.max_header_bytes: must not be more than/],
    [
      "listeners: {mqtt: {port: 61613}}",
      "delos.yaml:1:26: listeners.mqtt.port: 61613 is the port of listeners.stomp already",
    ],
    [
      "hosts: {a: {aliases: [LocalHost]}}",
      'delos.yaml:1:23: hosts.a.aliases: "LocalHost" leads to the host "default" already',
    ],
    ["hosts: {a: , A: }", 'delos.yaml:1:17: hosts.A: differs from "a" in case only'],
    [
      "security: {users: {ann: {groups: [a]}}}",
      /^delos\.yaml:1:25: security\.users\.ann: must have either password_hash/,
    ],
    [
      "security: {users: {ann: {password_hash: scrypt$1}}}",
      /^delos\.yaml:1:41: security\.users\.ann\.password_hash: is not what/,
    ],
    [
      "security: {users: {ann: {scram_sha_256: 4096$A$B$C}}}",
      /^delos\.yaml:1:41: security\.users\.ann\.scram_sha_256: is not what "delos hash-password --scram" prints/,
    ],
    [
      "security: {users: {ann: {scram_sha_256: 4096$A$B$C, password: x}}}",
      /^delos\.yaml:1:25: security\.users\.ann: must have either password_hash, scram_sha_256 or both/,
    ],
  ])("is refused with its place: %j", (yaml, problem) => {
    const found = problems(yaml);
    expect(found).toHaveLength(1);
    if (typeof problem === "string") expect(found).toEqual([problem]);
    else expect(found[0]).toMatch(problem);
  });

  it.each([
    ["log: {level: info}\nlog: {level: info}", 'delos.yaml:2:1: key "log" is there twice in the same section'],
    ["log:\n\tlevel: info", "delos.yaml:2:1: a tab is used to indent; YAML wants spaces"],
    [
      "log: {level: info}\n---\nlog: {}",
      "delos.yaml:2:1: a second document starts here; a configuration is one document",
    ],
    ["log: 'x", "delos.yaml:1:8: not valid YAML: Missing closing 'quote"],
    [
      "log: *nothing",
      "delos.yaml:1:6: an alias that refers to nothing above it; text that starts with * must be in quotes",
    ],
    ["log: !odd x", "delos.yaml:1:6: a tag that is not known; text that starts with ! must be in quotes"],
    ["? [a]\n: b", "delos.yaml:1:1: a key must be a plain word"],
  ])("that is not even YAML is refused with its place: %j", (yaml, problem) => {
    expect(problems(yaml)).toEqual([problem]);
  });

  it("is refused without end when an alias is inside its own anchor", () => {
    expect(problems("queues: &q [*q]").join()).toContain("levels deep");
  });

  it("that loses its place in YAML is told once, and without what stands there", () => {
    const found = problems('a: "x"\n  b: secret\n  c: secret\nd: secret');
    expect(found.length).toBeLessThan(4);
    expect(found.join()).not.toContain("secret");
  });

  it("that is not even YAML never shows what may be a secret, wherever it is damaged", () => {
    const text = "security:\n  users:\n    ann:\n      password: topsecret\n      groups: [a]\n";
    const start = text.indexOf("topsecret");
    for (let at = 0; at <= text.length; at++) {
      // Damage inside the word would show in pieces what this test looks for as a whole.
      if (at > start && at < start + "topsecret".length) continue;
      for (const damage of ["'", '"', "[", "{", "|", "> ", "!", "*", "&", "%", "\t", ": ", "- ", ","]) {
        const found = problems(text.slice(0, at) + damage + text.slice(at)).join("\n");
        expect(found, `${damage} at ${at}`).not.toContain("topsecret");
      }
    }
  });

  it("tells everything that is wrong at once, in every layer", () => {
    const found = problems("stmp: 1\nlog: {level: 5}\nlisteners: {a: {}}", {
      environment: { DELOS__x: "1", DELOS__log__level: "bad" },
      sets: ["y=1"],
    });
    expect(found.map((problem) => problem.split(": ")[0])).toEqual([
      "delos.yaml:1:1",
      "delos.yaml:2:14",
      "environment DELOS__log__level",
      "environment DELOS__x",
      "--set y",
      "delos.yaml:3:16",
    ]);
  });

  it("never shows what may be a secret", () => {
    const yaml =
      "security: {users: {ann: {password: 918273}, bob: {password_hash: topsecret}}, guest: {password: [918273]}}";
    const found = problems(yaml, { sets: ["security.users.cy.password_hash=topsecret"] });
    expect(found).toHaveLength(4);
    expect(found.join()).not.toMatch(/918273|topsecret/);
  });

  it("is refused when there is no such file", () => {
    expect(loadConfig({ directory, file: "none.yaml" })).toEqual({
      ok: false,
      problems: ["none.yaml: there is no such file"],
    });
    expect(loadConfig({ directory, file: "." })).toEqual({
      ok: false,
      problems: [".: is a directory; name the file in it"],
    });
  });
});

describe("an unwise configuration is warned about", () => {
  it.each([
    ["security: {users: {ann: {password: x}}}", /^delos\.yaml:1:36: security\.users\.ann\.password: /],
    ["security: {guest: {loopback_only: false}}", /^delos\.yaml:1:35: security\.guest\.loopback_only: /],
    [
      "listeners: {stomp: {enabled: false}, mqtt: {enabled: false}, amqp: {enabled: false}, openwire: {enabled: false}}",
      /none is enabled/,
    ],
  ])("%j", (yaml, warning) => {
    const found = warnings(yaml);
    expect(found).toHaveLength(1);
    expect(found[0]).toMatch(warning);
  });
});
