import { expect, it } from "vitest";
import { eventually } from "../support/eventually.ts";
import type { Client } from "../../core/client.ts";
import { Amqp10Wire } from "../support/amqp10-wire.ts";
import { AmqpWire } from "../support/amqp091-wire.ts";
import { startManagement } from "../support/management.ts";
import { MqttWire } from "../support/mqtt-wire.ts";
import { StompWire } from "../support/stomp-wire.ts";

const HOST = "/api/v1/hosts/default";
const MQTT = ["listeners.mqtt.enabled=true", "listeners.mqtt.port=0"];

it("lists who is connected, with what each has sent and is waited for", async () => {
  const api = await startManagement();
  const client = await StompWire.connect(api.broker.port, { headers: { login: "admin", passcode: "secret" } });
  await client.request("SUBSCRIBE", { id: "1", destination: "/queue/a", ack: "client", selector: "n > 1" });
  await client.request("SEND", { destination: "/queue/a" }, "x");
  const { body } = await api.get("/api/v1/connections");
  const expected = {
    host: "default",
    user: "admin",
    protocol: "STOMP 1.2",
    listener: "stomp",
    transport: "tcp",
    subscriptions: 1,
    messages_received: 1,
    waiting_on: "client request",
  };
  expect(body).toMatchObject({ total_rows: 1, items: [expected] });
  const filtered = await api.get(`${HOST}/connections?q=user = 'admin' AND bytes_received > 0&f=id,user`);
  expect(filtered.body).toMatchObject({ items: [{ id: expect.stringMatching(/^default-/), user: "admin" }] });
  const [id] = [...api.broker.server.broker.hosts.values()].flatMap(({ clients }) => Array.from(clients, (c) => c.id));
  const subscription = { patterns: [{ kind: "queue", name: "a" }], selector: "n > 1", settling: true };
  const one = await api.get(`${HOST}/connections/${id}`);
  expect(one.body).toMatchObject({ ...expected, id, consumers: [subscription] });
  const listed = await api.get(`${HOST}/connections/${id}/subscriptions`);
  expect(listed.body).toMatchObject({ total_rows: 1, items: [subscription] });
});

it("closes a connection with a reason that its client is told, and audits it", async () => {
  const api = await startManagement();
  const client = await StompWire.connect(api.broker.port);
  const { body } = await api.get(`${HOST}/connections?f=id`);
  const [, id] = /"id":"([^"]+)"/.exec(JSON.stringify(body)) ?? [];
  const closed = await api.delete(`${HOST}/connections/${id}?reason=maintenance%20at%20noon`);
  expect(closed.status).toBe(204);
  expect(await client.refused()).toContain("maintenance at noon");
  await eventually(async () => expect((await api.get(`${HOST}/connections/${id}`)).status).toBe(404));
  const entry = api.broker.server.audit.recent().find(({ action }) => action === "connection.close");
  expect(entry).toMatchObject({ user: "admin", result: "ok", resource: expect.stringContaining(`${id}`) });
});

it("closes connections of every protocol with a reason that is long, and of more bytes than characters", async () => {
  const api = await startManagement();
  const { port } = api.broker;
  const reason = `${"€".repeat(199)}!`;
  using stomp = await StompWire.connect(port);
  using mqtt = await MqttWire.connect(port);
  using amqp091 = await AmqpWire.channel(port);
  using amqp10 = await Amqp10Wire.connect(port);
  const { clients } = api.broker.server.broker.host(undefined) ?? { clients: new Set<Client>() };
  expect(clients.size).toBe(4);
  for (const { id } of Array.from(clients)) {
    const { status } = await api.delete(`${HOST}/connections/${id}?reason=${encodeURIComponent(reason)}`);
    expect(status).toBe(204);
  }
  expect(await stomp.refused()).toContain(reason);
  expect((await mqtt.expect("disconnect")).properties?.reasonString).toContain(reason);
  expect((await amqp091.expect("connection.close")).replyText).toContain("€".repeat(50));
  expect((await amqp10.expect("close")).performative.error?.description).toContain(reason);
  await eventually(() => expect(clients.size).toBe(0));
});

it("lists sessions that outlive connections, looks at one, and ends it", async () => {
  const api = await startManagement(MQTT);
  const port = api.broker.server.listeners.find(({ name }) => name === "mqtt")?.port ?? 0;
  const options = { clientId: "pump", clean: false, properties: { sessionExpiryInterval: 3600 } };
  const client = await MqttWire.connect(port, options);
  await client.subscribe([
    { topic: "plant/+", qos: 1 },
    { topic: "$share/team/jobs", qos: 0 },
  ]);
  await client.disconnect();
  await eventually(async () => {
    const { body } = await api.get(`${HOST}/sessions`);
    expect(body).toMatchObject({
      total_rows: 1,
      items: [{ id: "mqtt/pump", connected: false, kept: true, expiry_ms: 3_600_000, subscriptions: 1 }],
    });
  });
  const publisher = await MqttWire.connect(port);
  await publisher.publish("plant/7", "warm", { qos: 1 });
  const { body } = await api.get(`${HOST}/sessions/mqtt%2Fpump`);
  expect(body).toMatchObject({
    messages: 1,
    shared_subscriptions: 1,
    interests: [
      { kind: "topic", pattern: "plant.*", group: null, quality: 1 },
      { kind: "topic", pattern: "jobs", group: "team", quality: 0 },
    ],
  });
  expect((await api.delete(`${HOST}/sessions/mqtt%2Fpump`)).status).toBe(204);
  expect((await api.delete(`${HOST}/sessions/mqtt%2Fpump`)).status).toBe(404);
  const again = await MqttWire.connect(port, options);
  expect(again.connack.sessionPresent).toBe(false);
});
