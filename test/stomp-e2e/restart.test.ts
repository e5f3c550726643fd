import { describe, expect, it } from "vitest";
import { type BrokerProcess, startBrokerProcess, temporaryFolder } from "../support/broker.ts";
import { StompWire } from "../support/stomp-wire.ts";

/** Stops a broker as an operator does and starts one over the same data. */
async function restart(
  broker: BrokerProcess,
  directory: string,
  signal: NodeJS.Signals = "SIGTERM",
): Promise<BrokerProcess> {
  const code = await broker.end(signal);
  if (signal === "SIGTERM" && code !== 0) throw new Error(`The broker ended with ${code}: ${broker.output()}`);
  return startBrokerProcess(directory);
}

describe.each<NodeJS.Signals>(["SIGTERM", "SIGKILL"])("after %s and a new start", (signal) => {
  it("persistent messages are there in order, with their headers, bodies and priorities", async () => {
    const directory = temporaryFolder();
    const first = await startBrokerProcess(directory);
    using sender = await StompWire.connect(first.port);
    const binary = Buffer.from([0, 255, 10, 0]);
    const persistent = "true";
    await sender.send("SEND", { destination: "/queue/a", persistent, wave: "\u{1f30a}:\n\\", priority: "7" }, "one");
    await sender.send("SEND", { destination: "/queue/a", persistent, "content-length": "4" }, binary);
    await sender.send("SEND", { destination: "/queue/a" }, "may be lost");
    await sender.send("SEND", { destination: "/queue/a", persistent, ttl: "1" }, "expires");
    await sender.request("SEND", { destination: "/queue/a", persistent }, Buffer.alloc(1 << 20, "x"));
    const second = await restart(first, directory, signal);
    using client = await StompWire.connect(second.port);
    await client.request("SUBSCRIBE", { id: "1", destination: "/queue/a", ack: "client-individual", selector: "" });
    const one = await client.message();
    expect(one.body.toString()).toBe("one");
    expect(one.headers.get("wave")).toBe("\u{1f30a}:\n\\");
    expect(one.headers.get("priority")).toBe("7");
    expect(one.headers.get("persistent")).toBe("true");
    expect(one.headers.has("redelivered")).toBe(false);
    expect((await client.message()).body.equals(binary)).toBe(true);
    let last = await client.message();
    if (last.body.toString() === "may be lost") last = await client.message();
    expect(last.body.equals(Buffer.alloc(1 << 20, "x"))).toBe(true);
  });

  it("all is there that was sent before the receipt of DISCONNECT", async () => {
    const directory = temporaryFolder();
    const first = await startBrokerProcess(directory);
    using sender = await StompWire.connect(first.port);
    const sent = Array.from({ length: 200 }, (_, i) => String(i));
    for (const body of sent) void sender.send("SEND", { destination: "/queue/a", persistent: "true" }, body);
    await sender.request("DISCONNECT");
    const second = await restart(first, directory, signal);
    using client = await StompWire.connect(second.port);
    await client.request("SUBSCRIBE", { id: "1", destination: "/queue/a" });
    expect(await client.bodies(sent.length)).toEqual(sent);
  });

  it("what was acknowledged does not come again, and what was delivered says so", async () => {
    const directory = temporaryFolder();
    const first = await startBrokerProcess(directory);
    using client = await StompWire.connect(first.port);
    for (const body of ["1", "2", "3", "4"]) {
      await client.request("SEND", { destination: "/queue/a", persistent: "true" }, body);
    }
    await client.request("SUBSCRIBE", { id: "1", destination: "/queue/a", ack: "client-individual", credit: "3,0" });
    await client.request("ACK", client.acknowledging(await client.message()));
    await client.request("NACK", client.acknowledging(await client.message()));
    await client.request("UNSUBSCRIBE", { id: "1" });
    await client.request("DISCONNECT");
    const second = await restart(first, directory, signal);
    using next = await StompWire.connect(second.port);
    await next.request("SUBSCRIBE", { id: "1", destination: "/queue/a", ack: "client-individual" });
    const messages = [await next.message(), await next.message(), await next.message()];
    expect(messages.map(({ body }) => body.toString())).toEqual(["2", "3", "4"]);
    const refused = messages[0];
    expect(refused?.headers.get("redelivered")).toBe("true");
    expect(Number(refused?.headers.get("redeliveries"))).toBeGreaterThanOrEqual(1);
  });

  it("durable subscriptions are there with what they hold, their topics and their selector", async () => {
    const directory = temporaryFolder();
    const first = await startBrokerProcess(directory);
    using client = await StompWire.connect(first.port);
    const durable = { id: "mine", destination: "/topic/news.*", persistent: "true", selector: "size > 1" };
    await client.request("SUBSCRIBE", durable);
    await client.request("UNSUBSCRIBE", { id: "mine" });
    await client.request("SEND", { destination: "/topic/news.a", persistent: "true", size: "2" }, "held");
    await client.request("SEND", { destination: "/topic/news.a", persistent: "true", size: "1" }, "not selected");
    const second = await restart(first, directory, signal);
    using next = await StompWire.connect(second.port);
    await next.request("SEND", { destination: "/topic/news.b", persistent: "true", size: "3" }, "after");
    await next.request("SEND", { destination: "/topic/news.b", persistent: "true", size: "0" }, "not selected");
    await next.request("SUBSCRIBE", { id: "reader", destination: "/dsub/mine" });
    expect(await next.bodies(2)).toEqual(["held", "after"]);
    await next.request("UNSUBSCRIBE", { id: "reader" });
    await next.request("UNSUBSCRIBE", { id: "mine", persistent: "true" });
    const third = await restart(second, directory, signal);
    using last = await StompWire.connect(third.port);
    await last.send("SUBSCRIBE", { id: "reader", destination: "/dsub/mine" });
    expect(await last.refused()).toContain("mine");
  });

  it("retained messages greet their subscribers, and removed ones do not", async () => {
    const directory = temporaryFolder();
    const first = await startBrokerProcess(directory);
    using client = await StompWire.connect(first.port);
    for (const name of ["a", "b"]) {
      await client.request(
        "SEND",
        { destination: `/topic/state.${name}`, retain: "set", persistent: "true" },
        `old ${name}`,
      );
      await client.request("SEND", { destination: `/topic/state.${name}`, retain: "set", persistent: "true" }, name);
    }
    await client.request("SEND", { destination: "/topic/state.b", retain: "remove", persistent: "true" });
    const second = await restart(first, directory, signal);
    using next = await StompWire.connect(second.port);
    await next.request("SUBSCRIBE", { id: "1", destination: "/topic/state.*" });
    await next.request("SEND", { destination: "/topic/state.c" }, "live");
    expect(await next.bodies(2)).toEqual(["a", "live"]);
  });

  it("a transaction is there whole when it was committed, and not at all when it was not", async () => {
    const directory = temporaryFolder();
    const first = await startBrokerProcess(directory);
    using client = await StompWire.connect(first.port);
    await client.request("SEND", { destination: "/queue/in", persistent: "true" }, "moved");
    await client.request("SUBSCRIBE", { id: "1", destination: "/queue/in", ack: "client-individual" });
    const moved = await client.message();
    await client.request("BEGIN", { transaction: "done" });
    await client.request("ACK", { ...client.acknowledging(moved), transaction: "done" });
    await client.request("SEND", { destination: "/queue/out", persistent: "true", transaction: "done" }, "moved");
    await client.request("COMMIT", { transaction: "done" });
    await client.request("BEGIN", { transaction: "open" });
    await client.request("SEND", { destination: "/queue/out", persistent: "true", transaction: "open" }, "lost");
    const second = await restart(first, directory, signal);
    using next = await StompWire.connect(second.port);
    await next.request("SUBSCRIBE", { id: "1", destination: "/queue/*" });
    await next.request("SEND", { destination: "/queue/out" }, "after");
    await next.request("SEND", { destination: "/queue/in" }, "after");
    expect(await next.bodies(3)).toEqual(["moved", "after", "after"]);
  });
});

describe("a broker that is stopped", () => {
  it("says goodbye to its clients in an ERROR frame and exits with 0", async () => {
    const broker = await startBrokerProcess(temporaryFolder());
    using client = await StompWire.connect(broker.port);
    const ended = broker.end("SIGTERM");
    expect(await client.refused()).toMatch(/./);
    expect(await ended).toBe(0);
  });
});
