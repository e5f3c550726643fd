import { expect, it } from "vitest";
import { eventually } from "../support/eventually.ts";
import { Jobs } from "../../src/management/jobs.ts";
import { coreBroker } from "../support/core-broker.ts";
import { ADMIN, type Answer, startManagement, type TestManagement } from "../support/management.ts";
import { record } from "../support/openapi.ts";

const HOST = "/api/v1/hosts/default";

async function fill(api: TestManagement, queue: string, count: number): Promise<void> {
  for (let n = 1; n <= count; n++) {
    await api.post(`${HOST}/queues/${queue}/messages`, { body: `${n}`, properties: { n } });
  }
}

/** What became of a job once it ended. */
async function ended(api: TestManagement, answer: Answer): Promise<unknown> {
  expect(answer.status).toBe(202);
  const place = String(answer.headers.get("location"));
  return eventually(async () => {
    const { body } = await api.get(place);
    expect(record(body)["state"]).not.toBe("running");
    return body;
  });
}

async function countOf(api: TestManagement, queue: string): Promise<unknown> {
  return record((await api.get(`${HOST}/queues/${queue}`)).body)["messages"];
}

it("moves messages that a selector chooses to a queue that is made for them", async () => {
  const api = await startManagement();
  await fill(api, "a", 5);
  const job = await ended(api, await api.post(`${HOST}/queues/a/move`, { to: { name: "b" }, selector: "n > 3" }));
  expect(job).toMatchObject({
    kind: "move",
    source: "queue:a",
    target: "queue:b",
    user: "admin",
    state: "finished",
    done: 2,
    skipped: 0,
  });
  expect([await countOf(api, "a"), await countOf(api, "b")]).toEqual([3, 2]);
});

it("copies messages by their places, so many and no more", async () => {
  const api = await startManagement();
  await fill(api, "a", 4);
  const asked = { to: { name: "b" }, sequences: [2, 3, 4], max: 2 };
  expect(await ended(api, await api.post(`${HOST}/queues/a/copy`, asked))).toMatchObject({ done: 2 });
  expect([await countOf(api, "a"), await countOf(api, "b")]).toEqual([4, 2]);
});

it("purges, of everything or of what is chosen", async () => {
  const api = await startManagement();
  await fill(api, "a", 4);
  expect(await ended(api, await api.post(`${HOST}/queues/a/purge`, { selector: "n = 1" }))).toMatchObject({ done: 1 });
  expect(await ended(api, await api.post(`${HOST}/queues/a/purge`))).toMatchObject({ done: 3, state: "finished" });
  expect((await api.get(`${HOST}/queues/a`)).body).toMatchObject({ messages: 0, lost_by_reason: { purged: 4 } });
});

it("sends dead letters back to where they come from, and says why others stayed", async () => {
  const api = await startManagement(["queues=[{match: a, dead_letter_queue: dead}]"]);
  await fill(api, "a", 1);
  const { body } = await api.post(`${HOST}/queues/a/consume`, { ack: "lease" });
  await api.post(`${HOST}/leases/${String(record(body)["lease"])}`, { outcome: "rejected" });
  await eventually(async () => expect(await countOf(api, "dead")).toBe(1));
  await fill(api, "dead", 1);
  expect(await ended(api, await api.post(`${HOST}/queues/dead/redrive`))).toMatchObject({
    done: 1,
    skipped: 1,
    skipped_by_reason: { "no-origin": 1 },
  });
  expect([await countOf(api, "a"), await countOf(api, "dead")]).toEqual([1, 1]);
});

it("cancels what is under way; what is done stays done", async () => {
  const api = await startManagement();
  await fill(api, "a", 3);
  const begun = await api.post(`${HOST}/queues/a/move`, { to: { name: "b" }, per_second: 0.001 });
  const place = String(begun.headers.get("location"));
  await eventually(async () => expect((await api.get(place)).body).toMatchObject({ state: "running", done: 1 }));
  expect((await api.delete(place)).body).toMatchObject({ state: "cancelled", done: 1 });
  expect([await countOf(api, "a"), await countOf(api, "b")]).toEqual([2, 1]);
  expect((await api.get(`${HOST}/jobs`)).body).toMatchObject({ total_rows: 1, items: [{ state: "cancelled" }] });
});

it("does the same to durable subscriptions", async () => {
  const api = await startManagement();
  await api.put(`${HOST}/durable-subscriptions/d`, { topics: ["news.**"] });
  await api.post(`${HOST}/topics/news.eu/messages`, { body: "1" });
  const moved = await ended(api, await api.post(`${HOST}/durable-subscriptions/d/move`, { to: { name: "b" } }));
  expect(moved).toMatchObject({ source: "dsub:d", done: 1 });
  expect(await countOf(api, "b")).toBe(1);
});

it("refuses a job that makes no sense, and one on what is not there", async () => {
  const api = await startManagement();
  await fill(api, "a", 1);
  const move = `${HOST}/queues/a/move`;
  expect(await api.post(move, { to: { name: "a" } })).toMatchObject({ status: 400, body: { code: "bad-request" } });
  expect(await api.post(move, { to: { name: "a.*" } })).toMatchObject({ status: 400, body: { code: "bad-address" } });
  expect(await api.post(move, { to: { name: "b" }, selector: "n >" })).toMatchObject({
    status: 400,
    body: { code: "bad-selector" },
  });
  expect((await api.post(`${HOST}/queues/nowhere/purge`)).status).toBe(404);
  expect((await api.delete(`${HOST}/jobs/99`)).status).toBe(404);
});

it("system topics are the broker's own: nothing is moved there, and none is made", async () => {
  const api = await startManagement();
  await fill(api, "a", 1);
  const to = { kind: "topic", name: "$SYS.broker" };
  for (const kind of ["move", "copy"]) expect((await api.post(`${HOST}/queues/a/${kind}`, { to })).status).toBe(403);
  expect((await api.put(`${HOST}/topics/$SYS.broker`)).status).toBe(403);
  expect(await countOf(api, "a")).toBe(1);
});

it("keeps nothing of what a job went through once it has ended, but what it has done", async () => {
  const core = await coreBroker();
  const client = core.client();
  for (const body of ["1", "2", "3"]) client.send("queue:a", body);
  const host = core.broker.host(undefined);
  const queue = host?.queues.get("a");
  if (host === undefined || queue === undefined) throw new Error("There is no queue");
  const jobs = new Jobs(core.clock);
  const about = { host: host.name, kind: "purge", source: "queue:a", target: undefined, user: undefined } as const;
  const job = jobs.begin(about, () => host.operations.purge(queue, { sequences: new Set([1, 2]) }));
  const finished = job.operation?.finished;
  core.settle();
  core.clock.advance(100);
  await finished;
  expect(job).toMatchObject({ operation: undefined, done: 2, skipped: 0, result: { ended: "finished" } });
});

it("takes a temporary queue away when who asked over it has left", async () => {
  const api = await startManagement();
  await api.put(`${HOST}/queues/service`);
  const abort = new AbortController();
  const asked = fetch(`${api.url}${HOST}/queues/service/request`, {
    method: "POST",
    headers: { authorization: `Basic ${btoa(ADMIN)}`, "content-type": "application/json" },
    body: JSON.stringify({ body: "?", timeout_ms: 60_000 }),
    signal: abort.signal,
  });
  const temporaries = async (): Promise<unknown> =>
    record((await api.get(`${HOST}/queues?q=temporary`)).body)["total_rows"];
  await eventually(async () => expect(await temporaries()).toBe(1));
  abort.abort();
  await expect(asked).rejects.toThrow();
  await eventually(async () => expect(await temporaries()).toBe(0));
});
