/*
 * Every route there is, whether the OpenAPI document has it or not: the application is asked as it is put together.
 */
import fc from "fast-check";
import type { FastifyInstance } from "fastify";
import { expect, it, vi } from "vitest";
import { startManagement, type TestManagement } from "../support/management.ts";
import { operationsOf, pathOf, record } from "../support/openapi.ts";

interface Added {
  readonly method: string;
  readonly url: string;
  readonly right: unknown;
}

const added: Added[] = [];

vi.mock(import("fastify"), async (load) => {
  const original = await load();
  const noted = new Proxy(original.default, {
    apply(make, self, given) {
      const app: FastifyInstance = Reflect.apply(make, self, given);
      app.addHook("onRoute", ({ method, url, config }) => {
        for (const one of [method].flat()) added.push({ method: String(one), url, right: config?.right });
      });
      return app;
    },
  });
  return { ...original, default: noted };
});

/** What needs no login: signs of life, what a browser needs to sign in, and what the API is. */
const OPEN = new Set([
  "POST /api/v1/session",
  "GET /api/v1/openapi.json",
  "GET /livez",
  "GET /readyz",
  "GET /health",
  "GET /",
]);
const CONSOLE_FILE = /^GET \/(assets\/[\w.-]+|[\w.-]+\.(js|css|svg|html))$/;

/** The API with all routes it has, without those that are made for HEAD. */
async function start(settings: readonly string[] = []): Promise<{ api: TestManagement; routes: readonly Added[] }> {
  added.length = 0;
  const api = await startManagement(settings);
  const routes = added.filter(({ method }) => method !== "HEAD" && method !== "OPTIONS");
  expect(routes.length).toBeGreaterThan(120);
  return { api, routes };
}

function nameOf({ method, url }: Added): string {
  return `${method} ${url}`;
}

/** A path that leads to a route. */
function pathTo(url: string): string {
  return url.replace(/:(\w+)/g, (_whole, name: string) =>
    name === "host" ? "default" : name === "vhost" ? "%2F" : "a",
  );
}

it("the document describes every route of the API", async () => {
  const { api, routes } = await start();
  const described = new Set((await operationsOf(api)).map(({ method, path }) => `${method} ${path}`));
  const missing = routes
    .filter(({ url }) => url.startsWith("/api/v1/"))
    .map(({ method, url }) => `${method} ${url.replace(/:(\w+)/g, "{$1}")}`)
    .filter((name) => !described.has(name));
  expect(missing).toEqual(["GET /api/v1/openapi.json"]);
});

it("nothing is open but what has to be", async () => {
  const { api, routes } = await start();
  const open = routes.filter(({ right }) => right === "none").map(nameOf);
  expect(open.filter((name) => !OPEN.has(name) && !CONSOLE_FILE.test(name))).toEqual([]);
  const wrong: string[] = [];
  for (const route of routes.filter(({ right }) => right !== "none")) {
    const { status } = await api.ask(route.method, pathTo(route.url), { as: null });
    if (status !== 401) wrong.push(`${nameOf(route)}: ${status}`);
  }
  expect(wrong).toEqual([]);
});

it("no cookie alone changes anything, over no route", async () => {
  const { api, routes } = await start();
  const signedIn = await api.post("/api/v1/session", { user: "admin", password: "secret" }, { as: null });
  const headers = { cookie: String(signedIn.headers.get("set-cookie")).split(";")[0] ?? "" };
  const wrong: string[] = [];
  for (const route of routes.filter(({ method, right }) => method !== "GET" && right !== "none")) {
    const { status, body } = await api.ask(route.method, pathTo(route.url), { as: null, headers });
    if (status !== 403 || record(body)["code"] !== "csrf") wrong.push(`${nameOf(route)}: ${status}`);
  }
  expect(wrong).toEqual([]);
});

it("who may nothing gets nothing, over no route", async () => {
  const { api, routes } = await start(["access_rules=[{deny: ['*']}]"]);
  const operations = new Map((await operationsOf(api)).map((each) => [`${each.method} ${pathOf(each)}`, each]));
  const wrong: string[] = [];
  const own = routes.filter(
    ({ url, right }) => right !== "none" && (url.startsWith("/api/v1/") || !url.startsWith("/api/")),
  );
  for (const route of own) {
    const path = pathTo(route.url);
    const body = operations.get(`${route.method} ${path}`)?.body;
    const { status } = await api.ask(route.method, path, body === undefined ? {} : { body: sampleOf(body) });
    if (status !== (NOT_REFUSED.get(nameOf(route)) ?? 403)) wrong.push(`${nameOf(route)}: ${status}`);
  }
  expect(wrong).toEqual([]);
});

/** What is about whoever asks, or takes a secret that nobody else knows. */
const NOT_REFUSED = new Map([
  ["GET /api/v1/session", 200],
  ["DELETE /api/v1/session", 204],
  ["POST /api/v1/hosts/:host/leases/:lease", 404],
]);

it("nothing that is sent as a body or a query makes the broker fail", async () => {
  const { api, routes } = await start();
  const taking = routes.filter(({ method, url }) => method !== "GET" && url.startsWith("/api/"));
  await fc.assert(
    fc.asyncProperty(
      fc.constantFrom(...taking),
      fc.oneof(
        fc.json({ maxDepth: 3 }),
        fc.jsonValue({ maxDepth: 2 }).map((value) => JSON.stringify({ body: value })),
      ),
      fc.webQueryParameters(),
      async ({ method, url }, body, query) => {
        // `ask` itself throws for what is a fault of the broker.
        const { status } = await api.ask(method, `${pathTo(url)}?${query}`, { body });
        expect(status).toBeLessThan(505);
      },
    ),
    { numRuns: 150 },
  );
});

/** Something that a schema takes, with what it asks for only. */
function sampleOf(schema: Record<string, unknown>): unknown {
  const { enum: words, type, anyOf } = schema;
  if (Array.isArray(words)) return words[0];
  if (Array.isArray(anyOf)) return sampleOf(record(anyOf[0]));
  if ("const" in schema) return schema["const"];
  if (type === "array") return [sampleOf(record(schema["items"]))];
  if (type === "integer" || type === "number") return schema["minimum"] ?? 1;
  if (type === "boolean") return true;
  if (type !== "object") return "a";
  const required = Array.isArray(schema["required"]) ? schema["required"].map(String) : [];
  const properties = record(schema["properties"]);
  return Object.fromEntries(required.map((name) => [name, sampleOf(record(properties[name]))]));
}
