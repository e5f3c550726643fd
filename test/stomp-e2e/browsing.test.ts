import { describe, expect, it } from "vitest";
import { eventually } from "../support/eventually.ts";
import { startQueueBroker } from "../support/queue-broker.ts";
import { type Got, type Inbox, StompitClient } from "../support/stompit-client.ts";
import { StompWire } from "../support/stomp-wire.ts";

const NUMBERS = Array.from({ length: 10 }, (_, i) => String(i));

async function sendAll(sender: StompitClient, bodies: readonly string[]): Promise<void> {
  for (const body of bodies) sender.post("/queue/a", body, { number: body });
  await sender.settled();
}

/** Waits for the end that the broker says, and gives what came before it. */
async function seen(inbox: Inbox): Promise<Got[]> {
  await eventually(() => inbox.got.at(-1)?.headers["browser"] === "end");
  return inbox.got.slice(0, -1);
}

const bodiesOf = (got: readonly Got[]): string[] => got.map(({ body }) => body);

describe("a browser", () => {
  it("sees all messages in order, then the end, and leaves them as they were", async () => {
    const { port, queue } = await startQueueBroker();
    const sender = await StompitClient.connect(port);
    await sendAll(sender, NUMBERS);
    const browser = await StompitClient.connect(port);
    const inbox = await browser.subscribe("/queue/a", { id: "looking", browser: true });
    expect(bodiesOf(await seen(inbox))).toEqual(NUMBERS);
    const end = inbox.got.at(-1);
    expect(end?.headers).toMatchObject({ subscription: "looking", destination: "/queue/a", browser: "end" });
    expect(end?.body).toBe("");
    await sendAll(sender, ["later"]);
    await browser.settled();
    expect(inbox.got.length).toBe(NUMBERS.length + 1);
    expect(queue("a").count).toBe(NUMBERS.length + 1);
    const consumed = await sender.subscribe("/queue/a");
    await eventually(() => expect(consumed.bodies).toEqual([...NUMBERS, "later"]));
    for (const { headers } of consumed.got) expect(headers["redelivered"]).toBeUndefined();
  });

  it("of an empty queue is told the end at once", async () => {
    const { port } = await startQueueBroker();
    const browser = await StompitClient.connect(port);
    expect(await seen(await browser.subscribe("/queue/a", { browser: true }))).toEqual([]);
  });

  it("also sees what a consumer has and has not acknowledged", async () => {
    const { port } = await startQueueBroker();
    const client = await StompitClient.connect(port);
    await sendAll(client, NUMBERS);
    const held = await client.subscribe("/queue/a", { ack: "client-individual", credit: "4,0" });
    await client.ack(await held.at(1));
    const browser = await StompitClient.connect(port);
    const got = await seen(await browser.subscribe("/queue/a", { browser: true }));
    expect(bodiesOf(got)).toEqual(NUMBERS.filter((number) => number !== "1"));
  });

  it("sees what its selector wants", async () => {
    const { port } = await startQueueBroker();
    const client = await StompitClient.connect(port);
    await sendAll(client, NUMBERS);
    const got = await seen(await client.subscribe("/queue/a", { browser: true, selector: "number > 6" }));
    expect(bodiesOf(got)).toEqual(["7", "8", "9"]);
  });

  it("with browser-end:false goes on with what comes", async () => {
    const { port, queue } = await startQueueBroker();
    const client = await StompitClient.connect(port);
    await sendAll(client, ["1", "2"]);
    const inbox = await client.subscribe("/queue/a", { browser: true, "browser-end": false });
    await sendAll(client, ["3", "4"]);
    await eventually(() => expect(inbox.bodies).toEqual(["1", "2", "3", "4"]));
    expect(queue("a").count).toBe(4);
  });

  it("is told each message's sequence by include-seq, and begins at from-seq", async () => {
    const { port } = await startQueueBroker();
    const client = await StompitClient.connect(port);
    await sendAll(client, NUMBERS);
    const all = await seen(await client.subscribe("/queue/a", { browser: true, "include-seq": "seq" }));
    expect(all.map(({ headers }) => headers["seq"])).toEqual(["1", "2", "3", "4", "5", "6", "7", "8", "9", "10"]);
    const from = all[6]?.headers["seq"];
    const rest = await seen(await client.subscribe("/queue/a", { browser: true, "from-seq": from }));
    expect(bodiesOf(rest)).toEqual(NUMBERS.slice(6));
  });

  it("of a wildcard sees all queues there are, and is told one end", async () => {
    const { port } = await startQueueBroker();
    const client = await StompitClient.connect(port);
    for (const name of ["w.a", "w.b", "other"]) await client.send(`/queue/${name}`, name);
    const inbox = await client.subscribe("/queue/w.*", { browser: true });
    expect(bodiesOf(await seen(inbox)).sort()).toEqual(["w.a", "w.b"]);
  });

  it("is not the only one who is told sequences: a consumer may ask for them too", async () => {
    const { port } = await startQueueBroker();
    const client = await StompitClient.connect(port);
    await sendAll(client, ["a", "b"]);
    const inbox = await client.subscribe("/queue/a", { "include-seq": "place" });
    expect((await inbox.first(2)).map(({ headers }) => headers["place"])).toEqual(["1", "2"]);
  });

  it("sees each of 20,000 messages that are only in the store, and brings none of them into memory", async () => {
    const { port, queue } = await startQueueBroker("queues=[{match: a, memory: 64k}]");
    using sender = await StompWire.connect(port);
    const count = 20_000;
    const frames: Buffer[] = [];
    for (let i = 0; i < count; i++) {
      frames.push(sender.encode("SEND", { destination: "/queue/a" }, `${i} ${"x".repeat(50)}`));
    }
    await sender.wire.send(Buffer.concat(frames));
    await sender.request("SEND", { destination: "/queue/other" });
    await eventually(() => expect(queue("a").count).toBe(count));
    await eventually(() => expect(queue("a").memoryBytes).toBeLessThan(128 * 1024));
    const before = queue("a").memoryBytes;
    using browser = await StompWire.connect(port);
    await browser.send("SUBSCRIBE", { id: "1", destination: "/queue/a", browser: "true" });
    for (let i = 0; i < count; i++) {
      const { body } = await browser.message();
      if (!body.toString().startsWith(`${i} `)) expect(body.toString()).toBe(`${i} ...`);
    }
    expect((await browser.message()).headers.get("browser")).toBe("end");
    expect(queue("a").count).toBe(count);
    expect(queue("a").memoryBytes).toBeLessThanOrEqual(before);
  });

  it("looks into a durable subscription", async () => {
    const { port } = await startQueueBroker();
    const client = await StompitClient.connect(port);
    const durable = { id: "mine", persistent: true, ack: "client-individual" };
    const held = await client.subscribe("/topic/news", durable);
    await client.send("/topic/news", "1");
    await client.send("/topic/news", "2");
    await held.first(2);
    expect(bodiesOf(await seen(await client.subscribe("/dsub/mine", { browser: true })))).toEqual(["1", "2"]);
  });

  it("of a topic, or with from-seq and no browser:true, is refused", async () => {
    const { port } = await startQueueBroker();
    using one = await StompWire.connect(port);
    await one.send("SUBSCRIBE", { id: "1", destination: "/topic/a", browser: "true" });
    expect(await one.refused()).toMatch(/topic, which keeps nothing/);
    using two = await StompWire.connect(port);
    await two.send("SUBSCRIBE", { id: "1", destination: "/queue/a", "from-seq": "1" });
    expect(await two.refused()).toMatch(/expected browser:true/);
  });
});
