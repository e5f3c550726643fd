import { describe, expect, it } from "vitest";
import { Address } from "../../core/addresses/address.ts";
import { type Content, Message, type WireFormat } from "../../core/message.ts";
import type { Version } from "../../protocols/stomp/escape.ts";
import { type Connection, delivery, type FakeSubscription, stored, World } from "./fake-core.ts";

const PLAIN = "message-id:m-1\ndestination:/queue/a";

/** A format that is not STOMP's. */
function foreign(body: string, content: Partial<Content> = {}, address = new Address("topic", ["a", "b.c"])): Message {
  const format: WireFormat = {
    name: "other",
    open: () => ({
      messageId: undefined,
      correlationId: undefined,
      replyTo: undefined,
      subject: undefined,
      contentType: undefined,
      contentEncoding: undefined,
      userId: undefined,
      groupId: undefined,
      groupSequence: undefined,
      bodyKind: "bytes",
      properties: new Map(),
      ...content,
    }),
  };
  const data = Buffer.from(`<<${body}>>`);
  const envelope = { address, durable: true, priority: 4, expiresAt: 0, receivedAt: 77 };
  return new Message(format, envelope, data, 0, data.length, 2, data.length - 2);
}

async function subscribed(
  headers: string,
  version: Version = "1.2",
): Promise<{ world: World; connection: Connection; subscription: FakeSubscription }> {
  const world = new World();
  const connection = await world.connect(version);
  return { world, connection, subscription: connection.subscribe(headers) };
}

describe("a MESSAGE", () => {
  it("is the stored frame behind the broker's headers", async () => {
    const { connection, subscription } = await subscribed("id:s\\c1\ndestination:/queue/a");
    subscription.consumer.deliver(stored(`${PLAIN}\nfoo:b\\nr`, "a\0b"), undefined, 0);
    expect(connection.raw().toString()).toBe(`MESSAGE\nsubscription:s\\c1\n${PLAIN}\nfoo:b\\nr\n\na\0b\0\n`);
  });

  it("that is to be acknowledged has an ack header in 1.2, another one each time", async () => {
    const { connection, subscription } = await subscribed("id:1\ndestination:/queue/a\nack:client-individual");
    for (let i = 0; i < 12; i++) subscription.consumer.deliver(stored(PLAIN), delivery(), 0);
    const acks = connection.read().map(({ headers }) => headers.find(([key]) => key === "ack")?.[1]);
    expect(acks).toEqual(Array.from({ length: 12 }, (_, i) => `1-${i + 1}`));
  });

  it("says that it was delivered before, and when it expires", async () => {
    const { connection, subscription } = await subscribed("id:1\ndestination:/queue/a\nack:client");
    subscription.consumer.deliver(stored(PLAIN, "", { expiresAt: 1234567890123 }), delivery(3), 3);
    expect(connection.only().headers).toMatchObject({
      redelivered: "true",
      redeliveries: "3",
      expires: "1234567890123",
    });
  });

  it("is spelled by the rules of the consumer's version", async () => {
    const message = stored("message-id:m\\c1\ndestination:/queue/a\nk:a\\nb\\\\c\\rd\\ce", "x");
    const spelled = async (version: Version) => {
      const { connection, subscription } = await subscribed("id:1\ndestination:/queue/a", version);
      subscription.consumer.deliver(message, undefined, 0);
      return connection.raw().toString().split("\n").slice(2).join("\n");
    };
    expect(await spelled("1.2")).toBe("message-id:m\\c1\ndestination:/queue/a\nk:a\\nb\\\\c\\rd\\ce\n\nx\0\n");
    expect(await spelled("1.1")).toBe("message-id:m\\c1\ndestination:/queue/a\nk:a\\nb\\\\c\rd\\ce\n\nx\0\n");
    expect(await spelled("1.0")).toBe("message-id:m:1\ndestination:/queue/a\nk:a\\nb\\c\rd:e\n\nx\0\n");
  });

  it.each<Version>(["1.0", "1.1", "1.2"])("with a large body is whole in %s", async (version) => {
    const body = "0123456789".repeat(10_000);
    const { connection, subscription } = await subscribed("id:1\ndestination:/queue/a", version);
    subscription.consumer.deliver(stored(`${PLAIN}\nk:\\c`, body), undefined, 0);
    subscription.consumer.deliver(stored(PLAIN, "next"), undefined, 0);
    expect(connection.read().map((frame) => frame.body)).toEqual([body, "next"]);
  });

  it("is encoded once for all who are sent the same", async () => {
    const world = new World();
    const message = stored(PLAIN, "x");
    message.shared = true;
    const outputs: string[] = [];
    for (const id of ["0", "0", "1", "0"]) {
      const connection = await world.connect();
      connection.subscribe(`id:${id}\ndestination:/topic/a`).consumer.deliver(message, undefined, 0);
      const before = message.wireKey;
      connection.subscribe("id:again\ndestination:/topic/a");
      expect(message.wireKey).toBe(before);
      outputs.push(connection.raw().toString());
    }
    expect(outputs).toEqual(["0", "0", "1", "0"].map((id) => `MESSAGE\nsubscription:${id}\n${PLAIN}\n\nx\0\n`));
  });

  it("that is shared is the same bytes for the second consumer, even if the first one was encoded long ago", async () => {
    const world = new World();
    const first = await world.connect();
    const second = await world.connect();
    const one = first.subscribe("id:0\ndestination:/topic/a").consumer;
    const two = second.subscribe("id:0\ndestination:/topic/a").consumer;
    const messages = Array.from({ length: 3000 }, (_, i) =>
      stored(`message-id:${i}\ndestination:/topic/a`, "y".repeat(i % 100)),
    );
    for (const message of messages) {
      message.shared = true;
      one.deliver(message, undefined, 0);
    }
    const wires = messages.map(({ wire }) => wire);
    for (const message of messages) two.deliver(message, undefined, 0);
    expect(messages.every(({ wire }, at) => wire === wires[at])).toBe(true);
    expect(second.raw().equals(first.raw())).toBe(true);
  });

  it("that is shared goes by versions", async () => {
    const world = new World();
    const message = stored("message-id:m\ndestination:/queue/a\nk:\\c", "x");
    message.shared = true;
    const values: (string | undefined)[] = [];
    for (const version of ["1.2", "1.0", "1.2"] as const) {
      const connection = await world.connect(version);
      connection.subscribe("id:0\ndestination:/topic/a").consumer.deliver(message, undefined, 0);
      values.push(/k:(.*)/.exec(connection.raw().toString())?.[1]);
    }
    expect(values).toEqual(["\\c", ":", "\\c"]);
  });

  it("from another protocol has its content as headers", async () => {
    const { connection, subscription } = await subscribed("id:1\ndestination:/topic/>");
    const message = foreign("a\0b", {
      messageId: "id\n1",
      correlationId: "c",
      replyTo: new Address("queue", ["r"]),
      subject: "s",
      contentType: "text/plain",
      userId: "joe",
      groupId: "g",
      groupSequence: 3,
      properties: new Map<string, string | number | bigint | boolean | Uint8Array | null>([
        ["n", 1.5],
        ["big", 12345678901234567890n],
        ["yes", true],
        ["bytes", new Uint8Array([1, 2, 3])],
        ["nothing", null],
        ["ack", "forged"],
        ["", "no name"],
        ["k:ey", "line\nfeed"],
      ]),
    });
    subscription.consumer.deliver(message, undefined, 0);
    const { headers, body } = connection.only();
    expect(headers).toEqual({
      subscription: "1",
      "message-id": "id\n1",
      destination: "/topic/a.b%2Ec",
      "content-length": "3",
      "content-type": "text/plain",
      "correlation-id": "c",
      "reply-to": "/queue/r",
      type: "s",
      JMSXUserID: "joe",
      JMSXGroupID: "g",
      JMSXGroupSeq: "3",
      persistent: "true",
      timestamp: "77",
      n: "1.5",
      big: "12345678901234567890",
      yes: "true",
      bytes: "AQID",
      "k:ey": "line\nfeed",
    });
    expect(body).toBe("a\0b");
  });

  it("from another protocol without an id gets one, the same for all who share it", async () => {
    const world = new World();
    const message = foreign("x".repeat(20_000));
    const small = foreign("small");
    small.shared = true;
    const first = await world.connect();
    first.subscribe("id:0\ndestination:/topic/a").consumer.deliver(message, undefined, 0);
    expect(first.only()).toMatchObject({ headers: { "message-id": "default-1-1" }, body: "x".repeat(20_000) });
    const second = await world.connect();
    first.subscribe("id:1\ndestination:/topic/a").consumer.deliver(small, undefined, 0);
    second.subscribe("id:1\ndestination:/topic/a").consumer.deliver(small, undefined, 0);
    expect(second.raw().equals(first.raw())).toBe(true);
  });

  it("that fills the output is the last one until the output is drained", async () => {
    const world = new World();
    const connection = await world.connect("1.2", 100);
    const subscription = connection.subscribe("id:1\ndestination:/queue/a");
    expect(subscription.consumer.deliver(stored(PLAIN), undefined, 0)).toBe(true);
    expect(subscription.consumer.deliver(stored(PLAIN), undefined, 0)).toBe(false);
    connection.read();
    connection.session.drained();
    expect(subscription.readies).toBe(1);
    connection.session.drained();
    expect(subscription.readies).toBe(1);
  });
});

/** What was settled, by place among the deliveries. */
function outcomes(connection: Connection, deliveries: readonly unknown[]): unknown[][] {
  return connection.client.settled.map((each) => [deliveries.indexOf(each.delivery), each.outcome]);
}

describe("an ACK", () => {
  it("by id settles that one in client-individual mode, and no other", async () => {
    const { connection, subscription } = await subscribed("id:1\ndestination:/queue/a\nack:client-individual");
    const deliveries = [delivery(), delivery(), delivery()];
    for (const each of deliveries) subscription.consumer.deliver(stored(PLAIN), each, 0);
    connection.send("ACK\nid:1-3\n\n\0NACK\nid:1-1\n\n\0");
    expect(outcomes(connection, deliveries)).toEqual([
      [2, "accepted"],
      [0, "failed"],
    ]);
    connection.raw();
    connection.send("ACK\nid:1-3\n\n\0");
    expect(connection.only().headers.message).toMatch(/unknown message: id:1-3/);
  });

  it("in client mode settles all before it, of this subscription only", async () => {
    const { connection, subscription } = await subscribed("id:1\ndestination:/queue/a\nack:client");
    const other = connection.subscribe("id:2\ndestination:/queue/a\nack:client");
    const deliveries = [delivery(), delivery(), delivery(), delivery()];
    const [a, b, c, d] = deliveries;
    subscription.consumer.deliver(stored(PLAIN), a, 0);
    other.consumer.deliver(stored(PLAIN), b, 0);
    subscription.consumer.deliver(stored(PLAIN), c, 0);
    subscription.consumer.deliver(stored(PLAIN), d, 0);
    connection.send("ACK\nid:1-2\n\n\0");
    expect(outcomes(connection, deliveries)).toEqual([
      [0, "accepted"],
      [2, "accepted"],
    ]);
  });

  it.each<[Version, string]>([
    ["1.1", "subscription:1\nmessage-id:m\\c2"],
    ["1.0", "message-id:m:2"],
    ["1.0", "subscription:1\nmessage-id:m:2"],
  ])("of %s names the message: %j", async (version, headers) => {
    const { connection, subscription } = await subscribed("id:1\ndestination:/queue/a\nack:client-individual", version);
    const deliveries = [delivery(), delivery()];
    subscription.consumer.deliver(stored("message-id:m\\c1"), deliveries[0], 0);
    subscription.consumer.deliver(stored("message-id:m\\c2"), deliveries[1], 0);
    connection.send(`ACK\n${headers}\n\n\0`);
    expect(outcomes(connection, deliveries)).toEqual([[1, "accepted"]]);
  });

  it("of 1.1 tells two messages apart whose senders gave them one id", async () => {
    const { connection, subscription } = await subscribed("id:1\ndestination:/queue/a\nack:client-individual", "1.1");
    const deliveries = [delivery(), delivery()];
    for (const each of deliveries) subscription.consumer.deliver(stored("message-id:same\nk:v", "x"), each, 0);
    const ids = connection.read().map(({ headers }) => headers.filter(([key]) => key === "message-id"));
    expect(ids).toEqual([[["message-id", "same"]], [["message-id", "default-1-1"]]]);
    connection.send("ACK\nsubscription:1\nmessage-id:default-1-1\n\n\0ACK\nsubscription:1\nmessage-id:same\n\n\0");
    expect(outcomes(connection, deliveries)).toEqual([
      [1, "accepted"],
      [0, "accepted"],
    ]);
  });

  it("of 1.1 that covers earlier messages frees their ids", async () => {
    const { connection, subscription } = await subscribed("id:1\ndestination:/queue/a\nack:client", "1.1");
    for (const id of ["a", "b"]) subscription.consumer.deliver(stored(`message-id:${id}`), delivery(), 0);
    connection.send("ACK\nsubscription:1\nmessage-id:b\n\n\0");
    connection.raw();
    subscription.consumer.deliver(stored("message-id:a"), delivery(), 0);
    expect(connection.only().headers["message-id"]).toBe("a");
  });

  it("of an unknown message is overlooked in client mode of 1.1 only", async () => {
    const lenient = await subscribed("id:1\ndestination:/queue/a\nack:client", "1.1");
    lenient.connection.send("ACK\nsubscription:1\nmessage-id:x\n\n\0");
    expect(lenient.connection.peer.closedFor).toBeUndefined();
    const strict = await subscribed("id:1\ndestination:/queue/a\nack:client-individual", "1.1");
    strict.connection.send("ACK\nsubscription:1\nmessage-id:x\n\n\0");
    expect(strict.connection.only().headers.message).toMatch(/message-id:x/);
  });

  it("of a message that was on its way when its subscription ended is overlooked", async () => {
    const { connection, subscription } = await subscribed("id:1\ndestination:/queue/a\nack:client");
    subscription.consumer.deliver(stored(PLAIN), delivery(), 0);
    connection.send("UNSUBSCRIBE\nid:1\n\n\0ACK\nid:1-1\n\n\0");
    expect(connection.peer.closedFor).toBeUndefined();
    expect(connection.client.settled).toEqual([]);
  });

  it("in a transaction is given to the core with it", async () => {
    const { connection, subscription } = await subscribed("id:1\ndestination:/queue/a\nack:client");
    subscription.consumer.deliver(stored(PLAIN), delivery(), 0);
    connection.send("BEGIN\ntransaction:t\n\n\0ACK\nid:1-1\ntransaction:t\n\n\0");
    expect(connection.client.settled[0]?.transaction).toBe(connection.client.transactions[0]);
  });

  it("with credit grants it, with no message as well", async () => {
    const { connection, subscription } = await subscribed("id:1\ndestination:/queue/a\nack:client\ncredit:1,0,false");
    subscription.consumer.deliver(stored(PLAIN), delivery(), 0);
    connection.send("ACK\nid:1-1\ncredit:5,100\n\n\0ACK\nsubscription:1\ncredit:2\n\n\0");
    expect(subscription.granted).toEqual([
      [5, 100],
      [2, 0],
    ]);
  });

  it("NACK is not known in 1.0", async () => {
    const connection = await new World().connect("1.0");
    connection.send("NACK\nmessage-id:x\n\n\0");
    expect(connection.only().headers.message).toMatch(/NACK is not a command of STOMP 1\.0/);
  });
});
