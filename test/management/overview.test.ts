import { expect, it } from "vitest";
import { temporaryFolder } from "../support/broker.ts";
import { eventually } from "../support/eventually.ts";
import { startManagement } from "../support/management.ts";

it("tells of the process, its machine and its store", async () => {
  const directory = temporaryFolder();
  const api = await startManagement(["store.kind=lmdb", `store.directory=${directory}`]);
  const { body } = await api.get("/api/v1/broker");
  expect(body).toMatchObject({
    pid: process.pid,
    machine: { name: expect.any(String), processors: expect.any(Number), load: expect.any(Array) },
    store: { kind: "lmdb", directory, disk_bytes: expect.any(Number) },
    memory: { heap_limit: expect.any(Number), outside_heap: expect.any(Number) },
  });
  await eventually(async () => {
    const garbage: unknown[] = Array.from({ length: 100_000 }, (_, n) => ({ n }));
    expect(garbage).toHaveLength(100_000);
    const { body: now } = await api.get("/api/v1/broker");
    expect(now).toMatchObject({ garbage: { runs: expect.toSatisfy((runs: number) => runs > 0) } });
  });
});

function destinations(shown: unknown): number {
  return Number(/"destinations":(\d+)/.exec(JSON.stringify(shown))?.[1]);
}

it("tells of a virtual host how full it is, and whose users it has", async () => {
  const api = await startManagement([
    "hosts.default.max_destinations=50",
    "hosts.tenant.security.users.ann.password=ann-of-tenant",
  ]);
  const { body } = await api.get("/api/v1/hosts/default");
  expect(body).toMatchObject({ max_destinations: 50, own_users: false, destinations: expect.any(Number) });
  await api.put("/api/v1/hosts/default/queues/a");
  const { body: after } = await api.get("/api/v1/hosts/default");
  expect(destinations(after)).toBe(destinations(body) + 1);
  expect((await api.get("/api/v1/hosts/tenant")).body).toMatchObject({ own_users: true });
});
