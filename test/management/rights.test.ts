import { expect, it } from "vitest";
import { apiKeyHash } from "../../src/management/api-keys.ts";
import { startManagement } from "../support/management.ts";

const HOST = "/api/v1/hosts/default";
const RULES = [
  "{allow: [admins], action: ['*']}",
  "{allow: [watchers], action: [monitor, connect]}",
  "{allow: [app], principal_kind: [user], action: [connect], kind: [connector, virtual-host]}",
  "{allow: [app], principal_kind: [user], action: [send, create], kind: [queue], id: 'in.**'}",
];
const SETTINGS = [
  `access_rules=[${RULES.join(", ")}]`,
  "security.users.watcher.password=w",
  "security.users.watcher.groups=[watchers]",
  "security.users.app.password=a",
  `management.api_keys.reports.hash=${apiKeyHash("delos_k")}`,
  "management.api_keys.reports.groups=[watchers]",
];

it("lets who may only monitor look, and neither change nor read messages", async () => {
  const api = await startManagement(SETTINGS);
  await api.post(`${HOST}/queues/in.a/messages`, { body: "x" });
  for (const asking of [{ as: "watcher:w" }, { as: null, headers: { authorization: "Bearer delos_k" } }]) {
    expect((await api.get(`${HOST}/queues/in.a`, asking)).status).toBe(200);
    expect((await api.get("/api/v1/broker", asking)).status).toBe(200);
    expect((await api.put(`${HOST}/queues/b`, {}, asking)).status).toBe(403);
    expect((await api.post(`${HOST}/queues/in.a/purge`, {}, asking)).status).toBe(403);
    expect((await api.get(`${HOST}/queues/in.a/messages`, asking)).status).toBe(403);
    expect((await api.post(`${HOST}/queues/in.a/consume`, {}, asking)).status).toBe(403);
  }
});

it("lets an application send where it may, without any right to look", async () => {
  const api = await startManagement(SETTINGS);
  const asking = { as: "app:a" };
  expect((await api.post(`${HOST}/queues/in.a/messages`, { body: "x" }, asking)).status).toBe(200);
  expect((await api.post(`${HOST}/queues/out/messages`, { body: "x" }, asking)).status).toBe(403);
  expect((await api.post(`${HOST}/queues/in.a/consume`, {}, asking)).status).toBe(403);
  expect((await api.get(`${HOST}/queues/in.a`, asking)).status).toBe(403);
  expect((await api.get("/api/v1/session", asking)).body).toMatchObject({ user: "app" });
});
