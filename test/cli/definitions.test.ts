import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { temporaryFolder } from "../support/broker.ts";
import { delos } from "../support/delos.ts";
import { startManagement, type TestManagement } from "../support/management.ts";

function env(api: TestManagement): Readonly<Record<string, string>> {
  return { DELOS_URL: api.url, DELOS_PASSWORD: "secret" };
}

it("what one broker has, another one has after export and import, once however often", async () => {
  const [one, other] = [await startManagement(), await startManagement()];
  const host = "/api/v1/hosts/default";
  await one.put(`${host}/queues/orders.eu`);
  await one.put(`${host}/exchanges/shop`, { type: "topic" });
  await one.post(`${host}/bindings`, { source: "shop", key: "eu.*", destination: "orders.eu" });
  const file = join(temporaryFolder(), "definitions.json");
  expect(await delos(["export", file], { env: env(one) })).toEqual({ code: 0, out: "", err: "" });
  expect((await delos(["export", file], { env: env(one) })).code).toBe(2);
  const text = readFileSync(file, "utf8");
  expect(text).not.toContain("secret");
  const taken = await delos(["import", file], { env: env(other) });
  expect(taken).toMatchObject({ code: 0, err: "", out: expect.stringMatching(/1 exchanges, 1 queues, 1 bindings/) });
  expect(await other.get(`${host}/queues/orders.eu`)).toMatchObject({ status: 200 });
  expect(await other.get(`${host}/exchanges/shop`)).toMatchObject({ body: { type: "topic", bindings: 1 } });
  await delos(["import", "-"], { env: env(other), input: text });
  expect(await other.get(`${host}/exchanges/shop`)).toMatchObject({ body: { bindings: 1 } });
});

it("tells what it could not take, and takes the rest", async () => {
  const api = await startManagement();
  const input = JSON.stringify({ queues: [{ name: "a", durable: true }], policies: [{ name: "x" }] });
  const { code, err } = await delos(["import", "-"], { env: env(api), input });
  expect([code, err]).toEqual([1, expect.stringContaining("not taken: 1 policies")]);
  expect((await api.get("/api/v1/hosts/default/queues/a")).status).toBe(200);
  expect(await delos(["import", "-"], { env: env(api), input: "no json" })).toMatchObject({ code: 2 });
});
