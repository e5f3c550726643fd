import { describe, expect, it } from "vitest";
import { Amqp10Wire, bodyOf, messageBytes } from "../support/amqp10-wire.ts";
import { startBrokerProcess, temporaryFolder } from "../support/broker.ts";

const CREDIT = 100_000;

/** Everything in a queue, in order, with its numbers of deliveries before; nothing is settled. */
async function look(port: number): Promise<number[]> {
  using client = await Amqp10Wire.connect(port, { begin: { incomingWindow: CREDIT } });
  await client.receiver("q");
  await client.credit(CREDIT, 1, { drain: true, incomingWindow: CREDIT });
  const bodies: number[] = [];
  for (;;) {
    const { performative, payload } = await client.next();
    if (performative.type !== "transfer") return bodies;
    bodies.push(Number(bodyOf(payload)));
  }
}

describe("a broker that is killed", () => {
  it("has every message it accepted by AMQP 1.0, in order and once", async () => {
    const directory = temporaryFolder();
    const killed = await startBrokerProcess(directory);
    let accepted = 0;
    {
      using client = await Amqp10Wire.connect(killed.port);
      await client.sender("q");
      let sent = 0;
      while (accepted < 2000) {
        await Promise.all(Array.from({ length: 100 }, () => client.transfer(messageBytes(`${++sent}`, true))));
        const { first, last, state } = (await client.expect("disposition")).performative;
        expect(state?.type).toBe("accepted");
        accepted = (last ?? first) + 1;
      }
      await killed.end("SIGKILL");
    }
    const broker = await startBrokerProcess(directory);
    const bodies = await look(broker.port);
    expect(bodies.length).toBeGreaterThanOrEqual(accepted);
    expect(bodies).toEqual(Array.from({ length: bodies.length }, (_, index) => index + 1));
  });

  it("gives again what was delivered and not settled, and nothing that it said was settled", async () => {
    const directory = temporaryFolder();
    const killed = await startBrokerProcess(directory);
    {
      using client = await Amqp10Wire.connect(killed.port);
      await client.sender("q");
      for (let number = 1; number <= 10; number++) await client.transfer(messageBytes(`${number}`, true));
      for (let settled = 0; settled < 10; ) {
        const { first, last } = (await client.expect("disposition")).performative;
        settled = (last ?? first) + 1;
      }
      await client.receiver("q", 10, { rcvSettleMode: 1 });
      for (let number = 1; number <= 10; number++) await client.message();
      await client.say({
        type: "disposition",
        role: true,
        first: 0,
        last: 3,
        settled: false,
        state: { type: "accepted" },
      });
      expect((await client.expect("disposition")).performative).toMatchObject({
        role: false,
        first: 0,
        last: 3,
        settled: true,
      });
      await killed.end("SIGKILL");
    }
    const broker = await startBrokerProcess(directory);
    expect(await look(broker.port)).toEqual([5, 6, 7, 8, 9, 10]);
  });
});
