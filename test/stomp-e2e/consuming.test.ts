import { describe, expect, it } from "vitest";
import { startBroker } from "../support/broker.ts";
import { type ReceivedFrame, StompWire, type StompVersion } from "../support/stomp-wire.ts";

const VERSIONS: readonly StompVersion[] = ["1.0", "1.1", "1.2"];

async function sendAll(client: StompWire, destination: string, bodies: readonly string[]): Promise<void> {
  for (const body of bodies) await client.send("SEND", { destination }, body);
  await client.request("SEND", { destination: "/topic/nobody" });
}

async function messages(client: StompWire, count: number): Promise<ReceivedFrame[]> {
  const frames: ReceivedFrame[] = [];
  while (frames.length < count) frames.push(await client.message());
  return frames;
}

function bodiesOf(frames: readonly ReceivedFrame[]): string[] {
  return frames.map((frame) => frame.body.toString());
}

describe.each(VERSIONS)("a consumer by STOMP %s", (version) => {
  it("with ack:client acknowledges a message and all before it; the rest comes again in order, marked redelivered", async () => {
    const { port } = await startBroker();
    using sender = await StompWire.connect(port);
    using one = await StompWire.connect(port, { version });
    await one.request("SUBSCRIBE", { id: "1", destination: "/queue/a", ack: "client" });
    await sendAll(sender, "/queue/a", ["1", "2", "3", "4", "5"]);
    const taken = await messages(one, 5);
    expect(bodiesOf(taken)).toEqual(["1", "2", "3", "4", "5"]);
    for (const frame of taken) expect(frame.headers.has("redelivered")).toBe(false);
    const second = taken[1];
    if (second === undefined) throw new Error("There is no second message");
    await one.request("ACK", one.acknowledging(second));
    one.wire.reset();
    using two = await StompWire.connect(port, { version });
    await two.request("SUBSCRIBE", { id: "1", destination: "/queue/a", ack: "client" });
    const again = await messages(two, 3);
    expect(bodiesOf(again)).toEqual(["3", "4", "5"]);
    for (const frame of again) {
      expect(frame.headers.get("redelivered")).toBe("true");
      expect(frame.headers.get("redeliveries")).toBe("1");
    }
  });

  it("with ack:client-individual acknowledges one message at a time, in any order", async () => {
    const { port } = await startBroker();
    using sender = await StompWire.connect(port);
    using one = await StompWire.connect(port, { version });
    await one.request("SUBSCRIBE", { id: "1", destination: "/queue/a", ack: "client-individual" });
    await sendAll(sender, "/queue/a", ["1", "2", "3", "4"]);
    for (const frame of await messages(one, 4)) {
      if (["2", "4"].includes(frame.body.toString())) await one.request("ACK", one.acknowledging(frame));
    }
    await one.request("UNSUBSCRIBE", { id: "1" });
    await one.request("SUBSCRIBE", { id: "2", destination: "/queue/a", ack: "client-individual" });
    expect(await one.bodies(2)).toEqual(["1", "3"]);
  });

  it("with ack:auto, or none said, has consumed what it was sent", async () => {
    const { port, server } = await startBroker();
    using client = await StompWire.connect(port, { version });
    await client.request("SUBSCRIBE", { id: "1", destination: "/queue/a" });
    await client.request("SUBSCRIBE", { id: "2", destination: "/queue/b", ack: "auto" });
    await client.send("SEND", { destination: "/queue/a" }, "a");
    await client.send("SEND", { destination: "/queue/b" }, "b");
    expect(await client.bodies(2)).toEqual(["a", "b"]);
    const queues = server.broker.host(undefined)?.queues;
    expect([queues?.get("a")?.count, queues?.get("b")?.count]).toEqual([0, 0]);
  });

  it("that ABORTs a transaction gets again what it acknowledged in it, but not what it COMMITs", async () => {
    const { port, server } = await startBroker();
    using client = await StompWire.connect(port, { version });
    await client.request("SUBSCRIBE", { id: "1", destination: "/queue/a", ack: "client-individual" });
    await sendAll(client, "/queue/a", ["1", "2"]);
    const [first, second] = await messages(client, 2);
    if (first === undefined || second === undefined) throw new Error("There are no two messages");
    await client.request("BEGIN", { transaction: "kept" });
    await client.request("ACK", { ...client.acknowledging(first), transaction: "kept" });
    await client.request("COMMIT", { transaction: "kept" });
    await client.request("BEGIN", { transaction: "dropped" });
    await client.request("ACK", { ...client.acknowledging(second), transaction: "dropped" });
    await client.request("ABORT", { transaction: "dropped" });
    const again = await client.message();
    expect(again.body.toString()).toBe("2");
    expect(again.headers.get("redelivered")).toBe("true");
    expect(server.broker.host(undefined)?.queues.get("a")?.count).toBe(1);
    await client.request("ACK", client.acknowledging(again));
    expect(server.broker.host(undefined)?.queues.get("a")?.count).toBe(0);
  });
});

describe("a consumer by STOMP", () => {
  it("of 1.0 need not name itself: its messages have no subscription header", async () => {
    const { port } = await startBroker();
    using client = await StompWire.connect(port, { version: "1.0" });
    await client.request("SUBSCRIBE", { destination: "/queue/a", ack: "client" });
    await client.send("SEND", { destination: "/queue/a" }, "x");
    const message = await client.message();
    expect(message.headers.has("subscription")).toBe(false);
    await client.request("ACK", client.acknowledging(message));
    await client.request("UNSUBSCRIBE", { destination: "/queue/a" });
  });

  it("that refuses a message by NACK does not block the queue", async () => {
    const { port, server } = await startBroker();
    using client = await StompWire.connect(port);
    await client.request("SUBSCRIBE", { id: "1", destination: "/queue/a", ack: "client-individual" });
    await sendAll(client, "/queue/a", ["bad", "good"]);
    const [bad, good] = await messages(client, 2);
    if (bad === undefined || good === undefined) throw new Error("There are no two messages");
    await client.request("NACK", client.acknowledging(bad));
    await client.request("ACK", client.acknowledging(good));
    const again = await client.message();
    expect(again.body.toString()).toBe("bad");
    expect(again.headers.get("redelivered")).toBe("true");
    await client.request("ACK", client.acknowledging(again));
    expect(server.broker.host(undefined)?.queues.get("a")?.count).toBe(0);
  });

  it("with ack:client refuses by NACK a message and all before it", async () => {
    const { port, server } = await startBroker();
    using client = await StompWire.connect(port);
    await client.request("SUBSCRIBE", { id: "1", destination: "/queue/a", ack: "client" });
    await sendAll(client, "/queue/a", ["1", "2", "3"]);
    const [, second, third] = await messages(client, 3);
    if (second === undefined || third === undefined) throw new Error("There are no three messages");
    await client.request("NACK", client.acknowledging(second));
    const again = await messages(client, 2);
    expect(bodiesOf(again)).toEqual(["1", "2"]);
    for (const frame of again) expect(frame.headers.get("redelivered")).toBe("true");
    await client.request("ACK", client.acknowledging(again[1] ?? third));
    expect(server.broker.host(undefined)?.queues.get("a")?.count).toBe(0);
  });

  it("may say how many messages it takes by RabbitMQ's and ActiveMQ's header names", async () => {
    const { port } = await startBroker();
    using sender = await StompWire.connect(port);
    using rabbit = await StompWire.connect(port);
    using active = await StompWire.connect(port);
    await rabbit.request("SUBSCRIBE", { id: "1", destination: "/queue/a", ack: "client", "prefetch-count": "1" });
    await active.request("SUBSCRIBE", {
      id: "1",
      destination: "/queue/a",
      ack: "client",
      "activemq.prefetchSize": "1",
    });
    await sendAll(sender, "/queue/a", ["1", "2", "3"]);
    const [one, two] = [await rabbit.message(), await active.message()];
    expect([one, two].map(({ body }) => body.toString()).sort()).toEqual(["1", "2"]);
    await active.request("ACK", active.acknowledging(two));
    expect(await active.bodies(1)).toEqual(["3"]);
  });

  it("of a temporary topic hears what anybody sends there", async () => {
    const { port } = await startBroker();
    using owner = await StompWire.connect(port);
    using other = await StompWire.connect(port);
    await other.request("SUBSCRIBE", { id: "1", destination: "/topic/invitations" });
    await owner.request("SUBSCRIBE", { id: "1", destination: "/temp-topic/party" });
    await owner.request("SEND", { destination: "/topic/invitations", "reply-to": "/temp-topic/party" }, "come!");
    const destination = (await other.message()).headers.get("reply-to") ?? "";
    expect(destination).toMatch(/^\/topic\/temp\./);
    await other.request("SEND", { destination }, "yes");
    expect(await owner.bodies(1)).toEqual(["yes"]);
  });

  it("that is lost with messages of which it acknowledged none leaves them in their order to others", async () => {
    const { port } = await startBroker();
    using sender = await StompWire.connect(port);
    using lost = await StompWire.connect(port);
    using other = await StompWire.connect(port);
    await lost.request("SUBSCRIBE", { id: "1", destination: "/queue/a", ack: "client-individual", credit: "4,0" });
    await sendAll(sender, "/queue/a", ["1", "2", "3", "4", "5", "6"]);
    await messages(lost, 4);
    lost.wire.reset();
    await other.request("SUBSCRIBE", { id: "1", destination: "/queue/a", ack: "client-individual" });
    const taken = await messages(other, 6);
    const first = taken.findIndex((frame) => frame.body.toString() === "1");
    expect(bodiesOf(taken.slice(first, first + 4))).toEqual(["1", "2", "3", "4"]);
    expect(taken.filter((frame) => frame.headers.get("redelivered") === "true").length).toBe(4);
  });

  it("with credit:1,0 has one message at a time, so that work is shared fairly", async () => {
    const { port } = await startBroker();
    using sender = await StompWire.connect(port);
    using slow = await StompWire.connect(port);
    using fast = await StompWire.connect(port);
    for (const worker of [slow, fast]) {
      await worker.request("SUBSCRIBE", {
        id: "1",
        destination: "/queue/work",
        ack: "client-individual",
        credit: "1,0",
      });
    }
    await sendAll(sender, "/queue/work", ["1", "2", "3", "4", "5"]);
    const held = await slow.message();
    const done: string[] = [];
    for (let i = 0; i < 4; i++) {
      const message = await fast.message();
      done.push(message.body.toString());
      await fast.request("ACK", fast.acknowledging(message));
    }
    expect([held.body.toString(), ...done].sort()).toEqual(["1", "2", "3", "4", "5"]);
  });

  it("grants credit by hand where it says so", async () => {
    const { port } = await startBroker();
    using client = await StompWire.connect(port);
    await client.request("SUBSCRIBE", {
      id: "1",
      destination: "/queue/a",
      ack: "client-individual",
      credit: "1,0,false",
    });
    await sendAll(client, "/queue/a", ["1", "2", "3"]);
    const first = await client.message();
    // Gives nothing back: the receipt comes, and no message with it.
    await client.request("ACK", client.acknowledging(first));
    await client.send("SEND", { destination: "/queue/a", receipt: "before" }, "4");
    expect((await client.next()).headers.get("receipt-id")).toBe("before");
    await client.send("ACK", { subscription: "1", credit: "2,0" });
    expect(await client.bodies(2)).toEqual(["2", "3"]);
  });

  it("with a selector gets what matches; the rest stays for others", async () => {
    const { port } = await startBroker();
    using client = await StompWire.connect(port);
    await client.request("SUBSCRIBE", {
      id: "big",
      destination: "/queue/a",
      selector: "size > 10 AND colour IN ('red', 'blue')",
    });
    const send = (size: number, colour: string): Promise<void> =>
      client.send("SEND", { destination: "/queue/a", size: String(size), colour }, `${size} ${colour}`);
    await send(5, "red");
    await send(11, "red");
    await send(50, "green");
    await send(50, "blue");
    expect(await client.bodies(2)).toEqual(["11 red", "50 blue"]);
    await client.request("SUBSCRIBE", { id: "rest", destination: "/queue/a" });
    expect(await client.bodies(2)).toEqual(["5 red", "50 green"]);
  });

  it("with a selector that is not valid is told where", async () => {
    const { port } = await startBroker();
    using client = await StompWire.connect(port);
    await client.send("SUBSCRIBE", { id: "1", destination: "/queue/a", selector: "size >> 10", receipt: "r" });
    const error = await client.expect("ERROR");
    expect(error.headers.get("receipt-id")).toBe("r");
    expect(error.body.toString()).toMatch(/selector/i);
  });

  it("of several queues by a wildcard gets from those there are and those to come", async () => {
    const { port } = await startBroker();
    using client = await StompWire.connect(port);
    await client.request("SEND", { destination: "/queue/orders.eu" }, "eu 1");
    await client.request("SEND", { destination: "/queue/orders.eu.old" }, "deeper");
    await client.request("SUBSCRIBE", { id: "one", destination: "/queue/orders.*" });
    const first = await client.message();
    expect([first.body.toString(), first.headers.get("destination")]).toEqual(["eu 1", "/queue/orders.eu"]);
    await client.send("SEND", { destination: "/queue/orders.us" }, "us 1");
    expect(await client.bodies(1)).toEqual(["us 1"]);
    await client.request("SUBSCRIBE", { id: "all", destination: "/queue/orders.**" });
    expect(await client.bodies(1)).toEqual(["deeper"]);
  });

  it("by a regular expression gets from what matches only", async () => {
    const { port } = await startBroker();
    using client = await StompWire.connect(port);
    await client.request("SUBSCRIBE", { id: "1", destination: "/queue/line.{[0-9]{1,2}}" });
    await client.request("SUBSCRIBE", { id: "2", destination: "/topic/{a|b}.x" });
    for (const name of [
      "/queue/line.x",
      "/queue/line.7",
      "/queue/line.123",
      "/queue/line.42",
      "/topic/c.x",
      "/topic/b.x",
    ]) {
      await client.send("SEND", { destination: name }, name);
    }
    expect(await client.bodies(3)).toEqual(["/queue/line.7", "/queue/line.42", "/topic/b.x"]);
  });

  it("of a composite gets from every part by one subscription", async () => {
    const { port } = await startBroker();
    using client = await StompWire.connect(port);
    await client.request("SUBSCRIBE", {
      id: "1",
      destination: "/queue/a,/topic/b,/queue/c.*",
      ack: "client-individual",
    });
    for (const name of ["/queue/a", "/topic/b", "/queue/c.d"]) {
      await client.send("SEND", { destination: name }, "x");
      const message = await client.message();
      expect(message.headers.get("destination")).toBe(name);
      await client.request("ACK", client.acknowledging(message));
    }
  });

  it("of topics by wildcards gets each message once per subscription", async () => {
    const { port } = await startBroker();
    using client = await StompWire.connect(port);
    await client.request("SUBSCRIBE", { id: "1", destination: "/topic/a.*,/topic/a.**,/topic/*.b" });
    await client.send("SEND", { destination: "/topic/a.b" }, "1");
    await client.send("SEND", { destination: "/topic/x.y" }, "2");
    await client.send("SEND", { destination: "/topic/a.b.c" }, "3");
    expect(await client.bodies(2)).toEqual(["1", "3"]);
  });

  it("that does not want its own messages gets those of others only", async () => {
    const { port } = await startBroker();
    using client = await StompWire.connect(port);
    using other = await StompWire.connect(port);
    await client.request("SUBSCRIBE", { id: "1", destination: "/topic/a", "no-local": "true" });
    await client.request("SEND", { destination: "/topic/a" }, "own");
    await other.request("SEND", { destination: "/topic/a" }, "other");
    expect(await client.bodies(1)).toEqual(["other"]);
  });

  it("that unsubscribes gets nothing more, and may acknowledge late without harm", async () => {
    const { port } = await startBroker();
    using client = await StompWire.connect(port);
    await client.request("SUBSCRIBE", { id: "1", destination: "/topic/a" });
    await client.request("SUBSCRIBE", { id: "2", destination: "/queue/a", ack: "client-individual" });
    await client.send("SEND", { destination: "/queue/a" }, "x");
    const message = await client.message();
    await client.request("UNSUBSCRIBE", { id: "1" });
    await client.request("UNSUBSCRIBE", { id: "2" });
    await client.request("ACK", client.acknowledging(message));
    await client.request("SEND", { destination: "/topic/a" }, "unheard");
    await client.request("SUBSCRIBE", { id: "1", destination: "/queue/a" });
    expect(await client.bodies(1)).toEqual(["x"]);
  });
});

describe("a durable subscription by STOMP", () => {
  const durable = { id: "mine", destination: "/topic/news.*", persistent: "true" };

  it("keeps what is published while nobody is connected", async () => {
    const { port } = await startBroker();
    using sender = await StompWire.connect(port);
    using first = await StompWire.connect(port);
    await first.request("SUBSCRIBE", { ...durable, ack: "client-individual" });
    await sender.request("SEND", { destination: "/topic/news.a" }, "1");
    const message = await first.message();
    expect(message.headers.get("subscription")).toBe("mine");
    await first.request("ACK", first.acknowledging(message));
    await first.request("DISCONNECT");
    await sender.request("SEND", { destination: "/topic/news.b" }, "2");
    await sender.request("SEND", { destination: "/topic/other" }, "-");
    await sender.request("SEND", { destination: "/topic/news.c" }, "3");
    using second = await StompWire.connect(port, { version: "1.1" });
    await second.request("SUBSCRIBE", durable);
    expect(await second.bodies(2)).toEqual(["2", "3"]);
  });

  it("shared by two connections gives each message to one of them", async () => {
    const { port } = await startBroker();
    using sender = await StompWire.connect(port);
    using one = await StompWire.connect(port);
    using two = await StompWire.connect(port);
    for (const client of [one, two]) {
      await client.request("SUBSCRIBE", { ...durable, ack: "client-individual", credit: "1,0" });
    }
    await sendAll(sender, "/topic/news.a", ["1", "2"]);
    const got = [...(await one.bodies(1)), ...(await two.bodies(1))];
    expect(got.sort()).toEqual(["1", "2"]);
  });

  it("may be consumed by its name, and ends when it is unsubscribed with persistent:true", async () => {
    const { port, server } = await startBroker();
    using client = await StompWire.connect(port);
    await client.request("SUBSCRIBE", durable);
    await client.request("UNSUBSCRIBE", { id: "mine" });
    await client.request("SEND", { destination: "/topic/news.a" }, "1");
    await client.request("SUBSCRIBE", { id: "reader", destination: "/dsub/mine" });
    const message = await client.message();
    expect([message.body.toString(), message.headers.get("subscription")]).toEqual(["1", "reader"]);
    await client.request("UNSUBSCRIBE", { id: "reader" });
    expect(server.broker.host(undefined)?.durables.has("mine")).toBe(true);
    await client.request("UNSUBSCRIBE", { id: "mine", persistent: "true" });
    expect(server.broker.host(undefined)?.durables.has("mine")).toBe(false);
    await client.send("SUBSCRIBE", { id: "reader", destination: "/dsub/mine" });
    expect(await client.refused()).toContain("mine");
  });

  it("is changed in place by another topic or selector, and keeps what it holds", async () => {
    const { port } = await startBroker();
    using client = await StompWire.connect(port);
    await client.request("SUBSCRIBE", durable);
    await client.request("UNSUBSCRIBE", { id: "mine" });
    await client.request("SEND", { destination: "/topic/news.a" }, "held");
    await client.request("SUBSCRIBE", { ...durable, destination: "/topic/sport.*", selector: "league = 1" });
    await client.request("SEND", { destination: "/topic/news.a" }, "no more");
    await client.request("SEND", { destination: "/topic/sport.a", league: "2" }, "not this");
    await client.request("SEND", { destination: "/topic/sport.a", league: "1" }, "this");
    expect(await client.bodies(2)).toEqual(["held", "this"]);
  });

  it("begins with the retained messages of its topics when it is made, and not again", async () => {
    const { port } = await startBroker();
    using client = await StompWire.connect(port);
    await client.request("SEND", { destination: "/topic/news.a", retain: "set" }, "retained");
    await client.request("SUBSCRIBE", durable);
    expect(await client.bodies(1)).toEqual(["retained"]);
    await client.request("UNSUBSCRIBE", { id: "mine" });
    await client.request("SUBSCRIBE", durable);
    await client.request("SEND", { destination: "/topic/news.a" }, "live");
    expect(await client.bodies(1)).toEqual(["live"]);
  });

  it("to a queue is refused", async () => {
    const { port } = await startBroker();
    using client = await StompWire.connect(port);
    await client.send("SUBSCRIBE", { ...durable, destination: "/queue/a" });
    expect(await client.refused()).toContain("durable subscription");
  });
});

describe("a STOMP transaction", () => {
  it("takes from one queue and puts to another as one", async () => {
    const { port, server } = await startBroker();
    using client = await StompWire.connect(port);
    await client.request("SEND", { destination: "/queue/in" }, "x");
    await client.request("SUBSCRIBE", { id: "1", destination: "/queue/in", ack: "client-individual" });
    const message = await client.message();
    await client.request("BEGIN", { transaction: "move" });
    await client.request("ACK", { ...client.acknowledging(message), transaction: "move" });
    await client.request("SEND", { destination: "/queue/out", transaction: "move" }, "x");
    const count = (name: string): number | undefined => server.broker.host(undefined)?.queues.get(name)?.count;
    expect([count("in"), count("out")]).toEqual([1, 0]);
    await client.request("COMMIT", { transaction: "move" });
    expect([count("in"), count("out")]).toEqual([0, 1]);
  });

  it("commits what it acknowledged of a subscription that has ended since", async () => {
    const { port, server } = await startBroker();
    using client = await StompWire.connect(port);
    await sendAll(client, "/queue/a", ["1", "2"]);
    await client.request("SUBSCRIBE", { id: "1", destination: "/queue/a", ack: "client-individual" });
    const [first] = await messages(client, 2);
    if (first === undefined) throw new Error("There is no message");
    await client.request("BEGIN", { transaction: "tx" });
    await client.request("ACK", { ...client.acknowledging(first), transaction: "tx" });
    await client.request("UNSUBSCRIBE", { id: "1" });
    await client.request("SUBSCRIBE", { id: "2", destination: "/queue/a", ack: "client-individual" });
    expect(await client.bodies(1)).toEqual(["2"]);
    await client.request("COMMIT", { transaction: "tx" });
    expect(server.broker.host(undefined)?.queues.get("a")?.count).toBe(1);
  });

  it("that is open when its client leaves or is lost gives back what it acknowledged", async () => {
    const { port } = await startBroker();
    using client = await StompWire.connect(port);
    await sendAll(client, "/queue/a", ["1"]);
    for (const leave of ["DISCONNECT", "reset"]) {
      using passing = await StompWire.connect(port);
      await passing.request("SUBSCRIBE", { id: "1", destination: "/queue/a", ack: "client-individual" });
      const message = await passing.message();
      await passing.request("BEGIN", { transaction: "tx" });
      await passing.request("ACK", { ...passing.acknowledging(message), transaction: "tx" });
      if (leave === "reset") passing.wire.reset();
      else await passing.request("DISCONNECT");
    }
    await client.request("SUBSCRIBE", { id: "1", destination: "/queue/a" });
    const message = await client.message();
    expect([message.body.toString(), message.headers.get("redelivered")]).toEqual(["1", "true"]);
  });

  it("that cannot retain, because it names a queue, says so at once", async () => {
    const { port } = await startBroker();
    using client = await StompWire.connect(port);
    await client.request("BEGIN", { transaction: "tx" });
    await client.send("SEND", { destination: "/queue/a", retain: "set", transaction: "tx", receipt: "send" }, "x");
    const error = await client.expect("ERROR");
    expect(error.headers.get("receipt-id")).toBe("send");
  });

  it("is all or nothing also when a queue it sends to refuses by its COMMIT", async () => {
    const { port, server } = await startBroker(["queues=[{match: narrow, max_messages: 1, full: reject}]"]);
    using other = await StompWire.connect(port);
    using client = await StompWire.connect(port);
    await client.request("BEGIN", { transaction: "tx" });
    for (const name of ["before", "narrow", "after"]) {
      await client.request("SEND", { destination: `/queue/${name}`, transaction: "tx" }, "x");
    }
    await other.request("SEND", { destination: "/queue/narrow" }, "there before");
    await client.send("COMMIT", { transaction: "tx" });
    expect(await client.refused()).toContain("max_messages");
    const count = (name: string): number | undefined => server.broker.host(undefined)?.queues.get(name)?.count;
    expect(["before", "narrow", "after"].map(count)).toEqual([0, 1, 0]);
  });

  it("that grows over the limit is ended with the setting's name", async () => {
    const { port } = await startBroker(["transactions.max_bytes=1k"]);
    using client = await StompWire.connect(port);
    await client.request("BEGIN", { transaction: "tx" });
    await client.send("SEND", { destination: "/queue/a", transaction: "tx" }, "x".repeat(2000));
    expect(await client.refused()).toContain("transactions.max_bytes");
  });
});
