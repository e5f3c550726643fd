import { describe, expect, it } from "vitest";
import { eventually } from "../support/eventually.ts";
import { startQueueBroker } from "../support/queue-broker.ts";
import { type Got, type Inbox, StompitClient } from "../support/stompit-client.ts";

const GROUPS = Array.from({ length: 20 }, (_, i) => `group-${i}`);
const INDIVIDUAL = { ack: "client-individual" };
const FIRST = "JMSXGroupFirstForConsumer";

const groupOf = ({ headers }: Got): string => headers["JMSXGroupID"] ?? headers["message_group"] ?? "";

function groupsOf(inbox: Inbox): string[] {
  return [...new Set(inbox.got.map(groupOf))].sort();
}

/** One message for each group; all are on their way when it resolves. */
async function sendRound(sender: StompitClient, round: number, destination = "/queue/a"): Promise<void> {
  for (const group of GROUPS) sender.post(destination, `${group}:${round}`, { JMSXGroupID: group });
  await sender.settled();
}

const total = (...inboxes: Inbox[]): number => inboxes.reduce((sum, { got }) => sum + got.length, 0);

describe("message groups", () => {
  it("go to two consumers, each group to one of them and in order, and its first message is marked", async () => {
    const { port } = await startQueueBroker();
    const sender = await StompitClient.connect(port);
    const one = await (await StompitClient.connect(port)).subscribe("/queue/a");
    const two = await (await StompitClient.connect(port)).subscribe("/queue/a");
    for (const round of [1, 2, 3]) await sendRound(sender, round);
    await eventually(() => expect(total(one, two)).toBe(3 * GROUPS.length));
    expect([...groupsOf(one), ...groupsOf(two)].sort()).toEqual(GROUPS.toSorted());
    for (const inbox of [one, two]) {
      expect(inbox.got.length).toBeGreaterThan(0);
      for (const group of groupsOf(inbox)) {
        const got = inbox.got.filter((message) => groupOf(message) === group);
        expect(got.map(({ body }) => body)).toEqual([1, 2, 3].map((round) => `${group}:${round}`));
        expect(got.map(({ headers }) => headers[FIRST])).toEqual(["true", undefined, undefined]);
      }
    }
  });

  it("are known by message_group as by JMSXGroupID, and sent on as they were written", async () => {
    const { port } = await startQueueBroker();
    const sender = await StompitClient.connect(port);
    const inbox = await (await StompitClient.connect(port)).subscribe("/queue/a");
    await sender.send("/queue/a", "1", { message_group: "g" });
    await sender.send("/queue/a", "2", { JMSXGroupID: "g", JMSXGroupSeq: 2 });
    const [first, second] = await inbox.first(2);
    expect(first?.headers).toMatchObject({ message_group: "g", [FIRST]: "true" });
    expect(second?.headers).toMatchObject({ JMSXGroupID: "g", JMSXGroupSeq: "2" });
    expect(second?.headers[FIRST]).toBeUndefined();
  });

  it("of a consumer that dies go to the others: what it held comes again before what came later", async () => {
    const { port, clients } = await startQueueBroker();
    const sender = await StompitClient.connect(port);
    const dying = await StompitClient.connect(port);
    const held = await dying.subscribe("/queue/a", INDIVIDUAL);
    const other = await StompitClient.connect(port);
    const inbox = await other.subscribe("/queue/a", INDIVIDUAL);
    for (const round of [1, 2]) await sendRound(sender, round);
    await eventually(() => expect(total(held, inbox)).toBe(2 * GROUPS.length));
    const orphans = groupsOf(held);
    dying.die();
    await clients(2);
    await sendRound(sender, 3);
    await eventually(() => expect(inbox.got.length).toBe(3 * GROUPS.length));
    for (const group of orphans) {
      const got = inbox.got.filter((message) => groupOf(message) === group);
      expect(got.map(({ body }) => body)).toEqual([1, 2, 3].map((round) => `${group}:${round}`));
      expect(got.map(({ headers }) => headers["redelivered"])).toEqual(["true", "true", undefined]);
      expect(got.map(({ headers }) => headers[FIRST])).toEqual(["true", undefined, undefined]);
    }
  });

  it("go to a newcomer only when their old consumer has acknowledged what it has", async () => {
    const { port } = await startQueueBroker();
    const sender = await StompitClient.connect(port);
    const old = await StompitClient.connect(port);
    const before = await old.subscribe("/queue/a", INDIVIDUAL);
    await sendRound(sender, 1);
    const first = await before.first(GROUPS.length);
    const young = await StompitClient.connect(port);
    const after = await young.subscribe("/queue/a", INDIVIDUAL);
    await sendRound(sender, 2);
    await eventually(() => expect(before.got.length).toBeGreaterThan(GROUPS.length));
    await young.settled();
    expect(after.got).toEqual([]);
    await Promise.all(first.map((message) => old.ack(message)));
    await eventually(() => expect(total(before, after)).toBe(2 * GROUPS.length));
    expect(after.got.length).toBeGreaterThan(0);
    for (const { headers, body } of after.got) {
      expect(body).toMatch(/:2$/);
      expect(headers[FIRST]).toBe("true");
    }
  });

  it("stay where they are when the queue is not to rebalance them, and new ones go to the newcomer too", async () => {
    const { port } = await startQueueBroker("queues=[{match: a, group_rebalance: false}]");
    const sender = await StompitClient.connect(port);
    const before = await (await StompitClient.connect(port)).subscribe("/queue/a");
    await sendRound(sender, 1);
    await before.first(GROUPS.length);
    const after = await (await StompitClient.connect(port)).subscribe("/queue/a");
    await sendRound(sender, 2);
    await before.first(2 * GROUPS.length);
    for (let i = 0; i < 20; i++) await sender.send("/queue/a", `new ${i}`, { JMSXGroupID: `new ${i}` });
    await eventually(() => expect(after.got.length).toBeGreaterThan(0));
    for (const { body } of after.got) expect(body).toMatch(/^new/);
  });

  it("are closed by JMSXGroupSeq:-1: the next message is the first of its group again", async () => {
    const { port } = await startQueueBroker();
    const sender = await StompitClient.connect(port);
    const inbox = await (await StompitClient.connect(port)).subscribe("/queue/a");
    await sender.send("/queue/a", "1", { JMSXGroupID: "g" });
    await sender.send("/queue/a", "2", { JMSXGroupID: "g", JMSXGroupSeq: -1 });
    await sender.send("/queue/a", "3", { JMSXGroupID: "g" });
    const marks = (await inbox.first(3)).map(({ headers }) => headers[FIRST]);
    expect(marks).toEqual(["true", undefined, "true"]);
  });

  it("go to a consumer whose selector wants them", async () => {
    const { port } = await startQueueBroker();
    const sender = await StompitClient.connect(port);
    const large = await (await StompitClient.connect(port)).subscribe("/queue/a", { selector: "size > 10" });
    const small = await (await StompitClient.connect(port)).subscribe("/queue/a", { selector: "size <= 10" });
    for (const group of GROUPS) {
      sender.post("/queue/a", group, { JMSXGroupID: group, size: 5 });
      sender.post("/queue/a", group, { JMSXGroupID: group, size: 15 });
    }
    await eventually(() => expect([large.bodies, small.bodies]).toEqual([GROUPS, GROUPS]));
  });

  it("are shared by the consumers of a durable subscription", async () => {
    const { port } = await startQueueBroker();
    const sender = await StompitClient.connect(port);
    const one = await (await StompitClient.connect(port)).subscribe("/topic/a", { id: "shared", persistent: true });
    const two = await (await StompitClient.connect(port)).subscribe("/topic/a", { id: "shared", persistent: true });
    for (const round of [1, 2]) await sendRound(sender, round, "/topic/a");
    await eventually(() => expect(total(one, two)).toBe(2 * GROUPS.length));
    expect([...groupsOf(one), ...groupsOf(two)].sort()).toEqual(GROUPS.toSorted());
    expect(groupsOf(two).length).toBeGreaterThan(0);
  });

  it("with an empty name, or a sequence that is no number, are refused", async () => {
    const { port } = await startQueueBroker();
    const one = await StompitClient.connect(port);
    await expect(one.send("/queue/a", "", { JMSXGroupID: "" })).rejects.toThrow("JMSXGroupID is empty");
    const two = await StompitClient.connect(port);
    const wrong = two.send("/queue/a", "", { JMSXGroupID: "g", JMSXGroupSeq: "last" });
    await expect(wrong).rejects.toThrow("JMSXGroupSeq:last is not a whole number");
  });
});
