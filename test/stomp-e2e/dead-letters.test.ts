import { describe, expect, it } from "vitest";
import { compileSelector } from "../../core/selector/selector.ts";
import { temporaryFolder } from "../support/broker.ts";
import { eventually } from "../support/eventually.ts";
import { startQueueBroker } from "../support/queue-broker.ts";
import { type Inbox, StompitClient } from "../support/stompit-client.ts";
import { StompWire } from "../support/stomp-wire.ts";

const INDIVIDUAL = { ack: "client-individual" };
const TWICE = 'queues=[{match: "work.**", max_deliveries: 2, dead_letter_queue: "dlq.*"}]';

/** Refuses the messages of an inbox, as they come, `times` times in all. */
async function refuse(client: StompitClient, inbox: Inbox, times: number): Promise<void> {
  for (let i = 0; i < times; i++) await client.nack(await inbox.at(i));
}

describe("a message that is refused as often as it may be delivered", () => {
  it("becomes a dead letter, which says why, whence and when, and is otherwise as it was sent", async () => {
    const { port, queue } = await startQueueBroker(TWICE);
    const since = Date.now();
    const client = await StompitClient.connect(port);
    const dead = await (await StompitClient.connect(port)).subscribe("/queue/dlq.work.a");
    const inbox = await client.subscribe("/queue/work.a", INDIVIDUAL);
    await client.send("/queue/work.a", "good");
    await client.ack(await inbox.at(0));
    await client.send("/queue/work.a", "bad", { wave: "\u{1f30a}: a", priority: 7, "correlation-id": "c" });
    await client.nack(await inbox.at(1));
    await client.nack(await inbox.at(2));
    const { headers, body } = await dead.at(0);
    expect(body).toBe("bad");
    expect(headers).toMatchObject({
      destination: "/queue/work.a",
      wave: "\u{1f30a}: a",
      priority: "7",
      "correlation-id": "c",
      dead_letter_reason: "delivery-limit",
      dead_letter_origin: "queue:work.a",
      dead_letter_sequence: "2",
      dead_letter_deliveries: "2",
      dead_letter_count: "1",
    });
    expect(Number(headers["dead_letter_at"])).toBeGreaterThanOrEqual(since);
    expect(headers["dead_letter_first_at"]).toBe(headers["dead_letter_at"]);
    expect(headers["redelivered"]).toBeUndefined();
    expect(queue("work.a").ledger.lost).toEqual(new Map([["dead-lettered", 1]]));
  });

  it("is lost and counted where there is no dead-letter queue, and comes for ever where there is no limit", async () => {
    const { port, queue } = await startQueueBroker("queues=[{match: a, max_deliveries: 2}]");
    const client = await StompitClient.connect(port);
    await client.send("/queue/a", "lost");
    await refuse(client, await client.subscribe("/queue/a", INDIVIDUAL), 2);
    expect([queue("a").count, queue("a").ledger.lost]).toEqual([0, new Map([["delivery-limit", 1]])]);
    await client.send("/queue/b", "kept");
    await refuse(client, await client.subscribe("/queue/b", INDIVIDUAL), 20);
    expect(queue("b").count).toBe(1);
  });

  it("that a dying consumer had, and never refused, is one all the same", async () => {
    const { port, clients } = await startQueueBroker(TWICE);
    const watcher = await StompitClient.connect(port);
    const dead = await watcher.subscribe("/queue/dlq.**");
    await watcher.send("/queue/work.poison", "kills");
    for (let i = 0; i < 2; i++) {
      const victim = await StompitClient.connect(port);
      const { headers } = await (await victim.subscribe("/queue/work.poison", INDIVIDUAL)).at(0);
      expect(headers["redeliveries"]).toBe(i === 0 ? undefined : "1");
      victim.die();
      await clients(1);
    }
    expect((await dead.at(0)).headers).toMatchObject({
      dead_letter_reason: "delivery-limit",
      dead_letter_origin: "queue:work.poison",
      dead_letter_deliveries: "2",
    });
  });

  it("of a durable subscription becomes one by the policy of that", async () => {
    const { port } = await startQueueBroker(
      'durable_subscriptions=[{match: "billing.*", max_deliveries: 1, dead_letter_queue: "dlq.subscriptions.*"}]',
    );
    const client = await StompitClient.connect(port);
    const dead = await client.subscribe("/queue/dlq.subscriptions.billing.eu");
    const durable = { ...INDIVIDUAL, id: "billing.eu", persistent: true };
    const inbox = await client.subscribe("/topic/orders", durable);
    await client.send("/topic/orders", "bad");
    await refuse(client, inbox, 1);
    const { body, headers } = await dead.at(0);
    expect(body).toBe("bad");
    expect(headers["dead_letter_origin"]).toBe("dsub:billing.eu");
  });

  it("is a dead letter in the store, and can be selected by what it says", async () => {
    const settings = ["store.kind=lmdb", `store.directory=${temporaryFolder()}`, TWICE];
    const first = await startQueueBroker(...settings);
    const client = await StompitClient.connect(first.port);
    const inbox = await client.subscribe("/queue/work.a", INDIVIDUAL);
    await client.send("/queue/work.a", "bad", { persistent: true });
    await refuse(client, inbox, 2);
    await first.stop();
    const { port, queue } = await startQueueBroker(...settings);
    expect(queue("work.a").count).toBe(0);
    const selector = "dead_letter_reason = 'delivery-limit' AND dead_letter_deliveries > 1";
    const dead = await (await StompitClient.connect(port)).subscribe("/queue/dlq.work.a", { selector });
    expect((await dead.at(0)).body).toBe("bad");
  });

  it("stays where dead letters are when it fails there too", async () => {
    const { port, host, queue } = await startQueueBroker(
      'queues=[{match: "**", max_deliveries: 2, dead_letter_queue: "dlq.*"}]',
    );
    const client = await StompitClient.connect(port);
    await client.send("/queue/a", "bad");
    await refuse(client, await client.subscribe("/queue/a", INDIVIDUAL), 2);
    await refuse(client, await client.subscribe("/queue/dlq.a", INDIVIDUAL), 5);
    expect([queue("dlq.a").count, queue("dlq.a").ledger.lost.size]).toEqual([1, 0]);
    expect([...host.queues.keys()].sort()).toEqual(["a", "dlq.a"]);
  });

  it("is lost, and counted, when it expires among the dead letters by the settings of those", async () => {
    const { port, host, queue } = await startQueueBroker(
      'queues=[{match: "**", max_deliveries: 1, dead_letter_queue: dlq, expiry_queue: expired}, ' +
        "{match: dlq, default_ttl: 20ms}]",
    );
    const client = await StompitClient.connect(port);
    await client.send("/queue/a", "bad", { ttl: 3_600_000 });
    await refuse(client, await client.subscribe("/queue/a", INDIVIDUAL), 1);
    await eventually(() => expect(queue("dlq").ledger.lost).toEqual(new Map([["expired", 1]])));
    expect(host.queues.has("expired")).toBe(false);
  });

  it("cannot be given the headers of a dead letter by its sender", async () => {
    const { port } = await startQueueBroker(TWICE);
    const client = await StompitClient.connect(port);
    const forged = { dead_letter_origin: "queue:other", dead_letter_count: 7 };
    await client.send("/queue/work.a", "bad", forged);
    await refuse(client, await client.subscribe("/queue/work.a", INDIVIDUAL), 2);
    const { headers } = await (await client.subscribe("/queue/dlq.work.a")).at(0);
    expect(headers).toMatchObject({ dead_letter_origin: "queue:work.a", dead_letter_count: "1" });
  });
});

describe("a message that expires", () => {
  it("goes to the expiry queue, where it no longer expires", async () => {
    const { port, queue } = await startQueueBroker('queues=[{match: "short.*", expiry_queue: "expired.*"}]');
    const client = await StompitClient.connect(port);
    const expires = Date.now() + 50;
    await client.send("/queue/short.a", "late", { expires });
    await client.send("/queue/short.a", "stays");
    const inbox = await client.subscribe("/queue/expired.short.a");
    const { body, headers } = await inbox.at(0);
    expect(body).toBe("late");
    expect(Date.now()).toBeGreaterThanOrEqual(expires);
    expect(headers).toMatchObject({
      dead_letter_reason: "expired",
      dead_letter_origin: "queue:short.a",
      dead_letter_deliveries: "0",
      dead_letter_expires_at: String(expires),
    });
    expect(queue("short.a").count).toBe(1);
  });

  it("is lost and counted where there is none", async () => {
    const { port, queue } = await startQueueBroker();
    const client = await StompitClient.connect(port);
    await client.send("/queue/a", "late", { ttl: 20 });
    await eventually(() => expect(queue("a").ledger.lost).toEqual(new Map([["expired", 1]])));
  });
});

/** Dead letters in `dlq.work.a`, with these bodies, each with its body as the property `number`. */
async function bury(port: number, bodies: readonly string[]): Promise<void> {
  const client = await StompitClient.connect(port);
  const inbox = await client.subscribe("/queue/work.a", INDIVIDUAL);
  for (const number of bodies) await client.send("/queue/work.a", number, { number });
  await refuse(client, inbox, bodies.length * 2);
  await client.disconnect();
}

describe("dead letters that are redriven", () => {
  it("are back where they came from, and count on when they die again", async () => {
    const { port, queue, host } = await startQueueBroker(TWICE);
    await bury(port, ["1", "2"]);
    const result = await host.operations.redrive(queue("dlq.work.a")).finished;
    expect(result).toMatchObject({ ended: "finished", moved: 2 });
    const client = await StompitClient.connect(port);
    const inbox = await client.subscribe("/queue/work.a", INDIVIDUAL);
    const [first] = await inbox.first(2);
    expect(first?.headers).toMatchObject({ redriven_count: "1", dead_letter_count: "1" });
    expect(first?.headers["redelivered"]).toBeUndefined();
    const firstAt = first?.headers["dead_letter_first_at"];
    expect(inbox.bodies).toEqual(["1", "2"]);
    await refuse(client, inbox, 4);
    const dead = await client.subscribe("/queue/dlq.work.a");
    const [again] = await dead.first(2);
    expect(again?.headers).toMatchObject({
      dead_letter_count: "2",
      redriven_count: "1",
      dead_letter_first_at: firstAt,
    });
  });

  it("can be chosen by a selector, and by number", async () => {
    const { port, queue, host } = await startQueueBroker(TWICE);
    await bury(port, ["1", "2", "3", "4"]);
    const selector = compileSelector("number > 1");
    await host.operations.redrive(queue("dlq.work.a"), { selector, max: 2 }).finished;
    const client = await StompitClient.connect(port);
    const left = await client.subscribe("/queue/dlq.work.a", { browser: true });
    await eventually(() => expect(left.bodies).toEqual(["1", "4", ""]));
  });
});

describe("a message with a redelivery delay", () => {
  it("comes again not before its time, which grows, and others go first", async () => {
    const { port } = await startQueueBroker("queues=[{match: a, redelivery: {delay: 50ms, multiplier: 2}}]");
    const client = await StompitClient.connect(port);
    const inbox = await client.subscribe("/queue/a", INDIVIDUAL);
    await client.send("/queue/a", "slow");
    const refused: number[] = [];
    refused.push(Date.now());
    await client.nack(await inbox.at(0));
    await client.send("/queue/a", "quick");
    refused.push(Date.now());
    const second = await inbox.at(2);
    await client.nack(second);
    const third = await inbox.at(3);
    expect(inbox.bodies).toEqual(["slow", "quick", "slow", "slow"]);
    expect(second.at - (refused[0] ?? 0)).toBeGreaterThanOrEqual(50);
    expect(third.at - second.at).toBeGreaterThanOrEqual(100);
    expect(third.headers["redeliveries"]).toBe("2");
  });

  it("rests no longer after a restart, and says how often it was delivered", async () => {
    const settings = [
      "store.kind=lmdb",
      `store.directory=${temporaryFolder()}`,
      "queues=[{match: a, redelivery: {delay: 1h}}]",
    ];
    const first = await startQueueBroker(...settings);
    const client = await StompitClient.connect(first.port);
    const inbox = await client.subscribe("/queue/a", INDIVIDUAL);
    await client.send("/queue/a", "x", { persistent: true });
    await client.nack(await inbox.at(0));
    expect(first.queue("a").resting).toBe(1);
    await first.stop();
    const { port } = await startQueueBroker(...settings);
    const again = await (await StompitClient.connect(port)).subscribe("/queue/a");
    expect((await again.at(0)).headers).toMatchObject({ redelivered: "true", redeliveries: "1" });
  });

  it("has its place in the queue, and a browser sees it there", async () => {
    const { port, queue } = await startQueueBroker("queues=[{match: a, redelivery: {delay: 1h}}]");
    using client = await StompWire.connect(port);
    await client.request("SUBSCRIBE", { id: "1", destination: "/queue/a", ack: "client-individual" });
    for (const body of ["1", "2"]) await client.request("SEND", { destination: "/queue/a" }, body);
    await client.request("NACK", client.acknowledging(await client.message()));
    expect([queue("a").resting, queue("a").count]).toEqual([1, 2]);
    using browser = await StompWire.connect(port);
    await browser.send("SUBSCRIBE", { id: "1", destination: "/queue/a", browser: "true" });
    expect(await browser.bodies(2)).toEqual(["1", "2"]);
  });
});
