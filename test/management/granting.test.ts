import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { temporaryFolder } from "../support/broker.ts";
import { startManagement, type TestManagement } from "../support/management.ts";

const API = "/api/v1";
/** Users are as powerful as their groups: an administrator who may not configure, among others. */
const RULES = [
  "access_rules=[" +
    [
      "{deny: [interns], action: [send], kind: [topic], id: 'payroll.**'}",
      "{allow: [admins]}",
      "{allow: [ops], action: [admin, monitor, connect]}",
      "{allow: [ops, apps], action: [connect]}",
      "{allow: [ops], action: [send, create], kind: [queue, topic], id: 'orders.**'}",
      "{allow: [apps], action: [send], kind: [queue], id: 'orders.eu.*'}",
      "{allow: ['*'], action: [consume], kind: [queue], id: 'of.%u.**'}",
      "{allow: [boss], principal_kind: [user], action: [config]}",
      "{allow: [listed], action: [config]}",
      "{allow: [writers], action: [send], kind: [queue], id: 'bills.**'}",
      "{allow: [odd], action: [send], kind: [queue], id_regex: 'orders[.].*'}",
      "{allow: [remote], action: [config], connector: stomp}",
    ].join(", ") +
    "]",
  "security.users.op.password=pw",
  "security.users.op.groups=[ops]",
  "security.users.intern.password=pw",
  "security.users.intern.groups=[ops, interns]",
];
const OP = { as: "op:pw" };

const put = (api: TestManagement, name: string, groups: readonly string[], as = OP) =>
  api.put(`${API}/users/${name}`, { password: "x", groups }, as);

it("an administrator gives what he has himself, and nothing else", async () => {
  const api = await startManagement(RULES);
  for (const [name, groups] of [
    ["a", []],
    ["b", ["ops"]],
    ["c", ["apps"]],
    ["d", ["ops", "apps", "unknown"]],
  ] as const) {
    expect([name, (await put(api, name, groups)).status]).toEqual([name, 201]);
  }
  for (const [name, groups] of [
    ["e", ["admins"]],
    ["f", ["ops", "listed"]],
    ["boss", []],
    ["g", ["writers"]],
    ["h", ["odd"]],
    ["i", ["remote"]],
  ] as const) {
    const refused = await put(api, name, groups);
    expect([name, refused.status]).toEqual([name, 403]);
    expect(JSON.stringify(refused.body)).toMatch(/nobody gives a right/);
    const key = await api.post(`${API}/api-keys`, { name, groups }, OP);
    expect([name, key.status]).toEqual([name, 403]);
    const rabbit = await api.put(`/api/users/${name}`, { password: "x", tags: groups.join(",") }, OP);
    expect([name, rabbit.status]).toEqual([name, 403]);
  }
  const definitions = await api.post("/api/definitions", { users: [{ name: "j", password: "x", tags: "admins" }] }, OP);
  expect(definitions.body).toMatchObject({ imported: { users: 0 }, skipped: [expect.stringMatching(/nobody gives/)] });
  expect((await api.post(`${API}/api-keys`, { name: "k", groups: ["apps"] }, OP)).status).toBe(201);
});

it("who may configure the broker gives what he likes", async () => {
  const api = await startManagement(RULES);
  expect((await api.put(`${API}/users/e`, { password: "x", groups: ["writers", "admins"] })).status).toBe(201);
  expect((await api.post(`${API}/api-keys`, { name: "k", groups: ["admins"] })).status).toBe(201);
});

it("nobody takes over, raises or removes an account that has more than he has", async () => {
  const api = await startManagement(RULES);
  await api.put(`${API}/users/root`, { password: "x", groups: ["admins"] });
  await api.put(`${API}/users/app`, { password: "x", groups: ["apps"] });
  await api.post(`${API}/api-keys`, { name: "k", groups: ["admins"] });
  expect((await api.put(`${API}/users/root`, { password: "mine" }, OP)).status).toBe(403);
  expect((await api.put(`${API}/users/root`, { groups: [] }, OP)).status).toBe(403);
  expect((await api.delete(`${API}/users/root`, OP)).status).toBe(403);
  expect((await api.delete("/api/users/root", OP)).status).toBe(403);
  expect((await api.delete(`${API}/api-keys/k`, OP)).status).toBe(403);
  expect((await api.put(`${API}/users/app`, { groups: ["admins"] }, OP)).status).toBe(403);
  expect((await api.put(`${API}/users/app`, { password: "new" }, OP)).status).toBe(200);
  expect((await api.delete(`${API}/users/app`, OP)).status).toBe(204);
});

it("who is denied something makes nobody who is not", async () => {
  const api = await startManagement([
    ...RULES,
    "hosts.default.access_rules=[{allow: [ops], action: [send], kind: [topic]}]",
  ]);
  const intern = { as: "intern:pw" };
  expect((await put(api, "other", ["ops", "interns"], intern)).status).toBe(201);
  const strict = await startManagement(RULES.map((rule) => rule.replace("id: 'orders.**'", "id: '**'")));
  expect((await put(strict, "other", ["ops", "interns"], intern)).status).toBe(201);
  expect((await put(strict, "other", ["ops"], intern)).status).toBe(403);
});

it("a placeholder gives others their own place, and nobody the one that is denied to the giver", async () => {
  const api = await startManagement([
    "access_rules=[{allow: [admins]}, {deny: [ops], id: 'own.%u.**', kind: [queue], action: [send]}, " +
      "{allow: [ops], action: [admin, connect]}, {allow: [ops], kind: [queue], action: [send], id: 'own.**'}, " +
      "{allow: [apps], kind: [queue], action: [send], id: 'own.op.a'}, " +
      "{allow: [others], kind: [queue], action: [send], id: 'own.else.a'}]",
    "security.users.op.password=pw",
    "security.users.op.groups=[ops]",
  ]);
  expect((await put(api, "a", ["apps"])).status).toBe(403);
  expect((await put(api, "b", ["others"])).status).toBe(201);
  // Of the same group he would not be denied what the giver is, but something else.
  expect((await put(api, "c", ["ops"])).status).toBe(403);
});

it("counts the groups that a file gives to a name", async () => {
  const path = join(temporaryFolder(), "groups.properties");
  writeFileSync(path, "admins=root\n");
  const modules = `security.modules=[{control: sufficient, users: {}}, {control: optional, groups: {file: ${path}}}]`;
  const api = await startManagement([...RULES, modules]);
  expect((await put(api, "root", [])).status).toBe(403);
  expect((await put(api, "other", [])).status).toBe(201);
});
