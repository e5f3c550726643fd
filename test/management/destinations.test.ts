import { Value } from "typebox/value";
import { expect, it, vi } from "vitest";
import { Address } from "../../core/addresses/address.ts";
import { Ledger } from "../../core/ledger.ts";
import { startManagement } from "../support/management.ts";
import { operationsOf, pathOf, record } from "../support/openapi.ts";
import { StompWire } from "../support/stomp-wire.ts";

const HOST = "/api/v1/hosts/default";

it("shows a queue's consumers, and what each waits for", async () => {
  const api = await startManagement();
  await api.put(`${HOST}/queues/a`);
  using client = await StompWire.connect(api.broker.port);
  await client.send("SUBSCRIBE", { id: "1", destination: "/queue/a", ack: "client", selector: "n = 1", receipt: "r" });
  await client.expect("RECEIPT");
  const consumer = {
    protocol: "STOMP 1.2",
    user: "guest",
    selector: "n = 1",
    settling: true,
    held: 0,
    waiting_on: "producer",
  };
  expect((await api.get(`${HOST}/queues/a`)).body).toMatchObject({ consumers: 1, links: [consumer] });
  expect((await api.get(`${HOST}/queues/a/consumers?f=waiting_on&q=held=0`)).body).toMatchObject({
    total_rows: 1,
    items: [{ waiting_on: "producer" }],
  });
});

it("pauses and resumes a queue", async () => {
  const api = await startManagement();
  await api.post(`${HOST}/queues/a/messages`, { body: "x" });
  expect((await api.post(`${HOST}/queues/a/pause`)).body).toMatchObject({ state: "paused" });
  expect((await api.post(`${HOST}/queues/a/consume`)).body).toEqual({ messages: [] });
  expect((await api.post(`${HOST}/queues/a/resume`)).body).toMatchObject({ state: "running" });
  expect((await api.post(`${HOST}/queues/a/consume`)).body).toMatchObject({ messages: [{ body: "x" }] });
});

it("deletes a queue only on the conditions that are asked for", async () => {
  const api = await startManagement();
  await api.post(`${HOST}/queues/a/messages`, { body: "x" });
  expect(await api.delete(`${HOST}/queues/a?if_empty=true`)).toMatchObject({ status: 409, body: { code: "in-use" } });
  using client = await StompWire.connect(api.broker.port);
  await client.send("SUBSCRIBE", { id: "1", destination: "/queue/a", ack: "client", receipt: "r" });
  await client.expect("RECEIPT");
  expect((await api.delete(`${HOST}/queues/a?if_unused=true`)).status).toBe(409);
  expect(await api.delete(`${HOST}/queues/a`)).toMatchObject({ status: 200, body: { messages: 1 } });
});

it("takes names with dots, slashes and letters of every script, encoded as names are", async () => {
  const api = await startManagement();
  for (const name of ["a.b", "a%2Eb", "größe.メッセージ", "with%20space/slash", "a?b#c&d"]) {
    const path = `${HOST}/queues/${encodeURIComponent(name)}`;
    const { body } = await api.put(path);
    const canonical = String(record(body)["name"]);
    expect((await api.get(`${HOST}/queues/${encodeURIComponent(canonical)}`)).body).toMatchObject({ name: canonical });
  }
  expect((await api.get(`${HOST}/queues`)).body).toMatchObject({ total_rows: 5 });
});

it("makes a topic, shows who gets its messages, and deletes it when nobody does", async () => {
  const api = await startManagement(["topics=[{match: 'news.**', subscriber_buffer: 1k}]"]);
  expect((await api.put(`${HOST}/topics/news.eu`)).status).toBe(201);
  expect((await api.put(`${HOST}/topics/news.eu`)).status).toBe(200);
  await api.put(`${HOST}/durable-subscriptions/d`, { topics: ["news.*"], selector: "n = 1" });
  const { body } = await api.get(`${HOST}/topics/news.eu`);
  expect(body).toMatchObject({
    subscribers: 1,
    targets: [{ kind: "durable", id: "d" }],
    policy: expect.arrayContaining([{ key: "subscriber_buffer", value: "1k", origin: "topics[0] (news.**)" }]),
  });
  expect((await api.get(`${HOST}/topics/news.eu/subscribers`)).body).toMatchObject({ items: [{ id: "d" }] });
  expect((await api.delete(`${HOST}/topics/news.eu`)).status).toBe(409);
  expect((await api.delete(`${HOST}/durable-subscriptions/d`)).status).toBe(204);
  expect((await api.delete(`${HOST}/topics/news.eu`)).status).toBe(204);
  expect((await api.get(`${HOST}/topics/news.eu`)).status).toBe(404);
});

it("makes a durable subscription, changes what it is over, pauses and resumes it", async () => {
  const api = await startManagement();
  const path = `${HOST}/durable-subscriptions/${encodeURIComponent("billing/eu")}`;
  expect((await api.put(path, { topics: ["a.*"], selector: "n > 1" })).body).toMatchObject({
    id: "billing/eu",
    kind: "durable",
    topics: ["a.*"],
    selector: "n > 1",
  });
  expect((await api.put(path, { topics: ["a.*", "b"] })).body).toMatchObject({ topics: ["a.*", "b"], selector: null });
  await api.post(`${HOST}/topics/b/messages`, { body: "x" });
  expect((await api.post(`${path}/pause`)).body).toMatchObject({ state: "paused", messages: 1 });
  expect((await api.post(`${path}/resume`)).body).toMatchObject({ state: "running" });
  expect((await api.get(`${path}/messages`)).body).toMatchObject({ messages: [{ body: "x" }] });
  expect((await api.post(`${path}/consume`)).body).toMatchObject({ messages: [{ body: "x" }] });
});

it("builds rows for the page only where there are 100,000 destinations", async () => {
  const api = await startManagement(["hosts.default.max_destinations=200000"]);
  const host = api.broker.server.broker.hosts.get("default");
  for (let n = 0; n < 100_000; n++) host?.createTopic(new Address("topic", ["t", `${n}`]));
  const built = vi.spyOn(Ledger.prototype, "lostTotal", "get");
  for (const query of [
    "",
    "&p=900",
    "&o=-name",
    "&o=-subscribers",
    "&o=received",
    "&q=name%20LIKE%20'%2599'",
    "&f=name&f=lost",
  ]) {
    built.mockClear();
    expect((await api.get(`${HOST}/topics?ps=50${query}`)).body).toMatchObject({ items: { length: 50 } });
    expect(built.mock.calls.length).toBe(50);
  }
  built.mockRestore();
});

it("answers what its document says, and nothing else", async () => {
  const api = await startManagement();
  using client = await StompWire.connect(api.broker.port);
  await client.send("SUBSCRIBE", { id: "1", destination: "/queue/a", ack: "client", receipt: "r" });
  await client.send("SUBSCRIBE", { id: "2", destination: "/topic/a", receipt: "s" });
  await client.expect("RECEIPT");
  await client.expect("RECEIPT");
  await api.put(`${HOST}/durable-subscriptions/a`, { topics: ["a"] });
  const said = {
    body: { a: 1 },
    body_encoding: "structured",
    properties: { n: 1 },
    reply_to: { name: "b" },
    ttl_ms: 60_000,
  };
  for (const kind of ["queues", "topics"]) await api.post(`${HOST}/${kind}/a/messages`, said);
  await api.post(`${HOST}/queues/a/copy`, { to: { name: "b" } });
  const wrong: string[] = [];
  let answered = 0;
  for (const operation of await operationsOf(api)) {
    const schema = operation.answers.get("200");
    if (operation.method !== "GET" || schema === undefined) continue;
    const { status, body } = await api.get(pathOf(operation, { job: "1" }));
    if (status !== 200) continue;
    answered++;
    for (const { instancePath, message } of Value.Errors(closed(schema), body)) {
      wrong.push(`${operation.path}: ${instancePath} ${message}`);
    }
  }
  expect(wrong).toEqual([]);
  expect(answered).toBeGreaterThan(20);
});

/** A schema that takes nothing it does not name. */
function closed(schema: unknown): Record<string, unknown> {
  const copy = record(schema);
  for (const [key, inner] of Object.entries(copy)) {
    if (key === "properties" || key === "patternProperties") {
      copy[key] = Object.fromEntries(Object.entries(record(inner)).map(([name, each]) => [name, closed(each)]));
    } else if (key === "items" || key === "additionalProperties")
      copy[key] = typeof inner === "object" ? closed(inner) : inner;
    else if ((key === "anyOf" || key === "oneOf") && Array.isArray(inner)) copy[key] = inner.map(closed);
  }
  if ("properties" in copy && !("additionalProperties" in copy)) copy["additionalProperties"] = false;
  return copy;
}

it("knows temporary destinations by whose they are, and not by how their names begin", async () => {
  const api = await startManagement();
  using client = await StompWire.connect(api.broker.port);
  await client.request("SUBSCRIBE", { id: "1", destination: "/temp-queue/mine" });
  await api.put(`${HOST}/queues/temp.kitchen`);
  await api.put(`${HOST}/topics/temp.kitchen`);
  const of = async (kind: string): Promise<unknown> => (await api.get(`${HOST}/${kind}?f=temporary&o=temporary`)).body;
  expect(await of("queues")).toMatchObject({ items: [{ temporary: false }, { temporary: true }] });
  expect(await of("topics")).toMatchObject({ items: [{ temporary: false }] });
});
