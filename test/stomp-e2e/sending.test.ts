import { describe, expect, it } from "vitest";
import { startBroker } from "../support/broker.ts";
import { eventually } from "../support/eventually.ts";
import { StompWire, type StompVersion } from "../support/stomp-wire.ts";

const VERSIONS: readonly StompVersion[] = ["1.0", "1.1", "1.2"];

describe("a STOMP message", () => {
  it("arrives with its headers, an id and its destination", async () => {
    const { port } = await startBroker();
    using client = await StompWire.connect(port);
    await client.request("SUBSCRIBE", { id: "sub 1", destination: "/queue/a" });
    await client.send("SEND", { destination: "/queue/a", "content-type": "text/plain", colour: "blue" }, "hello");
    const { headers, body } = await client.message();
    expect(body.toString()).toBe("hello");
    expect(headers.get("destination")).toBe("/queue/a");
    expect(headers.get("subscription")).toBe("sub 1");
    expect(headers.get("content-type")).toBe("text/plain");
    expect(headers.get("colour")).toBe("blue");
    expect(headers.get("message-id")).toMatch(/./);
    expect(headers.has("receipt")).toBe(false);
  });

  it("has the first of a header that was given twice", async () => {
    const { port } = await startBroker();
    using client = await StompWire.connect(port);
    await client.request("SUBSCRIBE", { id: "1", destination: "/queue/a" });
    await client.send(
      "SEND",
      [
        ["destination", "/queue/a"],
        ["key", "first"],
        ["key", "second"],
        ["destination", "/queue/b"],
      ],
      "x",
    );
    expect((await client.message()).headers.get("key")).toBe("first");
  });

  it("cannot claim what only the broker says", async () => {
    const { port } = await startBroker();
    using client = await StompWire.connect(port);
    await client.request("SUBSCRIBE", { id: "1", destination: "/queue/a", ack: "client-individual" });
    const forged = { subscription: "2", ack: "9-9", redelivered: "true", redeliveries: "7", JMSXUserID: "admin" };
    await client.send("SEND", { destination: "/queue/a", ...forged }, "x");
    const { headers, lines } = await client.message();
    expect(headers.get("subscription")).toBe("1");
    expect(lines.filter((line) => line.startsWith("ack:"))).toEqual([`ack:${headers.get("ack")}`]);
    expect(headers.get("ack")).not.toBe("9-9");
    expect([...headers.keys()]).not.toEqual(expect.arrayContaining(["redelivered"]));
    expect([...headers.keys()]).not.toEqual(expect.arrayContaining(["redeliveries"]));
    expect(headers.get("JMSXUserID")).not.toBe("admin");
  });

  it("may have any bytes in its body, NUL included, when it says how many", async () => {
    const { port } = await startBroker();
    const body = Buffer.from(Array.from({ length: 512 }, (_, i) => i & 255));
    using client = await StompWire.connect(port);
    await client.request("SUBSCRIBE", { id: "1", destination: "/queue/a" });
    await client.send("SEND", { destination: "/queue/a", "content-length": String(body.length) }, body);
    await client.send("SEND", { destination: "/queue/a" }, "up to the NUL");
    await client.send("SEND", { destination: "/queue/a", "content-length": "0" });
    await client.send("SEND", { destination: "/queue/a" });
    expect((await client.message()).body.equals(body)).toBe(true);
    expect((await client.message()).body.toString()).toBe("up to the NUL");
    expect((await client.message()).body.length).toBe(0);
    expect((await client.message()).body.length).toBe(0);
  });

  it("of several megabytes arrives whole, to a queue and to many subscribers of a topic", async () => {
    const { port } = await startBroker();
    const body = Buffer.alloc(3_000_001, "0123456789abcde\0");
    using client = await StompWire.connect(port);
    await client.request("SUBSCRIBE", { id: "q", destination: "/queue/big" });
    await client.request("SUBSCRIBE", { id: "t", destination: "/topic/big" });
    using other = await StompWire.connect(port, { version: "1.1" });
    await other.request("SUBSCRIBE", { id: "t", destination: "/topic/big", ack: "client" });
    await client.send("SEND", { destination: "/queue/big,/topic/big", "content-length": String(body.length) }, body);
    const bodies = [await client.message(), await client.message(), await other.message()].map((frame) => frame.body);
    for (const received of bodies) expect(received.equals(body)).toBe(true);
  });

  it.each(VERSIONS)(
    "from STOMP 1.2 with LF, CR, colon, backslash and UTF-8 in a header is understood by %s",
    async (version) => {
      const { port } = await startBroker();
      const value = "a:b\\c\nd\re \u{1f30a}ü";
      using sender = await StompWire.connect(port);
      using receiver = await StompWire.connect(port, { version });
      await receiver.request("SUBSCRIBE", { id: "1", destination: "/queue/escapes" });
      await sender.send("SEND", { destination: "/queue/escapes", "a:name": value, last: "ok" }, "body");
      const { headers, lines, body } = await receiver.message();
      expect(body.toString()).toBe("body");
      expect(headers.get("last")).toBe("ok");
      if (version === "1.2") expect(headers.get("a:name")).toBe(value);
      // STOMP 1.1 has no escape for CR, which is no end of line there.
      if (version === "1.1") expect(headers.get("a:name")).toBe(value);
      // STOMP 1.0 has no escapes: a line feed, which cannot be said, is shown.
      if (version === "1.0") expect(lines).toContain("a:name:a:b\\c\\nd\re \u{1f30a}ü");
    },
  );

  it.each(VERSIONS)("from STOMP 1.0 with a colon and a backslash in a header is understood by %s", async (version) => {
    const { port } = await startBroker();
    using sender = await StompWire.connect(port, { version: "1.0" });
    using receiver = await StompWire.connect(port, { version });
    await receiver.request("SUBSCRIBE", { id: "1", destination: "/queue/escapes" });
    await sender.send("SEND", { destination: "/queue/escapes", path: "c:\\new\\temp" }, "body");
    expect((await receiver.message()).headers.get("path")).toBe("c:\\new\\temp");
  });

  it.each(VERSIONS)("from STOMP 1.1 with escapes in a header is understood by %s", async (version) => {
    const { port } = await startBroker();
    using sender = await StompWire.connect(port, { version: "1.1" });
    using receiver = await StompWire.connect(port, { version });
    await receiver.request("SUBSCRIBE", { id: "1", destination: "/queue/escapes" });
    await sender.send("SEND", { destination: "/queue/escapes", path: "c:\\new\\temp", " spaces ": " kept " }, "body");
    const { headers } = await receiver.message();
    expect(headers.get("path")).toBe("c:\\new\\temp");
    expect(headers.get(" spaces ")).toBe(" kept ");
  });

  it("that has expired does not come, whether told by ttl or by expires", async () => {
    const { port, server } = await startBroker();
    using client = await StompWire.connect(port);
    await client.request("SEND", { destination: "/queue/a", ttl: "1" }, "short lived");
    await client.request("SEND", { destination: "/queue/a", expires: String(Date.now() - 1000) }, "dead already");
    await client.request("SEND", { destination: "/queue/a", ttl: "3600000" }, "long lived");
    await client.request("SEND", { destination: "/queue/a", ttl: "0", expires: "0" }, "for ever");
    const sent = Date.now();
    await eventually(() => Date.now() > sent + 1);
    await client.send("SUBSCRIBE", { id: "1", destination: "/queue/a" });
    const first = await client.message();
    expect(first.body.toString()).toBe("long lived");
    expect(Number(first.headers.get("expires"))).toBeGreaterThan(sent);
    const second = await client.message();
    expect(second.body.toString()).toBe("for ever");
    expect(second.headers.has("expires") && second.headers.get("expires") !== "0").toBe(false);
    await client.request("SEND", { destination: "/queue/a", ttl: "60000" }, "x");
    expect(server.broker.host(undefined)?.queues.get("a")?.count ?? 0).toBe(0);
  });

  it("keeps its persistent, priority and correlation headers", async () => {
    const { port } = await startBroker();
    using client = await StompWire.connect(port);
    await client.request("SUBSCRIBE", { id: "1", destination: "/queue/a" });
    const headers = { persistent: "true", priority: "7", "correlation-id": "c-1", type: "order", "message-id": "mine" };
    await client.send("SEND", { destination: "/queue/a", ...headers }, "x");
    const message = await client.message();
    for (const [key, value] of Object.entries(headers)) expect(message.headers.get(key)).toBe(value);
  });

  it("that is retained greets every later subscriber until it is removed", async () => {
    const { port } = await startBroker();
    using client = await StompWire.connect(port);
    await client.request("SEND", { destination: "/topic/state.a", retain: "set" }, "one");
    await client.request("SEND", { destination: "/topic/state.a", retain: "set" }, "two");
    await client.request("SEND", { destination: "/topic/state.b" }, "not retained");
    await client.request("SUBSCRIBE", { id: "1", destination: "/topic/state.a" });
    expect(await client.bodies(1)).toEqual(["two"]);
    await client.request("SUBSCRIBE", { id: "2", destination: "/topic/state.*" });
    expect(await client.bodies(1)).toEqual(["two"]);
    await client.request("UNSUBSCRIBE", { id: "1" });
    await client.request("UNSUBSCRIBE", { id: "2" });
    await client.request("SEND", { destination: "/topic/state.a", retain: "remove" });
    await client.request("SUBSCRIBE", { id: "3", destination: "/topic/state.a" });
    await client.request("SEND", { destination: "/topic/state.a" }, "live");
    expect(await client.bodies(1)).toEqual(["live"]);
  });

  it("with a temporary reply-to can be answered from another connection, by any version", async () => {
    const { port } = await startBroker();
    using asker = await StompWire.connect(port);
    using worker = await StompWire.connect(port, { version: "1.1" });
    await worker.request("SUBSCRIBE", { id: "w", destination: "/queue/work" });
    await asker.request("SUBSCRIBE", { id: "answers", destination: "/temp-queue/answers" });
    await asker.send(
      "SEND",
      { destination: "/queue/work", "reply-to": "/temp-queue/answers", "correlation-id": "7" },
      "6*7?",
    );
    const question = await worker.message();
    const replyTo = question.headers.get("reply-to") ?? "";
    expect(replyTo).toMatch(/^\/queue\/temp\./);
    await worker.request("SEND", { destination: replyTo, "correlation-id": "7" }, "42");
    const answer = await asker.message();
    expect(answer.body.toString()).toBe("42");
    expect(answer.headers.get("subscription")).toBe("answers");
  });

  it("to a temporary queue whose owner has gone is dropped, and its sender goes on", async () => {
    const { port, server } = await startBroker();
    using worker = await StompWire.connect(port);
    await worker.request("SUBSCRIBE", { id: "w", destination: "/queue/work" });
    const asker = await StompWire.connect(port);
    await asker.request("SEND", { destination: "/queue/work", "reply-to": "/temp-queue/answers" }, "?");
    const replyTo = (await worker.message()).headers.get("reply-to") ?? "";
    const name = replyTo.slice("/queue/".length);
    expect(server.broker.host(undefined)?.queues.has(name)).toBe(true);
    await asker.request("DISCONNECT");
    asker[Symbol.dispose]();
    await eventually(() => expect(server.broker.host(undefined)?.queues.has(name)).toBe(false));
    await worker.request("SEND", { destination: replyTo }, "too late");
    const host = server.broker.host(undefined);
    expect([host?.queues.has(name), host?.unroutable.lost.get("no-subscriber")]).toEqual([false, 1]);
    await worker.request("SEND", { destination: "/queue/work" }, "next");
    expect((await worker.message()).body.toString()).toBe("next");
  });

  it("to a temporary queue can be consumed by its owner only, and two clients may use the same name", async () => {
    const { port } = await startBroker();
    using one = await StompWire.connect(port);
    using two = await StompWire.connect(port);
    await one.request("SUBSCRIBE", { id: "1", destination: "/temp-queue/same" });
    await two.request("SUBSCRIBE", { id: "1", destination: "/temp-queue/same" });
    await one.send("SEND", { destination: "/temp-queue/same" }, "of one");
    await two.send("SEND", { destination: "/temp-queue/same" }, "of two");
    const mine = await one.message();
    expect(mine.body.toString()).toBe("of one");
    expect(await two.bodies(1)).toEqual(["of two"]);
    await two.send("SUBSCRIBE", { id: "2", destination: mine.headers.get("destination") ?? "" });
    expect(await two.refused()).toMatch(/belongs to another session/);
  });

  it.each([
    ["/queue/a.b", "/queue/a.b"],
    ["queue://a.b", "/queue/a.b"],
    ["a.b", "/queue/a.b"],
    ["/amq/queue/a.b", "/queue/a.b"],
    ["/topic/a.b", "/topic/a.b"],
    ["topic://a.b", "/topic/a.b"],
    ["/exchange/amq.topic/a.b", "/topic/a.b"],
  ])("sent to %s arrives for a subscriber of %s", async (sent, subscribed) => {
    const { port } = await startBroker();
    using client = await StompWire.connect(port);
    await client.request("SUBSCRIBE", { id: "1", destination: subscribed });
    await client.send("SEND", { destination: sent }, "x");
    const message = await client.message();
    expect(message.headers.get("destination")).toBe(subscribed);
    using other = await StompWire.connect(port);
    await client.request("UNSUBSCRIBE", { id: "1" });
    await other.request("SUBSCRIBE", { id: "1", destination: sent });
    await client.send("SEND", { destination: subscribed }, "y");
    expect(await other.bodies(1)).toEqual(["y"]);
  });

  it("to a composite destination goes to every part, and each consumer sees the part it came by", async () => {
    const { port } = await startBroker();
    using client = await StompWire.connect(port);
    await client.request("SUBSCRIBE", { id: "1", destination: "/queue/a" });
    await client.request("SUBSCRIBE", { id: "2", destination: "/topic/b" });
    await client.request("SUBSCRIBE", { id: "3", destination: "/queue/c", ack: "client" });
    await client.send("SEND", { destination: "/queue/a,/topic/b,/queue/c" }, "x");
    const seen = new Map<string, string>();
    for (let i = 0; i < 3; i++) {
      const { headers, body } = await client.message();
      expect(body.toString()).toBe("x");
      seen.set(headers.get("subscription") ?? "", headers.get("destination") ?? "");
    }
    expect(Object.fromEntries(seen)).toEqual({ 1: "/queue/a", 2: "/topic/b", 3: "/queue/c" });
  });

  it("to a composite destination of which one part is not valid goes nowhere", async () => {
    const { port } = await startBroker();
    using client = await StompWire.connect(port);
    await client.request("SUBSCRIBE", { id: "1", destination: "/queue/a" });
    using sender = await StompWire.connect(port);
    await sender.send("SEND", { destination: "/queue/a,/dsub/b" }, "refused");
    expect(await sender.refused()).toContain("/dsub/b");
    await client.send("SEND", { destination: "/queue/a" }, "good");
    expect(await client.bodies(1)).toEqual(["good"]);
  });

  it("in a transaction comes with its COMMIT, not before, and not at all after ABORT or a lost connection", async () => {
    const { port } = await startBroker();
    using receiver = await StompWire.connect(port);
    await receiver.request("SUBSCRIBE", { id: "1", destination: "/queue/a" });
    using sender = await StompWire.connect(port);
    await sender.request("BEGIN", { transaction: "one" });
    await sender.request("BEGIN", { transaction: "two" });
    await sender.request("SEND", { destination: "/queue/a", transaction: "one" }, "1a");
    await sender.request("SEND", { destination: "/queue/a", transaction: "two" }, "2a");
    await sender.request("SEND", { destination: "/queue/a" }, "outside");
    await sender.request("SEND", { destination: "/queue/a", transaction: "one" }, "1b");
    await sender.request("ABORT", { transaction: "two" });
    await sender.request("COMMIT", { transaction: "one" });
    expect(await receiver.bodies(3)).toEqual(["outside", "1a", "1b"]);
    await sender.request("BEGIN", { transaction: "lost" });
    await sender.request("SEND", { destination: "/queue/a", transaction: "lost" }, "lost");
    sender.wire.reset();
    await receiver.request("SEND", { destination: "/queue/a" }, "after");
    expect(await receiver.bodies(1)).toEqual(["after"]);
  });
});
