import { expect, it } from "vitest";
import { eventually } from "../support/eventually.ts";
import { startManagement } from "../support/management.ts";

const HOST = "/api/v1/hosts/default";

it("notes every change and every try at one, with who it was and how it ended", async () => {
  const api = await startManagement();
  await api.put(`${HOST}/queues/a`);
  await api.delete(`${HOST}/queues/nowhere`);
  await api.put(`${HOST}/queues/b`, {}, { as: "admin:wrong" });
  await api.put(`${HOST}/queues/c`, {}, { as: null });
  await api.post("/api/v1/session", { user: "admin", password: "wrong-password" }, { as: null });
  const noted = (action: string) => api.broker.server.audit.recent().filter((entry) => entry.action === action);
  await eventually(() => {
    expect(noted("queue.declare")).toEqual(
      expect.arrayContaining([
        expect.objectContaining({ user: "admin", resource: `${HOST}/queues/a`, result: "ok" }),
        expect.objectContaining({ resource: `${HOST}/queues/b`, result: "refused" }),
        expect.objectContaining({ resource: `${HOST}/queues/c`, result: "refused" }),
      ]),
    );
    expect(noted("queue.delete")).toEqual([
      expect.objectContaining({ user: "admin", result: "failed", detail: expect.stringContaining("nowhere") }),
    ]);
    expect(noted("session.open")).toEqual([expect.objectContaining({ result: "refused" })]);
  });
});

it("notes what is done as a client once, and what is refused to it once", async () => {
  const api = await startManagement([
    "security.users.ann.password=annsecret",
    "access_rules=[{deny: [ann], principal_kind: [user], action: [create, destroy]}, {allow: ['*']}]",
  ]);
  const requests = [
    ["PUT", `${HOST}/queues/a`, {}],
    ["PUT", `${HOST}/exchanges/e`, {}],
    ["PUT", `${HOST}/durable-subscriptions/d`, { topics: ["t"] }],
    ["POST", `${HOST}/bindings`, { source: "e", destination: "a" }],
    ["PUT", "/api/queues/%2F/rabbit", {}],
    ["DELETE", `${HOST}/durable-subscriptions/d`, undefined],
    ["DELETE", `${HOST}/exchanges/e`, undefined],
    ["DELETE", `${HOST}/queues/a`, undefined],
  ] as const;
  for (const [method, path, body] of requests) {
    expect((await api.ask(method, path, { body })).status).toBeLessThan(300);
  }
  const ann = { as: "ann:annsecret" };
  for (const path of ["queues/b", "exchanges/b"]) expect((await api.put(`${HOST}/${path}`, {}, ann)).status).toBe(403);
  // Over this route nobody else notes it.
  expect((await api.post(`${HOST}/queues/b/messages`, { body: "x" }, ann)).status).toBe(403);
  const noted = (): string[] =>
    api.broker.server.audit
      .recent()
      .filter(({ action }) => action !== "login" && action !== "broker.start")
      .map(({ action, result, resource }) => `${action} ${result} ${resource}`);
  const expected = [
    `queue.declare ok ${HOST}/queues/a`,
    `exchange.declare ok ${HOST}/exchanges/e`,
    `dsub.declare ok ${HOST}/durable-subscriptions/d`,
    `binding.create ok ${HOST}/bindings`,
    "queue.declare ok /api/queues/%2F/rabbit",
    `dsub.delete ok ${HOST}/durable-subscriptions/d`,
    `exchange.delete ok ${HOST}/exchanges/e`,
    `queue.delete ok ${HOST}/queues/a`,
    `queue.declare refused ${HOST}/queues/b`,
    `exchange.declare refused ${HOST}/exchanges/b`,
    "queue.create refused default/queue/b",
  ];
  await eventually(() => expect(noted().toSorted()).toEqual(expected.toSorted()));
});

it("never notes or logs a password, a key or the body of a message", async () => {
  const api = await startManagement(["log.level=trace"]);
  await api.post("/api/v1/session", { user: "admin", password: "wrong-password" }, { as: null });
  await api.get("/api/v1/session", { as: "admin:another-wrong-one" });
  await api.get("/api/v1/session", { as: null, headers: { authorization: "Bearer delos_wrong-key" } });
  await api.post(`${HOST}/queues/a/messages`, { body: "secret-body" });
  await api.post(`${HOST}/queues/a/messages`, { body: { secret_body: 1 } });
  await api.post(`${HOST}/queues/a/purge`);
  await eventually(() => expect(api.broker.log.join("")).toContain("queue.purge"));
  const told = api.broker.log.join("") + JSON.stringify(api.broker.server.audit.recent());
  for (const secret of ["wrong-password", "another-wrong-one", "delos_wrong-key", "secret-body", "secret_body"]) {
    expect(told).not.toContain(secret);
  }
});
