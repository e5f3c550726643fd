import { expect, it, vi } from "vitest";
import { connectRhea, openReceiver } from "../clients/rhea-client.ts";
import { AmqpWire } from "../support/amqp091-wire.ts";
import { eventually } from "../support/eventually.ts";
import { startManagement, type TestManagement } from "../support/management.ts";
import { MqttWire } from "../support/mqtt-wire.ts";
import { record } from "../support/openapi.ts";
import { StompWire } from "../support/stomp-wire.ts";

const HOST = "/api/v1/hosts/default";

async function send(api: TestManagement, name: string, body: unknown, more: object = {}): Promise<void> {
  expect(await api.post(`${HOST}/queues/${name}/messages`, { body, ...more })).toMatchObject({ status: 200 });
}

it("sends, browses and consumes a message with all it says", async () => {
  const api = await startManagement();
  await send(api, "a", "grüße", {
    priority: 7,
    ttl_ms: 60_000,
    message_id: "m1",
    correlation_id: "c1",
    reply_to: { name: "replies" },
    subject: "greeting",
    content_type: "text/plain",
    group_id: "g",
    properties: { n: 1.5, yes: true, text: "x", none: null },
  });
  const expected = {
    sequence: 1,
    deliveries: 0,
    address: { kind: "queue", name: "a" },
    protocol: "http",
    durable: true,
    priority: 7,
    message_id: "m1",
    correlation_id: "c1",
    reply_to: { kind: "queue", name: "replies" },
    subject: "greeting",
    content_type: "text/plain",
    user_id: "admin",
    group_id: "g",
    properties: { n: 1.5, yes: true, text: "x", none: null },
    body: "grüße",
    body_encoding: "text",
    body_kind: "text",
    body_bytes: 7,
    body_truncated: false,
  };
  const browsed = await api.get(`${HOST}/queues/a/messages`);
  expect(browsed.body).toMatchObject({ total_messages: 1, last_sequence: 1, more: false, messages: [expected] });
  const cut = await api.get(`${HOST}/queues/a/messages?max_body=3`);
  expect(cut.body).toMatchObject({ messages: [{ body: "gr", body_bytes: 7, body_truncated: true }] });
  const consumed = await api.post(`${HOST}/queues/a/consume`);
  expect(consumed.body).toMatchObject({ messages: [expected] });
  expect((await api.get(`${HOST}/queues/a`)).body).toMatchObject({ messages: 0, consumed: 1, received: 1 });
});

it("takes every kind of body and gives it back as it was", async () => {
  const api = await startManagement();
  const bodies = [
    { body: "text", body_encoding: "text" },
    { body: "AP8=", body_encoding: "base64" },
    { body: { a: [1, null, "x"] }, body_encoding: "json" },
    { body: { a: [1, true, "x"] }, body_encoding: "structured" },
    { body: [1, { b: "c" }], body_encoding: "structured" },
    { body: "word", body_encoding: "structured" },
  ];
  for (const each of bodies) await send(api, "a", each.body, { body_encoding: each.body_encoding });
  const { body } = await api.post(`${HOST}/queues/a/consume`, { max: 10 });
  expect(body).toMatchObject({
    messages: [
      { body_kind: "text", body_encoding: "text", body: "text" },
      { body_kind: "bytes", body_encoding: "base64", body: "AP8=" },
      { body_kind: "text", content_type: "application/json", body: '{"a":[1,null,"x"]}' },
      { body_kind: "map", body_encoding: "json", body: { a: [1, true, "x"] } },
      { body_kind: "list", body_encoding: "json", body: [1, { b: "c" }] },
      { body_kind: "value", body_encoding: "json", body: "word" },
    ],
  });
});

it("browses from a place on, by selector, and says whether there is more", async () => {
  const api = await startManagement();
  for (let n = 1; n <= 5; n++) await send(api, "a", `${n}`, { properties: { n } });
  const first = await api.get(`${HOST}/queues/a/messages?max=2`);
  expect(first.body).toMatchObject({ more: true, messages: [{ sequence: 1 }, { sequence: 2 }] });
  const rest = await api.get(`${HOST}/queues/a/messages?from=3&to=4`);
  expect(rest.body).toMatchObject({ more: false, messages: [{ sequence: 3 }, { sequence: 4 }] });
  const some = await api.get(`${HOST}/queues/a/messages?selector=${encodeURIComponent("n > 4")}`);
  expect(some.body).toMatchObject({ messages: [{ sequence: 5, body: "5" }] });
});

it("waits for the first message, and answers with none when none comes", async () => {
  const api = await startManagement();
  await api.put(`${HOST}/queues/a`);
  expect((await api.post(`${HOST}/queues/a/consume`, { wait_ms: 1 })).body).toEqual({ messages: [] });
  const waiting = api.post(`${HOST}/queues/a/consume`, { wait_ms: 20_000 });
  await eventually(async () => expect((await api.get(`${HOST}/queues/a`)).body).toMatchObject({ consumers: 1 }));
  await send(api, "a", "late");
  expect((await waiting).body).toMatchObject({ messages: [{ body: "late" }] });
});

it("browses in pages that have every message once, whatever the priorities", async () => {
  const api = await startManagement();
  for (const priority of [4, 9, 4, 9, 0]) await send(api, "a", `${priority}`, { priority });
  const places: unknown[] = [];
  for (const skip of [0, 2, 4]) {
    const { body } = await api.get(`${HOST}/queues/a/messages?max=2&skip=${skip}`);
    expect(body).toMatchObject({ more: skip < 4 });
    const { messages } = record(body);
    if (Array.isArray(messages)) places.push(...messages.map((message) => record(message)["sequence"]));
  }
  expect(places).toEqual([2, 4, 1, 3, 5]);
});

it("gives messages back that are only looked at by consuming", async () => {
  const api = await startManagement();
  await send(api, "a", "x");
  expect((await api.post(`${HOST}/queues/a/consume`, { ack: "requeue" })).body).toMatchObject({
    messages: [{ body: "x" }],
  });
  expect((await api.post(`${HOST}/queues/a/consume`)).body).toMatchObject({ messages: [{ body: "x", deliveries: 0 }] });
});

it("leases messages until they are settled, each with its outcome", async () => {
  const api = await startManagement();
  for (const body of ["1", "2", "3"]) await send(api, "a", body);
  const { body } = await api.post(`${HOST}/queues/a/consume`, { ack: "lease", max: 3 });
  expect(body).toMatchObject({ messages: [{ sequence: 1 }, { sequence: 2 }, { sequence: 3 }] });
  const lease = `${HOST}/leases/${leaseOf(body)}`;
  expect((await api.get(`${HOST}/queues/a`)).body).toMatchObject({ messages: 3, held: 3, ready: 0 });
  expect((await api.post(lease, { sequences: [1] })).body).toEqual({ settled: 1, left: 2 });
  expect((await api.post(lease, { outcome: "failed", sequences: [2] })).body).toEqual({ settled: 1, left: 1 });
  expect((await api.post(lease, { outcome: "rejected" })).body).toEqual({ settled: 1, left: 0 });
  expect((await api.post(lease)).status).toBe(404);
  expect((await api.get(`${HOST}/queues/a/messages`)).body).toMatchObject({ messages: [{ body: "2", deliveries: 1 }] });
});

it("takes a lease back when its time is over", async () => {
  const api = await startManagement();
  await send(api, "a", "x");
  const { body } = await api.post(`${HOST}/queues/a/consume`, { ack: "lease", lease_ms: 100 });
  await eventually(async () =>
    expect((await api.get(`${HOST}/queues/a`)).body).toMatchObject({ messages: 1, held: 0 }),
  );
  expect((await api.post(`${HOST}/leases/${leaseOf(body)}`)).status).toBe(404);
});

it("gives back what was taken for somebody who has gone", async () => {
  const api = await startManagement();
  await api.put(`${HOST}/queues/a`);
  const controller = new AbortController();
  const gone = fetch(`${api.url}${HOST}/queues/a/consume`, {
    method: "POST",
    signal: controller.signal,
    headers: { authorization: `Basic ${btoa("admin:secret")}`, "content-type": "application/json" },
    body: JSON.stringify({ wait_ms: 20_000 }),
  }).catch(() => "gone");
  await eventually(async () => expect((await api.get(`${HOST}/queues/a`)).body).toMatchObject({ consumers: 1 }));
  controller.abort();
  expect(await gone).toBe("gone");
  await eventually(async () => expect((await api.get(`${HOST}/queues/a`)).body).toMatchObject({ consumers: 0 }));
  await send(api, "a", "stays");
  expect((await api.get(`${HOST}/queues/a`)).body).toMatchObject({ messages: 1 });
});

it("receives from a topic what is published while it waits", async () => {
  const api = await startManagement();
  const waiting = api.post(`${HOST}/topics/news.*/consume`, { wait_ms: 20_000 });
  await api.put(`${HOST}/topics/news.eu`);
  await eventually(async () =>
    expect((await api.get(`${HOST}/topics/news.eu`)).body).toMatchObject({ subscribers: 1 }),
  );
  await api.post(`${HOST}/topics/news.eu/messages`, { body: "hello" });
  expect((await waiting).body).toMatchObject({
    messages: [{ body: "hello", address: { kind: "topic", name: "news.eu" } }],
  });
});

it("has a topic retain a message", async () => {
  const api = await startManagement();
  await api.post(`${HOST}/topics/state/messages`, { body: "on", retain: true });
  expect((await api.get(`${HOST}/topics/state`)).body).toMatchObject({ retained: true });
  await api.post(`${HOST}/topics/state/messages`, { retain: true });
  expect((await api.get(`${HOST}/topics/state`)).body).toMatchObject({ retained: false });
});

it("asks and gets the reply, or says that none came", async () => {
  const api = await startManagement();
  await api.put(`${HOST}/queues/service`);
  const asked = api.post(`${HOST}/queues/service/request`, { body: "2+2", timeout_ms: 20_000 });
  const { body } = await api.post(`${HOST}/queues/service/consume`, { wait_ms: 20_000 });
  const [request] = messagesOf(body);
  await api.post(`${HOST}/queues/${request?.reply_to?.name}/messages`, { body: "4" });
  expect(await asked).toMatchObject({ status: 200, body: { body: "4" } });
  expect(await api.post(`${HOST}/queues/service/request`, { body: "?", timeout_ms: 1 })).toMatchObject({
    status: 504,
    body: { code: "timeout" },
  });
});

it("sends by way of an exchange", async () => {
  const api = await startManagement();
  await api.put(`${HOST}/queues/a`);
  expect((await api.post(`${HOST}/exchanges/amq.nothing/messages?key=a`, { body: "x" })).status).toBe(404);
  await api.post(`${HOST}/exchanges/amq.topic/messages?key=b.c`, { body: "x" });
  expect((await api.get(`${HOST}/topics?f=name`)).body).toMatchObject({ items: [{ name: "b.c" }] });
});

it("takes nothing for a full queue and says when to come again", async () => {
  const api = await startManagement(["queues=[{match: a, max_messages: 1, full: block}]", "management.max_wait=1"]);
  await send(api, "a", "1");
  const refused = await api.post(`${HOST}/queues/a/messages`, { body: "2" });
  expect(refused).toMatchObject({ status: 503, body: { code: "full", detail: expect.stringContaining("queue a") } });
  expect(refused.headers.get("retry-after")).toBe("1");
  expect((await api.get(`${HOST}/queues/a`)).body).toMatchObject({ messages: 1, full: true });
});

it("refuses bodies that are not what their encoding says", async () => {
  const api = await startManagement();
  for (const wrong of [{ body: 1 }, { body: "***", body_encoding: "base64" }, { body: {}, body_encoding: "text" }]) {
    expect(await api.post(`${HOST}/queues/a/messages`, wrong)).toMatchObject({
      status: 400,
      body: { code: "bad-request" },
    });
  }
});

interface Shown {
  readonly reply_to?: { readonly name: string };
}

function messagesOf(body: unknown): Shown[] {
  return typeof body === "object" && body !== null && "messages" in body && Array.isArray(body.messages)
    ? body.messages
    : [];
}

function leaseOf(body: unknown): string {
  return typeof body === "object" && body !== null && "lease" in body ? String(body.lease) : "";
}

it("refuses a body so deep that converting it would overflow somebody's stack", async () => {
  const api = await startManagement();
  const post = (depth: number, encoding: string) =>
    api.post(
      `${HOST}/queues/a/messages`,
      `{"body":${"[".repeat(depth)}${"]".repeat(depth)},"body_encoding":"${encoding}"}`,
    );
  for (const encoding of ["json", "structured"]) {
    expect(await post(64, encoding)).toMatchObject({ status: 200 });
    for (const depth of [65, 4000, 5000]) {
      const { status, body } = await post(depth, encoding);
      expect(status).toBe(400);
      expect(body).toMatchObject({ detail: expect.stringContaining("more than 64 lists or objects") });
    }
  }
});

it("takes no message that is too large for a reply, says so, and leaves it where it is", async () => {
  const api = await startManagement(["management.max_body=2k"]);
  const client = await StompWire.connect(api.broker.port);
  await client.request("SEND", { destination: "/queue/a" }, "x".repeat(3000));
  const refused = await api.post(`${HOST}/queues/a/consume`, { max: 10 });
  expect(refused).toMatchObject({ status: 413, body: { detail: expect.stringContaining("management.max_body") } });
  expect((await api.get(`${HOST}/queues/a`)).body).toMatchObject({ messages: 1, held: 0, consumed: 0 });
  const browsed = await api.get(`${HOST}/queues/a/messages?max_body=10`);
  expect(browsed.body).toMatchObject({ messages: [{ body_truncated: true, body_bytes: 3000 }] });
});

it("consumes nothing that cannot be written into a reply", async () => {
  const api = await startManagement();
  await send(api, "a", "x");
  const real = JSON.stringify;
  const broken = vi.spyOn(JSON, "stringify").mockImplementation((value: unknown) => {
    if (typeof value === "object" && value !== null && "messages" in value)
      throw new RangeError("Invalid string length");
    return real(value);
  });
  const refused = await api.post(`${HOST}/queues/a/consume`);
  broken.mockRestore();
  expect(refused).toMatchObject({ status: 413, body: { code: "too-large" } });
  expect((await api.get(`${HOST}/queues/a`)).body).toMatchObject({ messages: 1, held: 0, consumed: 0 });
});

it("lets no cache keep what messages say, and has lists asked for again by their tags", async () => {
  const api = await startManagement();
  await send(api, "a", "x");
  await api.put(`${HOST}/retained/t`, { body: "x" });
  for (const path of ["queues/a/messages", "retained/t"]) {
    const { headers } = await api.get(`${HOST}/${path}`);
    expect([headers.get("cache-control"), headers.get("etag")]).toEqual(["no-store", null]);
  }
  const listed = await api.get(`${HOST}/queues?f=name`);
  const tag = String(listed.headers.get("etag"));
  const known = { headers: { "if-none-match": tag } };
  expect((await api.get(`${HOST}/queues?f=name`, known)).status).toBe(304);
  await api.put(`${HOST}/queues/b`);
  expect((await api.get(`${HOST}/queues?f=name`, known)).status).toBe(200);
});

it("odd texts in what is sent over HTTP reach readers of every protocol, and end nobody's connection", async () => {
  const api = await startManagement();
  const { port } = api.broker;
  using stomp = await StompWire.connect(port);
  await stomp.request("SUBSCRIBE", { id: "1", destination: "/topic/t" });
  using mqtt = await MqttWire.connect(port);
  await mqtt.subscribe("t");
  using amqp091 = await AmqpWire.channel(port);
  const queue = await amqp091.declare("");
  await amqp091.ask(1, "queue.bind", { queue, exchange: "amq.topic", routingKey: "t" }, "queue.bind-ok");
  await amqp091.consume(queue, { noAck: true });
  const inbox = await openReceiver(connectRhea(port), "topic://t");
  const odd = [
    { properties: { "a\u0000b": "x\ny\u0000z", "": "empty", "\ud800": "\udfff", "colon:name": "c:d\\e\r" } },
    { content_type: "a\u0000b\n", message_id: "\n\u0000", correlation_id: "\ud800", subject: "\u0000", group_id: "\n" },
    { properties: Object.fromEntries(Array.from({ length: 1000 }, (_, n) => [`k${n}`, "x".repeat(20)])) },
    { properties: { ["n".repeat(300)]: 1, long: "v".repeat(70_000) } },
    { content_type: "c".repeat(65_536), correlation_id: "€".repeat(65_536) },
    { reply_to: { kind: "topic", name: "%00.%0A" }, ttl_ms: Number.MAX_SAFE_INTEGER, priority: 9 },
  ];
  for (const [n, more] of odd.entries()) {
    const { status, body } = await api.post("/api/v1/hosts/default/topics/t/messages", { body: `${n}`, ...more });
    expect([n, status, body]).toEqual([n, 200, { sent: 1 }]);
    expect((await stomp.message()).body.toString()).toBe(`${n}`);
    expect((await amqp091.delivery()).body).toBe(`${n}`);
    expect(String((await inbox.next()).message?.body)).toBe(`${n}`);
    expect(String((await mqtt.expect("publish")).payload)).toBe(`${n}`);
  }
});
