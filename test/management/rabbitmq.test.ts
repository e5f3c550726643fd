import { readFileSync } from "node:fs";
import { join } from "node:path";
import { connect } from "amqplib";
import { expect, it } from "vitest";
import { startManagement, type TestManagement } from "../support/management.ts";
import { StompWire } from "../support/stomp-wire.ts";

const VHOST = "%2F";

async function publish(api: TestManagement, exchange: string, more: object): Promise<unknown> {
  const said = { routing_key: "", payload: "hello", payload_encoding: "string", properties: {}, ...more };
  return (await api.post(`/api/exchanges/${VHOST}/${exchange}/publish`, said)).body;
}

async function get(api: TestManagement, queue: string, more: object = {}): Promise<unknown> {
  const said = { count: 10, ackmode: "ack_requeue_false", encoding: "auto", ...more };
  return (await api.post(`/api/queues/${VHOST}/${queue}/get`, said)).body;
}

it("declares queues, exchanges and bindings, which are those of all other protocols", async () => {
  const api = await startManagement();
  const args = { "x-max-length": 3, "x-dead-letter-exchange": "amq.fanout" };
  expect((await api.put(`/api/queues/${VHOST}/a.b`, { durable: "true", arguments: args })).status).toBe(201);
  expect((await api.put(`/api/queues/${VHOST}/a.b`, { durable: true, arguments: args })).status).toBe(204);
  const different = await api.put(`/api/queues/${VHOST}/a.b`, { durable: false, arguments: args });
  expect(different).toMatchObject({
    status: 400,
    body: { reason: expect.stringContaining("inequivalent arg 'durable'") },
  });
  expect((await api.put(`/api/exchanges/${VHOST}/ex`, { type: "topic" })).status).toBe(201);
  expect((await api.put(`/api/exchanges/${VHOST}/ex`, { type: "teleport" })).status).toBe(400);
  const path = `/api/bindings/${VHOST}/e/ex/q/a.b`;
  const bound = await api.post(path, { routing_key: "x.#", arguments: { n: 1 } });
  expect(bound.status).toBe(201);
  expect((await api.get(path)).body).toMatchObject([
    {
      source: "ex",
      destination: "a.b",
      destination_type: "queue",
      routing_key: "x.#",
      arguments: { n: 1 },
      vhost: "/",
    },
  ]);
  expect((await api.get(`/api/queues/${VHOST}/a.b/bindings`)).body).toMatchObject([
    { source: "", routing_key: "a.b" },
    { source: "ex", routing_key: "x.#" },
  ]);
  const shown = await api.get(`/api/queues/${VHOST}/a.b`);
  expect(shown.body).toMatchObject({ name: "a.b", vhost: "/", durable: true, arguments: args, messages: 0 });
  const client = await StompWire.connect(api.broker.port);
  await client.request("SEND", { destination: "/exchange/ex/x.y" }, "by STOMP");
  expect(await get(api, "a.b")).toMatchObject([{ payload: "by STOMP", exchange: "ex", routing_key: "x.y" }]);
  expect((await api.delete(bound.headers.get("location") ?? "")).status).toBe(204);
  expect((await api.delete(bound.headers.get("location") ?? "")).status).toBe(404);
  expect((await api.delete(`/api/queues/${VHOST}/a.b?if-empty=true`)).status).toBe(204);
  expect((await api.get(`/api/queues/${VHOST}/a.b`)).status).toBe(404);
  expect((await api.delete(`/api/exchanges/${VHOST}/ex`)).status).toBe(204);
});

it("publishes with all properties and gives messages back, removes them, or puts them back", async () => {
  const api = await startManagement();
  await api.put(`/api/queues/${VHOST}/q`);
  const properties = {
    content_type: "application/json",
    delivery_mode: 2,
    priority: 5,
    correlation_id: "c",
    reply_to: "replies",
    expiration: "60000",
    message_id: "m",
    timestamp: 1_700_000_000,
    type: "t",
    app_id: "app",
    headers: { n: 1, f: 1.5, yes: true, text: "x", none: null, list: [1, "a"], table: { deep: "er" } },
  };
  expect(await publish(api, "amq.default", { routing_key: "q", properties })).toEqual({ routed: true });
  expect(await publish(api, "amq.default", { routing_key: "nowhere" })).toEqual({ routed: false });
  const expected = { payload: "hello", payload_bytes: 5, payload_encoding: "string", redelivered: false, properties };
  expect(await get(api, "q", { ackmode: "ack_requeue_true" })).toEqual([
    { ...expected, exchange: "", routing_key: "q", message_count: 0 },
  ]);
  expect(await get(api, "q", { truncate: 2 })).toMatchObject([{ payload: "he", payload_bytes: 5 }]);
  expect(await get(api, "q")).toEqual([]);
  await publish(api, "amq.default", { routing_key: "q", payload: "AP8=", payload_encoding: "base64" });
  await publish(api, "amq.default", { routing_key: "q" });
  expect(await get(api, "q", { count: 1 })).toMatchObject([
    { payload: "AP8=", payload_encoding: "base64", message_count: 1 },
  ]);
  expect((await api.delete(`/api/queues/${VHOST}/q/contents`)).status).toBe(204);
  expect((await api.get(`/api/queues/${VHOST}/q`)).body).toMatchObject({ messages: 0 });
});

it("shows the queues, consumers and connections of clients of AMQP 0-9-1, and closes these", async () => {
  const api = await startManagement(["listeners.amqp.enabled=true", "listeners.amqp.port=0"]);
  const port = api.broker.server.listeners.find(({ name }) => name === "amqp")?.port;
  const connection = await connect(`amqp://admin:secret@127.0.0.1:${port}`);
  const channel = await connection.createChannel();
  await channel.assertQueue("q", { durable: true, arguments: { "x-max-length": 5 } });
  await channel.consume("q", () => {}, { consumerTag: "tag", noAck: true });
  expect((await api.get(`/api/queues/${VHOST}/q`)).body).toMatchObject({
    durable: true,
    arguments: { "x-max-length": 5 },
    consumers: 1,
    consumer_details: [{ queue: { name: "q", vhost: "/" }, ack_required: false }],
  });
  expect((await api.get("/api/consumers")).body).toMatchObject([{ queue: { name: "q" } }]);
  const connections = await api.get("/api/connections?columns=name,user,protocol,channels");
  const expected = { user: "admin", protocol: "AMQP 0-9-1", channels: 1, name: expect.stringContaining(" -> ") };
  expect(connections.body).toEqual([expected]);
  expect((await api.get("/api/channels")).body).toMatchObject([{ user: "admin", consumer_count: 1, number: 1 }]);
  const [, name = ""] = /"name":"([^"]+)"/.exec(JSON.stringify(connections.body)) ?? [];
  const closed = new Promise<string>((resolve) =>
    connection.on("close", (error?: Error) => resolve(error?.message ?? "")),
  );
  const gone = await api.delete(`/api/connections/${encodeURIComponent(name)}`, {
    headers: { "x-reason": "maintenance" },
  });
  expect(gone.status).toBe(204);
  expect(await closed).toContain("maintenance");
});

it("exports definitions and takes them again, whole, into an empty broker", async () => {
  const first = await startManagement();
  await first.put(`/api/exchanges/${VHOST}/ex`, {
    type: "x-delayed-message",
    arguments: { "x-delayed-type": "topic" },
  });
  await first.put(`/api/exchanges/${VHOST}/other`, {
    type: "headers",
    arguments: { "alternate-exchange": "amq.fanout" },
  });
  await first.put(`/api/queues/${VHOST}/q.1`, { arguments: { "x-max-priority": 5, "x-message-ttl": 1000 } });
  await first.post(`/api/bindings/${VHOST}/e/ex/q/q.1`, { routing_key: "a.*" });
  await first.post(`/api/bindings/${VHOST}/e/ex/e/other`, { routing_key: "#" });
  await first.post(`/api/bindings/${VHOST}/e/other/q/q.1`, { arguments: { "x-match": "any", n: 1 } });
  await first.put("/api/users/ann", { password: "x", tags: "monitoring,plant" });
  const { body: definitions } = await first.get("/api/definitions");
  expect(JSON.stringify(definitions)).not.toMatch(/scrypt|sha256\$/);
  expect(definitions).toMatchObject({
    users: [{ name: "admin" }, { name: "ann", tags: ["monitoring", "plant"] }],
    vhosts: [{ name: "/" }],
    permissions: expect.arrayContaining([{ user: "ann", vhost: "/", configure: ".*", write: ".*", read: ".*" }]),
    queues: [{ name: "q.1", vhost: "/", durable: true, auto_delete: false }],
  });
  const second = await startManagement();
  const taken = await second.post("/api/definitions", definitions);
  expect(taken).toMatchObject({ status: 200, body: { imported: { users: 1, exchanges: 2, queues: 1, bindings: 3 } } });
  expect(JSON.stringify(taken.body)).toContain("user ann: was made without a password");
  const { body: again } = await second.get("/api/definitions");
  expect(again).toEqual(definitions);
  const ofVhost = await first.get(`/api/definitions/${VHOST}`);
  expect(ofVhost.body).toMatchObject({ queues: [{ name: "q.1" }], bindings: expect.any(Array) });
  const third = await startManagement();
  expect((await third.post(`/api/definitions/${VHOST}`, ofVhost.body)).body).toMatchObject({
    imported: { exchanges: 2, queues: 1, bindings: 3 },
    skipped: [],
  });
});

it("tells what of definitions it does not take, and takes the rest", async () => {
  const api = await startManagement();
  const { body } = await api.post("/api/definitions", {
    vhosts: [{ name: "/" }, { name: "elsewhere" }],
    users: [{ name: "old", password_hash: "9fDbFxuwnYxFqJvvsB8E1w==", tags: "" }],
    permissions: [{ user: "admin", vhost: "/", configure: "^a", write: ".*", read: ".*" }],
    policies: [{ name: "ha", pattern: "." }],
    queues: [
      { name: "good", vhost: "/", durable: true },
      { name: "bad", vhost: "/", arguments: { "x-max-length": "many" } },
      { name: "lost", vhost: "elsewhere" },
    ],
  });
  expect(body).toMatchObject({ imported: { queues: 1, users: 0 } });
  const { skipped } = Object(body);
  expect(skipped).toEqual([
    expect.stringContaining("vhost elsewhere"),
    expect.stringContaining("user old: The password hash"),
    expect.stringContaining("permission of admin in /"),
    expect.stringContaining("queue bad: invalid arg 'x-max-length'"),
    expect.stringContaining("queue lost: There is no virtual host elsewhere"),
    expect.stringContaining("1 policies"),
  ]);
});

it("takes the definitions of a RabbitMQ, as that exported them, and tells what it leaves out", async () => {
  const api = await startManagement(["hosts.shop={}"]);
  const file = readFileSync(join(import.meta.dirname, "rabbitmq-definitions.json"), "utf8");
  const { status, body } = await api.post("/api/definitions", file);
  expect(status).toBe(200);
  expect(body).toMatchObject({ imported: { users: 1, exchanges: 2, queues: 5, bindings: 3 } });
  expect(Object(body).skipped).toEqual([
    expect.stringContaining("user guest: User guest has the password that everybody knows"),
    expect.stringContaining("permission of bob in /"),
    expect.stringContaining("permission of guest in shop"),
    expect.stringContaining("permission of guest in /"),
    expect.stringContaining("queue str: invalid arg 'x-queue-type'"),
    expect.stringContaining("1 policies"),
  ]);
  const original = JSON.parse(file);
  const { body: exported } = await api.get("/api/definitions");
  const kept = (part: string): unknown[] => original[part].filter(({ name }: { name?: string }) => name !== "str");
  for (const part of ["queues", "exchanges", "bindings"]) {
    expect(Object(exported)[part], part).toHaveLength(kept(part).length);
    expect(Object(exported)[part], part).toEqual(expect.arrayContaining(kept(part)));
  }
});

it("pages, filters by a part of the name, sorts and picks columns", async () => {
  const api = await startManagement();
  for (const name of ["b1", "a1", "c2", "a2"]) await api.put(`/api/queues/${VHOST}/${name}`);
  await publish(api, "amq.default", { routing_key: "a2" });
  const page = await api.get("/api/queues?page=1&page_size=2&name=a&columns=name");
  expect(page.body).toEqual({
    filtered_count: 2,
    item_count: 2,
    items: [{ name: "a1" }, { name: "a2" }],
    page: 1,
    page_count: 1,
    page_size: 2,
    total_count: 4,
  });
  const sorted = await api.get("/api/queues?sort=messages&sort_reverse=true&columns=name,message_stats.publish");
  expect(Object(sorted.body)[0]).toEqual({ name: "a2", message_stats: { publish: 1 } });
  expect((await api.get("/api/queues?name=a&use_regex=true")).status).toBe(400);
});

it("says how the broker is, in RabbitMQ's words", async () => {
  const api = await startManagement();
  expect((await api.get("/api/overview")).body).toMatchObject({
    product_name: "Delos",
    cluster_name: "delos",
    object_totals: { queues: 0, exchanges: 6 },
    listeners: [{ protocol: "stomp", port: api.broker.port }],
  });
  expect((await api.get("/api/nodes")).body).toMatchObject([{ running: true, mem_alarm: false }]);
  expect((await api.get("/api/vhosts")).body).toMatchObject([{ name: "/" }]);
  expect((await api.get("/api/whoami")).body).toMatchObject({ name: "admin", tags: ["admins"] });
  for (const path of [
    "aliveness-test/%2F",
    "healthchecks/node",
    "health/checks/alarms",
    "health/checks/virtual-hosts",
  ]) {
    expect(await api.get(`/api/${path}`)).toMatchObject({ status: 200, body: { status: "ok" } });
  }
  expect((await api.get(`/api/health/checks/port-listener/${api.broker.port}`)).status).toBe(200);
  expect(await api.get("/api/health/checks/port-listener/1")).toMatchObject({
    status: 503,
    body: { status: "failed" },
  });
  expect((await api.get("/api/health/checks/protocol-listener/amqp091")).status).toBe(200);
  expect((await api.get("/api/health/checks/certificate-expiration/1/fortnights")).status).toBe(400);
});

it("names the setting for documents that are too large", async () => {
  const api = await startManagement(["management.max_body=1k"]);
  const refused = await api.post("/api/definitions", { queues: [{ name: "x".repeat(2000) }] });
  expect(refused).toMatchObject({ status: 413, body: { reason: expect.stringContaining("(management.max_body)") } });
});

it("refuses what it has no like of, bodies that make no sense and those who have no right", async () => {
  const api = await startManagement([
    "security.users.eve.password=x",
    "access_rules=[{allow: [admins], principal_kind: [group]}, {allow: ['*'], action: [connect]}]",
  ]);
  expect((await api.put(`/api/policies/${VHOST}/p`, { pattern: "." })).status).toBe(400);
  expect((await api.put("/api/vhosts/new")).status).toBe(400);
  expect((await api.put("/api/vhosts/default")).status).toBe(204);
  expect((await api.put(`/api/queues/${VHOST}/q`, "no json")).status).toBe(400);
  expect((await api.put(`/api/queues/${VHOST}/q`, [1])).status).toBe(400);
  expect((await api.put(`/api/queues/${VHOST}/q`, { durable: "perhaps" })).status).toBe(400);
  expect((await api.post(`/api/queues/${VHOST}/q/get`)).status).toBe(404);
  await api.put(`/api/queues/${VHOST}/q`);
  expect((await api.post(`/api/queues/${VHOST}/q/get`, { count: -1 })).status).toBe(400);
  expect((await api.post(`/api/exchanges/${VHOST}/none/publish`, { routing_key: "", payload: "" })).status).toBe(404);
  expect((await api.get("/api/overview", { as: null })).status).toBe(401);
  const eve = { as: "eve:x" };
  expect((await api.get("/api/queues", eve)).body).toEqual([]);
  for (const [method, path] of [
    ["GET", `/api/queues/${VHOST}`],
    ["GET", "/api/nodes"],
    ["GET", "/api/users"],
    ["GET", "/api/definitions"],
    ["PUT", `/api/queues/${VHOST}/q2`],
    ["DELETE", `/api/queues/${VHOST}/q`],
    ["POST", `/api/queues/${VHOST}/q/get`],
    ["POST", `/api/queues/${VHOST}/not-there/get`],
    ["POST", "/api/definitions"],
  ] as const) {
    expect(await api.ask(method, path, eve), `${method} ${path}`).toMatchObject({
      status: 403,
      body: { error: "not_authorized" },
    });
  }
  expect(api.broker.server.audit.recent()).toContainEqual(
    expect.objectContaining({ user: "eve", action: "queue.delete", result: "refused" }),
  );
});

const ROUTES = `
GET overview nodes nodes/n cluster-name extensions global-parameters parameters policies operator-policies vhost-limits
GET user-limits topic-permissions whoami vhosts vhosts/%2F vhosts/%2F/permissions vhosts/%2F/connections vhosts/%2F/channels
GET users users/a users/a/permissions users/without-permissions permissions permissions/%2F/a definitions definitions/%2F
GET queues queues/%2F queues/%2F/q queues/%2F/q/bindings exchanges exchanges/%2F exchanges/%2F/x bindings bindings/%2F
GET exchanges/%2F/x/bindings/source bindings/%2F/e/x/q/q bindings/%2F/e/x/q/q/~ connections connections/c connections/c/channels
GET connections/username/u channels channels/c consumers consumers/%2F aliveness-test/%2F healthchecks/node
GET health/checks/alarms health/checks/local-alarms health/checks/port-listener/1 health/checks/protocol-listener/mqtt
GET health/checks/certificate-expiration/1/days health/checks/virtual-hosts health/checks/ready-to-serve-clients
PUT queues/%2F/q exchanges/%2F/x users/a permissions/%2F/a vhosts/v policies/%2F/p parameters/c/%2F/p
POST queues/%2F/q/get queues/%2F/q/actions exchanges/%2F/x/publish bindings/%2F/e/x/q/q definitions definitions/%2F users/bulk-delete
DELETE queues/%2F/q queues/%2F/q/contents exchanges/%2F/x bindings/%2F/e/x/q/q/~ connections/c connections/username/u users/a
DELETE permissions/%2F/a vhosts/v policies/%2F/p
`;

it("has no route that anybody may use, and changes nothing for who asks as nobody", async () => {
  const api = await startManagement();
  const requests = ROUTES.trim()
    .split("\n")
    .flatMap((line) => {
      const [method = "", ...paths] = line.split(" ");
      return paths.map((path) => ({ method, path }));
    });
  for (const { method, path } of requests) {
    const { status } = await api.ask(method, `/api/${path}`, { as: null });
    expect(status, `${method} ${path}`).toBe(401);
  }
  expect((await api.get("/api/queues")).body).toEqual([]);
});

it("finds a page in any order as a plain sort does", async () => {
  const api = await startManagement();
  for (const name of ["d", "b", "e", "a", "c"]) await api.put(`/api/queues/${VHOST}/${name}`);
  const names = async (query: string): Promise<unknown> => {
    const { body } = await api.get(`/api/queues?columns=name&page_size=2${query}`);
    return Object(body).items ?? body;
  };
  expect(await names("&page=2")).toEqual(row("c", "d"));
  expect(await names("&page=1&sort=name&sort_reverse=true")).toEqual(row("e", "d"));
  expect(await names("&page=3&sort=name")).toEqual(row("e"));
  expect((await api.get("/api/queues?page_size=2&page=9")).body).toMatchObject({
    reason: "Page out of range, page: 9 page size: 2, len: 5",
  });
  expect((await api.get("/api/queues?name=zzz&page=1")).body).toMatchObject({ items: [], page_count: 0 });
  expect(await names("&sort=name")).toEqual(row("a", "b", "c", "d", "e"));
});

it("answers lists of any length a piece at a time, whole and in order", async () => {
  const api = await startManagement();
  const many = Array.from({ length: 3000 }, (_, n) => ({ name: `q${String(n).padStart(4, "0")}`, vhost: "/" }));
  expect((await api.post("/api/definitions", { queues: many })).body).toMatchObject({ imported: { queues: 3000 } });
  const { body, headers } = await api.get("/api/queues?sort=name&sort_reverse=true&columns=name");
  expect(body).toEqual(many.map(({ name }) => ({ name })).reverse());
  expect(headers.get("content-type")).toContain("application/json");
  expect(Object((await api.get("/api/bindings")).body)).toHaveLength(3000);
  expect(Object((await api.get("/api/definitions")).body).queues).toHaveLength(3000);
  expect((await api.get("/api/connections")).body).toEqual([]);
});

it("refuses what goes into a full queue, and holds who has filled one by way of an exchange", async () => {
  const api = await startManagement([
    "queues=[{match: full, max_messages: 1, full: block}]",
    "management.max_wait=50ms",
  ]);
  await api.put(`/api/queues/${VHOST}/full`);
  await api.post(`/api/bindings/${VHOST}/e/amq.fanout/q/full`);
  expect(await publish(api, "amq.default", { routing_key: "full" })).toEqual({ routed: true });
  expect(await publish(api, "amq.fanout", {})).toEqual({ routed: true });
  const refused = await api.post(`/api/exchanges/${VHOST}/amq.default/publish`, { routing_key: "full", payload: "x" });
  expect(refused).toMatchObject({ status: 503, body: { error: "full" } });
  expect(refused.headers.get("retry-after")).toBe("1");
  expect(await get(api, "full", { ackmode: "ack_requeue_true" })).toHaveLength(2);
});

it("leaves a user's groups and the rest of a document alone where nothing, or nonsense, is said of them", async () => {
  const api = await startManagement();
  await api.put("/api/users/ann", { password: "x", tags: "monitoring" });
  expect((await api.put("/api/users/ann", { password: "y" })).status).toBe(204);
  expect((await api.get("/api/users/ann")).body).toMatchObject({ tags: ["monitoring"] });
  const { body } = await api.post("/api/definitions", {
    users: [{ name: 5 }, "nobody"],
    permissions: [{}],
    queues: [{ name: null }, 7, { name: "good", vhost: "/" }],
    bindings: [{ source: "amq.topic", destination: {}, vhost: "/" }],
  });
  expect(body).toMatchObject({ imported: { users: 0, queues: 1, bindings: 0 } });
  expect(Object(body).skipped).toHaveLength(6);
});

it("tells where it listens, and how fast messages are, only to those who may know", async () => {
  const api = await startManagement([
    "security.users.eve.password=x",
    "access_rules=[{allow: [admins], principal_kind: [group]}, {allow: ['*'], action: [connect]}]",
  ]);
  const eve = { as: "eve:x" };
  expect((await api.get("/api/overview", eve)).body).toMatchObject({ listeners: [], object_totals: { queues: 0 } });
  expect(Object((await api.get("/api/overview")).body).listeners).toHaveLength(1);
  const node = Object((await api.get("/api/nodes")).body)[0];
  expect(node).toMatchObject({
    mem_used: expect.any(Number),
    mem_limit: expect.any(Number),
    disk_free_limit: expect.any(Number),
  });
  expect((await api.get("/api/nodes/nope")).status).toBe(404);
});

it("answers for what it does not have as tools expect it", async () => {
  const api = await startManagement();
  const missing = { status: 404, body: { error: "not_found", reason: expect.stringContaining("There is nothing at") } };
  expect(await api.get("/api/nothing")).toMatchObject(missing);
  expect(await api.post("/api/queues", {})).toMatchObject(missing);
  const v1 = await api.get("/api/v1/nothing");
  expect(v1.headers.get("content-type")).toContain("application/problem+json");
  expect(v1.body).not.toHaveProperty("reason");
  for (const path of ["policies/%2F", "vhost-limits/%2F", "parameters/shovel", "parameters/shovel/%2F"]) {
    expect((await api.get(`/api/${path}`)).body, path).toEqual([]);
  }
  expect((await api.get("/api/policies/nowhere")).status).toBe(404);
});

function row(...list: readonly string[]): unknown {
  return list.map((name) => ({ name }));
}
