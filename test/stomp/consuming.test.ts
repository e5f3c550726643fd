import { describe, expect, it } from "vitest";
import type { Version } from "../../protocols/stomp/escape.ts";
import { delivery, stored, World } from "./fake-core.ts";

const PLAIN = "message-id:m\ndestination:/queue/a";

async function subscribed(headers: string, version: Version = "1.2", destination = "/queue/a") {
  const connection = await new World().connect(version);
  const { consumer, options } = connection.subscribe(`id:s\\c1\ndestination:${destination}\n${headers}`);
  return { connection, consumer, options };
}

async function refusal(headers: string, destination = "/queue/a"): Promise<string> {
  const connection = await new World().connect();
  connection.send(`SUBSCRIBE\nid:1\ndestination:${destination}\n${headers}\n\n\0`);
  expect(connection.client.subscriptions).toEqual([]);
  return connection.only().headers.message ?? "";
}

describe("a STOMP browser", () => {
  it.each([
    ["browser:true", { end: true, fromSequence: 0 }],
    ["browser:true\nbrowser-end:true", { end: true, fromSequence: 0 }],
    ["browser:true\nbrowser-end:false\nfrom-seq:17", { end: false, fromSequence: 17 }],
    ["browser:false\nbrowser-end:false", undefined],
    ["ack:auto", undefined],
  ])("asks the core with %j for %o", async (headers, browse) => {
    expect((await subscribed(headers)).options.browse).toEqual(browse);
  });

  it.each([
    ["browser:yes", /browser:yes is neither true nor false/],
    ["browser:", /browser: is neither/],
    ["browser:true\nbrowser-end:no", /browser-end:no is neither/],
    ["from-seq:1", /from-seq is for browsers; expected browser:true/],
    ["browser:false\nfrom-seq:1", /from-seq is for browsers/],
    ["browser:true\nfrom-seq:-1", /from-seq:-1 is not a sequence/],
    ["browser:true\nfrom-seq:x", /from-seq:x is not a sequence/],
    ["browser:true\nexclusive:true", /cannot be exclusive/],
  ])("with %j is refused", async (headers, reason) => {
    expect(await refusal(headers)).toMatch(reason);
  });

  it.each(["/topic/t", "/topic/t.*", "/queue/a,/topic/t"])("of %s is refused: nothing is kept there", async (where) => {
    expect(await refusal("browser:true", where)).toMatch(
      /queues and durable subscriptions; .* contains an exchange or a topic/,
    );
  });

  it("may look at a durable subscription, by either name", async () => {
    const attached = await subscribed("browser:true", "1.2", "/dsub/mine");
    expect(attached.options).toMatchObject({ attachDurable: "mine", browse: { end: true } });
    const durable = await subscribed("browser:true\npersistent:true", "1.2", "/topic/t");
    expect(durable.options).toMatchObject({ durable: "s:1", browse: { end: true } });
  });

  it.each<[Version, string, RegExp]>([
    ["1.2", "id:1-1", /unknown message/],
    ["1.1", "subscription:s\\c1\nmessage-id:m", /unknown message/],
    ["1.0", "message-id:m", /unknown message/],
  ])("of %s has nothing to acknowledge, whatever mode it asks for", async (version, ack, reason) => {
    const { connection, consumer, options } = await subscribed("browser:true\nack:client", version);
    expect(options.settling).toBe(false);
    consumer.deliver(stored(PLAIN), undefined, 0);
    expect(connection.only().headers).not.toHaveProperty("ack");
    connection.send(`ACK\n${ack}\n\n\0`);
    expect(connection.only().headers.message).toMatch(reason);
    expect(connection.client.settled).toEqual([]);
  });

  it.each<Version>(["1.0", "1.1", "1.2"])("of %s is told the end by a message without a body", async (version) => {
    const { connection, consumer } = await subscribed("browser:true", version);
    consumer.deliver(stored(PLAIN, "x"), undefined, 0);
    connection.raw();
    consumer.exhausted?.();
    expect(connection.raw().toString()).toBe(
      "MESSAGE\nsubscription:s\\c1\ndestination:/queue/a\nmessage-id:default-1-1\nbrowser:end\n\n\0\n",
    );
  });
});

describe("a STOMP consumer", () => {
  it.each([
    ["ack:auto", false],
    ["exclusive:true", true],
    ["activemq.exclusive:true", true],
    ["exclusive:false", false],
  ])("with %j is exclusive: %s", async (headers, exclusive) => {
    expect((await subscribed(headers)).options.exclusive).toBe(exclusive);
  });

  it.each([
    ["ack:auto", 0],
    ["priority:5", 5],
    ["activemq.priority:127", 127],
    ["x-priority:-128", -128],
    ["x-priority:1\npriority:2", 2],
  ])("with %j has the priority %i", async (headers, priority) => {
    expect((await subscribed(headers)).options.priority).toBe(priority);
  });

  it.each([
    ["exclusive:1", /exclusive:1 is neither true nor false/],
    ["activemq.exclusive:TRUE", /activemq\.exclusive:TRUE is neither/],
    ["priority:high", /priority:high is not a whole number/],
    ["activemq.priority:1.5", /activemq\.priority:1\.5 is not/],
    ["x-priority:", /x-priority: is not/],
    ["include-seq:", /include-seq: is not the name of a header/],
    ["include-seq:a\\cb", /include-seq:a:b is not the name/],
    ["include-seq:content-length", /names a header that has a meaning of its own/],
    ["include-seq:message-id", /names a header that has a meaning of its own/],
  ])("with %j is refused", async (headers, reason) => {
    expect(await refusal(headers)).toMatch(reason);
  });

  it.each<Version>(["1.0", "1.1", "1.2"])("of %s is told each message's sequence if it asks", async (version) => {
    const { connection, consumer, options } = await subscribed("include-seq:seq", version);
    expect(options).toMatchObject({ details: true, settling: false });
    for (const sequence of [0, 9_007_199_254_740_991]) consumer.deliver(stored(PLAIN, "x"), delivery(0, sequence), 0);
    expect(connection.raw().toString()).toBe(
      [0, 9_007_199_254_740_991]
        .map((sequence) => `MESSAGE\nsubscription:s\\c1\nseq:${sequence}\n${PLAIN}\n\nx\0\n`)
        .join(""),
    );
    connection.send(version === "1.2" ? "ACK\nid:1-1\n\n\0" : "ACK\nsubscription:s\\c1\nmessage-id:m\n\n\0");
    expect(connection.only().headers.message).toMatch(/unknown message/);
  });

  it("is told the sequence of large, annotated and acknowledged messages, by a name as it was spelled", async () => {
    const { connection, consumer } = await subscribed("include-seq:p\\\\ö\nack:client");
    const body = "x".repeat(30_000);
    consumer.deliver(stored(PLAIN, body), delivery(0, 7), 0);
    consumer.deliver(stored(PLAIN).with({ annotations: new Map([["n", 1]]) }), delivery(2, 8), 2);
    expect(connection.raw().toString()).toBe(
      `MESSAGE\nsubscription:s\\c1\nack:1-1\np\\\\ö:7\n${PLAIN}\n\n${body}\0\n` +
        `MESSAGE\nsubscription:s\\c1\nack:1-2\nredelivered:true\nredeliveries:2\np\\\\ö:8\nn:1\n${PLAIN}\n\n\0\n`,
    );
  });

  it("may have the sequence told under a long name, however full the output is", async () => {
    const name = "n".repeat(900);
    const { connection, consumer } = await subscribed(`include-seq:${name}`);
    for (let i = 0; i < 200; i++) consumer.deliver(stored(PLAIN, "x".repeat(i * 3)), delivery(0, i), 0);
    const frames = connection.read();
    expect(frames.map(({ headers }) => headers.find(([key]) => key === name)?.[1])).toEqual(
      Array.from({ length: 200 }, (_, i) => String(i)),
    );
    expect(frames.map(({ body }) => body.length)).toEqual(Array.from({ length: 200 }, (_, i) => i * 3));
  });

  it("is told no sequence where there is none, and is not given the encoding of those who did not ask", async () => {
    const { connection, consumer } = await subscribed("include-seq:seq");
    const message = stored(PLAIN);
    message.shared = true;
    consumer.deliver(message, delivery(0, 3), 0);
    consumer.deliver(message, undefined, 0);
    const texts = connection.read().map(({ headers }) => headers.map(([key]) => key).join(" "));
    expect(texts).toEqual(["subscription seq message-id destination", "subscription message-id destination"]);
    expect(message.wire?.toString("latin1", message.wireStart, message.wireEnd)).not.toContain("seq:");
  });

  it.each<Version>(["1.0", "1.1", "1.2"])("of %s is told which message is its first of a group", async (version) => {
    const { connection, consumer } = await subscribed("ack:client-individual", version);
    const message = stored("message-id:m\nJMSXGroupID:g");
    message.shared = true;
    for (const first of [true, false, undefined]) consumer.deliver(message, delivery(), 0, first);
    const marks = connection
      .read()
      .map(({ headers }) => headers.find(([key]) => key === "JMSXGroupFirstForConsumer")?.[1]);
    expect(marks).toEqual(["true", undefined, undefined]);
  });

  it("that is not asked to acknowledge is told the first of a group, shared or not", async () => {
    const { connection, consumer, options } = await subscribed("ack:auto");
    expect(options.details).toBe(false);
    const message = stored(PLAIN);
    message.shared = true;
    consumer.deliver(message, undefined, 0, true);
    expect(connection.raw().toString()).toBe(
      `MESSAGE\nsubscription:s\\c1\nJMSXGroupFirstForConsumer:true\n${PLAIN}\n\n\0\n`,
    );
  });
});
