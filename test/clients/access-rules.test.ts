import amqplib from "amqplib";
import mqtt from "mqtt";
import { expect, it } from "vitest";
import { startBroker } from "../support/broker.ts";
import { StompitClient } from "../support/stompit-client.ts";

const RULES = [
  { principal_kind: ["user"], deny: ["guest"], action: ["send"], id: "closed" },
  { principal_kind: ["user"], deny: ["guest"], action: ["receive", "consume"], id: "secret" },
  { allow: ["*"] },
];

function start() {
  return startBroker([`access_rules=${JSON.stringify(RULES)}`]);
}

it("MQTT.js is told of each refusal", async () => {
  const { port } = await start();
  const client = await mqtt.connectAsync(`mqtt://127.0.0.1:${port}`, { protocolVersion: 5 });
  await expect(client.publishAsync("closed", "x", { qos: 1 })).rejects.toMatchObject({ code: 0x87 });
  await expect(client.subscribeAsync("secret")).rejects.toThrow(/Not authorized/i);
  await client.endAsync();
});

it("amqplib is told of each refusal", async () => {
  const { port } = await start();
  const connection = await amqplib.connect(`amqp://guest:guest@127.0.0.1:${port}`);
  const channel = await connection.createConfirmChannel();
  const failed = new Promise<Error>((resolve) => channel.once("error", resolve));
  channel.sendToQueue("closed", Buffer.from("x"));
  expect(await failed).toMatchObject({ code: 403 });
  const other = await connection.createChannel();
  other.on("error", () => {});
  await other.assertQueue("secret");
  await expect(other.consume("secret", () => {})).rejects.toThrow(/403.*may not consume the queue secret/);
  await connection.close();
});

it("stompit is told of a refusal", async () => {
  const { port } = await start();
  const client = await StompitClient.connect(port);
  await expect(client.send("/queue/closed", "x")).rejects.toThrow(/may not send the queue closed/);
});
