import { expect, it } from "vitest";
import { startManagement } from "../support/management.ts";

const HOST = "/api/v1/hosts/default";

it("declares exchanges, binds queues and exchanges to them, and sends take that way", async () => {
  const api = await startManagement();
  const declared = await api.put(`${HOST}/exchanges/orders`, { type: "topic", alternate: "amq.fanout" });
  expect(declared).toMatchObject({ status: 201, body: { name: "orders", type: "topic", alternate: "amq.fanout" } });
  expect((await api.put(`${HOST}/exchanges/orders`, { type: "topic", alternate: "amq.fanout" })).status).toBe(200);
  expect((await api.put(`${HOST}/exchanges/orders`, { type: "direct" })).status).toBe(409);
  await api.put(`${HOST}/queues/eu`);
  const binding = { source: "orders", destination: "eu", key: "order.eu.#" };
  expect((await api.post(`${HOST}/bindings`, binding)).status).toBe(201);
  await api.put(`${HOST}/exchanges/copies`, { type: "fanout" });
  const copies = { source: "orders", destination: "copies", destination_kind: "exchange", key: "#" };
  expect((await api.post(`${HOST}/bindings`, copies)).status).toBe(201);
  await api.post(`${HOST}/exchanges/orders/messages?key=order.eu.7`, { body: "x" });
  const { body } = await api.get(`${HOST}/exchanges/orders/bindings?o=destination`);
  expect(body).toMatchObject({
    total_rows: 2,
    items: [
      { destination_kind: "exchange", destination: "copies", key: "#" },
      { destination_kind: "queue", destination: "eu", key: "order.eu.#", durable: true, arguments: {} },
    ],
  });
  const [, id] = /"id":"([^"]+)","source":"orders","key":"order.eu.#"/.exec(JSON.stringify(body)) ?? [];
  expect((await api.delete(`${HOST}/bindings/${id}`)).status).toBe(204);
  expect((await api.delete(`${HOST}/bindings/${id}`)).status).toBe(404);
  expect((await api.get(`${HOST}/bindings`)).body).toMatchObject({ total_rows: 1 });
  expect((await api.delete(`${HOST}/exchanges/orders?if_unused=true`)).status).toBe(409);
  expect((await api.delete(`${HOST}/exchanges/orders`)).status).toBe(204);
  expect((await api.get(`${HOST}/exchanges/orders`)).status).toBe(404);
});

it("shows the default exchange and those of the broker itself, which are not deleted", async () => {
  const api = await startManagement();
  const { body } = await api.get(`${HOST}/exchanges?o=name&f=name,predeclared`);
  expect(body).toMatchObject({
    total_rows: 6,
    items: expect.arrayContaining([{ name: "amq.topic", predeclared: true }]),
  });
  expect((await api.get(`${HOST}/exchanges/amq.default`)).body).toMatchObject({ name: "", type: "direct" });
  expect((await api.delete(`${HOST}/exchanges/amq.topic`)).status).toBe(403);
  expect((await api.put(`${HOST}/exchanges/amq.mine`)).status).toBe(403);
});

it("refuses bindings of what is not there and ids that are none", async () => {
  const api = await startManagement();
  const binding = { source: "amq.direct", destination: "nowhere", key: "k" };
  expect((await api.post(`${HOST}/bindings`, binding)).status).toBe(404);
  expect((await api.post(`${HOST}/bindings`, { ...binding, source: "none" })).status).toBe(404);
  expect((await api.delete(`${HOST}/bindings/nonsense`)).status).toBe(404);
  expect((await api.post(`${HOST}/bindings`, { source: 1, destination: "q" })).status).toBe(400);
});
