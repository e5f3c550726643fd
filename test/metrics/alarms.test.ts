import { connect as connectAmqp } from "amqplib";
import { describe, expect, it, onTestFinished } from "vitest";
import { loadConfig } from "../../src/config/load.ts";
import type { Levels } from "../../src/metrics/resources.ts";
import { MqttjsClient } from "../clients/mqttjs-client.ts";
import { connectRhea, openReceiver, openSender } from "../clients/rhea-client.ts";
import { ROOT, startBroker, temporaryFolder, type TestBroker } from "../support/broker.ts";
import { eventually } from "../support/eventually.ts";
import { StompWire } from "../support/stomp-wire.ts";

const MEBI = 1024 * 1024;
const PLENTY: Levels = { memoryUsed: 0, heapUsed: 0, heapLimit: 1, diskFree: 1024 * MEBI, storeFree: 0 };

/** A broker that believes what it is told of memory and disk. */
class Watched {
  readonly broker: TestBroker;
  private readonly told: { levels: Levels };

  private constructor(broker: TestBroker, told: { levels: Levels }) {
    this.broker = broker;
    this.told = told;
  }

  static async start(settings: readonly string[] = []): Promise<Watched> {
    const told = { levels: PLENTY };
    const limits = ["alarms.interval=10ms", "alarms.memory=100m", "alarms.disk_free=100m"];
    const measure = (): Promise<Levels> => Promise.resolve(told.levels);
    return new Watched(await startBroker([...limits, ...settings], { measure }), told);
  }

  get port(): number {
    return this.broker.port;
  }

  get alarms(): string[] {
    return this.broker.server.broker.engine.alarms.active.map(({ name, reason }) => `${name}: ${reason}`);
  }

  /** Says what there is, and waits until so many alarms are raised. */
  async say(levels: Partial<Levels>, alarms: number): Promise<void> {
    this.told.levels = { ...PLENTY, ...levels };
    await eventually(() => this.alarms.length === alarms);
  }

  /** Clients that have to wait. */
  get blocked(): string[] {
    const { hosts } = this.broker.server.broker;
    return [...hosts.values()].flatMap(({ clients }) =>
      [...clients].filter(({ blocked }) => blocked).map(({ protocol }) => protocol),
    );
  }
}

/** Somebody who publishes to the topic t. */
interface Publisher {
  /** Does not wait for an answer. */
  readonly publish: (body: string) => void;
  /** How its client was told to wait, where its protocol has words for it. */
  readonly toldToWait?: () => boolean;
}

async function overStomp(port: number): Promise<Publisher> {
  const client = await StompWire.connect(port);
  onTestFinished(() => client[Symbol.dispose]());
  return { publish: (body) => void client.send("SEND", { destination: "/topic/t" }, body) };
}

async function overMqtt(port: number): Promise<Publisher> {
  const client = await MqttjsClient.connect(port, 5);
  return { publish: (body) => void client.mqtt.publish("t", body, { qos: 0 }) };
}

async function overAmqp091(port: number): Promise<Publisher> {
  const connection = await connectAmqp(`amqp://guest:guest@127.0.0.1:${port}`);
  const reasons: (string | undefined)[] = [];
  connection.on("blocked", (reason) => reasons.push(reason));
  connection.on("unblocked", () => reasons.push(undefined));
  connection.on("error", () => {});
  onTestFinished(async () => {
    await connection.close().catch(() => {});
  });
  const channel = await connection.createChannel();
  return {
    publish: (body) => void channel.publish("amq.topic", "t", Buffer.from(body)),
    toldToWait: () => reasons.at(-1)?.includes("short of room on its disk") === true,
  };
}

async function overAmqp10(port: number): Promise<Publisher> {
  const sender = await openSender(connectRhea(port), "topic://t");
  return { publish: (body) => void sender.send({ body }), toldToWait: () => !sender.sendable() };
}

describe.each([
  ["STOMP", overStomp],
  ["MQTT", overMqtt],
  ["AMQP 0-9-1", overAmqp091],
  ["AMQP 1.0", overAmqp10],
])("a publisher over %s", (_protocol, connect) => {
  it("has to wait while the disk is nearly full, and goes on by itself", async () => {
    const watched = await Watched.start();
    using consumer = await StompWire.connect(watched.port);
    await consumer.request("SUBSCRIBE", { id: "1", destination: "/topic/t" });
    const { publish, toldToWait } = await connect(watched.port);
    publish("before");
    expect((await consumer.message()).body.toString()).toBe("before");
    await watched.say({ diskFree: 99 * MEBI }, 1);
    // Who has sent nothing since is not held up yet.
    publish("noticed");
    expect((await consumer.message()).body.toString()).toBe("noticed");
    await eventually(() => watched.blocked.length === 1);
    if (toldToWait !== undefined) await eventually(toldToWait);
    // Neither full enough nor empty enough to change anything.
    await watched.say({ diskFree: 120 * MEBI }, 1);
    await watched.say({}, 0);
    await eventually(() => watched.blocked.length === 0);
    if (toldToWait !== undefined) await eventually(() => !toldToWait());
    publish("after");
    expect((await consumer.message()).body.toString()).toBe("after");
  });
});

describe.each([
  ["STOMP", overStomp],
  ["MQTT", overMqtt],
  ["AMQP 0-9-1", overAmqp091],
])("what is sent over %s while an alarm is on", (_protocol, connect) => {
  it("is not read, while a consumer is given what is there", async () => {
    const watched = await Watched.start();
    using consumer = await StompWire.connect(watched.port);
    for (let n = 0; n < 100; n++) await consumer.send("SEND", { destination: "/queue/backlog" }, "x");
    await consumer.request("SUBSCRIBE", { id: "1", destination: "/topic/t" });
    const { publish } = await connect(watched.port);
    await watched.say({ memoryUsed: 101 * MEBI }, 1);
    publish("noticed");
    expect((await consumer.message()).body.toString()).toBe("noticed");
    await eventually(() => watched.blocked.length === 1);
    for (let n = 0; n < 10; n++) publish("held up");
    using other = await StompWire.connect(watched.port);
    await other.send("SUBSCRIBE", { id: "2", destination: "/queue/backlog", ack: "client-individual" });
    for (let n = 0; n < 100; n++) {
      const message = await other.message();
      await other.ack(message, { receipt: String(n) });
      await other.receipt(String(n));
    }
    await consumer.request("UNSUBSCRIBE", { id: "1" });
    await watched.say({}, 0);
    await eventually(() => watched.blocked.length === 0);
  });
});

it("over AMQP 1.0, a client that has to wait goes on consuming and settling on the same connection", async () => {
  const watched = await Watched.start();
  using backlog = await StompWire.connect(watched.port);
  for (let n = 0; n < 300; n++) await backlog.send("SEND", { destination: "/queue/backlog" }, "x");
  await backlog.request("SEND", { destination: "/queue/backlog" }, "x");
  const connection = connectRhea(watched.port);
  const sender = await openSender(connection, "queue://out");
  await watched.say({ memoryUsed: 101 * MEBI }, 1);
  sender.send({ body: "noticed" });
  await eventually(() => watched.blocked.length === 1);
  await eventually(() => !sender.sendable());
  const inbox = await openReceiver(connection, { source: "queue://backlog", credit_window: 10 });
  for (let n = 0; n < 301; n++) await inbox.next();
  const queue = watched.broker.server.broker.host(undefined)?.queues.get("backlog");
  await eventually(() => queue?.ledger.consumed === 301);
  expect([watched.alarms.length, watched.blocked.length]).toEqual([1, 1]);
  await watched.say({}, 0);
  await eventually(() => sender.sendable());
});

describe("alarms", () => {
  it("say what was found, what is needed and which setting says so, and are logged", async () => {
    const watched = await Watched.start();
    await watched.say({ memoryUsed: 200 * MEBI, diskFree: 7 * MEBI }, 2);
    expect(watched.alarms).toEqual([
      "memory: the process needs 200 MiB of memory; more than 100 MiB is too much (alarms.memory)",
      "disk: the disk of store.directory has 7 MiB free, and 0 MiB in the files of the store; less than 100 MiB is too little (alarms.disk_free)",
    ]);
    await watched.say({ memoryUsed: 96 * MEBI, diskFree: 126 * MEBI }, 1);
    await watched.say({ memoryUsed: 95 * MEBI }, 0);
    const lines = watched.broker.log.join("");
    expect(lines).toContain("publishers have to wait: the process needs 200 MiB");
    expect(lines).toContain("the disk alarm is over; publishers go on");
    const audited = watched.broker.server.audit.recent().map(({ action, detail }) => `${action} ${detail}`);
    expect(audited.filter((line) => line.startsWith("broker.alarm"))).toEqual([
      expect.stringMatching(/^broker.alarm-over memory: the process needs/),
      expect.stringMatching(/^broker.alarm-over disk: the disk/),
      expect.stringMatching(/^broker.alarm disk: the disk of store.directory has 7 MiB free/),
      expect.stringMatching(/^broker.alarm memory: the process needs 200 MiB/),
    ]);
  });

  it("are told at once on system topics", async () => {
    const watched = await Watched.start(["mqtt.sys_interval=1h"]);
    using client = await StompWire.connect(watched.port);
    await client.request("SUBSCRIBE", { id: "1", destination: "/topic/$SYS.broker.alarms.*" });
    expect((await client.bodies(2)).toSorted()).toEqual(["0", "0"]);
    await watched.say({ memoryUsed: 200 * MEBI }, 1);
    const raised = await client.message();
    expect([raised.headers.get("destination"), raised.body.toString()]).toEqual([
      "/topic/$SYS.broker.alarms.memory",
      "1",
    ]);
    await watched.say({}, 0);
    expect((await client.message()).body.toString()).toBe("0");
  });

  it("go by the settings as they are after a reload", async () => {
    const watched = await Watched.start();
    await watched.say({ memoryUsed: 90 * MEBI }, 0);
    const loaded = loadConfig({ sets: ["alarms.memory=80m", "alarms.interval=10ms"], directory: ROOT });
    if (!loaded.ok) throw new Error(loaded.problems.join("\n"));
    const { applied } = await watched.broker.server.reload(loaded.config);
    expect(applied).toContain("alarms.memory");
    await eventually(() => watched.alarms.length === 1);
  });

  it("are raised by the disk that the store is on", async () => {
    const broker = await startBroker([
      "store.kind=lmdb",
      `store.directory=${temporaryFolder()}`,
      "alarms.disk_free=1000000000000000",
    ]);
    const [alarm] = broker.server.broker.engine.alarms.active;
    expect(alarm?.reason).toMatch(
      /^the disk of store.directory has \d+ MiB free, and \d+ MiB in the files of the store; less than 953674316 MiB/,
    );
  });

  it("are raised by the memory of this process", async () => {
    const { server } = await startBroker(["alarms.memory=1m"]);
    expect(server.broker.engine.alarms.active.map(({ name }) => name)).toEqual(["memory"]);
  });

  it("stay as they are while nothing can be measured", async () => {
    const told: { levels: Levels | undefined } = { levels: { ...PLENTY, diskFree: 0 } };
    const measure = (): Promise<Levels> =>
      told.levels === undefined ? Promise.reject(new Error("no such device")) : Promise.resolve(told.levels);
    const { server, log } = await startBroker(["alarms.interval=10ms"], { measure });
    const { alarms } = server.broker.engine;
    told.levels = undefined;
    await eventually(() => log.join("").includes("no such device"));
    expect(alarms.active.length).toBe(1);
    told.levels = PLENTY;
    await eventually(() => alarms.active.length === 0);
  });
});
