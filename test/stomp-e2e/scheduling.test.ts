import { describe, expect, it } from "vitest";
import { Address } from "../../core/addresses/address.ts";
import { temporaryFolder } from "../support/broker.ts";
import { eventually } from "../support/eventually.ts";
import { startQueueBroker } from "../support/queue-broker.ts";
import { StompitClient } from "../support/stompit-client.ts";
import { StompWire } from "../support/stomp-wire.ts";

const QUEUE = new Address("queue", ["a"]);

describe("a message that is to be delivered later", () => {
  it.each(["delay", "AMQ_SCHEDULED_DELAY"])("by %s comes not before its time, and others go first", async (header) => {
    const { port, host } = await startQueueBroker();
    const client = await StompitClient.connect(port);
    const inbox = await client.subscribe("/queue/a");
    const since = Date.now();
    await client.send("/queue/a", "late", { [header]: 150 });
    await client.send("/queue/a", "later", { [header]: 200 });
    await client.send("/queue/a", "now");
    expect([host.schedule.count, inbox.bodies]).toEqual([2, ["now"]]);
    const late = await inbox.at(1);
    await inbox.at(2);
    expect(inbox.bodies).toEqual(["now", "late", "later"]);
    expect(late.at - since).toBeGreaterThanOrEqual(150);
    expect(late.headers[header]).toBe("150");
    expect(host.schedule.count).toBe(0);
  });

  it("by deliver-at comes not before that, to queues and to topics; one of the past comes at once", async () => {
    const { port } = await startQueueBroker();
    const client = await StompitClient.connect(port);
    const queued = await client.subscribe("/queue/a");
    const told = await client.subscribe("/topic/a");
    const at = Date.now() + 100;
    for (const kind of ["queue", "topic"]) {
      await client.send(`/${kind}/a`, "later", { "deliver-at": at });
      await client.send(`/${kind}/a`, "past", { "deliver-at": at - 3_600_000 });
    }
    for (const inbox of [queued, told]) {
      expect((await inbox.at(1)).at).toBeGreaterThanOrEqual(at);
      expect(inbox.bodies).toEqual(["past", "later"]);
    }
  });

  it("by AMQ_SCHEDULED_PERIOD and AMQ_SCHEDULED_REPEAT comes again so often, and no more", async () => {
    const { port, host } = await startQueueBroker();
    const client = await StompitClient.connect(port);
    const inbox = await client.subscribe("/queue/a");
    const headers = { AMQ_SCHEDULED_DELAY: 30, AMQ_SCHEDULED_PERIOD: 20, AMQ_SCHEDULED_REPEAT: 2 };
    const since = Date.now();
    await client.send("/queue/a", "tick", headers);
    const last = await inbox.at(2);
    expect(last.at - since).toBeGreaterThanOrEqual(70);
    await eventually(() => expect(host.schedule.count).toBe(0));
    await client.send("/queue/a", "end");
    await eventually(() => expect(inbox.bodies).toEqual(["tick", "tick", "tick", "end"]));
  });

  it("by AMQ_SCHEDULED_CRON waits for a time that the expression names", async () => {
    const { port, host } = await startQueueBroker();
    const client = await StompitClient.connect(port);
    const since = Date.now();
    await client.send("/queue/a", "new year", { AMQ_SCHEDULED_CRON: "0 0 1 1 *" });
    const [scheduled] = host.schedule.list({ limit: 10, address: QUEUE });
    expect(scheduled).toMatchObject({ address: { kind: "queue", name: "a" }, timing: { cron: "0 0 1 1 *" } });
    const due = new Date(scheduled?.deliverAt ?? 0);
    expect([due.getMonth(), due.getDate(), due.getHours(), due.getMinutes()]).toEqual([0, 1, 0, 0]);
    expect(due.getTime()).toBeGreaterThan(since);
  });

  it("can be listed, looked at and cancelled", async () => {
    const { port, host } = await startQueueBroker();
    const client = await StompitClient.connect(port);
    for (const delay of [3_600_000, 7_200_000]) await client.send("/queue/a", String(delay), { delay });
    await client.send("/queue/b", "other", { delay: 3_600_000 });
    const [first, second] = host.schedule.list({ limit: 10, address: QUEUE });
    expect(host.schedule.get(second?.id ?? "")?.body.toString()).toBe("7200000");
    expect(host.schedule.cancel(first?.id ?? "")).toBe(true);
    expect(host.schedule.cancelAll(QUEUE)).toBe(1);
    expect(host.schedule.count).toBe(1);
  });

  it("is kept over a restart, as the one that came due meanwhile is", async () => {
    const settings = ["store.kind=lmdb", `store.directory=${temporaryFolder()}`];
    const first = await startQueueBroker(...settings);
    const sender = await StompitClient.connect(first.port);
    const at = Date.now() + 400;
    await sender.send("/queue/a", "later", { "deliver-at": at, persistent: true, wave: "\u{1f30a}" });
    await sender.send("/queue/a", "soon", { delay: 1, persistent: true, priority: 7 });
    await sender.send("/queue/a", "repeated", {
      AMQ_SCHEDULED_DELAY: 20,
      AMQ_SCHEDULED_PERIOD: 20,
      AMQ_SCHEDULED_REPEAT: 3,
      persistent: true,
    });
    await first.stop();
    const { port } = await startQueueBroker(...settings);
    const inbox = await (await StompitClient.connect(port)).subscribe("/queue/a");
    await inbox.first(6);
    const bodies = inbox.bodies.toSorted();
    expect(bodies).toEqual(["later", "repeated", "repeated", "repeated", "repeated", "soon"]);
    const later = inbox.got.find(({ body }) => body === "later");
    expect(later?.at).toBeGreaterThanOrEqual(at);
    expect(later?.headers["wave"]).toBe("\u{1f30a}");
    expect(inbox.got.find(({ body }) => body === "soon")?.headers["priority"]).toBe("7");
  });

  it("waits on while its queue is full and would refuse it", async () => {
    const { port, host, queue } = await startQueueBroker("queues=[{match: a, max_messages: 1, full: reject}]");
    const client = await StompitClient.connect(port);
    await client.send("/queue/a", "1");
    await client.send("/queue/a", "2", { delay: 10 });
    const until = Date.now() + 50;
    await eventually(() => Date.now() > until);
    expect([queue("a").count, host.schedule.count]).toEqual([1, 1]);
    const inbox = await client.subscribe("/queue/a");
    await eventually(() => expect(inbox.bodies).toEqual(["1", "2"]));
  });

  it("is lost, and counted, when it expires before its time", async () => {
    const { port, host } = await startQueueBroker();
    const client = await StompitClient.connect(port);
    await client.send("/queue/a", "short", { delay: 60, ttl: 20 });
    await client.send("/queue/a", "long", { delay: 60, ttl: 3_600_000 });
    const inbox = await client.subscribe("/queue/a");
    await eventually(() => expect(inbox.bodies).toEqual(["long"]));
    await eventually(() => expect(host.schedule.ledger.lost).toEqual(new Map([["expired", 1]])));
  });

  it("of a transaction is not scheduled before the commit", async () => {
    const { port, host } = await startQueueBroker();
    using client = await StompWire.connect(port);
    await client.request("BEGIN", { transaction: "t" });
    await client.request("SEND", { destination: "/queue/a", transaction: "t", delay: "3600000" }, "x");
    expect(host.schedule.count).toBe(0);
    await client.request("COMMIT", { transaction: "t" });
    expect(host.schedule.count).toBe(1);
  });

  it("to a composite is scheduled for each part, and one that is repeated is found out when it is sent", async () => {
    const { port, host, queue } = await startQueueBroker();
    const client = await StompitClient.connect(port);
    await client.send("/queue/a,/queue/b", "x", { delay: 3_600_000 });
    expect(host.schedule.count).toBe(2);
    for (let i = 0; i < 2; i++) await client.send("/queue/c", "x", { delay: 10, "duplicate-id": "1" });
    await eventually(() => expect(queue("c").count).toBe(1));
    expect(queue("c").ledger.lost.get("duplicate")).toBe(1);
  });

  it("with a time that makes no sense, or two, is refused", async () => {
    const { port } = await startQueueBroker("schedule.max_messages=1");
    const refused = async (headers: Readonly<Record<string, string>>): Promise<string> => {
      using client = await StompWire.connect(port);
      await client.send("SEND", { destination: "/queue/a", ...headers }, "x");
      return await client.refused();
    };
    expect(await refused({ delay: "soon" })).toMatch("delay:soon is not a number of milliseconds");
    expect(await refused({ delay: "1", "deliver-at": "1" })).toMatch("delay and deliver-at both say when");
    expect(await refused({ AMQ_SCHEDULED_CRON: "at noon" })).toMatch(/cron/i);
    expect(await refused({ AMQ_SCHEDULED_REPEAT: "-1" })).toMatch("expected AMQ_SCHEDULED_PERIOD above 0");
    const client = await StompitClient.connect(port);
    await client.send("/queue/a", "the first", { delay: 3_600_000 });
    expect(await refused({ delay: "3600000" })).toMatch(/schedule holds 1 messages, which is its limit/);
  });
});
