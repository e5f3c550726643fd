import { expect, it } from "vitest";
import { startManagement } from "../support/management.ts";

const HOST = "/api/v1/hosts/default";

it("sets, shows, lists by a filter and clears retained messages", async () => {
  const api = await startManagement();
  for (const topic of ["plant.1.heat", "plant.2.heat", "office.heat"]) {
    expect((await api.put(`${HOST}/retained/${topic}`, { body: `of ${topic}` })).status).toBe(204);
  }
  const one = await api.get(`${HOST}/retained/plant.2.heat`);
  expect(one.body).toMatchObject({ body: "of plant.2.heat", address: { kind: "topic", name: "plant.2.heat" } });
  const listed = await api.get(`${HOST}/retained?filter=plant.*.heat&o=-topic&f=topic`);
  expect(listed.body).toMatchObject({
    total_rows: 2,
    items: [{ topic: "plant.2.heat" }, { topic: "plant.1.heat" }],
  });
  expect((await api.delete(`${HOST}/retained/office.heat`)).status).toBe(204);
  expect((await api.delete(`${HOST}/retained/office.heat`)).status).toBe(404);
  expect((await api.get(`${HOST}/retained/office.heat`)).status).toBe(404);
  expect((await api.delete(`${HOST}/retained?filter=plant.**`)).body).toEqual({ messages: 2 });
  expect((await api.get(`${HOST}/retained`)).body).toMatchObject({ total_rows: 0, items: [] });
});

it("lists messages that wait for their time, and cancels them by id, selector or address", async () => {
  const api = await startManagement();
  const send = (queue: string, n: number): Promise<unknown> =>
    api.post(`${HOST}/queues/${queue}/messages`, { body: "later", delay_ms: 3_600_000 + n, properties: { n } });
  for (let n = 0; n < 4; n++) await send("a", n);
  await send("b", 9);
  const first = await api.get(`${HOST}/schedules?ps=2&p=1`);
  expect(first.body).toMatchObject({
    page: 1,
    total_pages: 3,
    total_rows: 5,
    items: [
      { kind: "queue", address: "a", repeats: 0, cron: null },
      { kind: "queue", address: "a" },
    ],
  });
  const filtered = await api.get(`${HOST}/schedules?q=address = 'b'`);
  expect(filtered.body).toMatchObject({ total_rows: 1, items: [{ address: "b" }] });
  const [, id] = /"id":"([^"]+)"/.exec(JSON.stringify(filtered.body)) ?? [];
  const one = await api.get(`${HOST}/schedules/${id}`);
  expect(one.body).toMatchObject({ id, address: "b", message: { body: "later", properties: { n: 9 } } });
  expect((await api.delete(`${HOST}/schedules/${id}`)).status).toBe(204);
  expect((await api.delete(`${HOST}/schedules/${id}`)).status).toBe(404);
  expect((await api.delete(`${HOST}/schedules?selector=n > 2`)).body).toEqual({ messages: 1 });
  expect((await api.delete(`${HOST}/schedules`)).status).toBe(400);
  await send("c", 0);
  expect((await api.delete(`${HOST}/schedules?kind=topic`)).body).toEqual({ messages: 0 });
  expect((await api.delete(`${HOST}/schedules?kind=queue&address=a`)).body).toEqual({ messages: 3 });
  expect((await api.get(`${HOST}/schedules`)).body).toMatchObject({ total_rows: 1, items: [{ address: "c" }] });
  expect((await api.delete(`${HOST}/schedules?all=true`)).body).toEqual({ messages: 1 });
});
