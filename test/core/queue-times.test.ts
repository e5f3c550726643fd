import { expect, it } from "vitest";
import { Collector, type CoreBroker, coreBroker, parse, type TestClient } from "../support/core-broker.ts";

function times(core: CoreBroker): (number | undefined)[] {
  const queue = core.broker.host(undefined)?.queues.get("a");
  return [queue?.lastReceivedAt, queue?.lastConsumedAt];
}

/** Sends, and a second later has the message consumed in some way; returns when each was. */
async function once(
  consume: (client: TestClient, core: CoreBroker) => void,
): Promise<{ got: (number | undefined)[]; expected: number[] }> {
  const core = await coreBroker();
  const client = core.client();
  core.clock.advance(1000);
  const sent = core.clock.now();
  client.send("queue:a", "1");
  core.settle();
  expect(times(core)).toEqual([sent, 0]);
  core.clock.advance(1000);
  const consumed = core.clock.now();
  consume(client, core);
  core.settle();
  return { got: times(core), expected: [sent, consumed] };
}

it("a queue knows when the last message came and when the last one was consumed, however that was", async () => {
  const settled = await once((client, core) => {
    const { subscription, got } = client.subscribe("queue:a");
    core.settle();
    client.core.settle(subscription, got.next(), "accepted");
  });
  expect(settled.got).toEqual(settled.expected);
  const automatic = await once((client) => client.subscribe("queue:a", { settling: false }));
  expect(automatic.got).toEqual(automatic.expected);
  const pulled = await once((client) => {
    client.core.pull({ address: parse("queue:a"), settling: false, consumer: new Collector() });
  });
  expect(pulled.got).toEqual(pulled.expected);
});

it("a message that is handed over at once came and was consumed at once", async () => {
  const core = await coreBroker();
  const client = core.client();
  client.subscribe("queue:a", { settling: false });
  core.settle();
  for (let n = 0; n < 2; n++) {
    core.clock.advance(1000);
    client.send("queue:a", "1");
    expect(times(core)).toEqual([core.clock.now(), core.clock.now()]);
    core.settle();
  }
});
