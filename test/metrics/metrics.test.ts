import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { connect as connectAmqp } from "amqplib";
import { describe, expect, it } from "vitest";
import { canonical } from "../../core/addresses/spelling.ts";
import { LOSS_REASONS } from "../../core/ledger.ts";
import { connectRhea, openSender, send } from "../clients/rhea-client.ts";
import { MqttWire } from "../support/mqtt-wire.ts";
import { temporaryFolder } from "../support/broker.ts";
import { authority } from "../support/certificates.ts";
import { startManagement, type TestManagement } from "../support/management.ts";
import { StompWire } from "../support/stomp-wire.ts";
import { HAS_PROMTOOL, promtool, readScrape } from "./scrape.ts";

const HOST = 'host="default"';

async function textOf(api: TestManagement, path = "/metrics"): Promise<string> {
  const { status, headers, body } = await api.get(path);
  expect([status, headers.get("content-type")]).toEqual([200, "text/plain; version=0.0.4; charset=utf-8"]);
  return String(body);
}

/** Every value, by name and labels. */
async function scrape(api: TestManagement, path?: string): Promise<Map<string, number>> {
  const families = readScrape(await textOf(api, path));
  return new Map([...families.values()].flatMap(({ samples }) => [...samples]));
}

/** What only grows, by name and labels. */
async function counters(api: TestManagement): Promise<Map<string, number>> {
  const families = readScrape(await textOf(api));
  return new Map([...families.values()].flatMap(({ type, samples }) => (type === "gauge" ? [] : [...samples])));
}

/** Has something done over two protocols, some of it in vain. */
async function work({ broker }: TestManagement): Promise<void> {
  using stomp = await StompWire.connect(broker.port);
  await stomp.request("SUBSCRIBE", { id: "1", destination: "/queue/q", ack: "client-individual" });
  using mqtt = await MqttWire.connect(broker.port);
  await mqtt.publish("$queue/q", "1", { qos: 1 });
  await mqtt.publish("nobody", "2", { qos: 1 });
  await stomp.ack(await stomp.message());
  await stomp.request("SEND", { destination: "/queue/left", persistent: "true" }, "3");
  await mqtt.disconnect();
  await stomp.request("DISCONNECT");
}

/** Has one message sent that is kept, which is known when this is fulfilled. */
const SENDERS: readonly [string, (api: TestManagement) => Promise<unknown>][] = [
  [
    "STOMP",
    async ({ broker }) => {
      using stomp = await StompWire.connect(broker.port);
      await stomp.request("SEND", { destination: "/queue/q", persistent: "true" }, "x");
    },
  ],
  [
    "MQTT",
    async ({ broker }) => {
      using mqtt = await MqttWire.connect(broker.port);
      await mqtt.publish("$queue/q", "x", { qos: 1 });
    },
  ],
  [
    "AMQP 0-9-1",
    async ({ broker }) => {
      const connection = await connectAmqp(`amqp://admin:secret@127.0.0.1:${broker.port}`);
      const channel = await connection.createConfirmChannel();
      await channel.assertQueue("q");
      channel.sendToQueue("q", Buffer.from("x"), { persistent: true });
      await channel.waitForConfirms();
      await connection.close();
    },
  ],
  [
    "AMQP 1.0",
    async ({ broker }) => {
      const connection = connectRhea(broker.port, { username: "admin", password: "secret" });
      await send(await openSender(connection, "queue://q"), { body: "x", durable: true });
    },
  ],
  ["HTTP", (api) => api.post("/api/v1/hosts/default/queues/q/messages", { body: "x" })],
];

describe("metrics", () => {
  it.each(SENDERS)(
    "tell how long messages take that are sent over %s, and how long their senders wait for the disk",
    async (_protocol, say) => {
      const api = await startManagement(["store.kind=lmdb", `store.directory=${temporaryFolder()}`]);
      const before = await scrape(api);
      // What is consumed at once need not be on disk.
      await say(api);
      using consumer = await StompWire.connect(api.broker.port);
      await consumer.request("SUBSCRIBE", { id: "1", destination: "/queue/q" });
      await consumer.message();
      const after = await scrape(api);
      for (const name of ["delos_delivery_latency_seconds_count", "delos_commit_wait_seconds_count"]) {
        expect((after.get(name) ?? 0) - (before.get(name) ?? 0), name).toBeGreaterThan(0);
      }
      expect(after.get("delos_delivery_latency_seconds_sum")).toBeGreaterThan(0);
    },
  );

  it("tell of messages by protocol, of losses by reason, and of what there is", async () => {
    const api = await startManagement();
    await work(api);
    const values = await scrape(api);
    const read = (name: string): number | undefined => values.get(name);
    expect(read(`delos_messages_received_total{${HOST},protocol="MQTT 5.0"}`)).toBe(2);
    expect(read(`delos_messages_received_total{${HOST},protocol="STOMP 1.2"}`)).toBe(1);
    expect(read(`delos_messages_delivered_total{${HOST},protocol="STOMP 1.2"}`)).toBe(1);
    expect(read(`delos_connections_opened_total{${HOST},protocol="STOMP 1.2"}`)).toBe(1);
    expect(read(`delos_messages_lost_total{${HOST},reason="no-subscriber"}`)).toBe(1);
    for (const reason of LOSS_REASONS)
      expect(read(`delos_messages_lost_total{${HOST},reason="${reason}"}`)).toBeTypeOf("number");
    expect(read(`delos_queues{${HOST}}`)).toBe(2);
    expect(read(`delos_messages_stored{${HOST}}`)).toBe(1);
    expect(read("delos_ready")).toBe(1);
    expect(read('delos_alarm{alarm="disk"}')).toBe(0);
    expect(read("delos_delivery_latency_seconds_count")).toBe(1);
    expect(read('delos_delivery_latency_seconds_bucket{le="+Inf"}')).toBe(1);
    expect(read("delos_commit_wait_seconds_count")).toBeGreaterThan(0);
    expect(read('delos_listener_accepted_total{listener="stomp"}')).toBe(2);
    expect(read("process_cpu_seconds_total")).toBeGreaterThan(0);
  });

  it("have totals that never go down, whatever goes", async () => {
    const api = await startManagement();
    await work(api);
    const before = await counters(api);
    const host = api.broker.server.broker.host(undefined);
    for (const name of ["q", "left"]) host?.deleteQueue(canonical.parse("queue", name));
    const after = await counters(api);
    expect(host?.queues.size).toBe(0);
    const fallen = [...before].filter(([name, value]) => (after.get(name) ?? -1) < value);
    expect(fallen).toEqual([]);
    expect(after.get(`delos_messages_lost_total{${HOST},reason="deleted"}`)).toBe(1);
  });

  it("tell of queues, topics and durable subscriptions one by one, of so many at most", async () => {
    const api = await startManagement(["metrics.max_objects=2"]);
    using stomp = await StompWire.connect(api.broker.port);
    for (const name of ["a", 'say "hi"\\', "c"]) await stomp.request("SEND", { destination: `/queue/${name}` }, "x");
    const durable = { id: "d", destination: "/topic/t", persistent: "true" };
    await stomp.request("SUBSCRIBE", durable);
    await stomp.send("SEND", { destination: "/topic/t" }, "x");
    await stomp.message();
    const values = await scrape(api, "/metrics/per-object");
    expect(values.get('delos_objects_omitted{kind="queue"}')).toBe(1);
    expect(values.get('delos_objects_omitted{kind="topic"}')).toBe(0);
    expect(values.get(`delos_queue_messages{${HOST},queue="a"}`)).toBe(1);
    expect([...values.keys()].filter((name) => name.startsWith("delos_queue_messages{"))).toHaveLength(2);
    expect(values.get(`delos_topic_subscribers{${HOST},topic="t"}`)).toBe(1);
    expect(values.get(`delos_durable_subscription_consumers{${HOST},subscription="d"}`)).toBe(1);
  });

  it("tell when certificates expire", async () => {
    const folder = temporaryFolder();
    const to = new Date("2099-01-02T03:04:05Z");
    const { certificate, key } = authority("CA").issue({ commonName: "broker", names: ["DNS:localhost"], to });
    writeFileSync(join(folder, "cert.pem"), certificate);
    writeFileSync(join(folder, "key.pem"), key);
    const api = await startManagement([
      `listeners.stomp.tls.certificate=${join(folder, "cert.pem")}`,
      `listeners.stomp.tls.key=${join(folder, "key.pem")}`,
    ]);
    const values = await scrape(api);
    const name = 'delos_certificate_expiry_timestamp_seconds{listener="stomp",name=""}';
    expect(values.get(name)).toBe(to.getTime() / 1000);
  });

  it("come as OpenMetrics to who prefers that, and as Prometheus' own text to all others", async () => {
    const api = await startManagement();
    await work(api);
    const accept = "application/openmetrics-text;version=1.0.0;q=0.6,text/plain;version=0.0.4;q=0.3,*/*;q=0.2";
    for (const path of ["/metrics", "/metrics/per-object"]) {
      const { headers, body } = await api.get(path, { headers: { accept } });
      expect(headers.get("content-type")).toBe("application/openmetrics-text; version=1.0.0; charset=utf-8");
      const lines = String(body).split("\n");
      expect(lines.slice(-2)).toEqual(["# EOF", ""]);
      const families = lines.flatMap((line) => /^# TYPE (\S+) counter$/.exec(line)?.[1] ?? []);
      expect(families.length).toBeGreaterThan(5);
      const names = new Set(lines.map((line) => line.split(/[ {]/, 1)[0] ?? ""));
      for (const name of families) {
        expect(name).not.toMatch(/_total$/);
        expect(names.has(name)).toBe(false);
      }
      const plain = String((await api.get(path)).body).split("\n");
      expect(plain.filter((line) => !line.startsWith("#")).length).toBe(
        lines.filter((line) => !line.startsWith("#")).length,
      );
    }
    expect((await api.get("/metrics", { headers: { accept: "*/*" } })).headers.get("content-type")).toMatch(/^text/);
  });

  it("are for those who may monitor the broker", async () => {
    const api = await startManagement();
    expect((await api.get("/metrics", { as: null })).status).toBe(401);
    expect((await api.get("/metrics/per-object", { as: null })).status).toBe(401);
  });

  it("are for everybody, if they are to be", async () => {
    const api = await startManagement(["metrics.anonymous=true"]);
    expect((await api.get("/metrics", { as: null })).status).toBe(200);
    expect((await api.get("/metrics/per-object", { as: null })).status).toBe(401);
  });

  it.skipIf(!HAS_PROMTOOL)("are what promtool takes for good ones", async () => {
    const api = await startManagement();
    await work(api);
    for (const path of ["/metrics", "/metrics/per-object"]) {
      expect(promtool(["check", "metrics"], await textOf(api, path))).toBe("");
    }
  });
});
