import { expect, it, vi } from "vitest";
import { BrokerError } from "../../core/errors.ts";
import type { Clock } from "../../core/time/clock.ts";
import { systemClock } from "../../src/clock.ts";
import { parse, plainMessage } from "../support/core-broker.ts";
import { startManagement } from "../support/management.ts";

const RULES = [
  { principal_kind: ["user"], deny: ["*"], action: ["admin"], kind: ["virtual-host"], id: "default" },
  { allow: ["*"] },
];

it("the rights to management are asked of the same rules, and the rule that refused is named", async () => {
  const api = await startManagement([`access_rules=${JSON.stringify(RULES)}`]);
  const refused = await api.delete("/api/v1/hosts/default/retained/a");
  expect(refused).toMatchObject({ status: 403, body: { code: "not-authorized" } });
  expect(refused.body).toMatchObject({
    detail: expect.stringMatching(/lacks the right "admin" on the virtual-host default: access_rules\[0\] denies it/),
  });
  expect((await api.get("/api/v1/hosts/default/queues")).status).toBe(200);
});

it("the rules of a virtual host hold for its management", async () => {
  const api = await startManagement([
    'hosts.default.access_rules=[{deny: ["*"], action: [monitor]}, {allow: ["*"]}]',
    'access_rules=[{allow: ["*"]}]',
  ]);
  expect((await api.get("/api/v1/hosts/default/queues")).status).toBe(403);
  expect((await api.get("/api/v1/broker")).status).toBe(200);
});

it("a user of the broker is nobody to a virtual host with users of its own, whatever their names", async () => {
  const api = await startManagement([
    "security.users.bob.password=of-the-broker",
    "hosts.tenant.security.users.bob.password=of-the-tenant",
    "hosts.tenant.access_rules=[{allow: [bob], principal_kind: [user]}]",
    "access_rules=[{allow: [admins]}, {allow: [bob], principal_kind: [user], action: [connect, send]}]",
  ]);
  const as = "bob:of-the-broker";
  for (const path of ["/api/v1/hosts/tenant/queues", "/api/v1/hosts/tenant/topics"]) {
    expect((await api.get(path, { as })).status).toBe(403);
    expect((await api.get(path)).status).toBe(200);
  }
  expect((await api.put("/api/v1/hosts/tenant/topics/mine", undefined, { as })).status).toBe(403);
  expect((await api.get("/api/queues/tenant", { as })).status).toBe(403);
});

it("looking at a retained message takes the same rights as receiving it", async () => {
  const rules = [
    { deny: ["*"], action: ["receive"], kind: ["topic"], id: "secret.**", connector: "management" },
    { deny: ["eve"], principal_kind: ["user"], action: ["connect"], kind: ["virtual-host"] },
    { allow: ["*"] },
  ];
  const api = await startManagement([`access_rules=${JSON.stringify(rules)}`, "security.users.eve.password=evesecret"]);
  for (const topic of ["secret.a", "open"]) {
    await api.put(`/api/v1/hosts/default/retained/${topic}`, { body: "x" });
  }
  expect(await api.get("/api/v1/hosts/default/retained/secret.a")).toMatchObject({
    status: 403,
    body: { detail: expect.stringContaining("access_rules[0]") },
  });
  expect((await api.get("/api/v1/hosts/default/retained/open")).status).toBe(200);
  expect((await api.get("/api/v1/hosts/default/retained/open", { as: "eve:evesecret" })).status).toBe(403);
});

it("a user of a virtual host is nobody to the broker and to other virtual hosts, whatever the name", async () => {
  const api = await startManagement([
    "hosts.tenant.security.users.admin.password=of-the-tenant",
    "hosts.tenant.security.users.admin.groups=[admins]",
    "hosts.other.security.users.admin.password=of-the-other",
    "access_rules=[{allow: [admins]}]",
  ]);
  const signedIn = await api.post(
    "/api/v1/session",
    { user: "admin", password: "of-the-tenant", host: "tenant" },
    { as: null },
  );
  const cookie = String(signedIn.headers.get("set-cookie")).split(";")[0] ?? "";
  const statusOf = async (path: string): Promise<number> =>
    (await api.get(path, { as: null, headers: { cookie } })).status;
  expect(await statusOf("/api/v1/hosts/tenant/queues")).toBe(200);
  for (const path of ["broker", "users", "hosts/default/queues", "hosts/other/queues"]) {
    expect([path, await statusOf(`/api/v1/${path}`)]).toEqual([path, 403]);
  }
  for (const path of ["/api/overview", "/api/users", "/api/queues/%2F"]) {
    expect([path, await statusOf(path)]).toEqual([path, 403]);
  }
});

/** Reads a stream to its end, which comes long before that of a stream whose time is over. */
async function ended(reader: ReadableStreamDefaultReader<Uint8Array>): Promise<void> {
  let seen = 0;
  while (!(await reader.read()).done) expect(++seen).toBeLessThan(40);
}

it("who watches events is cut off soon after the login or the right is gone", async () => {
  const began = Date.now();
  // Fifty times as quick as the machine's.
  const clock: Clock = {
    now: () => began + (Date.now() - began) * 50,
    endOfTurn: (task) => systemClock.endOfTurn(task),
    after: (ms, task) => systemClock.after(ms / 50, task),
  };
  const api = await startManagement(
    ["security.users.ann.password=annsecret", "security.users.ann.groups=[admins]", "access_rules=[{allow: ['*']}]"],
    { clock },
  );
  const { broker } = api.broker.server;
  const watch = async (): Promise<ReadableStreamDefaultReader<Uint8Array>> => {
    const headers = { authorization: `Basic ${Buffer.from("ann:annsecret").toString("base64")}` };
    const { status, body } = await fetch(`${api.url}/api/v1/hosts/default/events`, { headers });
    if (status !== 200 || body === null) throw new Error(`There is no stream: ${status}`);
    return body.getReader();
  };
  const first = await watch();
  const login = vi.spyOn(broker, "review").mockRejectedValue(new BrokerError("not-authenticated", "gone"));
  await ended(first);
  login.mockRestore();
  const second = await watch();
  const right = vi.spyOn(broker, "access", "get").mockReturnValue({ allows: () => false });
  await ended(second);
  right.mockRestore();
  const third = await watch();
  for (let seen = 0; seen < 10; seen++) expect((await third.read()).done).toBe(false);
  await third.cancel();
});

it("clearing retained messages takes the right to send to each topic, one or many", async () => {
  const rules = [{ deny: ["*"], action: ["send"], kind: ["topic"], id: "kept.**" }, { allow: ["*"] }];
  const api = await startManagement([`access_rules=${JSON.stringify(rules)}`]);
  const { retained } = api.broker.server.broker.host(undefined) ?? {};
  const kept = parse("topic:kept.a");
  await api.put("/api/v1/hosts/default/retained/open", { body: "x" });
  retained?.set(kept, plainMessage(kept, "x"));
  expect((await api.delete("/api/v1/hosts/default/retained/kept.a")).status).toBe(403);
  expect((await api.delete("/api/v1/hosts/default/retained")).body).toEqual({ messages: 1 });
  expect((await api.get("/api/v1/hosts/default/retained?f=topic")).body).toMatchObject({
    items: [{ topic: "kept.a" }],
  });
});
