import { describe, expect, it, onTestFinished } from "vitest";
import { AmqpWire } from "../support/amqp091-wire.ts";
import { startBroker } from "../support/broker.ts";

/** A client with a queue "q" of so many messages, all delivered to a consumer of channel 1. */
async function delivered(count: number): Promise<AmqpWire> {
  const { port } = await startBroker();
  const client = await AmqpWire.channel(port);
  onTestFinished(() => client[Symbol.dispose]());
  await client.declare("q");
  for (let number = 1; number <= count; number++) await client.publish("", "q", `${number}`);
  await client.consume("q");
  for (let tag = 1; tag <= count; tag++) expect((await client.delivery()).method.deliveryTag).toBe(tag);
  return client;
}

/** What comes back when the channel is closed. */
async function left(client: AmqpWire): Promise<string[]> {
  await client.ask(1, "channel.close", {}, "channel.close-ok");
  await client.openChannel(1);
  const bodies: string[] = [];
  for (;;) {
    const got = await client.get("q");
    if (got === undefined) return bodies;
    bodies.push(got.body);
  }
}

describe("an acknowledgement", () => {
  it("is for one delivery", async () => {
    const client = await delivered(3);
    await client.say("basic.ack", { deliveryTag: 2 });
    expect(await left(client)).toEqual(["1", "3"]);
  });

  it("that is multiple is for all up to one", async () => {
    const client = await delivered(4);
    await client.say("basic.ack", { deliveryTag: 2 });
    await client.say("basic.ack", { deliveryTag: 3, multiple: true });
    expect(await left(client)).toEqual(["4"]);
  });

  it("that is multiple and of tag 0 is for all, if there are any", async () => {
    const client = await delivered(3);
    await client.say("basic.ack", { deliveryTag: 0, multiple: true });
    await client.say("basic.ack", { deliveryTag: 0, multiple: true });
    expect(await left(client)).toEqual([]);
  });

  it.each([
    ["twice", 1, false],
    ["of what was never delivered", 4, false],
    ["of tag 0 alone", 0, false],
    ["of several up to what was never delivered", 9, true],
    ["of several up to what was acknowledged", 1, true],
  ])("%s closes the channel", async (_what, deliveryTag, multiple) => {
    const client = await delivered(3);
    await client.say("basic.ack", { deliveryTag: 1 });
    await client.say("basic.ack", { deliveryTag, multiple });
    expect(await client.expect("channel.close")).toMatchObject({
      replyCode: 406,
      replyText: `PRECONDITION_FAILED - unknown delivery tag ${deliveryTag}`,
      classId: 60,
      methodId: 80,
    });
  });

  it("of what another channel was delivered closes the channel", async () => {
    const client = await delivered(1);
    await client.openChannel(2);
    await client.say("basic.ack", { deliveryTag: 1 }, 2);
    expect(await client.expect("channel.close", 2)).toMatchObject({ replyCode: 406 });
  });

  it("of what needs none closes the channel", async () => {
    const client = await delivered(0);
    await client.openChannel(2);
    await client.declare("other");
    await client.consume("other", { noAck: true }, 2);
    await client.publish("", "other", "a");
    await client.delivery(2);
    await client.say("basic.ack", { deliveryTag: 1 }, 2);
    expect(await client.expect("channel.close", 2)).toMatchObject({ replyCode: 406 });
  });
});

describe("a refusal", () => {
  it("has a message come again, redelivered, or go to the dead letters", async () => {
    const { port } = await startBroker(['queues=[{"match":"q","dead_letter_queue":"dead"}]']);
    using client = await AmqpWire.channel(port);
    await client.declare("q");
    for (const body of ["1", "2", "3", "4"]) await client.publish("", "q", body);
    await client.consume("q", { consumerTag: "c" });
    for (let count = 0; count < 4; count++) await client.delivery();
    await client.say("basic.nack", { deliveryTag: 2, multiple: true, requeue: false });
    await client.say("basic.reject", { deliveryTag: 3, requeue: false });
    await client.say("basic.reject", { deliveryTag: 4, requeue: true });
    expect(await client.delivery()).toMatchObject({ body: "4", method: { deliveryTag: 5, redelivered: true } });
    const dead = [await client.get("dead"), await client.get("dead"), await client.get("dead")];
    expect(dead.map((got) => got?.body)).toEqual(["1", "2", "3"]);
    expect(dead[0]?.properties.headers?.get("x-first-death-reason")).toBe("rejected");
  });

  it("of all has all come again", async () => {
    const client = await delivered(3);
    await client.say("basic.nack", { deliveryTag: 0, multiple: true, requeue: true });
    const again = [await client.delivery(), await client.delivery(), await client.delivery()];
    expect(again.map(({ body, method }) => [body, method.deliveryTag, method.redelivered])).toEqual([
      ["1", 4, true],
      ["2", 5, true],
      ["3", 6, true],
    ]);
  });
});

describe("basic.recover", () => {
  it.each(["basic.recover", "basic.recover-async"] as const)("as %s has all come again", async (name) => {
    const client = await delivered(3);
    await client.say("basic.ack", { deliveryTag: 2 });
    await client.say(name, { requeue: true });
    const names: string[] = [];
    while (names.filter((found) => found === "body").length < 2) {
      const frame = await client.next();
      names.push(frame.type === "method" ? frame.method.name : frame.type);
    }
    expect(names.filter((found) => found === "basic.deliver")).toHaveLength(2);
    if (name === "basic.recover") await client.expect("basic.recover-ok");
    expect(await left(client)).toEqual(["1", "3"]);
  });

  it("to the same consumer alone is more than the broker does", async () => {
    const client = await delivered(1);
    await client.say("basic.recover", { requeue: false });
    expect(await client.expect("connection.close")).toMatchObject({ replyCode: 540 });
  });
});
