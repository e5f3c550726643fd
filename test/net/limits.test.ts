import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { loadConfig } from "../../src/config/load.ts";
import { Bucket } from "../../src/net/bucket.ts";
import { Limits } from "../../src/net/limits.ts";
import { Meter } from "../../src/net/meter.ts";
import { AmqpWire } from "../support/amqp091-wire.ts";
import { Amqp10Wire } from "../support/amqp10-wire.ts";
import { ROOT, startBroker, type TestBroker } from "../support/broker.ts";
import { eventually } from "../support/eventually.ts";
import { type Answer, startManagement } from "../support/management.ts";
import { LeapingClock } from "../support/leaping-clock.ts";
import { MqttWire } from "../support/mqtt-wire.ts";
import { StompWire } from "../support/stomp-wire.ts";
import { VirtualClock } from "../support/virtual-clock.ts";
import { Wire } from "../support/wire.ts";

const USERS = ["ann", "ben", "device-1"].map((name) => `security.users.${name}.password=secret`);
const ANN = { headers: { login: "ann", passcode: "secret" } };
const BEN = { headers: { login: "ben", passcode: "secret" } };

function configOf(sets: readonly string[]) {
  const loaded = loadConfig({ sets, directory: ROOT });
  if (!loaded.ok) throw new Error(loaded.problems.join("\n"));
  return loaded;
}

function limitsOf(list: string, clock = new VirtualClock()): { limits: Limits; clock: VirtualClock } {
  return { limits: new Limits(configOf([`limits=${list}`]).config.limits, clock), clock };
}

async function start(list: string, more: readonly string[] = []) {
  const clock = new LeapingClock();
  const broker = await startBroker([...USERS, `limits=${list}`, ...more], { clock });
  return { clock, broker, port: broker.port };
}

function received({ server }: TestBroker, queue = "a"): number {
  return server.broker.hosts.get("default")?.queues.get(queue)?.ledger.received ?? 0;
}

describe("a bucket", () => {
  it("lets through no more than so many in any time, and as many in the long run", () => {
    const pieces = fc.array(fc.record({ amount: fc.nat(500), pauseMs: fc.nat(300) }), { minLength: 1, maxLength: 200 });
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 1000 }), pieces, (perSecond, list) => {
        let now = 0;
        let spent = 0;
        const bucket = new Bucket(perSecond, now);
        for (const { amount, pauseMs } of list) {
          const waitMs = bucket.spend(amount, now);
          spent += amount;
          now += waitMs + pauseMs;
          // Whoever waits as told has what came until then, and one second's worth at the beginning.
          expect(spent).toBeLessThanOrEqual(perSecond + (perSecond * now) / 1000);
        }
        expect(bucket.spend(0, now + 1e9)).toBe(0);
      }),
    );
  });
});

describe("a meter", () => {
  it("asks for the longest of all waits, and names that limit", () => {
    const clock = new VirtualClock();
    const now = clock.now();
    const tally = { refused: 0, waits: 0, waiting: 0 };
    let messages = 0;
    const slow = { messages: new Bucket(10, now), bytes: undefined, name: "slow", disconnects: false, tally };
    const fast = {
      messages: new Bucket(1000, now),
      bytes: new Bucket(1000, now),
      name: "fast",
      disconnects: false,
      tally,
    };
    const meter = new Meter(clock, [fast, slow], () => messages);
    messages = 30;
    expect(meter.count(1100)).toBe(2000);
    expect(meter.exceeded?.name).toBe("slow");
    clock.advance(2000);
    messages += 1;
    expect(meter.count(10_000)).toBe(9000);
    expect(meter.exceeded?.name).toBe("fast");
    expect(tally.waits).toBe(2);
  });

  it("handles pieces that fit the rates and the messages there were", () => {
    const clock = new VirtualClock();
    const tally = { refused: 0, waits: 0, waiting: 0 };
    let messages = 0;
    const limit = { messages: new Bucket(200, clock.now()), bytes: undefined, name: "", disconnects: false, tally };
    const meter = new Meter(clock, [limit], () => messages);
    messages = 10;
    meter.count(10_000);
    expect(meter.piece).toBe(10_000);
  });
});

describe("limits of connections", () => {
  it("count by address without the port, and by the /64 of IPv6", () => {
    const { limits } = limitsOf("[{per: address, connections: 1}]");
    const first = limits.arrive("10.0.0.1:5000", "stomp");
    expect(first.refusal).toBeUndefined();
    expect(limits.arrive("10.0.0.1:5001", "stomp").refusal?.message).toMatch(/Address 10\.0\.0\.1 has 1 .*limits\[0\]/);
    expect(limits.arrive("10.0.0.2:5000", "stomp").refusal).toBeUndefined();
    expect(limits.arrive("[2001:db8::1]:5000", "stomp").refusal).toBeUndefined();
    expect(limits.arrive("[2001:db8:0:0:5::1]:5000", "stomp").refusal?.code).toBe("limit");
    expect(limits.arrive("[2001:db8:0:1::1]:5000", "stomp").refusal).toBeUndefined();
    limits.leave(first);
    expect(limits.arrive("10.0.0.1:5001", "stomp").refusal).toBeUndefined();
  });

  it("hold for single addresses of IPv6 too, which count by their /64 all the same", () => {
    const { limits } = limitsOf(
      "[{per: address, match: ['::1', 2001:db8::1], connections: 1}, {per: address, connections: 2}]",
    );
    limits.arrive("[::1]:1", "stomp");
    expect(limits.arrive("[::1]:2", "stomp").refusal?.message).toContain("limits[0].connections");
    limits.arrive("[2001:db8::1]:1", "stomp");
    limits.arrive("[2001:db8::2]:1", "stomp");
    expect(limits.arrive("[2001:db8::1]:2", "stomp").refusal?.message).toContain("limits[0].connections");
    expect(limits.arrive("[2001:db8::3]:1", "stomp").refusal).toBeUndefined();
    expect(limits.arrive("[2001:db8::4]:1", "stomp").refusal?.message).toContain("limits[1].connections");
  });

  it("know who has connections, or still owes something", () => {
    const { limits, clock } = limitsOf("[{per: address, bytes_in: 10}]");
    const names = (): string[] => Array.from(limits.accounts(), ({ subject }) => subject);
    const first = limits.arrive("10.0.0.1:1", "stomp");
    limits.leave(limits.arrive("10.0.0.2:1", "stomp"));
    first.accounts[0]?.in?.bytes?.spend(30, clock.now());
    expect(names()).toEqual(["10.0.0.1"]);
    limits.leave(first);
    expect(names()).toEqual(["10.0.0.1"]);
    clock.advance(2000);
    expect(names()).toEqual([]);
  });

  it("tell no more than so many why they are refused: the others of that address are cut", () => {
    const { limits } = limitsOf("[{per: address, connections: 1}]");
    limits.arrive("10.0.0.1:1", "stomp");
    const refused = Array.from({ length: 101 }, () => limits.arrive("10.0.0.1:2", "stomp"));
    expect(refused.map(({ cut }) => cut)).toEqual([...Array<boolean>(100).fill(false), true]);
    for (const arrival of refused) limits.leave(arrival);
    expect(limits.arrive("10.0.0.1:3", "stomp")).toMatchObject({ cut: false, refusal: { code: "limit" } });
    expect(limits.rules[0]?.tally.refused).toBe(102);
  });

  it("count a connection once for its listener, wherever a proxy says that it comes from", () => {
    const { limits } = limitsOf("[{per: listener, connect_rate: 1}, {per: address, connections: 1}]");
    const first = limits.move(limits.arrive("10.0.0.1:1", "ws"), "203.0.113.7", "ws");
    expect(first.refusal).toBeUndefined();
    expect(limits.arrive("10.0.0.1:2", "ws").refusal?.message).toMatch(/limits\[0\]\.connect_rate/);
    expect(limits.arrive("203.0.113.7:1", "other").refusal?.message).toMatch(/limits\[1\]\.connections/);
    limits.leave(first);
    const second = limits.arrive("203.0.113.7:1", "other");
    expect(second.refusal).toBeUndefined();
    expect(limits.move(second, "203.0.113.7:1", "other").refusal).toBeUndefined();
  });

  it("hold for whom they match, the first one of each kind", () => {
    const { limits } = limitsOf(
      '[{per: address, match: ["10.0.0.0/8"], connections: 1}, {per: address, connections: 2}, ' +
        '{per: listener, match: ["mq*"], connections: 3}]',
    );
    const refused = (...arrivals: [string, string][]) => {
      return arrivals.map(([address, listener]) => limits.arrive(address, listener).refusal !== undefined);
    };
    expect(refused(["10.0.0.1:1", "stomp"], ["10.0.0.1:2", "stomp"])).toEqual([false, true]);
    expect(refused(["11.0.0.1:1", "stomp"], ["11.0.0.1:2", "stomp"], ["11.0.0.1:3", "stomp"])).toEqual([
      false,
      false,
      true,
    ]);
    const others: [string, string][] = [1, 2, 3, 4].map((number) => [`12.0.0.${number}:1`, "mqtt"]);
    expect(refused(...others)).toEqual([false, false, false, true]);
  });

  it("forget nobody who comes back, and not more than so many who left", () => {
    const { limits, clock } = limitsOf("[{per: address, connect_rate: 1}]");
    limits.leave(limits.arrive("10.0.0.1:1", "stomp"));
    expect(limits.arrive("10.0.0.1:2", "stomp").refusal?.code).toBe("throttled");
    clock.advance(1000);
    expect(limits.arrive("10.0.0.1:3", "stomp").refusal).toBeUndefined();
    for (let number = 0; number < 30_000; number++) {
      limits.leave(limits.arrive(`10.${number >> 16}.${(number >> 8) & 255}.${number & 255}:1`, "stomp"));
    }
    expect(limits.size).toBe(10_001);
  });

  it("refuse one more of the same user in each protocol's words, and let it in when another has gone", async () => {
    const { port, broker } = await start("[{per: user, match: [ann], connections: 1}]");
    const first = await StompWire.connect(port, ANN);
    using stomp = await StompWire.open(port);
    await stomp.sendPlain("CONNECT", { "accept-version": "1.2", host: "localhost", ...ANN.headers });
    expect(await stomp.refused()).toContain("limits[0].connections");
    using mqtt = await MqttWire.open(port);
    await mqtt.sendConnect({ username: "ann", password: "secret" });
    const { reasonCode, properties } = await mqtt.expect("connack");
    expect(reasonCode).toBe(0x97);
    expect(properties?.reasonString).toContain("User ann has 1 connections");
    using old = await MqttWire.open(port, 4);
    await old.sendConnect({ username: "ann", password: "secret" });
    expect((await old.expect("connack")).returnCode).toBe(3);
    const amqp = await AmqpWire.loggedIn(port, { user: "ann", password: "secret" });
    await amqp.send(0, "connection.tune-ok", { channelMax: 1, frameMax: 131_072, heartbeat: 0 });
    await amqp.send(0, "connection.open", { virtualHost: "/" });
    expect(await amqp.expect("connection.close", 0)).toMatchObject({ replyCode: 530 });
    using other = await StompWire.connect(port, BEN);
    await other.request("SEND", { destination: "/queue/a" }, "x");
    first.wire.finish();
    await eventually(() => broker.server.broker.hosts.get("default")?.clients.size === 1);
    using again = await StompWire.connect(port, ANN);
    await again.request("SEND", { destination: "/queue/a" }, "x");
  });

  it("let a client take the place of itself", async () => {
    const { port } = await start("[{per: user, connections: 1}]");
    using first = await MqttWire.connect(port, { clientId: "pump", username: "ann", password: "secret" });
    using second = await MqttWire.connect(port, { clientId: "pump", username: "ann", password: "secret" });
    expect((await first.expect("disconnect")).reasonCode).toBe(0x8e);
    await second.nothing();
  });

  it("take nobody for one who takes the place of itself where the protocol has no such thing", async () => {
    const { port } = await start("[{per: user, connections: 1}]");
    const ann = { "client-id": "pump", ...ANN.headers };
    using first = await StompWire.connect(port, { headers: ann });
    using second = await StompWire.open(port);
    await second.sendPlain("CONNECT", { "accept-version": "1.2", host: "localhost", ...ann });
    expect(await second.refused()).toContain("limits[0].connections");
    using mqtt = await MqttWire.open(port);
    await mqtt.sendConnect({ clientId: "pump", username: "ann", password: "secret" });
    expect((await mqtt.expect("connack")).reasonCode).toBe(0x97);
    await first.request("SEND", { destination: "/queue/a" }, "x");
  });

  it("cut who is refused by address over and over, so that others can come", async () => {
    const { port, broker } = await start("[{per: address, connections: 1}]", ["listeners.stomp.max_connections=200"]);
    using first = await StompWire.connect(port, ANN);
    const silent = await Promise.all(Array.from({ length: 150 }, () => Wire.connect(port)));
    // Fifty of them; the others may still say what they speak, to be told.
    await Promise.all(silent.slice(100).map((wire) => wire.closed()));
    await first.request("SEND", { destination: "/queue/a" }, "x");
    expect(broker.log.some((line) => line.includes("Address 127.0.0.1 has 1 connections"))).toBe(true);
    for (const wire of silent) wire[Symbol.dispose]();
  });

  it("refuse by address what has not logged in yet", async () => {
    const { port } = await start("[{per: address, connections: 1}]");
    using first = await Amqp10Wire.open(port);
    await first.header(3);
    using mqtt = await MqttWire.open(port);
    await mqtt.sendConnect({ username: "ann", password: "secret" });
    const { reasonCode, properties } = await mqtt.expect("connack");
    expect([reasonCode, properties?.reasonString]).toEqual([0x97, expect.stringContaining("Address 127.0.0.1")]);
  });
});

describe("limits of rates", () => {
  it("have the broker read no faster than may be sent, without losing anything", async () => {
    const { port, broker, clock } = await start("[{per: user, match: [ann], messages_in: 10}]");
    using client = await StompWire.connect(port, ANN);
    const frames = Array.from({ length: 100 }, (_, number) =>
      client.encode(
        "SEND",
        { destination: "/queue/a", ...(number === 99 ? { receipt: "end" } : {}) },
        `message ${number}`,
      ),
    );
    await client.wire.send(Buffer.concat(frames));
    await eventually(() => received(broker) >= 10);
    const [waiting] = broker.server.broker.hosts.get("default")?.clients ?? [];
    await eventually(() => waiting?.waitingOn === "held up by limits[0] (per user)");
    using other = await StompWire.connect(port, BEN);
    for (let number = 0; number < 30; number++) await other.send("SEND", { destination: "/queue/b" }, "free");
    await eventually(() => received(broker, "b") === 30);
    let leaps = 0;
    for (; received(broker) < 100; leaps++) {
      clock.leap(1000);
      await other.request("SEND", { destination: "/queue/b" }, "a turn");
    }
    // Ten at once, the others by ten a second; a few more are handled together than would have to be.
    expect(leaps).toBeGreaterThanOrEqual(5);
    await client.receipt("end");
    using reader = await StompWire.connect(port, BEN);
    await reader.send("SUBSCRIBE", { id: "1", destination: "/queue/a" });
    expect(await reader.bodies(100)).toEqual(Array.from({ length: 100 }, (_, number) => `message ${number}`));
  });

  it("are shared by all connections of a user", async () => {
    const { port, broker, clock } = await start("[{per: user, bytes_in: 10k}]");
    const clients = [await StompWire.connect(port, ANN), await StompWire.connect(port, ANN)];
    const frames = Array.from({ length: 40 }, () => "SEND\ndestination:/queue/a\n\n" + "x".repeat(1000) + "\0");
    for (const client of clients) await client.wire.send(frames.join(""));
    await eventually(() => received(broker) >= 10);
    let leaps = 0;
    for (; received(broker) < 80; leaps++) {
      clock.leap(500);
      using other = await StompWire.connect(port, BEN);
      await other.request("SEND", { destination: "/queue/b" }, "a turn");
    }
    // 80 kB by 10 kB a second, of which 10 kB came at once.
    expect(leaps).toBeGreaterThanOrEqual(10);
    for (const client of clients) client[Symbol.dispose]();
  });

  it("do not lose what a client sent right before it closed", async () => {
    const { port, broker, clock } = await start("[{per: connection, messages_in: 10}]");
    const client = await StompWire.connect(port, ANN);
    await client.wire.send("SEND\ndestination:/queue/a\n\nhello\0".repeat(100));
    client.wire.finish();
    await eventually(() => {
      clock.leap(1000);
      return received(broker) === 100;
    });
  });

  it("are not got round by who breaks off and comes again", async () => {
    const { port, broker, clock } = await start("[{per: user, match: [ann], messages_in: 10}]");
    const first = await StompWire.connect(port, ANN);
    await first.wire.send("SEND\ndestination:/queue/a\n\nhello\0".repeat(100));
    await eventually(() => [...held(broker)].length > 0);
    first.wire.reset();
    await eventually(() => received(broker) === 100);
    using second = await StompWire.connect(port, ANN);
    await second.send("SEND", { destination: "/queue/b" }, "x");
    await eventually(() => [...held(broker)].length > 0);
    await second.send("SEND", { destination: "/queue/b" }, "y");
    expect(received(broker, "b")).toBe(1);
    clock.leap(5000);
    using other = await StompWire.connect(port, BEN);
    await other.request("SEND", { destination: "/queue/a" }, "a turn");
    expect(received(broker, "b")).toBe(1);
    await eventually(() => {
      clock.leap(1000);
      return received(broker, "b") === 2;
    });
  });

  it("do not take for dead who is not listened to, and hear its heart-beats afterwards", async () => {
    const { port, broker, clock } = await start("[{per: user, match: [ann], messages_in: 1}]", [
      "stomp.heart_beat.receive=1s",
      "stomp.heart_beat.grace=1",
    ]);
    using client = await StompWire.connect(port, { headers: { ...ANN.headers, "heart-beat": "1000,0" } });
    await client.wire.send("SEND\ndestination:/queue/a\n\nhello\0".repeat(20));
    await eventually(() => [...held(broker)].length > 0);
    using other = await StompWire.connect(port, BEN);
    while (received(broker) < 20 || [...held(broker)].length > 0) {
      clock.leap(1000);
      await other.request("SEND", { destination: "/queue/b" }, "a turn");
    }
    await client.request("SEND", { destination: "/queue/b" }, "still here");
    // Silent indeed, and listened to.
    await eventually(() => {
      clock.leap(1000);
      return broker.server.broker.hosts.get("default")?.clients.size === 1;
    });
  });

  it("have a consumer wait for more, and then go on", async () => {
    const { port, clock } = await start("[{per: user, match: [ann], messages_out: 10}]");
    using sender = await StompWire.connect(port, BEN);
    for (let number = 0; number < 60; number++) await sender.send("SEND", { destination: "/queue/a" }, `${number}`);
    await sender.request("SEND", { destination: "/queue/a" }, "60");
    using consumer = await StompWire.connect(port, ANN);
    await consumer.send("SUBSCRIBE", { id: "1", destination: "/queue/a" });
    const bodies = await consumer.bodies(10);
    let leaps = 0;
    const rest: string[] = [];
    void consumer.bodies(51).then((more) => rest.push(...more));
    for (; rest.length === 0; leaps++) {
      clock.leap(1000);
      await sender.request("SEND", { destination: "/queue/b" }, "a turn");
    }
    expect([...bodies, ...rest]).toEqual(Array.from({ length: 61 }, (_, number) => `${number}`));
    expect(leaps).toBeGreaterThanOrEqual(4);
  });

  it("hold up what is sent by bytes, for consumers of a whole virtual host", async () => {
    const { port, clock, broker } = await start("[{per: virtual_host, match: [default], bytes_out: 10k}]");
    using sender = await StompWire.connect(port, BEN);
    for (let number = 0; number < 50; number++)
      await sender.send("SEND", { destination: "/queue/a" }, "x".repeat(1000));
    using mqtt = await MqttWire.connect(port, { username: "ann", password: "secret" });
    using consumer = await StompWire.connect(port, ANN);
    await consumer.send("SUBSCRIBE", { id: "1", destination: "/queue/a" });
    let got = 0;
    const all = consumer.bodies(50).then((bodies) => (got = bodies.length));
    await eventually(() => [...held(broker)].length > 0);
    expect(got).toBe(0);
    await eventually(() => {
      clock.leap(1000);
      return got === 50;
    });
    await all;
    await mqtt.nothing();
  });

  it("end the connection where that is asked for, in the protocol's words", async () => {
    const { port } = await start("[{per: user, messages_in: 10, exceeding: disconnect}]");
    using mqtt = await MqttWire.connect(port, { username: "ann", password: "secret" });
    for (let number = 0; number < 50; number++) {
      await mqtt.send({ cmd: "publish", topic: "a", payload: "x", qos: 0, retain: false, dup: false });
    }
    const { reasonCode, properties } = await mqtt.expect("disconnect");
    expect(reasonCode).toBe(0x96);
    expect(properties?.reasonString).toContain("limits[0] (per user)");
    using stomp = await StompWire.connect(port, BEN);
    await stomp.wire.send("SEND\ndestination:/queue/a\n\nhello\0".repeat(50));
    expect(await stomp.refused()).toContain("limits[0]");
  });

  it.each(["address", "listener"])("count messages by %s too, where nothing else is limited", async (per) => {
    const { port, broker, clock } = await start(`[{per: ${per}, messages_in: 10}]`);
    using client = await StompWire.connect(port, ANN);
    await client.wire.send("SEND\ndestination:/queue/a\n\nhello\0".repeat(100));
    await eventually(() => [...held(broker)].length > 0);
    expect(received(broker)).toBeLessThan(100);
    await eventually(() => {
      clock.leap(100_000);
      return received(broker) === 100;
    });
  });
});

function reloadable(...sets: string[]) {
  return configOf([...USERS, "store.kind=memory", ...sets]).config;
}

describe("a reload of limits", () => {
  const FRAMES = "SEND\ndestination:/queue/a\n\nhello\0".repeat(100);

  it.each(["user", "connection", "address", "virtual_host", "listener"])(
    "holds for the rates of who is there already, per %s",
    async (per) => {
      const { port, broker, clock } = await start("[]");
      using client = await StompWire.connect(port, ANN);
      expect((await broker.server.reload(reloadable(`limits=[{per: ${per}, messages_in: 1}]`))).applied).toContain(
        "limits",
      );
      await eventually(async () => {
        await client.send("SEND", { destination: "/queue/b" }, "x");
        return [...held(broker)].length > 0;
      });
      await client.wire.send(FRAMES);
      expect(received(broker)).toBeLessThan(100);
      await eventually(() => {
        clock.leap(100_000);
        return received(broker) === 100;
      });
    },
  );

  it("lets go at once who waits for a limit that is gone, both ways", async () => {
    const { port, broker } = await start("[{per: user, match: [ann], messages_in: 1, messages_out: 1}]");
    using client = await StompWire.connect(port, ANN);
    await client.wire.send(FRAMES);
    await eventually(() => [...held(broker)].length > 0);
    using sender = await StompWire.connect(port, BEN);
    for (let number = 0; number < 50; number++) await sender.send("SEND", { destination: "/queue/b" }, `${number}`);
    using consumer = await StompWire.connect(port, ANN);
    await consumer.send("SUBSCRIBE", { id: "1", destination: "/queue/b" });
    await eventually(() => [...held(broker)].length === 2);
    await broker.server.reload(reloadable("limits=[]"));
    await eventually(() => received(broker) === 100);
    expect(await consumer.bodies(50)).toHaveLength(50);
    expect([...held(broker)]).toEqual([]);
  });

  it("counts who is there, sends nobody away, and forgets whoever goes", async () => {
    const { port, broker } = await start("[]");
    const clients = [await StompWire.connect(port, ANN), await StompWire.connect(port, ANN)];
    await broker.server.reload(reloadable("limits=[{per: user, connections: 2}, {per: address, connections: 3}]"));
    const [first, second] = clients;
    // Those who are there are counted soon, not at once.
    await eventually(async () => {
      using third = await StompWire.open(port);
      await third.sendPlain("CONNECT", { "accept-version": "1.2", host: "localhost", ...ANN.headers });
      return (await third.wire.frame()).startsWith("ERROR");
    });
    await second?.request("SEND", { destination: "/queue/a" }, "still here");
    first?.wire.finish();
    await eventually(() => broker.server.broker.hosts.get("default")?.clients.size === 1);
    using again = await StompWire.connect(port, ANN);
    await again.request("SEND", { destination: "/queue/a" }, "x");
    second?.[Symbol.dispose]();
  });

  it("in the middle of another one leaves what the last one says", async () => {
    const { port, broker, clock } = await start("[]");
    using client = await StompWire.connect(port, ANN);
    await broker.server.reload(reloadable("limits=[{per: user, messages_in: 1}]"));
    await broker.server.reload(reloadable("limits=[{per: address, messages_in: 2}]"));
    await eventually(async () => {
      await client.send("SEND", { destination: "/queue/b" }, "x");
      return [...held(broker)].includes("limits[0] (per address)");
    });
    clock.leap(1_000_000);
    await broker.server.reload(reloadable("limits=[{per: user, match: [ben], messages_in: 1}]"));
    await eventually(() => [...held(broker)].length === 0);
    await client.wire.send(FRAMES);
    await eventually(() => received(broker) === 100);
  });

  it("holds for those that a listener lets in by itself, and for those that wait before it", async () => {
    const { port, broker } = await start("[]", ["listeners.stomp.max_connections=1"]);
    using first = await StompWire.connect(port, ANN);
    const second = StompWire.connect(port, BEN);
    await eventually(() => broker.log.some((line) => line.includes("new ones wait")));
    const { applied } = await broker.server.reload(
      reloadable("listeners.stomp.max_connections=3", "listeners.stomp.connect_rate=1"),
    );
    expect(applied).toEqual(
      expect.arrayContaining(["listeners.stomp.max_connections", "listeners.stomp.connect_rate"]),
    );
    using _ = await second;
    using third = await StompWire.open(port);
    await third.sendPlain("CONNECT", { "accept-version": "1.2", host: "localhost", ...ANN.headers });
    expect(await third.refused()).toContain("listeners.stomp.connect_rate");
    await first.request("SEND", { destination: "/queue/a" }, "x");
  });
});

/** What holds up the connections of a broker. */
function* held({ server }: TestBroker): Iterable<string> {
  for (const { peer } of server.broker.hosts.get("default")?.clients ?? []) {
    if (peer.heldBy !== undefined) yield peer.heldBy;
  }
}

describe("the configuration of limits", () => {
  it.each([
    ["[{per: address, match: [nowhere]}]", "limits[0].match"],
    ["[{per: connection, connections: 1}]", "limits[0]"],
  ])("is refused where it makes no sense: %s", (list, key) => {
    const loaded = loadConfig({ sets: [`limits=${list}`], directory: ROOT });
    if (loaded.ok) expect.fail("It was accepted");
    expect(loaded.problems.join()).toContain(`${key}: `);
  });

  it("warns of an entry that limits nothing", () => {
    expect(configOf(["limits=[{per: user}]"]).warnings.join()).toContain("limits[0]: limits nothing");
  });
});

describe("limits of rates", () => {
  it("hold for who sends and takes over HTTP, and are shared with connections", async () => {
    const clock = new LeapingClock();
    const api = await startManagement([...USERS, "limits=[{per: user, match: [ann], bytes_in: 1, bytes_out: 1}]"], {
      clock,
    });
    const path = "/api/v1/hosts/default/queues/a";
    const as = "ann:secret";
    const send = (who = as): Promise<Answer> => api.post(`${path}/messages`, { body: "x" }, { as: who });
    expect((await send()).status).toBe(200);
    const refused = await send();
    expect(refused).toMatchObject({
      status: 429,
      body: { code: "throttled", detail: expect.stringContaining("limits[0]") },
    });
    expect(refused.headers.get("retry-after")).toBe("1");
    expect((await send("ben:secret")).status).toBe(200);
    clock.leap(100_000);
    expect((await send()).status).toBe(200);
    const take = async (): Promise<number> => (await api.post(`${path}/consume`, { max: 1 }, { as })).status;
    expect([await take(), await take()]).toEqual([200, 429]);
    expect(received(api.broker)).toBe(3);
  });
});
