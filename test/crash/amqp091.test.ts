import { describe, expect, it } from "vitest";
import { AmqpWire, published, spoken } from "../support/amqp091-wire.ts";
import { startBrokerProcess, temporaryFolder } from "../support/broker.ts";

/** Everything in a queue, in order. */
async function drain(client: AmqpWire, queue: string): Promise<{ body: string; redelivered: boolean }[]> {
  const found: { body: string; redelivered: boolean }[] = [];
  for (;;) {
    const got = await client.get(queue);
    if (got === undefined) return found;
    found.push({ body: got.body, redelivered: got.method.redelivered });
  }
}

describe("a broker that is killed", () => {
  it("has every message it confirmed by AMQP 0-9-1, in order and once", async () => {
    const directory = temporaryFolder();
    const killed = await startBrokerProcess(directory);
    let confirmed = 0;
    {
      using client = await AmqpWire.channel(killed.port);
      await client.declare("q", { durable: true });
      await client.ask(1, "confirm.select", {}, "confirm.select-ok");
      let sent = 0;
      while (confirmed < 2000) {
        const sends = Array.from({ length: 100 }, () => published("", "q", `${++sent}`, { deliveryMode: 2 }));
        await client.wire.send(Buffer.concat(sends));
        confirmed = (await client.expect("basic.ack", 1)).deliveryTag;
      }
      await killed.end("SIGKILL");
    }
    const broker = await startBrokerProcess(directory);
    using client = await AmqpWire.channel(broker.port);
    const bodies = (await drain(client, "q")).map(({ body }) => Number(body));
    expect(bodies.length).toBeGreaterThanOrEqual(confirmed);
    expect(bodies).toEqual(Array.from({ length: bodies.length }, (_, index) => index + 1));
  });

  it("has each transaction whole or not at all, and every one whose commit it answered", async () => {
    const directory = temporaryFolder();
    const killed = await startBrokerProcess(directory);
    const size = 5;
    let answered = 0;
    {
      using client = await AmqpWire.channel(killed.port);
      await client.declare("q", { durable: true });
      await client.ask(1, "tx.select", {}, "tx.select-ok");
      for (let number = 1; number <= 300; number++) {
        const sends = Array.from({ length: size }, () => published("", "q", `${number}`, { deliveryMode: 2 }));
        await client.wire.send(Buffer.concat([...sends, spoken("tx.commit", {})]));
      }
      while (answered < 100) {
        await client.expect("tx.commit-ok", 1);
        answered++;
      }
      await killed.end("SIGKILL");
    }
    const broker = await startBrokerProcess(directory);
    using client = await AmqpWire.channel(broker.port);
    const bodies = (await drain(client, "q")).map(({ body }) => Number(body));
    expect(bodies.length / size).toBeGreaterThanOrEqual(answered);
    expect(bodies).toEqual(Array.from({ length: bodies.length }, (_, index) => Math.floor(index / size) + 1));
  });

  it("gives again what was delivered and not acknowledged, and nothing whose acknowledgement was committed", async () => {
    const directory = temporaryFolder();
    const killed = await startBrokerProcess(directory);
    {
      using client = await AmqpWire.channel(killed.port);
      await client.declare("q", { durable: true });
      await client.ask(1, "tx.select", {}, "tx.select-ok");
      for (let number = 1; number <= 10; number++) await client.publish("", "q", `${number}`, { deliveryMode: 2 });
      await client.ask(1, "tx.commit", {}, "tx.commit-ok");
      await client.consume("q");
      for (let number = 1; number <= 10; number++) await client.delivery();
      await client.say("basic.ack", { deliveryTag: 4, multiple: true });
      await client.ask(1, "tx.commit", {}, "tx.commit-ok");
      await client.say("basic.ack", { deliveryTag: 6, multiple: true });
      await client.ask(1, "basic.qos", {}, "basic.qos-ok");
      await killed.end("SIGKILL");
    }
    const broker = await startBrokerProcess(directory);
    using client = await AmqpWire.channel(broker.port);
    expect((await drain(client, "q")).map(({ body }) => body)).toEqual(["5", "6", "7", "8", "9", "10"]);
  });
});
