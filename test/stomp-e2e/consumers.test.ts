import { describe, expect, it } from "vitest";
import { eventually } from "../support/eventually.ts";
import { startQueueBroker } from "../support/queue-broker.ts";
import { StompitClient } from "../support/stompit-client.ts";

const INDIVIDUAL = { ack: "client-individual" };
const NUMBERS = Array.from({ length: 10 }, (_, i) => String(i));

async function sendAll(sender: StompitClient, bodies: readonly string[]): Promise<void> {
  for (const body of bodies) sender.post("/queue/a", body);
  await sender.settled();
}

describe("an exclusive consumer", () => {
  it.each(["exclusive", "activemq.exclusive"])(
    "by %s:true has the queue to itself, also before others",
    async (header) => {
      const { port } = await startQueueBroker();
      const sender = await StompitClient.connect(port);
      const ordinary = await StompitClient.connect(port);
      const nothing = await ordinary.subscribe("/queue/a");
      const all = await (await StompitClient.connect(port)).subscribe("/queue/a", { [header]: true });
      await sendAll(sender, NUMBERS);
      await eventually(() => expect(all.bodies).toEqual(NUMBERS));
      await ordinary.settled();
      expect(nothing.bodies).toEqual([]);
    },
  );

  it("that dies is followed by the next exclusive one, which gets what it held, in order; then by the others", async () => {
    const { port, clients } = await startQueueBroker();
    const sender = await StompitClient.connect(port);
    const ordinary = await (await StompitClient.connect(port)).subscribe("/queue/a");
    const first = await StompitClient.connect(port);
    const held = await first.subscribe("/queue/a", { ...INDIVIDUAL, exclusive: true });
    const second = await StompitClient.connect(port);
    const next = await second.subscribe("/queue/a", { ...INDIVIDUAL, exclusive: true });
    await sendAll(sender, NUMBERS);
    await first.ack(await held.at(0));
    await held.first(NUMBERS.length);
    expect(next.bodies).toEqual([]);
    first.die();
    await eventually(() => expect(next.bodies).toEqual(NUMBERS.slice(1)));
    for (const { headers } of next.got) expect(headers["redelivered"]).toBe("true");
    second.die();
    await clients(2);
    await eventually(() => expect(ordinary.bodies).toEqual(NUMBERS.slice(1)));
  });
});

describe("of several exclusive consumers", () => {
  it("the one with the highest priority takes over, then the one that came first", async () => {
    const { port } = await startQueueBroker();
    const sender = await StompitClient.connect(port);
    const clients = new Map<string, StompitClient>();
    const log: string[] = [];
    for (const [name, priority] of [
      ["holder", 0],
      ["low", 0],
      ["lower", 0],
      ["high", 9],
    ] as const) {
      const client = await StompitClient.connect(port);
      clients.set(name, client);
      const inbox = await client.subscribe("/queue/a", { exclusive: true, priority });
      inbox.heard = ({ body }) => void log.push(`${name} ${body}`);
    }
    for (const name of ["holder", "high", "low", "lower"]) {
      await sender.send("/queue/a", "x");
      await eventually(() => expect(log.splice(0)).toEqual([`${name} x`]));
      await clients.get(name)?.disconnect();
    }
  });
});

describe("a queue with a single active consumer", () => {
  it("is served by the one that came first, and when it goes by the next", async () => {
    const { port } = await startQueueBroker("queues=[{match: a, single_active_consumer: true}]");
    const sender = await StompitClient.connect(port);
    const first = await StompitClient.connect(port);
    const one = await first.subscribe("/queue/a");
    const two = await (await StompitClient.connect(port)).subscribe("/queue/a");
    await sendAll(sender, NUMBERS);
    await eventually(() => expect(one.bodies).toEqual(NUMBERS));
    await first.disconnect();
    await sendAll(sender, ["more"]);
    await eventually(() => expect(two.bodies).toEqual(["more"]));
  });
});

describe("consumers with priorities", () => {
  it.each(["priority", "activemq.priority", "x-priority"])(
    "by %s: the lower one gets what the higher one has no credit for",
    async (header) => {
      const { port } = await startQueueBroker();
      const sender = await StompitClient.connect(port);
      const low = await StompitClient.connect(port);
      const few = await low.subscribe("/queue/a", INDIVIDUAL);
      const high = await StompitClient.connect(port);
      const most = await high.subscribe("/queue/a", { ...INDIVIDUAL, [header]: 5, credit: "3,0" });
      await sendAll(sender, ["1", "2", "3", "4"]);
      await eventually(() => expect([most.bodies, few.bodies]).toEqual([["1", "2", "3"], ["4"]]));
      await high.ack(await most.at(0));
      await sendAll(sender, ["5", "6"]);
      await eventually(() =>
        expect([most.bodies, few.bodies]).toEqual([
          ["1", "2", "3", "5"],
          ["4", "6"],
        ]),
      );
    },
  );
});

describe("a queue with distribution first-attached", () => {
  it("goes on with the consumer that came first while that has credit; by default all take turns", async () => {
    const { port } = await startQueueBroker("queues=[{match: a, distribution: first-attached}]");
    const sender = await StompitClient.connect(port);
    const one = await (await StompitClient.connect(port)).subscribe("/queue/a", { ...INDIVIDUAL, credit: "3,0" });
    const two = await (await StompitClient.connect(port)).subscribe("/queue/a", INDIVIDUAL);
    await sendAll(sender, ["1", "2", "3", "4"]);
    await eventually(() => expect([one.bodies, two.bodies]).toEqual([["1", "2", "3"], ["4"]]));
    const first = await (await StompitClient.connect(port)).subscribe("/queue/b", INDIVIDUAL);
    const second = await (await StompitClient.connect(port)).subscribe("/queue/b", INDIVIDUAL);
    for (const body of ["1", "2", "3", "4"]) await sender.send("/queue/b", body);
    await eventually(() => expect([first.bodies, second.bodies].map(String).sort()).toEqual(["1,3", "2,4"]));
  });
});
