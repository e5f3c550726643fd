import { expect, it } from "vitest";
import { startManagement, type TestManagement } from "../support/management.ts";
import { record } from "../support/openapi.ts";

const HOST = "/api/v1/hosts/default";

/** Sends a message to a queue and gives it up. */
async function giveUp(api: TestManagement, queue: string): Promise<void> {
  await api.post(`${HOST}/queues/${queue}/messages`, { body: "x" });
  const { body } = await api.post(`${HOST}/queues/${queue}/consume`, { ack: "lease" });
  await api.post(`${HOST}/leases/${String(record(body)["lease"])}`, { outcome: "rejected" });
}

it("lists the queues where dead letters are, by whatever way they came there", async () => {
  const api = await startManagement([
    "queues=[{match: a, dead_letter_queue: DLQ}, {match: b, dead_letter_exchange: dlx}]",
  ]);
  await api.put(`${HOST}/exchanges/dlx`, { type: "fanout" });
  await api.put(`${HOST}/queues/bound`);
  await api.post(`${HOST}/bindings`, { source: "dlx", destination: "bound", destination_kind: "queue" });
  expect((await api.get(`${HOST}/dead-letters`)).body).toMatchObject({ total_rows: 0, items: [] });
  await giveUp(api, "a");
  await giveUp(api, "b");
  const { body } = await api.get(`${HOST}/dead-letters?f=name,messages,last_at&q=messages > 0`);
  expect(body).toMatchObject({
    total_rows: 2,
    items: [
      { name: "DLQ", messages: 1, last_at: expect.any(Number) },
      { name: "bound", messages: 1, last_at: expect.any(Number) },
    ],
  });
  await api.delete(`${HOST}/queues/DLQ`);
  expect((await api.get(`${HOST}/dead-letters?f=name`)).body).toMatchObject({ items: [{ name: "bound" }] });
});
