import { mkdirSync, writeFileSync } from "node:fs";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { startBroker, temporaryFolder } from "../support/broker.ts";
import { eventually } from "../support/eventually.ts";
import { ADMIN, startManagement } from "../support/management.ts";
import { StompWire } from "../support/stomp-wire.ts";

const BASIC = { authorization: `Basic ${Buffer.from(ADMIN).toString("base64")}` };

it("copies the store under load: what was confirmed before is in the copy, what came later in order and without gaps", async () => {
  const directory = temporaryFolder();
  const api = await startManagement(["store.kind=lmdb", `store.directory=${directory}`]);
  const client = await StompWire.connect(api.broker.port);
  let sent = 0;
  const send = (): Promise<void> =>
    client.request("SEND", { destination: "/queue/a", persistent: "true" }, `${sent++}`.padEnd(2000));
  for (let n = 0; n < 50; n++) await send();
  const load = { goesOn: true };
  const loading = (async () => {
    while (load.goesOn) await send();
  })();
  const before = sent - 1;
  const response = await fetch(`${api.url}/api/v1/backup`, { method: "POST", headers: BASIC });
  expect(response.status).toBe(200);
  expect(response.headers.get("content-disposition")).toMatch(/^attachment; filename="delos-.*\.mdb"$/);
  const copy = Buffer.from(await response.arrayBuffer());
  expect(copy).toHaveLength(Number(response.headers.get("content-length")));
  load.goesOn = false;
  await loading;
  await eventually(() => expect(readdirSync(directory).filter((name) => name.startsWith("backup-"))).toEqual([]));
  expect(api.broker.server.audit.recent()).toContainEqual(
    expect.objectContaining({ action: "broker.backup", result: "ok", user: "admin" }),
  );

  const restored = join(temporaryFolder(), "data");
  mkdirSync(restored);
  writeFileSync(join(restored, "delos.mdb"), copy);
  const again = await startBroker(["store.kind=lmdb", `store.directory=${restored}`]);
  const reader = await StompWire.connect(again.port);
  const count = again.server.broker.host(undefined)?.queues.get("a")?.count ?? 0;
  expect(count).toBeGreaterThanOrEqual(before);
  await reader.send("SUBSCRIBE", { id: "1", destination: "/queue/a" });
  const bodies = await reader.bodies(count);
  expect(bodies.map((body) => Number(body.trim()))).toEqual(Array.from({ length: count }, (_, n) => n));
});

it("makes no copy of a store that is in memory only, nor for who may not have it", async () => {
  const api = await startManagement();
  expect(await api.post("/api/v1/backup")).toMatchObject({ status: 409, body: { code: "conflict" } });
  expect((await api.post("/api/v1/backup", undefined, { as: null })).status).toBe(401);
});
