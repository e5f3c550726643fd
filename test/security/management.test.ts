import { expect, it } from "vitest";
import { loadConfig } from "../../src/config/load.ts";
import { ROOT } from "../support/broker.ts";
import { ADMIN, startManagement } from "../support/management.ts";
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
