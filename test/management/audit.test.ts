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
