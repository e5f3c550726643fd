import { describe, expect, it } from "vitest";
import { Address } from "../../core/addresses/address.ts";
import { type Message, TRAIT } from "../../core/message.ts";
import { formatReplyTo, namesOf, parseReplyTo } from "../../protocols/amqp091/address.ts";
import { envelopeOf, removeBcc, replaceReplyTo, storedProperties } from "../../protocols/amqp091/convert.ts";
import { AmqpError } from "../../protocols/amqp091/errors.ts";
import { type FieldValue, Typed } from "../../protocols/amqp091/field-table.ts";
import { outgoingProperties } from "../../protocols/amqp091/outgoing.ts";
import { copiesOf } from "../../protocols/amqp091/traits.ts";
import { foreign, NOW, published, QUEUE, stored } from "./contents.ts";

const headers = (fields: Record<string, FieldValue>): { headers: Map<string, FieldValue> } => ({
  headers: new Map(Object.entries(fields)),
});

describe("the envelope of a publish", () => {
  it("is ordinary without properties", () => {
    expect(envelopeOf(published({}), QUEUE, NOW)).toEqual({
      address: QUEUE,
      durable: false,
      priority: 4,
      expiresAt: 0,
      receivedAt: NOW,
      traits: 0,
    });
  });

  it("has what delivery-mode, priority and expiration say", () => {
    const envelope = envelopeOf(published({ deliveryMode: 2, priority: 200, expiration: "1500" }), QUEUE, NOW);
    expect(envelope).toMatchObject({ durable: true, priority: 9, expiresAt: NOW + 1500 });
    expect(stored({ priority: 200 }).statedPriority).toBe(200);
    expect(stored({ deliveryMode: 2, ...headers({ a: 1 }) }).statedPriority).toBe(0);
  });

  it("lets a message of expiration 0 live until it could be delivered at once", () => {
    expect(envelopeOf(published({ expiration: "0" }), QUEUE, NOW).expiresAt).toBe(NOW + 1);
  });

  it.each(["", " ", "-1", "1.5", "ten", "9".repeat(16)])("refuses the expiration %j", (expiration) => {
    if (expiration === "") {
      expect(envelopeOf(published({ expiration }), QUEUE, NOW).expiresAt).toBe(0);
      return;
    }
    expect(() => envelopeOf(published({ expiration }), QUEUE, NOW)).toThrow(AmqpError);
  });

  it.each<[string, Record<string, FieldValue>, number]>([
    ["a group", { JMSXGroupID: "g" }, TRAIT.grouped],
    ["a group of no name", { JMSXGroupID: "" }, 0],
    ["an id against repeated sends", { "x-deduplication-header": 7 }, TRAIT.identified],
    ["the same in Artemis' words", { _AMQ_DUPL_ID: "d" }, TRAIT.identified],
    ["a delay", { "x-delay": 100 }, TRAIT.timed],
    ["a delay of another type", { "x-delay": new Typed("u", 100) }, TRAIT.timed],
    ["a delay as text", { AMQ_SCHEDULED_DELAY: "100" }, TRAIT.timed],
    ["a delay of nothing", { "x-delay": 0 }, 0],
    ["a delay into the past", { "x-delay": -5 }, 0],
    ["a delay that is none", { "x-delay": "soon" }, 0],
    ["names that only look like it", { "x-delaz": 1, jmsxgroupid: "g", CD: 1 }, 0],
    [
      "several",
      { JMSXGroupID: "g", "x-delay": 1, "duplicate-id": "d" },
      TRAIT.grouped | TRAIT.timed | TRAIT.identified,
    ],
  ])("sees %s in the headers", (_what, fields, traits) => {
    expect(envelopeOf(published(headers(fields)), QUEUE, NOW).traits).toBe(traits);
  });
});

describe("a message that came by AMQP 0-9-1", () => {
  it("says what its properties say", () => {
    const { content } = stored({
      contentType: "text/plain",
      contentEncoding: "gzip",
      correlationId: "c",
      replyTo: "answers.here",
      messageId: "m",
      type: "t",
      userId: "u",
      appId: "a",
      ...headers({
        JMSXGroupID: "g",
        JMSXGroupSeq: new Typed("b", -1),
        "x-deduplication-header": 9,
        "x-delay": 50,
        k: "v",
      }),
    });
    expect({
      messageId: content.messageId,
      correlationId: content.correlationId,
      subject: content.subject,
      contentType: content.contentType,
      contentEncoding: content.contentEncoding,
      userId: content.userId,
      groupId: content.groupId,
      groupSequence: content.groupSequence,
      duplicateId: content.duplicateId,
      timing: content.timing,
    }).toEqual({
      messageId: "m",
      correlationId: "c",
      subject: "t",
      contentType: "text/plain",
      contentEncoding: "gzip",
      userId: "u",
      groupId: "g",
      groupSequence: -1,
      duplicateId: "9",
      timing: { deliverAt: NOW + 50, periodMs: undefined, repeats: 0, cron: undefined },
    });
    expect([content.replyTo?.kind, content.replyTo?.levels]).toEqual(["queue", ["answers", "here"]]);
    expect([...content.properties]).toEqual([
      ["k", "v"],
      ["app-id", "a"],
    ]);
  });

  it("tells its group and its id without being taken apart", () => {
    const message = stored(headers({ a: [1, 2], JMSXGroupID: "g", JMSXGroupSeq: -1, "duplicate-id": "d" }));
    expect([message.groupId, message.closesGroup, message.duplicateId]).toEqual(["g", true, "d"]);
    expect(stored({}).duplicateId).toBeUndefined();
  });

  it("is to be delivered at once when its delay is none", () => {
    expect(stored(headers({ "x-delay": -5 })).content.timing).toBeUndefined();
    expect(stored({}).content.timing).toBeUndefined();
  });

  it("has headers as properties that every protocol can say", () => {
    const { properties } = stored(
      headers({
        int: new Typed("b", -3),
        long: 2n ** 60n,
        float: new Typed("f", 1.5),
        decimal: new Typed("D", Buffer.from([2, 0, 0, 1, 0])),
        time: new Typed("T", 1000),
        never: new Typed("T", 2n ** 64n - 1n),
        bytes: Buffer.from([1]),
        odd: new Typed("S", Buffer.from([0xff])),
        nothing: null,
        list: [1, "a", null, 2n ** 60n, Buffer.from("hi")],
        table: new Map<string, FieldValue>([["n", new Map([["x", true]])]]),
        CC: ["k"],
      }),
    ).content;
    expect(Object.fromEntries(properties)).toEqual({
      int: -3,
      long: 2n ** 60n,
      float: 1.5,
      decimal: 2.56,
      time: 1_000_000,
      never: null,
      bytes: Buffer.from([1]),
      odd: Buffer.from([0xff]),
      nothing: null,
      list: '[1,"a",null,"1152921504606846976","aGk="]',
      table: '{"n":{"x":true}}',
    });
  });

  it("keeps a reply-to that is no address as a property", () => {
    const { content } = stored({ replyTo: "/exchange/nothing" });
    expect([content.replyTo, content.properties.get("reply-to")]).toEqual([undefined, "/exchange/nothing"]);
  });

  it.each<[string | undefined, string | undefined, string | Buffer, string]>([
    [undefined, undefined, "text", "text"],
    [undefined, undefined, Buffer.from([0xff]), "bytes"],
    ["text/plain", undefined, "text", "text"],
    ["text/plain", undefined, Buffer.from([0xff]), "bytes"],
    ["application/json", undefined, "{}", "text"],
    ["application/json", "utf-8", "{}", "text"],
    ["application/json", "gzip", "{}", "bytes"],
    ["application/octet-stream", undefined, "x", "bytes"],
  ])("with content type %j, encoding %j and body %o is %s", (contentType, contentEncoding, body, kind) => {
    expect(stored({ contentType, contentEncoding }, body).content.bodyKind).toBe(kind);
  });
});

describe("further routing keys", () => {
  it("are those of CC and BCC, and BCC is taken out", () => {
    const publish = published({ deliveryMode: 2, ...headers({ CC: ["a", "b"], BCC: ["c"], k: 1 }) }, "body");
    expect(copiesOf(publish)).toEqual(["a", "b", "c"]);
    removeBcc(publish);
    expect(copiesOf(publish)).toEqual(["a", "b"]);
    expect([publish.exchange, publish.routingKey, publish.deliveryMode, publish.detached]).toEqual([
      "ex",
      "key",
      2,
      true,
    ]);
    expect(publish.data.toString("latin1", publish.bodyStart, publish.bodyEnd)).toBe("body");
  });

  it("cost nothing and change nothing where there are none", () => {
    const publish = published(headers({ k: 1 }), "body");
    const { data } = publish;
    expect(copiesOf(publish)).toEqual([]);
    expect(copiesOf(published({}))).toEqual([]);
    removeBcc(publish);
    expect(publish.data).toBe(data);
  });

  it.each<FieldValue>(["a", [1], new Map([["a", 1]])])("cannot be %o", (CC) => {
    expect(() => copiesOf(published(headers({ CC })))).toThrow(/CC is not an array/);
  });
});

describe("another reply-to", () => {
  it("takes the place of what the client wrote and leaves the rest as it is", () => {
    const publish = published(
      { replyTo: "amq.rabbitmq.reply-to", messageId: "m", ...headers({ a: new Typed("s", 1) }) },
      "",
    );
    replaceReplyTo(publish, "temp.7");
    const { data, start, end, bodyStart, bodyEnd } = publish;
    expect(data.toString("latin1", publish.replyToStart, publish.replyToEnd)).toBe("temp.7");
    expect([bodyStart, bodyEnd]).toEqual([end, end]);
    expect(data.subarray(start, end).at(-1)).toBe(0xce);
    expect([publish.exchange, publish.routingKey]).toEqual(["ex", "key"]);
  });
});

describe("an address in AMQP 0-9-1", () => {
  it.each<[Address, readonly [string, string], string]>([
    [new Address("queue", ["a", "b c"]), ["", "a.b c"], "a.b c"],
    [new Address("queue", ["a.b", "c"]), ["", "a%2Eb.c"], "a%2Eb.c"],
    [new Address("queue", ["/topic/x"]), ["", "/topic/x"], "/queue//topic/x"],
    [new Address("topic", ["a", "#"]), ["amq.topic", "a.#"], "/topic/a.#"],
    [new Address("exchange", ["ex", "a.b/c"]), ["ex", "a.b/c"], "/exchange/ex/a.b/c"],
  ])("%o", (address, names, replyTo) => {
    expect(namesOf(address)).toEqual(names);
    expect(formatReplyTo(address)).toBe(replyTo);
    expect(parseReplyTo(replyTo)).toEqual(address);
  });

  it("is understood from a reply-to as RabbitMQ's plugins write them", () => {
    expect(parseReplyTo("/exchange/amq.topic/a.b")).toEqual(new Address("topic", ["a", "b"]));
    expect(parseReplyTo("/queue/a")).toEqual(new Address("queue", ["a"]));
    expect(parseReplyTo("")).toBeUndefined();
    expect(parseReplyTo(".".repeat(200))).toBeUndefined();
  });
});

describe("what AMQP 0-9-1 is told of a message of another protocol", () => {
  const all = {
    messageId: "m",
    correlationId: "c",
    replyTo: new Address("topic", ["r"]),
    subject: "s",
    contentType: "text/plain",
    contentEncoding: "gzip",
    userId: "u",
    groupId: "g",
    groupSequence: 3,
    duplicateId: "d",
    properties: new Map<string, string | number | bigint | boolean | Uint8Array | null>([
      ["n", 1],
      ["big", 2n ** 63n],
      ["bytes", new Uint8Array([1, 2])],
      ["", null],
      ["x".repeat(300), 1],
    ]),
  };

  it("is in the properties that there are, and the rest in headers", () => {
    const message = foreign(all, "", { durable: true, priority: 7, expiresAt: NOW + 900 });
    expect(outgoingProperties(message, NOW + 100)).toEqual({
      contentType: "text/plain",
      contentEncoding: "gzip",
      deliveryMode: 2,
      priority: 7,
      correlationId: "c",
      replyTo: "/topic/r",
      expiration: "800",
      messageId: "m",
      timestamp: NOW / 1000,
      type: "s",
      userId: "u",
      ...headers({
        n: 1,
        big: "9223372036854775808",
        bytes: Buffer.from([1, 2]),
        "": null,
        JMSXGroupID: "g",
        JMSXGroupSeq: 3,
        "x-deduplication-header": "d",
      }),
    });
  });

  it("is little when there is little to tell", () => {
    expect(outgoingProperties(foreign({}), NOW)).toEqual({ deliveryMode: 1, timestamp: NOW / 1000 });
  });

  it("is in a header when it is too long for its property", () => {
    const properties = outgoingProperties(foreign({ messageId: "ä".repeat(128), correlationId: "x".repeat(255) }), NOW);
    expect(properties).toMatchObject({ correlationId: "x".repeat(255), ...headers({ "message-id": "ä".repeat(128) }) });
    expect(properties.messageId).toBeUndefined();
  });
});

describe("a dead letter", () => {
  const death = {
    queue: "work",
    reason: "expired",
    count: 2,
    exchange: "ex",
    key: "k",
    at: 1_600_000_000_500,
    expiration: 60,
  };
  const before = {
    queue: "first",
    reason: "delivery-limit",
    count: 1,
    exchange: "",
    key: "first",
    at: 1_500_000_000_000,
  };
  const dead = (message: Message, deaths: readonly object[] = [death, before]): Message =>
    message.with({
      annotations: new Map<string, string | number>([
        ["dead_letter_reason", "expired"],
        ["dead_letter_history", JSON.stringify(deaths)],
        ["odd", 7],
      ]),
    });

  it("says how it died as RabbitMQ says it, and does not expire again", () => {
    const {
      expiration,
      headers: said,
      deliveryMode,
    } = outgoingProperties(dead(stored({ expiration: "60", deliveryMode: 2, ...headers({ k: "v" }) })), NOW);
    expect([expiration, deliveryMode]).toEqual([undefined, 2]);
    expect(said).toEqual(
      new Map<string, FieldValue>([
        ["k", "v"],
        ["odd", 7],
        [
          "x-death",
          [
            new Map<string, FieldValue>([
              ["count", new Typed("l", 2)],
              ["reason", "expired"],
              ["queue", "work"],
              ["time", new Typed("T", 1_600_000_000)],
              ["exchange", "ex"],
              ["routing-keys", ["k"]],
              ["original-expiration", "60"],
            ]),
            new Map<string, FieldValue>([
              ["count", new Typed("l", 1)],
              ["reason", "delivery_limit"],
              ["queue", "first"],
              ["time", new Typed("T", 1_500_000_000)],
              ["exchange", ""],
              ["routing-keys", ["first"]],
            ]),
          ],
        ],
        ["x-first-death-exchange", ""],
        ["x-first-death-queue", "first"],
        ["x-first-death-reason", "delivery_limit"],
        ["x-last-death-exchange", "ex"],
        ["x-last-death-queue", "work"],
        ["x-last-death-reason", "expired"],
      ]),
    );
  });

  it("that somebody forwarded keeps what it had said before, unless the broker knows better", () => {
    const forwarded = headers({
      "x-death": [
        new Map<string, FieldValue>([
          ["queue", "work"],
          ["reason", "expired"],
        ]),
        new Map<string, FieldValue>([
          ["queue", "elsewhere"],
          ["reason", "rejected"],
        ]),
      ],
      "x-first-death-queue": "elsewhere",
      odd: "forged",
    });
    const { headers: said } = outgoingProperties(dead(stored(forwarded), [death]), NOW);
    const deaths = said?.get("x-death");
    expect(Array.isArray(deaths) && deaths.map((each) => each.get("queue"))).toEqual(["work", "elsewhere"]);
    expect([said?.get("x-first-death-queue"), said?.get("odd")]).toEqual(["elsewhere", 7]);
  });

  it("without a history is as it was, with the annotations that are no matter of x-death", () => {
    const message = stored({ expiration: "60", messageId: "m" }).with({ annotations: new Map([["odd", true]]) });
    expect(outgoingProperties(message, NOW)).toMatchObject({ expiration: "60", ...headers({ odd: true }) });
    expect(storedProperties(message).messageId).toBe("m");
  });
});
