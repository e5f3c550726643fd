import { request } from "node:https";
import { expect, it } from "vitest";
import { loadConfig } from "../../src/config/load.ts";
import { ROOT, temporaryFolder } from "../support/broker.ts";
import { eventually } from "../support/eventually.ts";
import { ADMIN, startManagement } from "../support/management.ts";
import type { Pair } from "../support/certificates.ts";
import { ca, caFile, tlsSettings } from "../tls/material.ts";
import { hmacToken, JWT_SECRET } from "../support/tokens.ts";

it("a browser's session ends with its user", async () => {
  const test = await startManagement();
  const [user, password] = ADMIN.split(":");
  const opened = await test.post("/api/v1/session", { user, password }, { as: null });
  const cookie = opened.headers.get("set-cookie")?.split(";", 1)[0] ?? "";
  const whoami = () => test.get("/api/v1/session", { as: null, headers: { cookie } });
  expect(await whoami()).toMatchObject({ status: 200, body: { user: "admin", by: "session" } });
  const loaded = loadConfig({ sets: ["store.kind=memory", "listeners.stomp.port=0"], directory: ROOT });
  if (!loaded.ok) throw new Error(loaded.problems.join("\n"));
  await test.broker.server.reload(loaded.config);
  expect(await whoami()).toMatchObject({ status: 401 });
});

it("a token is let in as Bearer, and who fails too often is told 429", async () => {
  const modules = `security.modules=[{control: sufficient, jwt: {secret: ${JWT_SECRET}}}]`;
  const test = await startManagement([modules, "security.attempts.free=1"]);
  const ask = (token: string) =>
    test.get("/api/v1/session", { as: null, headers: { authorization: `Bearer ${token}` } });
  expect(await ask(hmacToken({ sub: "ann" }))).toMatchObject({ status: 200, body: { user: "ann", by: "token" } });
  expect(await ask(`${hmacToken({ sub: "bob" })}x`)).toMatchObject({ status: 401 });
  const { status, headers, body } = await ask(hmacToken({ sub: "ann" }));
  expect({ status, after: headers.get("retry-after"), body }).toMatchObject({
    status: 429,
    after: "1",
    body: { code: "throttled" },
  });
});

const keyOf = (body: unknown): string => /"key":"([^"]+)"/.exec(JSON.stringify(body))?.[1] ?? "";

it("who waits by a key is sent away when the key is deleted, and nobody else", async () => {
  const test = await startManagement();
  const QUEUE = "/api/v1/hosts/default/queues/a";
  await test.put(QUEUE);
  const key = keyOf((await test.post("/api/v1/api-keys", { name: "robot" })).body);
  const other = keyOf((await test.post("/api/v1/api-keys", { name: "other" })).body);
  const waiting = (token: string, ms: number) =>
    test.post(`${QUEUE}/consume`, { wait_ms: ms }, { as: null, headers: { authorization: `Bearer ${token}` } });
  const robot = waiting(key, 60_000);
  const stays = waiting(other, 60_000);
  const clients = () => [...(test.broker.server.broker.hosts.get("default")?.clients ?? [])].map(({ user }) => user);
  await eventually(() =>
    expect(clients().toSorted((a, b) => (String(a) < String(b) ? -1 : 1))).toEqual(["other", "robot"]),
  );
  expect((await test.delete("/api/v1/api-keys/robot")).status).toBe(204);
  expect((await robot).status).toBe(503);
  expect(clients()).toEqual(["other"]);
  await test.post(`${QUEUE}/messages`, { body: "x" });
  expect((await stays).body).toMatchObject({ messages: [{ body: "x" }] });
});

/** What a server says over TLS to whoever shows a certificate. */
function askByTls(port: number, path: string, client: Pair, key: string): Promise<number | undefined> {
  return new Promise((resolve, reject) => {
    const headers = { authorization: `Bearer ${key}` };
    const own = { cert: client.certificate, key: client.key };
    const asked = request({ host: "127.0.0.1", port, path, ca: ca.certificate, ...own, headers }, (response) => {
      response.resume();
      resolve(response.statusCode);
    });
    asked.on("error", reject);
    asked.end();
  });
}

it("rules about certificates are about keys too that are shown with one", async () => {
  const folder = temporaryFolder();
  const test = await startManagement([
    ...tlsSettings(folder),
    `management.tls.ca=${caFile(folder)}`,
    "management.tls.client_certificates=want",
    "access_rules=[{allow: [admins]}, {allow: ['CN=robot'], principal_kind: [certificate]}]",
  ]);
  const key = keyOf((await test.post("/api/v1/api-keys", { name: "robot" })).body);
  const port = test.broker.managementPort;
  const path = "/api/v1/hosts/default/queues/a/messages";
  await test.put("/api/v1/hosts/default/queues/a");
  expect(await askByTls(port, path, ca.issue({ commonName: "robot" }), key)).toBe(200);
  expect(await askByTls(port, path, ca.issue({ commonName: "other" }), key)).toBe(403);
});
