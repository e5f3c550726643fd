import { expect, it } from "vitest";
import { apiKeyHash } from "../../src/management/api-keys.ts";
import { defaultConfig, loadConfig } from "../../src/config/load.ts";
import { LeapingClock } from "../support/leaping-clock.ts";
import { ADMIN, type Answer, startManagement, type TestManagement } from "../support/management.ts";
import { record } from "../support/openapi.ts";
import { ROOT } from "../support/broker.ts";

const SESSION = "/api/v1/session";
const HOST = "/api/v1/hosts/default";

interface SignedIn {
  readonly answer: Answer;
  readonly cookie: string;
  readonly csrf: string;
}

async function signIn(api: TestManagement): Promise<SignedIn> {
  const answer = await api.post(SESSION, { user: "admin", password: "secret" }, { as: null });
  const cookie = String(answer.headers.get("set-cookie")).split(";")[0] ?? "";
  return { answer, cookie, csrf: String(record(answer.body)["csrf"]) };
}

it("tells how to log in, without a prompt if none is wanted", async () => {
  const api = await startManagement();
  const prompted = await api.get(SESSION, { as: null });
  expect(prompted.headers.get("www-authenticate")).toBe('Basic realm="delos", charset="UTF-8", Bearer realm="delos"');
  const silent = await api.get(SESSION, { as: null, headers: { authprompt: "false" } });
  expect(silent.headers.get("www-authenticate")).toBe('Bearer realm="delos"');
});

it("lets nobody in as a guest without being told so", async () => {
  const api = await startManagement(["security.guest.enabled=true"]);
  expect((await api.get(SESSION, { as: null })).status).toBe(401);
  expect((await api.get(SESSION, { as: null, headers: { authorization: "Bearer x" } })).status).toBe(401);
  expect((await api.get(SESSION, { as: "guest:guest" })).body).toMatchObject({ user: "guest", by: "password" });
});

it("takes passwords with colons and characters beyond ASCII", async () => {
  const api = await startManagement(["security.users.jürgen.password=pä:ss"]);
  expect((await api.get(SESSION, { as: "jürgen:pä:ss" })).body).toMatchObject({ user: "jürgen" });
});

it("takes keys of the configuration, of which that holds a hash only", async () => {
  const key = "delos_0123456789";
  const api = await startManagement([
    `management.api_keys.reports.hash=${apiKeyHash(key)}`,
    "management.api_keys.reports.groups=[monitors]",
    "management.api_keys.unused.groups=[admins]",
  ]);
  const bearer = (token: string): Promise<Answer> =>
    api.get(SESSION, { as: null, headers: { authorization: `Bearer ${token}` } });
  expect((await bearer(key)).body).toEqual({ user: "reports", groups: ["monitors"], by: "key" });
  for (const wrong of [`${key}x`, "", apiKeyHash(key), "sha256$"]) expect((await bearer(wrong)).status).toBe(401);
});

it("signs in and out with a cookie that no script and no other site gets at", async () => {
  const api = await startManagement();
  const { answer, cookie, csrf } = await signIn(api);
  expect(answer.body).toMatchObject({ user: "admin", groups: ["admins"], by: "session" });
  expect(record(answer.body)["hosts"]).toEqual(["default"]);
  const set = String(answer.headers.get("set-cookie"));
  expect(set).toMatch(/^delos_session=[\w-]{43}; Path=\/; Expires=[^;]+; HttpOnly; SameSite=Strict$/);
  const asSession = { as: null, headers: { cookie } };
  expect((await api.get(SESSION, asSession)).body).toMatchObject({ user: "admin", by: "session", csrf });
  expect((await api.put(`${HOST}/queues/a`, {}, asSession)).body).toMatchObject({ status: 403, code: "csrf" });
  const withToken = { as: null, headers: { cookie, "x-csrf-token": csrf } };
  expect((await api.put(`${HOST}/queues/a`, {}, withToken)).status).toBe(201);
  expect((await api.delete(SESSION, withToken)).status).toBe(204);
  expect((await api.get(SESSION, asSession)).status).toBe(401);
});

it("says how many seconds whoever failed too often has to wait", async () => {
  const api = await startManagement(["security.attempts.free=1", "security.attempts.delay=40s"]);
  expect((await api.get(SESSION, { as: "admin:wrong" })).status).toBe(401);
  const { status, headers } = await api.get(SESSION, { as: "admin:secret" });
  expect(status).toBe(429);
  expect(Number(headers.get("retry-after"))).toBeGreaterThan(30);
});

/** The cookie of who signs in through a proxy. */
async function cookieBy(api: TestManagement, proto: string): Promise<string> {
  const { headers } = await api.post(
    SESSION,
    { user: "admin", password: "secret" },
    { as: null, headers: { "x-forwarded-proto": proto } },
  );
  return String(headers.get("set-cookie"));
}

it("has the cookie sent by TLS only where a proxy was asked by that", async () => {
  const proxied = await startManagement(["management.trusted_proxies=[127.0.0.1]"]);
  expect(await cookieBy(proxied, "https")).toContain("; Secure");
  expect(await cookieBy(proxied, "http")).not.toContain("Secure");
  expect(await cookieBy(await startManagement(), "https")).not.toContain("Secure");
});

it("ends the session that a browser had when it signs in again", async () => {
  const api = await startManagement();
  const { cookie } = await signIn(api);
  const again = { as: null, headers: { cookie } };
  expect((await api.post(SESSION, { user: "admin", password: "secret" }, again)).status).toBe(200);
  expect((await api.get(SESSION, again)).status).toBe(401);
});

it("does not let one session's token serve another", async () => {
  const api = await startManagement();
  const [one, other] = [await signIn(api), await signIn(api)];
  expect(one.cookie).not.toBe(other.cookie);
  const mixed = { as: null, headers: { cookie: one.cookie, "x-csrf-token": other.csrf } };
  expect((await api.put(`${HOST}/queues/a`, {}, mixed)).status).toBe(403);
});

it("signs in only with the right password, by JSON and from its own pages", async () => {
  const api = await startManagement();
  expect((await api.post(SESSION, { user: "admin", password: "wrong" }, { as: null })).status).toBe(401);
  const form = { as: null, headers: { "content-type": "application/x-www-form-urlencoded" } };
  expect((await api.ask("POST", SESSION, { ...form, body: "user=admin&password=secret" })).status).toBe(415);
  const elsewhere = { as: null, headers: { origin: "https://evil.example" } };
  expect((await api.post(SESSION, { user: "admin", password: "secret" }, elsewhere)).status).toBe(403);
  const own = { as: null, headers: { origin: api.url } };
  expect((await api.post(SESSION, { user: "admin", password: "secret" }, own)).status).toBe(200);
});

it("keeps so many sessions and no more: the one that was not used for the longest time goes", async () => {
  const api = await startManagement(["management.sessions.max=2"]);
  const [first, second] = [await signIn(api), await signIn(api)];
  expect((await api.get(SESSION, { as: null, headers: { cookie: first.cookie } })).status).toBe(200);
  await signIn(api);
  expect((await api.get(SESSION, { as: null, headers: { cookie: second.cookie } })).status).toBe(401);
  expect((await api.get(SESSION, { as: null, headers: { cookie: first.cookie } })).status).toBe(200);
});

it("ends all sessions when the configuration is read again", async () => {
  const api = await startManagement();
  const { cookie } = await signIn(api);
  const loaded = loadConfig({ sets: ["security.users.other.password=x"], directory: ROOT });
  if (!loaded.ok) throw new Error(loaded.problems.join());
  await api.broker.server.reload({ ...defaultConfig(ROOT), ...loaded.config });
  expect((await api.get(SESSION, { as: null, headers: { cookie } })).status).toBe(401);
  expect((await api.get(SESSION, { as: ADMIN })).status).toBe(401);
  expect((await api.get(SESSION, { as: "other:x" })).status).toBe(200);
});

it("answers pages of other origins only if the configuration names them, and never with cookies for all", async () => {
  const preflight = {
    as: null,
    headers: { origin: "https://ops.example", "access-control-request-method": "PUT" },
  };
  const closed = await startManagement();
  expect(
    (await closed.get(SESSION, { headers: { origin: "https://ops.example" } })).headers.get(
      "access-control-allow-origin",
    ),
  ).toBe(null);
  const named = await startManagement(["management.cors_origins=['https://ops.example']"]);
  const allowed = await named.ask("OPTIONS", `${HOST}/queues/a`, preflight);
  expect(allowed.status).toBe(204);
  expect(allowed.headers.get("access-control-allow-origin")).toBe("https://ops.example");
  expect(allowed.headers.get("access-control-allow-credentials")).toBe("true");
  expect((await named.put(`${HOST}/queues/a`, {}, { headers: { origin: "https://ops.example" } })).status).toBe(201);
  const evil = await named.ask("OPTIONS", `${HOST}/queues/a`, {
    ...preflight,
    headers: { ...preflight.headers, origin: "https://evil.example" },
  });
  expect(evil.headers.get("access-control-allow-origin")).toBe(null);
  const open = await startManagement(["management.cors_origins=['*']"]);
  const all = await open.get(SESSION, { headers: { origin: "https://any.example" } });
  expect(all.headers.get("access-control-allow-origin")).toBe("https://any.example");
  expect(all.headers.get("access-control-allow-credentials")).toBe(null);
});

it("answers 304 to whoever has what there is already", async () => {
  const api = await startManagement();
  const { headers } = await api.get(SESSION);
  const etag = String(headers.get("etag"));
  const again = await api.get(SESSION, { headers: { "if-none-match": `"other", ${etag}` } });
  expect(again).toMatchObject({ status: 304, body: "" });
  expect((await api.get(SESSION, { headers: { "if-none-match": '"other"' } })).status).toBe(200);
});

it("keeps pages of others from framing it or guessing at types, and its own from connecting elsewhere", async () => {
  const { headers } = await (await startManagement()).get(SESSION);
  const policy = headers.get("content-security-policy");
  expect(policy).toContain("frame-ancestors 'none'");
  expect(policy).toContain("connect-src 'self' ws://127.0.0.1:* wss://127.0.0.1:*;");
  expect(policy).not.toContain("unsafe");
  expect(headers.get("x-content-type-options")).toBe("nosniff");
  expect(headers.get("x-frame-options")).toBe("DENY");
  const behind = await (await startManagement(["management.trusted_proxies=[10.0.0.1]"])).get(SESSION);
  expect(behind.headers.get("content-security-policy")).toContain("connect-src 'self' ws: wss:;");
});

it("ends a session that nobody uses, though a page goes on asking by itself", async () => {
  const clock = new LeapingClock();
  const api = await startManagement(["management.sessions.idle=30m"], { clock });
  const { cookie, csrf } = await signIn(api);
  const minutes = (count: number): void => clock.leap(count * 60_000);
  const asked = async (headers: Readonly<Record<string, string>>, method = "GET"): Promise<number> =>
    (await api.ask(method, SESSION, { as: null, headers: { cookie, ...headers } })).status;
  minutes(20);
  expect(await asked({})).toBe(200);
  minutes(20);
  expect(await asked({ "x-background": "true" })).toBe(200);
  minutes(9);
  expect(await asked({ accept: "text/event-stream" })).toBe(200);
  // A change is never made by itself.
  const change = { "x-background": "true", "x-csrf-token": csrf };
  expect((await api.put(`${HOST}/queues/a`, {}, { as: null, headers: { cookie, ...change } })).status).toBe(201);
  minutes(29);
  expect(await asked({ "x-background": "true" })).toBe(200);
  minutes(1);
  expect(await asked({ "x-background": "true" })).toBe(401);
});

it("signs out of all browsers at once, and nobody else", async () => {
  const api = await startManagement(["security.users.other.password=x"]);
  const [here, there] = [await signIn(api), await signIn(api)];
  const other = await api.post(SESSION, { user: "other", password: "x" }, { as: null });
  const withToken = { as: null, headers: { cookie: here.cookie, "x-csrf-token": here.csrf } };
  expect((await api.delete(`${SESSION}?everywhere=true`, withToken)).status).toBe(204);
  for (const { cookie } of [here, there]) {
    expect((await api.get(SESSION, { as: null, headers: { cookie } })).status).toBe(401);
  }
  const cookie = String(other.headers.get("set-cookie")).split(";")[0] ?? "";
  expect((await api.get(SESSION, { as: null, headers: { cookie } })).status).toBe(200);
});
