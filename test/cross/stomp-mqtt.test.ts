import { describe, expect, it } from "vitest";
import { eventually } from "../support/eventually.ts";
import { startQueueBroker } from "../support/queue-broker.ts";
import { MQTT_FIVE, MQTT_THREE, type Note, type Protocol, queue, STOMP, topic } from "./ends.ts";

const PROTOCOLS = [STOMP, MQTT_THREE, MQTT_FIVE];
const PAIRS = PROTOCOLS.flatMap((from) =>
  PROTOCOLS.map((to): [string, string, Protocol, Protocol] => [from.name, to.name, from, to]),
);
const SPEAKING = PAIRS.filter(([, , from, to]) => from.says === "everything" && to.says === "everything");

const BODIES: readonly (readonly [string, Buffer])[] = [
  ["text", Buffer.from("grüße \u{1f30a}\n")],
  ["bytes", Buffer.from([0, 255, 10, 0, 128])],
  ["nothing", Buffer.alloc(0)],
  ["a megabyte", Buffer.alloc(1 << 20, "0123456789abcde\0")],
];

const FULL: Note = {
  body: Buffer.from("x"),
  properties: { colour: "red", "\u{1f30a} wave": "a: b\n\\", empty: "" },
  contentType: "application/json; charset=utf-8",
  correlation: "c-1 \u{1f30a}",
};

describe.each(PAIRS)("from %s to %s", (_from, _to, from, to) => {
  describe.each([topic("a", "b"), queue("a", "b")])("by a $kind", (place) => {
    it.each(BODIES)("a body of %s arrives as it was sent, durable or not", async (_kind, body) => {
      const { port } = await startQueueBroker();
      const [sender, receiver] = [await from.connect(port), await to.connect(port)];
      const inbox = await receiver.receive(place);
      for (const durable of [false, true]) {
        await sender.send(place, { body }, { durable });
        expect((await inbox.next()).body.equals(body)).toBe(true);
      }
    });
  });

  it("a retained message is there for who subscribes later, until it is taken away", async () => {
    const { port } = await startQueueBroker();
    const sender = await from.connect(port);
    const note = from.says === "everything" ? FULL : { body: FULL.body };
    await sender.send(topic("state"), note, { durable: true, retain: "set" });
    const early = await (await to.connect(port)).receive(topic("state"));
    expect(await early.next()).toEqual(to.says === "everything" ? note : { body: note.body });
    await sender.send(topic("state"), { body: Buffer.alloc(0) }, { durable: true, retain: "remove" });
    const late = await (await to.connect(port)).receive(topic("state"));
    await sender.send(topic("state"), { body: Buffer.from("live") });
    expect((await late.next()).body.toString()).toBe("live");
  });

  it("what waits in a queue is consumed once, in order", async () => {
    const { port, queue: found } = await startQueueBroker();
    const sender = await from.connect(port);
    for (const text of ["1", "2", "3"])
      await sender.send(queue("work"), { body: Buffer.from(text) }, { durable: true });
    const inbox = await (await to.connect(port)).receive(queue("work"));
    for (const text of ["1", "2", "3"]) expect((await inbox.next()).body.toString()).toBe(text);
    await eventually(() => expect(found("work").count).toBe(0));
  });

  it("a subscription that outlives its connection has what was sent meanwhile", async () => {
    const { port } = await startQueueBroker();
    const first = await to.connect(port, "reader");
    await first.receiveDurably(topic("news", "local"));
    await first.leave();
    const sender = await from.connect(port);
    for (const text of ["1", "2"]) {
      await sender.send(topic("news", "local"), { body: Buffer.from(text) }, { durable: true });
    }
    const inbox = await (await to.connect(port, "reader")).receiveDurably(topic("news", "local"));
    for (const text of ["1", "2"]) expect((await inbox.next()).body.toString()).toBe(text);
  });
});

describe.each(SPEAKING)("from %s to %s", (_from, _to, from, to) => {
  it.each([topic("a", "b"), queue("a", "b")])("properties arrive as they were sent by a $kind", async (place) => {
    const { port } = await startQueueBroker();
    const [sender, receiver] = [await from.connect(port), await to.connect(port)];
    const inbox = await receiver.receive(place);
    for (const replyTo of [topic("answers", "me"), queue("answers")]) {
      const note = { ...FULL, replyTo };
      for (const durable of [false, true]) {
        await sender.send(place, note, { durable });
        expect(await inbox.next()).toEqual(note);
      }
    }
    // Nothing is said that was not.
    const bare = { body: FULL.body };
    await sender.send(place, bare);
    expect(await inbox.next()).toEqual(bare);
  });

  it("a request is answered to the place it names, by topic and by queue", async () => {
    const { port } = await startQueueBroker();
    const [client, server] = [await from.connect(port), await to.connect(port)];
    const requests = await server.receive(queue("service"));
    const place = topic("answers", "me");
    const answers = await client.receive(place);
    for (const correlation of ["1", "2"]) {
      await client.send(queue("service"), { body: Buffer.from("ask"), correlation, replyTo: place });
      const { body, replyTo, correlation: asked = "" } = await requests.next();
      if (replyTo === undefined) throw new Error("The request does not say where to answer");
      await server.send(replyTo, { body: Buffer.from(`${body.toString()}ed`), correlation: asked });
      expect(await answers.next()).toEqual({ body: Buffer.from("asked"), correlation });
    }
  });
});

describe.each(PAIRS.filter(([, , from]) => from.says === "everything"))("from %s to %s", (_from, _to, from, to) => {
  it("a message whose time is over is not delivered", async () => {
    const { port, queue: found } = await startQueueBroker();
    const sender = await from.connect(port);
    await sender.send(queue("work"), { body: Buffer.from("short") }, { durable: true, lifetimeSeconds: 1 });
    await sender.send(queue("work"), { body: Buffer.from("long") }, { durable: true, lifetimeSeconds: 1000 });
    await eventually(() => expect(found("work").count).toBe(1));
    const inbox = await (await to.connect(port)).receive(queue("work"));
    expect((await inbox.next()).body.toString()).toBe("long");
  });
});
