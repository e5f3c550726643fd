import { connect } from "node:net";
import { expect, it, onTestFinished, vi } from "vitest";
import { eventually } from "../support/eventually.ts";
import { ADMIN, type Answer, startManagement, type TestManagement } from "../support/management.ts";
import { type Operation, operationsOf, pathOf, record } from "../support/openapi.ts";

/** What an answer was that should have been another one. */
function complaint({ method, path }: Operation, what: string, { status, body }: Answer): string {
  return `${method} ${path}, ${what}: ${status} ${JSON.stringify(body).slice(0, 200)}`;
}

/** Whether an answer is a problem with this status. */
function isProblem({ status, headers, body }: Answer, wanted: number, code?: string): boolean {
  const problem = record(body);
  return (
    status === wanted &&
    headers.get("content-type")?.startsWith("application/problem+json") === true &&
    problem["status"] === wanted &&
    typeof problem["detail"] === "string" &&
    (code === undefined || problem["code"] === code)
  );
}

function protectedOnes(operations: readonly Operation[]): Operation[] {
  return operations.filter(({ right }) => right !== "none");
}

it("every route wants to know who asks, and is told in the way it can be", async () => {
  const api = await startManagement();
  const operations = protectedOnes(await operationsOf(api));
  expect(operations.length).toBeGreaterThan(30);
  const wrong: string[] = [];
  const wrongOnes = [null, "admin:wrong", "nobody:secret", ":", "admin"];
  for (const operation of operations) {
    const answer = await api.ask(operation.method, pathOf(operation), { as: null });
    if (!isProblem(answer, 401, "not-authenticated")) wrong.push(complaint(operation, "without credentials", answer));
    if (answer.headers.get("www-authenticate") === null) wrong.push(complaint(operation, "without challenge", answer));
  }
  const [first] = operations;
  if (first === undefined) throw new Error("There are no routes");
  for (const as of wrongOnes) {
    const answer = await api.ask(first.method, pathOf(first), { as });
    if (!isProblem(answer, 401)) wrong.push(complaint(first, `as ${as}`, answer));
  }
  for (const authorization of ["Digest x", "Bearer", "Bearer ", "Bearer nonsense", "Basic", "Basic %%%"]) {
    const answer = await api.ask(first.method, pathOf(first), { as: null, headers: { authorization } });
    if (!isProblem(answer, 401)) wrong.push(complaint(first, authorization, answer));
  }
  expect(wrong).toEqual([]);
});

it("every route refuses who may not, before it looks at anything else", async () => {
  const api = await startManagement();
  const operations = protectedOnes(await operationsOf(api));
  vi.spyOn(api.broker.server.broker, "access", "get").mockReturnValue({ allows: () => false });
  const wrong: string[] = [];
  for (const operation of operations.filter(({ right }) => right !== "login")) {
    const answer = await api.ask(
      operation.method,
      pathOf(operation),
      operation.body === undefined ? {} : { body: "{" },
    );
    if (!isProblem(answer, 403, "not-authorized")) wrong.push(complaint(operation, "without any right", answer));
    const [action = ""] = operation.right.split(" ");
    if (!String(record(answer.body)["detail"]).includes(`"${action}"`)) {
      wrong.push(complaint(operation, "without the name of the right", answer));
    }
  }
  expect(wrong).toEqual([]);
});

it("every route that changes something wants the token of a session, and takes nothing from pages of others", async () => {
  const api = await startManagement();
  const operations = protectedOnes(await operationsOf(api)).filter(({ method }) => method !== "GET");
  const signedIn = await api.post("/api/v1/session", { user: "admin", password: "secret" }, { as: null });
  const cookie = String(signedIn.headers.get("set-cookie")).split(";")[0] ?? "";
  const csrf = String(record(signedIn.body)["csrf"]);
  const wrong: string[] = [];
  for (const operation of operations) {
    for (const shown of [undefined, "", "guess", `${csrf}x`]) {
      const headers = { cookie, ...(shown === undefined ? {} : { "x-csrf-token": shown }) };
      const answer = await api.ask(operation.method, pathOf(operation), { as: null, headers });
      if (!isProblem(answer, 403, "csrf")) wrong.push(complaint(operation, `with the token ${shown}`, answer));
    }
    for (const origin of ["https://evil.example", "null", "http://127.0.0.1"]) {
      const answer = await api.ask(operation.method, pathOf(operation), { as: ADMIN, headers: { origin } });
      if (!isProblem(answer, 403, "origin")) wrong.push(complaint(operation, `from ${origin}`, answer));
    }
  }
  expect(wrong).toEqual([]);
});

it("every route refuses bodies that are no JSON, too large, or not as its schema says", async () => {
  const api = await startManagement(["management.max_body=1k"]);
  const wrong: string[] = [];
  const operations = (await operationsOf(api)).filter(({ body }) => body !== undefined && "properties" in body);
  expect(operations.length).toBeGreaterThan(15);
  for (const operation of operations) {
    const body = record(operation.body);
    const check = async (what: string, status: number, sent: unknown, headers: Record<string, string> = {}) => {
      const answer = await api.ask(operation.method, pathOf(operation), { body: sent, headers });
      if (!isProblem(answer, status)) wrong.push(complaint(operation, what, answer));
    };
    const checks = ["{", "[1,", '{"a":1}garbage', "\u0000"].map((text) => check(`with the body ${text}`, 400, text));
    for (const value of [[], 1, null, "text"]) {
      checks.push(check(`with the body ${JSON.stringify(value)}`, 400, JSON.stringify(value)));
    }
    checks.push(check("with an unknown key", 400, { ...sampleOf(body), no_such_key: 1 }));
    for (const [name, value] of wrongValues(body)) {
      checks.push(check(`with ${name}: ${JSON.stringify(value)}`, 400, { ...sampleOf(body), [name]: value }));
    }
    checks.push(check("with a large body", 413, { ...sampleOf(body), no_such_key: "x".repeat(2000) }));
    checks.push(check("with XML", 415, "<a/>", { "content-type": "application/xml" }));
    await Promise.all(checks);
  }
  expect(wrong).toEqual([]);
});

it("every route refuses queries that are not as its schema says", async () => {
  const api = await startManagement();
  const wrong: string[] = [];
  for (const operation of (await operationsOf(api)).filter(({ query }) => query.length > 0)) {
    const { method, body } = operation;
    const check = async (query: string): Promise<void> => {
      const asking = body === undefined ? {} : { body: sampleOf(body) };
      const answer = await api.ask(method, `${pathOf(operation)}?${query}`, asking);
      if (!isProblem(answer, 400)) wrong.push(complaint(operation, `?${query}`, answer));
    };
    for (const { name, schema } of operation.query) {
      const kind = schema["type"];
      const words = schema["enum"] !== undefined || schema["anyOf"] !== undefined;
      if (kind === "string" && typeof schema["maxLength"] === "number") {
        // A path with more is refused as a whole.
        if (schema["maxLength"] < 10_000) await check(`${name}=${"x".repeat(schema["maxLength"] + 1)}`);
      }
      if (kind !== "integer" && kind !== "boolean" && !words) continue;
      for (const value of ["x", "-1", "1e999", "%00", "9007199254740993999", "1.5", ""])
        await check(`${name}=${value}`);
    }
    await check("no_such_key=1");
  }
  expect(wrong).toEqual([]);
});

it("no route is led astray by what stands in its path", async () => {
  const api = await startManagement();
  const tricks = [
    "..%2f..%2fetc%2fpasswd",
    "%2e%2e",
    "%00",
    "%ff",
    "%",
    "*",
    "a%0d%0aset-cookie:x=1",
    "x".repeat(5000),
  ];
  const wrong: string[] = [];
  for (const operation of await operationsOf(api)) {
    // What streams has no end to wait for.
    if (operation.method !== "GET" || operation.answers.get("200") === undefined) continue;
    const [, ...names] = Array.from(operation.path.matchAll(/\{(\w+)\}/g), ([, name = ""]) => name).reverse();
    const last = /\{(\w+)\}[^{]*$/.exec(operation.path)?.[1];
    for (const name of last === undefined ? [] : [last, ...names]) {
      for (const trick of tricks) {
        const answer = await api.get(pathOf(operation, { [name]: trick }));
        const known = answer.status === 400 || answer.status === 404 || answer.status === 414;
        if (answer.headers.get("set-cookie") !== null || (!known && answer.status !== 200)) {
          wrong.push(complaint(operation, `with ${name} = ${trick.slice(0, 20)}`, answer));
        }
        if (known && !isProblem(answer, answer.status))
          wrong.push(complaint(operation, `with ${trick.slice(0, 20)}`, answer));
      }
    }
  }
  expect(wrong).toEqual([]);
});

it("what is not there is a problem too, whatever the method", async () => {
  const api: TestManagement = await startManagement();
  for (const [method, path] of [
    ["GET", "/api/v1/nothing"],
    ["POST", "/api/v1/broker"],
    ["PATCH", "/api/v1/session"],
    ["GET", "/api/v1/hosts/nowhere/queues"],
    ["GET", "/api/v1/../../etc/passwd"],
  ] as const) {
    expect(isProblem(await api.ask(method, path), 404)).toBe(true);
  }
});

/** Something that a schema takes, with what it asks for only. */
function sampleOf(schema: Record<string, unknown>): Record<string, unknown> {
  const required = Array.isArray(schema["required"]) ? schema["required"].map(String) : [];
  const properties = record(schema["properties"]);
  return Object.fromEntries(required.map((name) => [name, valueOf(record(properties[name]))]));
}

function valueOf(schema: Record<string, unknown>): unknown {
  const { enum: words, type } = schema;
  if (Array.isArray(words)) return words[0];
  if (type === "object") return sampleOf(schema);
  if (type === "array") return [valueOf(record(schema["items"]))];
  if (type === "integer" || type === "number") return schema["minimum"] ?? 1;
  return type === "boolean" ? true : "a";
}

/** For each property of a known type, values of other types. */
function wrongValues(schema: Record<string, unknown>): [name: string, value: unknown][] {
  const wrong: [name: string, value: unknown][] = [];
  for (const [name, each] of Object.entries(record(schema["properties"]))) {
    const inner = record(each);
    for (const [key, value] of wrongValues(inner)) wrong.push([name, { ...sampleOf(inner), [key]: value }]);
    const { type, minimum, maximum, enum: words } = inner;
    if (typeof type !== "string") continue;
    const values: readonly (readonly [type: string, value: unknown])[] = [
      ["string", "x"],
      ["number", 1.5],
      ["boolean", true],
      ["array", [[]]],
      ["object", { no_such_key: 1 }],
    ];
    for (const [kind, value] of values) if (kind !== type) wrong.push([name, value]);
    if (typeof minimum === "number") wrong.push([name, minimum - 1]);
    if (typeof maximum === "number") wrong.push([name, maximum * 2 + 1]);
    if (words !== undefined) wrong.push([name, "no such word"]);
  }
  return wrong;
}
it("a number that would lose digits is refused, wherever it stands", async () => {
  const api = await startManagement();
  const path = "/api/v1/hosts/default/queues/a/messages";
  for (const text of [
    '{"body": {"id": 12345678901234567890}, "body_encoding": "json"}',
    '{"body": [[-9007199254740993]], "body_encoding": "structured"}',
    '{"properties": {"n": 9007199254740993}}',
    `{"properties": {"n": ${"9".repeat(400)}}}`,
  ]) {
    const answer = await api.ask("POST", path, { body: text });
    expect(isProblem(answer, 400), JSON.stringify(answer.body)).toBe(true);
    expect(record(answer.body)["detail"]).toContain("more digits");
  }
  for (const text of [
    '{"body": {"id": 9007199254740992, "x": 1e300, "y": 0.12345678901234567890}, "body_encoding": "json"}',
    '{"body": "12345678901234567890 \\"12345678901234567890"}',
  ]) {
    expect((await api.ask("POST", path, { body: text })).status).toBe(200);
  }
});

it("what is far too much is refused before it is looked at one by one", async () => {
  const api = await startManagement();
  const many = Object.fromEntries(Array.from({ length: 20_000 }, (_, n) => [`k${n}`, []]));
  for (const [path, body] of [
    ["queues/a/purge", { sequences: Array.from({ length: 20_000 }, () => "x") }],
    ["queues/a/messages", { properties: many }],
    ["queues/a/messages", many],
    ["explain", { destination: "a", message: { properties: many } }],
  ] as const) {
    const answer = await api.post(`/api/v1/hosts/default/${path}`, body);
    expect(isProblem(answer, 400)).toBe(true);
    expect(record(answer.body)["errors"]).toEqual([
      { path: expect.any(String), message: expect.stringContaining("must not have more than") },
    ]);
  }
});

it("names that are too long to be kept, or for clients to say, are refused", async () => {
  const api = await startManagement();
  for (const [path, body] of [
    [`durable-subscriptions/${"x".repeat(2000)}`, { topics: ["t"] }],
    [`exchanges/${encodeURIComponent("€".repeat(100))}`, {}],
    [`queues/${"x".repeat(2000)}`, {}],
    [`topics/${"x".repeat(2000)}`, {}],
  ] as const) {
    expect(isProblem(await api.put(`/api/v1/hosts/default/${path}`, body), 400)).toBe(true);
  }
});

it("an empty name in a path names nothing", async () => {
  const api = await startManagement();
  for (const [method, path] of [
    ["PUT", "/api/v1/hosts/default/queues/"],
    ["DELETE", "/api/v1/hosts/default/topics/"],
    ["PUT", "/api/v1/hosts/default/durable-subscriptions/"],
    ["GET", "/api/v1/hosts//queues"],
    ["POST", "/api/v1/hosts/default/queues//pause"],
  ] as const) {
    const answer = await api.ask(method, path, method === "PUT" ? { body: {} } : {});
    expect([method, path, answer.status]).toEqual([method, path, 404]);
  }
});

it("a change on a condition is refused, for conditions are not looked at", async () => {
  const api = await startManagement();
  const path = "/api/v1/hosts/default/topics/a";
  for (const headers of [{ "if-match": '"stale"' }, { "if-unmodified-since": "Sat, 01 Jan 2022 00:00:00 GMT" }]) {
    expect(isProblem(await api.ask("PUT", path, { headers }), 412)).toBe(true);
  }
  expect((await api.get(path)).status).toBe(404);
});

it("requests of one connection in a row, without a wait for the replies, are not taken without end", async () => {
  const api = await startManagement();
  const path = "/api/v1/hosts/default/topics/a/consume";
  const body = JSON.stringify({ wait_ms: 60_000 });
  const authorization = Buffer.from(ADMIN).toString("base64");
  const request =
    `POST ${path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Basic ${authorization}\r\n` +
    `Content-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${body}`;
  const socket = connect(Number(new URL(api.url).port), "127.0.0.1");
  onTestFinished(() => void socket.destroy());
  socket.write(request.repeat(100));
  const { clients } = api.broker.server.broker.host(undefined) ?? { clients: new Set() };
  await eventually(() => expect(clients.size).toBe(32));
  socket.destroy();
  await eventually(() => expect(clients.size).toBe(0));
});
