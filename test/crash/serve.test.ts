import { once } from "node:events";
import { describe, expect, it } from "vitest";
import { startBrokerProcess, temporaryFolder } from "../support/broker.ts";
import { Link, type LinkFrame } from "../support/crash-link.ts";
import { takeAll } from "../support/crash-reading.ts";
import { eventually } from "../support/eventually.ts";
import { Wire } from "../support/wire.ts";

async function connect(port: number, frame: (frame: LinkFrame) => void = () => {}): Promise<Link> {
  const link = await Link.open(port, { frame });
  if (link === undefined) throw new Error("the broker is gone");
  return link;
}

describe("delos serve", () => {
  it("says goodbye on SIGTERM, writes what it was sent, and ends with 0", async () => {
    const directory = temporaryFolder();
    const broker = await startBrokerProcess(directory);
    const goodbyes: LinkFrame[] = [];
    const received: string[] = [];
    const consumer = await connect(broker.port, (frame) => {
      if (frame.command === "MESSAGE") received.push(frame.body);
      else goodbyes.push(frame);
    });
    await consumer.request("SUBSCRIBE", { id: "1", destination: "/queue/orders", ack: "client" });
    const producer = await connect(broker.port, (frame) => goodbyes.push(frame));
    const sent = Array.from({ length: 100 }, (_, number) => `order ${number}`);
    // Without receipts: it is the consumer who shows that the broker has them.
    for (const body of sent) producer.send("SEND", { destination: "/queue/orders", persistent: "true" }, body);
    await eventually(() => received.length === sent.length);
    expect(await broker.end("SIGTERM")).toBe(0);
    await Promise.all([consumer.closed, producer.closed]);
    expect(goodbyes.map(({ command }) => command)).toEqual(["ERROR", "ERROR"]);
    expect(goodbyes.map(({ headers }) => headers.get("message"))).toEqual(
      Array.from({ length: 2 }, () => "the broker is shutting down"),
    );

    const again = await startBrokerProcess(directory);
    expect(await takeAll(again.port, "orders")).toEqual(sent);
  });

  it("sends the receipts of what was sent before the SIGTERM, or does not have it: never a receipt without the message", async () => {
    const directory = temporaryFolder();
    const broker = await startBrokerProcess(directory);
    const confirmed: string[] = [];
    const link: Link = await connect(broker.port);
    const more = (number: number): void => {
      const body = `order ${number}`;
      link.ask("SEND", { destination: "/queue/orders", persistent: "true" }, body, () => {
        confirmed.push(body);
        more(number + 1);
      });
    };
    for (let lane = 0; lane < 20; lane++) more(lane * 1_000_000);
    await eventually(() => confirmed.length > 100);
    expect(await broker.end("SIGTERM")).toBe(0);
    await link.closed;

    const again = await startBrokerProcess(directory);
    const found = new Set(await takeAll(again.port, "orders"));
    expect(confirmed.filter((body) => !found.has(body))).toEqual([]);
  });

  it("refuses a directory that another broker uses, in one sentence that names the setting", async () => {
    const directory = temporaryFolder();
    const broker = await startBrokerProcess(directory);
    const refusal = await startBrokerProcess(directory).catch((error: unknown) => String(error));
    expect(refusal).toMatch(
      /ended with 1: delos serve: The data directory .* is in use by process \d+.*store\.directory\.\n$/,
    );
    expect(refusal).toContain(`process ${broker.process.pid}`);
    // The first one goes on as if nothing had been.
    const link = await connect(broker.port);
    expect(await link.request("SEND", { destination: "/queue/orders", persistent: "true" }, "still here")).toBe(true);
  });

  it("refuses a port that is in use, in one sentence that names the setting", async () => {
    const broker = await startBrokerProcess(temporaryFolder());
    const second = startBrokerProcess(temporaryFolder(), [`listeners.stomp.port=${broker.port}`]);
    const refusal = await second.catch((error: unknown) => String(error));
    expect(refusal).toMatch(/ended with 1: delos serve: listeners\.stomp\.port: .*is in use by another process\.?\n$/);
  });

  it("hears a SIGTERM that comes as soon as it says that it is ready, and left its directory free when a port was refused", async () => {
    const directory = temporaryFolder();
    const other = await startBrokerProcess(temporaryFolder());
    await startBrokerProcess(directory, [`listeners.stomp.port=${other.port}`]).catch(() => undefined);
    const broker = await startBrokerProcess(directory);
    expect(await broker.end("SIGTERM")).toBe(0);
  });

  it("ends at once with 1 on a second SIGTERM, while a client does not let go", async () => {
    const settings = ["connection.close_timeout=10m", "shutdown.timeout=10m"];
    const broker = await startBrokerProcess(temporaryFolder(), settings);
    using stubborn = await Wire.connect(broker.port);
    await stubborn.send("CONNECT\naccept-version:1.2\nhost:localhost\n\n\0");
    await stubborn.frame();
    const ended = once(broker.process, "exit");
    broker.process.kill("SIGTERM");
    await stubborn.frame();
    // Right behind the first one it would count as the same.
    setTimeout(() => broker.process.kill("SIGTERM"), 1000);
    expect(await ended).toEqual([1, null]);
  });

  it("takes a directory over at once from a broker that was killed", async () => {
    const directory = temporaryFolder();
    const killed = await startBrokerProcess(directory);
    const link = await connect(killed.port);
    await link.request("SEND", { destination: "/queue/orders", persistent: "true" }, "kept");
    await killed.end("SIGKILL");
    const broker = await startBrokerProcess(directory);
    expect(await takeAll(broker.port, "orders")).toEqual(["kept"]);
  });
});
