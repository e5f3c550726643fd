import { describe, expect, it } from "vitest";
import { temporaryFolder } from "../support/broker.ts";
import { eventually } from "../support/eventually.ts";
import { startQueueBroker } from "../support/queue-broker.ts";
import { StompitClient } from "../support/stompit-client.ts";

/** Sends each body with the priority it begins with. */
async function sendAll(sender: StompitClient, bodies: readonly string[], persistent = false): Promise<void> {
  for (const body of bodies) sender.post("/queue/a", body, { priority: body[0], persistent });
  await sender.settled();
}

/** In the order of priorities, and of sending within one. */
function ranked(bodies: readonly string[]): string[] {
  return bodies.toSorted((a, b) => Number(b[0]) - Number(a[0]));
}

const MIXED = Array.from({ length: 30 }, (_, i) => `${(i * 7) % 10}: ${i}`);

describe("message priorities", () => {
  it("from 9 to 0 say who goes first; order is kept within each, and 4 is that of messages without", async () => {
    const { port } = await startQueueBroker();
    const client = await StompitClient.connect(port);
    await sendAll(client, [...MIXED, "4: last of the fours?"]);
    await client.send("/queue/a", "4: without");
    const inbox = await client.subscribe("/queue/a");
    const expected = ranked([...MIXED, "4: last of the fours?", "4: without"]);
    await eventually(() => expect(inbox.bodies).toEqual(expected));
    expect(inbox.got[0]?.headers["priority"]).toBe("9");
  });

  it("hold after a restart, with what was delivered before in its place", async () => {
    const settings = ["store.kind=lmdb", `store.directory=${temporaryFolder()}`];
    const first = await startQueueBroker(...settings);
    const sender = await StompitClient.connect(first.port);
    await sendAll(sender, MIXED, true);
    const held = await sender.subscribe("/queue/a", { ack: "client-individual", credit: "4,0" });
    await sender.ack(await held.at(0));
    await sender.nack(await held.at(1));
    await first.stop();
    const second = await startQueueBroker(...settings);
    const inbox = await (await StompitClient.connect(second.port)).subscribe("/queue/a");
    await eventually(() => expect(inbox.bodies).toEqual(ranked(MIXED).slice(1)));
    expect(inbox.got[0]?.headers["redelivered"]).toBe("true");
    expect(inbox.got.at(-1)?.headers["redelivered"]).toBeUndefined();
  });

  it("hold when most of the messages are only in the store", async () => {
    const { port, queue } = await startQueueBroker("queues=[{match: a, memory: 16k}]");
    const client = await StompitClient.connect(port);
    const bodies = Array.from({ length: 1500 }, (_, i) => `${[1, 4, 8][i % 3]}: ${i} ${"x".repeat(100)}`);
    await sendAll(client, bodies);
    const { count, bytes, memoryBytes } = queue("a");
    expect(count).toBe(1500);
    expect(memoryBytes).toBeLessThan(bytes / 2);
    const inbox = await client.subscribe("/queue/a");
    await inbox.first(bodies.length);
    expect(inbox.bodies).toEqual(ranked(bodies));
  });

  it("do not count in a queue that is told so", async () => {
    const { port } = await startQueueBroker("queues=[{match: a, priorities: false}]");
    const client = await StompitClient.connect(port);
    await sendAll(client, MIXED);
    const inbox = await client.subscribe("/queue/a");
    await eventually(() => expect(inbox.bodies).toEqual(MIXED));
    expect(inbox.got[0]?.headers["priority"]).toBe("0");
  });
});
