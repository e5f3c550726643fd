import { describe, expect, it } from "vitest";
import { Address } from "../../core/addresses/address.ts";
import { compileSelector } from "../../core/selector/selector.ts";
import { temporaryFolder } from "../support/broker.ts";
import { eventually } from "../support/eventually.ts";
import { startQueueBroker } from "../support/queue-broker.ts";
import { StompitClient } from "../support/stompit-client.ts";

const NUMBERS = Array.from({ length: 6 }, (_, i) => String(i));
const QUEUE = new Address("queue", ["a"]);
const OTHER = new Address("queue", ["b"]);

async function fill(port: number, headers: Record<string, boolean> = {}): Promise<StompitClient> {
  const client = await StompitClient.connect(port);
  for (const number of NUMBERS) client.post("/queue/a", number, { number, ...headers });
  await client.settled();
  return client;
}

describe("an operator", () => {
  it("moves and copies messages by selector, and consumers get them as they were sent", async () => {
    const { port, host, queue } = await startQueueBroker();
    const client = await fill(port);
    await host.operations.move(queue("a"), OTHER, { selector: compileSelector("number < 2") }).finished;
    await host.operations.copy(queue("a"), OTHER, { selector: compileSelector("number > 4") }).finished;
    const [left, moved] = [await client.subscribe("/queue/a"), await client.subscribe("/queue/b")];
    await eventually(() => expect([left.bodies, moved.bodies]).toEqual([NUMBERS.slice(2), ["0", "1", "5"]]));
    expect(moved.got[0]?.headers).toMatchObject({ destination: "/queue/a", number: "0" });
  });

  it("purges what nobody holds", async () => {
    const { port, host, queue } = await startQueueBroker();
    const client = await fill(port);
    const held = await client.subscribe("/queue/a", { ack: "client-individual", credit: "2,0" });
    await held.first(2);
    const { moved } = await host.operations.purge(queue("a")).finished;
    expect([moved, queue("a").count]).toEqual([4, 2]);
    for (const place of [0, 1]) await client.ack(await held.at(place));
    expect([queue("a").count, held.bodies]).toEqual([0, ["0", "1"]]);
  });

  it("pauses a queue, which takes messages and shows them to browsers all the same, until it is resumed", async () => {
    const settings = ["store.kind=lmdb", `store.directory=${temporaryFolder()}`];
    const first = await startQueueBroker(...settings);
    const sender = await fill(first.port, { persistent: true });
    first.host.pauseQueue(QUEUE);
    const nothing = await sender.subscribe("/queue/a", { id: "worker" });
    const seen = await sender.subscribe("/queue/a", { id: "look", browser: true });
    await eventually(() => expect(seen.bodies).toEqual([...NUMBERS, ""]));
    expect(nothing.bodies).toEqual([]);
    await first.stop();
    const { port, host, queue } = await startQueueBroker(...settings);
    expect(queue("a").paused).toBe(true);
    const client = await StompitClient.connect(port);
    const inbox = await client.subscribe("/queue/a");
    await client.settled();
    expect(inbox.bodies).toEqual([]);
    host.resumeQueue(QUEUE);
    await eventually(() => expect(inbox.bodies).toEqual(NUMBERS));
  });
});

describe("a queue", () => {
  it("is made by its first use, and gone some time after its last", async () => {
    const { port, host } = await startQueueBroker("queues=[{match: 'brief.*', auto_delete_after: 20ms}]");
    const client = await StompitClient.connect(port);
    await client.send("/queue/brief.a", "x");
    await client.send("/queue/long", "x");
    expect([...host.queues.keys()].sort()).toEqual(["brief.a", "long"]);
    const inbox = await client.subscribe("/queue/brief.a");
    await inbox.first(1);
    await client.disconnect();
    await eventually(() => expect([...host.queues.keys()]).toEqual(["long"]));
  });
});
