import { describe, expect, it } from "vitest";
import type { Login } from "../../core/access/access.ts";
import { loadConfig } from "../../src/config/load.ts";
import { Amqp10Wire } from "../support/amqp10-wire.ts";
import { AmqpWire } from "../support/amqp091-wire.ts";
import { ROOT, startBroker, type TestBroker } from "../support/broker.ts";
import { eventually } from "../support/eventually.ts";
import { LeapingClock } from "../support/leaping-clock.ts";
import { MqttWire } from "../support/mqtt-wire.ts";
import { StompWire } from "../support/stomp-wire.ts";
import { hmacToken, JWT_SECRET } from "../support/tokens.ts";

interface Showing {
  readonly user?: string;
  readonly password: string;
  readonly host?: string;
}

/** Who was let in. */
interface Guest extends Disposable {
  /** Waits until the broker has them go, and gives its words. */
  gone(): Promise<string>;
}

/** One protocol: resolves once the client is let in, rejects with the broker's words. */
type Enter = (port: number, showing: Showing) => Promise<Guest>;

async function byStomp(port: number, { user = "", password, host = "localhost" }: Showing): Promise<Guest> {
  const client = await StompWire.open(port);
  await client.sendPlain("CONNECT", { "accept-version": "1.2", host, login: user, passcode: password });
  const answer = await client.next();
  if (answer.command !== "CONNECTED") throw new Error(answer.headers.get("message"));
  return {
    gone: async () => (await client.expect("ERROR")).headers.get("message") ?? "",
    [Symbol.dispose]: () => client[Symbol.dispose](),
  };
}

async function byMqtt5(port: number, { user = "", password }: Showing): Promise<Guest> {
  const client = await MqttWire.connect(port, { clientId: "c", username: user, password });
  return {
    gone: async () => {
      const { reasonCode, properties } = await client.expect("disconnect");
      return `${reasonCode} ${properties?.reasonString}`;
    },
    [Symbol.dispose]: () => client[Symbol.dispose](),
  };
}

async function byMqtt3(port: number, { user = "", password }: Showing): Promise<Guest> {
  const client = await MqttWire.connect(port, { version: 4, clientId: "c", username: user, password });
  return {
    gone: async () => (await client.wire.closed()).toString(),
    [Symbol.dispose]: () => client[Symbol.dispose](),
  };
}

async function byAmqp091(port: number, { user = "", password, host = "/" }: Showing): Promise<Guest> {
  const client = await AmqpWire.greeted(port);
  await client.startOk({ user, password, capabilities: ["authentication_failure_close"] });
  const tune = await client.next();
  if (tune.type === "method" && tune.method.name === "connection.close")
    throw new Error(tune.method.arguments.replyText);
  await client.send(0, "connection.tune-ok", { channelMax: 2047, frameMax: 131_072, heartbeat: 0 });
  await client.send(0, "connection.open", { virtualHost: host });
  const answer = await client.next();
  if (answer.type === "method" && answer.method.name === "connection.close") {
    throw new Error(answer.method.arguments.replyText);
  }
  return {
    gone: async () => (await client.expect("connection.close")).replyText,
    [Symbol.dispose]: () => client.wire[Symbol.dispose](),
  };
}

async function byAmqp10(port: number, { user = "", password, host }: Showing): Promise<Guest> {
  const client = await Amqp10Wire.open(port);
  const hostname = host === undefined ? {} : { hostname: host };
  await client.header(3);
  await client.expect("sasl-mechanisms");
  const initialResponse = Buffer.from(`\0${user}\0${password}`);
  await client.say({ type: "sasl-init", mechanism: "PLAIN", initialResponse, ...hostname });
  const { code } = (await client.expect("sasl-outcome")).performative;
  if (code !== 0) throw new Error(`outcome ${code}`);
  await client.header(0);
  await client.say({ type: "open", containerId: "c", ...hostname });
  await client.expect("open");
  return {
    gone: async () => {
      const { error } = (await client.expect("close")).performative;
      return `${error?.condition} ${error?.description}`;
    },
    [Symbol.dispose]: () => client.wire[Symbol.dispose](),
  };
}

const ALL: [string, Enter][] = [
  ["STOMP", byStomp],
  ["MQTT 5.0", byMqtt5],
  ["MQTT 3.1.1", byMqtt3],
  ["AMQP 0-9-1", byAmqp091],
  ["AMQP 1.0", byAmqp10],
];

const TOKENS = [`security.modules=[{control: sufficient, jwt: {secret: ${JWT_SECRET}}}]`, "amqp10.idle_timeout=0"];

function token(seconds: number, claims: object = {}): string {
  return hmacToken({ sub: "ann", exp: Math.floor(Date.now() / 1000) + seconds, ...claims });
}

/** What MQTT says by OAUTHBEARER. */
const bearer = (text: string) => ({
  authenticationMethod: "OAUTHBEARER",
  authenticationData: Buffer.from(`n,,\x01auth=Bearer ${text}\x01\x01`),
});

function logins({ server }: TestBroker, host = "default"): Login[] {
  return [...(server.broker.hosts.get(host)?.clients ?? [])].map(({ login }) => login);
}

describe("a login by a token", () => {
  it.each(ALL)("over %s ends when the token does, and the client is told so", async (name, enter) => {
    const clock = new LeapingClock();
    const broker = await startBroker(TOKENS, { clock });
    using guest = await enter(broker.port, { password: token(600) });
    expect(logins(broker)).toMatchObject([{ user: "ann" }]);
    clock.leap(629_000);
    expect(logins(broker)).toHaveLength(1);
    clock.leap(2000);
    const words = await guest.gone();
    if (name !== "MQTT 3.1.1") expect(words).toContain("The login of user ann has expired");
    if (name === "MQTT 5.0") expect(words).toMatch(/^135 /);
    if (name === "AMQP 0-9-1") expect(words).toMatch(/^ACCESS_REFUSED - /);
    if (name === "AMQP 1.0") expect(words).toMatch(/^amqp:unauthorized-access /);
    await eventually(() => expect(logins(broker)).toEqual([]));
  });

  it.each(ALL)("over %s is refused with one that has expired", async (_name, enter) => {
    const { port } = await startBroker(TOKENS);
    await expect(enter(port, { password: token(-600) })).rejects.toThrow();
  });
});

describe("a token that is renewed in time", () => {
  it("over STOMP, by a SEND to /broker/login, lets the client stay, with the groups of the new one", async () => {
    const clock = new LeapingClock();
    const broker = await startBroker(TOKENS, { clock });
    using client = await StompWire.connect(broker.port, { headers: { passcode: token(600) } });
    expect(Number(client.session.get("login-expires"))).toBeGreaterThan(Date.now() + 590_000);
    await client.request("SEND", { destination: "/broker/login" }, token(1200, { groups: ["new"] }));
    expect(logins(broker)).toMatchObject([{ user: "ann", groups: ["new"] }]);
    clock.leap(700_000);
    await client.request("SEND", { destination: "/queue/a" }, "still here");
    await client.send("SEND", { destination: "/broker/login", receipt: "r" }, token(1200, { sub: "bob" }));
    const error = await client.expect("ERROR");
    expect(error.headers.get("message")).toMatch(/^The new login is of user bob; expected ann/);
    expect(error.headers.get("receipt-id")).toBe("r");
  });

  it("over STOMP is what the frames behind it wait for, and nobody gets it as a message", async () => {
    const broker = await startBroker(TOKENS);
    using client = await StompWire.connect(broker.port, { headers: { passcode: token(600) } });
    const frames = [
      client.encode("SEND", { destination: "/broker/login", receipt: "1" }, token(900)),
      client.encode("SEND", { destination: "/queue/a", receipt: "2" }, "x"),
    ];
    await client.wire.send(Buffer.concat(frames));
    expect((await client.expect("RECEIPT")).headers.get("receipt-id")).toBe("1");
    expect((await client.expect("RECEIPT")).headers.get("receipt-id")).toBe("2");
    expect([...(broker.server.broker.hosts.get("default")?.queues.keys() ?? [])]).toEqual(["a"]);
  });

  it("over MQTT 5.0, by AUTH with OAUTHBEARER, lets the client stay [MQTT-4.12.1]", async () => {
    const clock = new LeapingClock();
    const broker = await startBroker(TOKENS, { clock });
    using client = await MqttWire.open(broker.port);
    await client.sendConnect({ clientId: "c", properties: bearer(token(600)) });
    const connack = await client.expect("connack");
    expect(connack.reasonCode).toBe(0);
    expect(Number(connack.properties?.userProperties?.["login-expires"])).toBeGreaterThan(Date.now());
    await client.send({ cmd: "auth", reasonCode: 0x19, properties: bearer(token(1200, { groups: ["new"] })) });
    expect((await client.expect("auth")).reasonCode).toBe(0);
    expect(logins(broker)).toMatchObject([{ user: "ann", groups: ["new"] }]);
    clock.leap(700_000);
    await client.publish("t", "still here", { qos: 1 });
    clock.leap(700_000);
    expect(await client.dismissed()).toBe(0x87);
  });

  it("over AMQP 0-9-1, by connection.update-secret, lets the client stay", async () => {
    const clock = new LeapingClock();
    const broker = await startBroker(TOKENS, { clock });
    const client = await AmqpWire.open(broker.port, { user: "", password: token(600) });
    await client.send(0, "connection.update-secret", { newSecret: Buffer.from(token(1200)), reason: "it expires" });
    await client.expect("connection.update-secret-ok");
    clock.leap(700_000);
    await client.openChannel(1);
    clock.leap(700_000);
    expect((await client.expect("connection.close")).replyCode).toBe(403);
  });
});

const BASE = ["store.kind=memory", "listeners.stomp.port=0", "management.enabled=false", "log.level=debug"];

/** Has the broker take over a configuration with these settings. */
async function reload(broker: TestBroker, sets: string[]): Promise<void> {
  const loaded = loadConfig({ sets: [...BASE, ...sets], directory: ROOT });
  if (!loaded.ok) throw new Error(loaded.problems.join("\n"));
  await broker.server.reload(loaded.config);
}

/** Settings that make ann a user. */
const ann = (groups: string, password = "secret") => [
  `security.users.ann.password=${password}`,
  `security.users.ann.groups=[${groups}]`,
];

describe("when the configuration changes, a client", () => {
  it.each(ALL)("over %s whose user is removed has to go, and is told why", async (name, enter) => {
    const broker = await startBroker(ann("a"));
    using guest = await enter(broker.port, { user: "ann", password: "secret" });
    await reload(broker, []);
    const words = await guest.gone();
    if (name !== "MQTT 3.1.1") expect(words).toContain("User ann may not log in any more, or has another password");
    await eventually(() => expect(logins(broker)).toEqual([]));
  });

  it("whose user is disabled, or has another password, has to go", async () => {
    for (const sets of [[...ann("a"), "security.users.ann.enabled=false"], ann("a", "other")]) {
      const broker = await startBroker(ann("a"));
      using guest = await byStomp(broker.port, { user: "ann", password: "secret" });
      await reload(broker, sets);
      expect(await guest.gone()).toContain("User ann may not log in any more");
    }
  });

  it("whose user has other groups stays, and is in these", async () => {
    const broker = await startBroker(ann("a"));
    using _stomp = await byStomp(broker.port, { user: "ann", password: "secret" });
    using _guest = await byMqtt5(broker.port, { user: "guest", password: "guest" });
    await reload(broker, ann("b, c"));
    await eventually(() => expect(logins(broker)).toMatchObject([{ groups: ["b", "c"] }, { user: "guest" }]));
  });

  it("that is a guest has to go when guests are not let in any more", async () => {
    const broker = await startBroker(ann("a"));
    using guest = await byStomp(broker.port, { user: "guest", password: "guest" });
    await reload(broker, [...ann("a"), "security.guest.enabled=false"]);
    expect(await guest.gone()).toContain("The login of user guest counts no more");
  });

  it("that nobody had asked has to go when logins are asked for", async () => {
    const broker = await startBroker(["security.enabled=false"]);
    using guest = await byStomp(broker.port, { user: "ann", password: "x" });
    expect(logins(broker)).toEqual([{ user: undefined, groups: [] }]);
    await reload(broker, []);
    expect(await guest.gone()).toContain("Nobody is let in any more without a login");
  });
});

describe("a virtual host with security of its own", () => {
  const HOSTS = [
    "security.users.ann.password=ours",
    "hosts.plant.security={users: {ann: {password: theirs, groups: [p]}, cy: {password: theirs}}, guest: {enabled: false}}",
    "hosts.open.security.enabled=false",
  ];
  const TONGUES = ALL.filter(([name]) => !name.startsWith("MQTT"));

  it.each(TONGUES)("over %s lets in its own users and no others", async (_name, enter) => {
    const broker = await startBroker(HOSTS);
    using _plant = await enter(broker.port, { user: "ann", password: "theirs", host: "plant" });
    using _ours = await enter(broker.port, { user: "ann", password: "ours" });
    expect(logins(broker, "plant")).toMatchObject([{ user: "ann", groups: ["p"], realm: "plant" }]);
    expect(logins(broker)).toEqual([{ user: "ann", groups: [] }]);
    await expect(enter(broker.port, { user: "ann", password: "ours", host: "plant" })).rejects.toThrow();
    await expect(enter(broker.port, { user: "cy", password: "theirs" })).rejects.toThrow();
    await expect(enter(broker.port, { user: "guest", password: "guest", host: "plant" })).rejects.toThrow();
  });

  it.each(TONGUES)("over %s lets everybody in, as nobody, when that is off", async (_name, enter) => {
    const broker = await startBroker(HOSTS);
    using _guest = await enter(broker.port, { user: "anybody", password: "x", host: "open" });
    expect(logins(broker, "open")).toEqual([{ user: undefined, groups: [], realm: "open" }]);
  });

  it("over AMQP 1.0 cannot be entered by a login for another one", async () => {
    const broker = await startBroker(HOSTS);
    using client = await Amqp10Wire.open(broker.port);
    await client.header(3);
    await client.expect("sasl-mechanisms");
    await client.say({
      type: "sasl-init",
      mechanism: "PLAIN",
      initialResponse: Buffer.from("\0x\0x"),
      hostname: "open",
    });
    expect((await client.expect("sasl-outcome")).performative.code).toBe(0);
    await client.header(0);
    await client.say({ type: "open", containerId: "c", hostname: "plant" });
    await client.expect("open");
    const { error } = (await client.expect("close")).performative;
    expect(error?.condition).toBe("amqp:unauthorized-access");
    expect(error?.description).toMatch(
      /one of virtual host open, and virtual host plant takes those of virtual host plant/,
    );
  });
});

describe("who failed to log in too often", () => {
  it.each<[string, Enter, RegExp]>([
    ["STOMP", byStomp, /^Too many logins have failed; try again in \d+ s/],
    ["MQTT 5.0", byMqtt5, /^CONNACK refuses with 159: Too many logins have failed/],
    ["MQTT 3.1.1", byMqtt3, /^CONNACK refuses with 3: /],
    ["AMQP 0-9-1", byAmqp091, /^RESOURCE_ERROR - Too many logins have failed/],
    ["AMQP 1.0", byAmqp10, /^outcome 4$/],
  ])("is told over %s to come again later", async (_name, enter, words) => {
    const { port } = await startBroker(["security.users.ann.password=secret", "security.attempts.free=1"]);
    await expect(enter(port, { user: "ann", password: "wrong" })).rejects.toThrow();
    await expect(enter(port, { user: "ann", password: "secret" })).rejects.toThrow(words);
  });
});
