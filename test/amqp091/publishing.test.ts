import { describe, expect, it, onTestFinished } from "vitest";
import type { FieldValue } from "../../protocols/amqp091/field-table.ts";
import { AmqpWire, contentHeader, methodBytes } from "../support/amqp091-wire.ts";
import { startBroker } from "../support/broker.ts";
import { eventually } from "../support/eventually.ts";

async function open(settings: readonly string[] = []): Promise<AmqpWire> {
  const { port } = await startBroker(settings);
  const client = await AmqpWire.channel(port);
  onTestFinished(() => client[Symbol.dispose]());
  return client;
}

describe("a message", () => {
  it("comes as it was sent, with all its properties", async () => {
    const client = await open();
    await client.declare("q");
    const properties = {
      contentType: "text/plain",
      contentEncoding: "utf-8",
      headers: new Map<string, string | number>([
        ["a", 1],
        ["b", "two"],
      ]),
      deliveryMode: 2,
      priority: 7,
      correlationId: "c",
      replyTo: "r",
      expiration: "60000",
      messageId: "m",
      timestamp: 1_700_000_000,
      type: "t",
      userId: "guest",
      appId: "a",
      clusterId: "k",
    };
    await client.publish("", "q", "body", properties);
    const got = await client.get("q");
    expect(got).toMatchObject({ body: "body", method: { exchange: "", routingKey: "q", redelivered: false } });
    expect(got?.properties).toEqual(properties);
  });

  it("without a body, and one of a megabyte in many frames, come whole", async () => {
    const client = await open();
    await client.declare("q");
    await client.publish("", "q", "");
    await client.publish("", "q", "x".repeat(1_000_000));
    expect((await client.get("q"))?.body).toBe("");
    expect((await client.get("q"))?.body).toHaveLength(1_000_000);
  });

  it("is refused when it is larger than amqp.max_body, before its body comes", async () => {
    const client = await open(["amqp.max_body=1000"]);
    const publish = { exchange: "", routingKey: "q", mandatory: false, immediate: false };
    await client.wire.send(Buffer.concat([methodBytes(1, "basic.publish", publish), contentHeader(1, 1001)]));
    expect(await client.expect("channel.close")).toMatchObject({
      replyCode: 406,
      replyText: "PRECONDITION_FAILED - message size 1001 is larger than configured max size 1000 (amqp.max_body)",
      classId: 60,
      methodId: 40,
    });
  });

  it("to an exchange that there is not closes the channel", async () => {
    const client = await open();
    await client.publish("nowhere", "k", "a");
    expect(await client.expect("channel.close")).toMatchObject({
      replyCode: 404,
      replyText: expect.stringMatching(/^NOT_FOUND - no exchange 'nowhere'/),
    });
  });

  it("to an exchange that was deleted closes the channel, though it went there before", async () => {
    const client = await open();
    await client.ask(1, "exchange.declare", { exchange: "x" }, "exchange.declare-ok");
    await client.publish("x", "k", "a");
    await client.ask(1, "exchange.delete", { exchange: "x" }, "exchange.delete-ok");
    await client.publish("x", "k", "a");
    expect(await client.expect("channel.close")).toMatchObject({ replyCode: 404 });
  });

  it("is not taken for one to another exchange whose name and key look the same on the wire", async () => {
    const client = await open();
    // Without the length of the exchange's name before them, both are 04 78 02 79 7a.
    await client.ask(1, "exchange.declare", { exchange: "\u0004x" }, "exchange.declare-ok");
    await client.declare("x\u0002yz");
    await client.declare("bound");
    await client.ask(1, "queue.bind", { queue: "bound", exchange: "\u0004x", routingKey: "yz" }, "queue.bind-ok");
    await client.publish("", "x\u0002yz", "to the queue");
    await client.publish("\u0004x", "yz", "to the exchange");
    expect((await client.get("x\u0002yz"))?.body).toBe("to the queue");
    expect((await client.get("bound"))?.body).toBe("to the exchange");
  });

  it("that claims another user is refused", async () => {
    const client = await open();
    await client.publish("", "q", "a", { userId: "root" });
    expect(await client.expect("channel.close")).toMatchObject({
      replyCode: 406,
      replyText: "PRECONDITION_FAILED - user_id property set to 'root' but authenticated user was 'guest'",
    });
  });

  it.each(["soon", "-1", "1.5", ""])("with the expiration '%s' is refused or never expires", async (expiration) => {
    const client = await open();
    await client.declare("q");
    await client.publish("", "q", "a", { expiration });
    if (expiration === "") expect((await client.get("q"))?.body).toBe("a");
    else expect(await client.expect("channel.close")).toMatchObject({ replyCode: 406 });
  });

  it("expires", async () => {
    const client = await open();
    await client.declare("q");
    await client.publish("", "q", "brief", { expiration: "1" });
    await client.publish("", "q", "lasting", { expiration: "600000" });
    await client.publish("", "q", "briefer", { expiration: "0" });
    const got = await eventually(async () => (await client.get("q"))?.body === "lasting");
    expect(got).toBe(true);
    expect(await client.get("q")).toBeUndefined();
  });

  it("goes to the keys of CC and BCC too, and says nothing of the latter", async () => {
    const client = await open();
    for (const queue of ["a", "b", "c"]) await client.declare(queue);
    const headers = new Map([
      ["CC", ["b"]],
      ["BCC", ["c"]],
    ]);
    await client.publish("", "a", "copied", { headers });
    for (const queue of ["a", "b", "c"]) {
      const got = await client.get(queue);
      expect(got).toMatchObject({ body: "copied", method: { exchange: "", routingKey: "a" } });
      expect([...(got?.properties.headers?.keys() ?? [])]).toEqual(["CC"]);
    }
  });

  it.each(["fanout", "topic", "direct", "headers"])(
    "comes once to a queue to which several of its keys lead in an exchange of the type %s",
    async (type) => {
      const client = await open();
      await client.ask(1, "exchange.declare", { exchange: "x", type }, "exchange.declare-ok");
      for (const queue of ["a", "b"]) {
        await client.declare(queue);
        await client.ask(1, "queue.bind", { queue, exchange: "x", routingKey: queue }, "queue.bind-ok");
      }
      await client.ask(1, "queue.bind", { queue: "a", exchange: "x", routingKey: "k" }, "queue.bind-ok");
      const copies: [string, FieldValue] = ["CC", ["a", "b", "nobody", "k"]];
      const id: [string, FieldValue] = ["x-deduplication-header", "1"];
      await client.publish("x", "k", "copied", { headers: new Map([copies]) });
      for (let times = 0; times < 2; times++) {
        await client.publish("x", "k", "copied once", { headers: new Map([copies, id]) });
      }
      for (const queue of ["a", "b"]) {
        expect((await client.get(queue))?.method).toMatchObject({ exchange: "x", routingKey: "k", messageCount: 1 });
        expect((await client.get(queue))?.body).toBe("copied once");
      }
    },
  );

  it("with further keys is kept by a queue without a limit when another one has let it expire", async () => {
    const client = await open();
    await client.declare("brief", { arguments: new Map([["x-message-ttl", 1]]) });
    await client.declare("long");
    await client.publish("", "brief", "copied", { headers: new Map([["CC", ["long", "long"]]]) });
    await eventually(async () => {
      const brief = { queue: "brief", passive: true };
      expect((await client.ask(1, "queue.declare", brief, "queue.declare-ok")).messageCount).toBe(0);
    });
    const got = await client.get("long");
    expect([got?.body, got?.method.messageCount]).toEqual(["copied", 0]);
  });

  it("with further keys goes where they lead when its transaction is committed", async () => {
    const client = await open();
    for (const queue of ["a", "b"]) {
      await client.declare(queue);
      await client.ask(1, "queue.bind", { queue, exchange: "amq.direct", routingKey: queue }, "queue.bind-ok");
    }
    await client.ask(1, "tx.select", {}, "tx.select-ok");
    await client.publish("amq.direct", "a", "copied", { headers: new Map([["CC", ["b"]]]), mandatory: true });
    await client.ask(1, "queue.delete", { queue: "a" }, "queue.delete-ok");
    await client.declare("a");
    await client.ask(1, "tx.commit", {}, "tx.commit-ok");
    expect([await client.get("a"), (await client.get("b"))?.body]).toEqual([undefined, "copied"]);
    await client.publish("amq.direct", "a", "lost", { headers: new Map([["CC", ["c"]]]), mandatory: true });
    await client.say("tx.commit");
    expect((await client.content("basic.return")).body).toBe("lost");
  });
});

describe("a mandatory message", () => {
  it("that nobody gets comes back", async () => {
    const client = await open();
    await client.publish("amq.direct", "nowhere", "a", { mandatory: true, correlationId: "c" });
    expect(await client.content("basic.return")).toEqual({
      method: { replyCode: 312, replyText: "NO_ROUTE", exchange: "amq.direct", routingKey: "nowhere" },
      properties: { correlationId: "c" },
      body: "a",
    });
    await client.publish("", "nowhere", "b", { mandatory: true });
    expect(await client.content("basic.return")).toMatchObject({ body: "b", method: { routingKey: "nowhere" } });
  });

  it("that somebody gets does not come back", async () => {
    const client = await open();
    await client.declare("q");
    await client.publish("", "q", "a", { mandatory: true });
    await client.publish("", "nowhere", "b", { mandatory: true, headers: new Map([["CC", ["q"]]]) });
    expect((await client.get("q"))?.body).toBe("a");
    expect((await client.get("q"))?.body).toBe("b");
  });

  it("comes back before it is confirmed", async () => {
    const client = await open();
    await client.ask(1, "confirm.select", {}, "confirm.select-ok");
    await client.publish("", "nowhere", "a", { mandatory: true, deliveryMode: 2 });
    await client.content("basic.return");
    expect(await client.expect("basic.ack")).toEqual({ deliveryTag: 1, multiple: false });
  });

  it("that is to be delivered at once or not at all is more than the broker does", async () => {
    const client = await open();
    await client.publish("", "q", "a", { immediate: true });
    expect(await client.expect("connection.close")).toMatchObject({
      replyCode: 540,
      replyText: "NOT_IMPLEMENTED - immediate=true",
    });
  });

  it("of a client that does not read what comes back is not read either, until it does", async () => {
    const { port, server } = await startBroker();
    using client = await AmqpWire.channel(port);
    using other = await AmqpWire.channel(port);
    const [{ peer } = expect.fail()] = server.broker.host(undefined)?.clients ?? [];
    const waiting = (): number => peer.output.waiting + peer.output.inFlight;
    client.wire.pause();
    const body = Buffer.alloc(50_000);
    const count = 400;
    void (async () => {
      for (let sent = 0; sent < count; sent++) await client.publish("", "nowhere", body, { mandatory: true });
    })();
    await eventually(() => peer.output.full);
    for (let turns = 0; turns < 50; turns++) await other.quiet();
    expect(waiting()).toBeLessThan(1 << 20);
    client.wire.resume();
    for (let returned = 0; returned < count; returned++) await client.content("basic.return");
    await client.quiet();
  });
});
