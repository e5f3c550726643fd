import { join } from "node:path";
import { connect as connectAmqp } from "amqplib";
import { describe, expect, it, onTestFinished } from "vitest";
import { MqttjsClient } from "../clients/mqttjs-client.ts";
import { connectRhea, openSender, send } from "../clients/rhea-client.ts";
import { startBrokerProcess, type BrokerProcess } from "../support/broker.ts";
import { Link } from "../support/crash-link.ts";
import { eventually } from "../support/eventually.ts";
import { resizeDisk, smallDisk } from "../support/small-disk.ts";

const BODY = "x".repeat(20_000);
const SETTINGS = ["alarms.disk_free=32m", "alarms.interval=50ms"];

/** How messages are published that have to be kept: fulfilled when the broker has them. */
type Publish = () => Promise<unknown>;

async function overStomp(port: number): Promise<Publish> {
  const link = await Link.open(port, { frame: () => {} });
  if (link === undefined) throw new Error("the broker is gone");
  return () =>
    new Promise<void>((resolve) => link.ask("SEND", { destination: "/queue/q", persistent: "true" }, BODY, resolve));
}

async function overMqtt(port: number): Promise<Publish> {
  const { mqtt } = await MqttjsClient.connect(port, 5);
  return () => mqtt.publishAsync("$queue/q", BODY, { qos: 1 });
}

async function overAmqp091(port: number): Promise<Publish> {
  const connection = await connectAmqp(`amqp://guest:guest@127.0.0.1:${port}`);
  connection.on("error", () => {});
  onTestFinished(async () => {
    await connection.close().catch(() => {});
  });
  const channel = await connection.createConfirmChannel();
  await channel.assertQueue("q");
  return () =>
    new Promise<void>((resolve) => {
      channel.sendToQueue("q", Buffer.from(BODY), { persistent: true }, () => resolve());
    });
}

async function overAmqp10(port: number): Promise<Publish> {
  const sender = await openSender(connectRhea(port), "queue://q");
  return () => send(sender, { body: BODY, durable: true });
}

/** Publishes one message after the other until told to stop. */
class Flood {
  sent = 0;
  confirmed = 0;
  private over = false;

  async run(publish: Publish): Promise<void> {
    while (!this.over) {
      this.sent++;
      await publish();
      this.confirmed++;
    }
  }

  stop(): void {
    this.over = true;
  }
}

function times(broker: BrokerProcess, text: string): number {
  return broker.output().split(text).length - 1;
}

const RAISED = "publishers have to wait: the disk";
const OVER = "the disk alarm is over";

async function floodedDisk(): Promise<{ disk: string; broker: BrokerProcess; flood: Flood } | undefined> {
  const disk = smallDisk("96m");
  if (disk === undefined) return undefined;
  const broker = await startBrokerProcess(join(disk, "data"), SETTINGS);
  const flood = new Flood();
  for (const open of [overStomp, overMqtt, overAmqp091, overAmqp10]) {
    const publish = await open(broker.port);
    // The process is ended with the test.
    for (let n = 0; n < 5; n++) void flood.run(publish).catch(() => {});
  }
  await eventually(() => times(broker, RAISED) > 0, 30_000);
  return { disk, broker, flood };
}

describe("a disk that is really full", () => {
  it("has publishers of all protocols wait before it is, until what is stored was consumed", async ({ skip }) => {
    const flooded = await floodedDisk();
    if (flooded === undefined) return skip("this user may not mount a small file system");
    const { broker, flood } = flooded;
    let got = 0;
    const consumer = await Link.open(broker.port, { frame: () => got++ });
    consumer?.send("SUBSCRIBE", { id: "1", destination: "/queue/q", ack: "auto" });
    // In the files of the store there is room then, though they never shrink.
    await eventually(() => times(broker, OVER) > 0, 30_000);
    flood.stop();
    await eventually(() => flood.confirmed === flood.sent, 30_000);
    await eventually(() => got === flood.confirmed, 30_000);
    expect(times(broker, '"level":60')).toBe(0);
    return undefined;
  }, 90_000);

  it("has publishers wait until there is more room, and nothing is lost that was confirmed", async ({ skip }) => {
    const flooded = await floodedDisk();
    if (flooded === undefined) return skip("this user may not mount a small file system");
    const { disk, broker, flood } = flooded;
    flood.stop();
    resizeDisk(disk, "192m");
    await eventually(() => flood.confirmed === flood.sent, 30_000);
    expect(times(broker, OVER)).toBe(1);
    let got = 0;
    const consumer = await Link.open(broker.port, { frame: () => got++ });
    consumer?.send("SUBSCRIBE", { id: "1", destination: "/queue/q", ack: "auto" });
    await eventually(() => got === flood.sent, 30_000);
    return undefined;
  }, 90_000);
});
