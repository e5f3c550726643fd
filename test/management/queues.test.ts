import { expect, it } from "vitest";
import { startManagement } from "../support/management.ts";

const HOST = "/api/v1/hosts/default";

it("declares a queue, shows it with its policy and where that comes from, and deletes it", async () => {
  const api = await startManagement(["queues=[{match: 'orders.**', max_messages: 10}]"]);
  const declared = await api.put(`${HOST}/queues/orders.eu`, { policy: { max_deliveries: 3 } });
  expect(declared).toMatchObject({ status: 201, body: { name: "orders.eu", state: "running", messages: 0 } });
  const again = await api.put(`${HOST}/queues/orders.eu`, { policy: { max_deliveries: 3 } });
  expect(again.status).toBe(200);
  const { body } = await api.get(`${HOST}/queues/orders.eu`);
  expect(body).toMatchObject({
    policy: expect.arrayContaining([
      { key: "max_messages", value: 10, origin: "queues[0] (orders.**)" },
      { key: "max_deliveries", value: 3, origin: "declaration" },
      { key: "priorities", value: true, origin: "default" },
    ]),
  });
  expect(await api.delete(`${HOST}/queues/orders.eu`)).toMatchObject({ status: 200, body: { messages: 0 } });
  expect((await api.get(`${HOST}/queues/orders.eu`)).status).toBe(404);
});

it("lists queues in pages", async () => {
  const api = await startManagement();
  for (const name of ["b", "a", "c"]) await api.put(`${HOST}/queues/${name}`);
  expect((await api.get(`${HOST}/queues?ps=2&f=name&f=messages`)).body).toEqual({
    page: 0,
    page_size: 2,
    total_pages: 2,
    total_rows: 3,
    items: [
      { name: "a", messages: 0 },
      { name: "b", messages: 0 },
    ],
  });
  expect((await api.get(`${HOST}/queues?o=-name&f=name&q=name <> 'b'`)).body).toMatchObject({
    items: [{ name: "c" }, { name: "a" }],
  });
});
