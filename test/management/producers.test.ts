import { connect as connectAmqp091 } from "amqplib";
import { connect as connectMqtt } from "mqtt";
import rhea from "rhea";
import { expect, it, onTestFinished } from "vitest";
import { eventually } from "../support/eventually.ts";
import { startManagement, type TestManagement } from "../support/management.ts";
import { record } from "../support/openapi.ts";
import { StompWire } from "../support/stomp-wire.ts";

const HOST = "/api/v1/hosts/default";

/** Who sends somewhere: protocol and messages. */
async function producersOf(api: TestManagement, path: string): Promise<unknown[]> {
  const { body } = await api.get(`${HOST}/${path}/producers?f=protocol,messages&o=protocol`);
  const { items } = record(body);
  return Array.isArray(items) ? items.map((item) => Object.values(record(item)).join(": ")) : [];
}

it("lists who sends to a queue, a topic and an exchange, over every protocol, and how much", async () => {
  const api = await startManagement();
  await api.put(`${HOST}/queues/q`);
  await api.put(`${HOST}/topics/t`);
  await api.put(`${HOST}/exchanges/x`, { type: "fanout" });
  const { port } = api.broker;

  using stomp = await StompWire.connect(port);
  for (let n = 0; n < 3; n++) await stomp.request("SEND", { destination: "/queue/q" }, "x");
  await stomp.request("SEND", { destination: "/queue/q,/topic/t" }, "x");

  const mqtt = connectMqtt(`mqtt://127.0.0.1:${port}`);
  onTestFinished(() => void mqtt.end(true));
  for (const topic of ["t", "t", "$queue/q"]) await mqtt.publishAsync(topic, "x", { qos: 1 });

  const amqp091 = await connectAmqp091(`amqp://guest:guest@127.0.0.1:${port}`);
  onTestFinished(() => amqp091.close());
  const channel = await amqp091.createConfirmChannel();
  channel.sendToQueue("q", Buffer.from("x"));
  channel.publish("x", "any", Buffer.from("x"));
  channel.publish("x", "other", Buffer.from("x"));
  await channel.waitForConfirms();

  const amqp10 = rhea.create_container().connect({ port, host: "127.0.0.1", reconnect: false });
  onTestFinished(() => amqp10.close());
  const sender = amqp10.open_sender("queue://q");
  await new Promise((resolve) => void sender.once("sendable", resolve));
  sender.send({ body: "x" });

  await eventually(async () =>
    expect(await producersOf(api, "queues/q")).toEqual([
      "AMQP 0-9-1: 1",
      "AMQP 1.0: 1",
      "MQTT 3.1.1: 1",
      "STOMP 1.2: 4",
    ]),
  );
  expect(await producersOf(api, "topics/t")).toEqual(["MQTT 3.1.1: 2", "STOMP 1.2: 1"]);
  expect(await producersOf(api, "exchanges/x")).toEqual(["AMQP 0-9-1: 2"]);
  sender.close();
  await eventually(async () => expect(await producersOf(api, "queues/q")).not.toContain("AMQP 1.0: 1"));
});
