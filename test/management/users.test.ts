import { rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { startBroker, temporaryFolder } from "../support/broker.ts";
import { eventually } from "../support/eventually.ts";
import { startManagement } from "../support/management.ts";
import { StompWire } from "../support/stomp-wire.ts";

const API = "/api/v1";

it("makes a user who can log in at once, over a restart too, and shows no secret", async () => {
  const directory = temporaryFolder();
  const store = ["store.kind=lmdb", `store.directory=${directory}`];
  const api = await startManagement(store);
  const made = await api.put(`${API}/users/ann`, { password: "correct horse", groups: ["plant"] });
  expect(made).toMatchObject({ status: 201, body: { name: "ann", groups: ["plant"], origin: "managed" } });
  const login = { headers: { login: "ann", passcode: "correct horse" } };
  await StompWire.connect(api.broker.port, login);
  const listed = await api.get(`${API}/users?o=name`);
  expect(listed.body).toMatchObject({
    total_rows: 2,
    items: [
      { name: "admin", origin: "configuration", groups: ["admins"] },
      { name: "ann", origin: "managed", enabled: true, has_password: true },
    ],
  });
  const audited = JSON.stringify(api.broker.server.audit.recent()) + api.broker.log.join("");
  for (const text of [JSON.stringify(listed.body), JSON.stringify(made.body), audited]) {
    expect(text).not.toMatch(/correct horse|scrypt\$|15000\$/);
  }
  await api.broker.stop();
  const again = await startBroker(store);
  await StompWire.connect(again.port, login);
});

it("closes the connections of a user who is deleted or may not log in any more", async () => {
  const api = await startManagement();
  await api.put(`${API}/users/ann`, { password: "x" });
  const login = { headers: { login: "ann", passcode: "x" } };
  const first = await StompWire.connect(api.broker.port, login);
  expect((await api.put(`${API}/users/ann`, { enabled: false })).body).toMatchObject({ enabled: false });
  await first.refused();
  expect((await api.get(`${API}/session`, { as: "ann:x" })).status).toBe(401);
  expect((await api.put(`${API}/users/ann`, { enabled: true })).status).toBe(200);
  const second = await StompWire.connect(api.broker.port, login);
  expect((await api.delete(`${API}/users/ann`)).status).toBe(204);
  await second.refused();
  expect((await api.delete(`${API}/users/ann`)).status).toBe(404);
});

it("changes no user of the configuration, and takes no name that nobody could log in with", async () => {
  const api = await startManagement();
  const refused = await api.put(`${API}/users/admin`, { password: "mine now" });
  expect(refused).toMatchObject({
    status: 409,
    body: { code: "conflict", detail: expect.stringMatching(/security\.users/) },
  });
  expect((await api.delete(`${API}/users/admin`)).status).toBe(409);
  expect((await api.put(`${API}/users/a%3Ab`, { password: "x" })).status).toBe(400);
  expect((await api.put(`${API}/users/ann`, { password: "" })).status).toBe(400);
  expect((await api.put(`${API}/users/ann`, { admin: true })).status).toBe(400);
  expect(api.broker.server.audit.recent()).toContainEqual(
    expect.objectContaining({ action: "user.put", result: "failed", resource: `${API}/users/admin` }),
  );
});

it("makes a key that is told once, lets a program in by it, and deletes it", async () => {
  const api = await startManagement(["management.api_keys.ci.groups=[robots]"]);
  const made = await api.post(`${API}/api-keys`, { name: "deploy", groups: ["robots"] });
  expect(made).toMatchObject({ status: 201, body: { name: "deploy", key: expect.stringMatching(/^delos_/) } });
  const [, key] = /"key":"([^"]+)"/.exec(JSON.stringify(made.body)) ?? [];
  const bearer = { as: null, headers: { authorization: `Bearer ${key}` } };
  expect((await api.get(`${API}/session`, bearer)).body).toMatchObject({
    user: "deploy",
    groups: ["robots"],
    by: "key",
  });
  const listed = await api.get(`${API}/api-keys`);
  expect(listed.body).toEqual(
    expect.arrayContaining([
      { name: "ci", groups: ["robots"], origin: "configuration" },
      { name: "deploy", groups: ["robots"], origin: "managed" },
    ]),
  );
  expect((await api.get(`${API}/groups`)).body).toContainEqual({
    name: "robots",
    users: [],
    api_keys: expect.arrayContaining(["ci", "deploy"]),
  });
  expect((await api.post(`${API}/api-keys`, { name: "deploy" })).status).toBe(409);
  expect((await api.delete(`${API}/api-keys/ci`)).status).toBe(409);
  expect((await api.delete(`${API}/api-keys/deploy`)).status).toBe(204);
  expect((await api.get(`${API}/session`, bearer)).status).toBe(401);
});

it("ends the browser sessions of a user who is changed, and no others", async () => {
  const api = await startManagement();
  await api.put(`${API}/users/ann`, { password: "x" });
  const signIn = async (user: string, password: string): Promise<Record<string, string>> => {
    const { headers } = await api.post(`${API}/session`, { user, password }, { as: null });
    return { cookie: headers.get("set-cookie")?.split(";", 1)[0] ?? "" };
  };
  const ann = { as: null, headers: await signIn("ann", "x") };
  const admin = { as: null, headers: await signIn("admin", "secret") };
  await api.put(`${API}/users/ann`, { groups: ["new"] });
  await eventually(async () => expect((await api.get(`${API}/session`, ann)).status).toBe(401));
  expect((await api.get(`${API}/session`, admin)).status).toBe(200);
});

it("changes a user though a file of other logins cannot be read just now, and disturbs nobody else", async () => {
  const path = join(temporaryFolder(), "users.yaml");
  writeFileSync(path, "bob: { password: b }");
  const modules = `security.modules=[{control: sufficient, users: {}}, {control: sufficient, users: {file: ${path}}}]`;
  const api = await startManagement([modules]);
  const bob = await StompWire.connect(api.broker.port, { headers: { login: "bob", passcode: "b" } });
  rmSync(path);
  expect((await api.put(`${API}/users/ann`, { password: "x" })).status).toBe(201);
  await StompWire.connect(api.broker.port, { headers: { login: "ann", passcode: "x" } });
  // What was right a moment ago is not remembered for the user's next password.
  expect((await api.put(`${API}/users/ann`, { password: "y" })).status).toBe(200);
  expect((await api.get(`${API}/session`, { as: "ann:x" })).status).toBe(401);
  expect((await api.get(`${API}/session`, { as: "ann:y" })).status).toBe(200);
  await bob.send("SEND", { destination: "/queue/a", receipt: "1" });
  await bob.receipt("1");
});

it("makes a user who is called like the guest, and lets the guest in again when that one is gone", async () => {
  const api = await startManagement();
  const guest = (): Promise<number> => api.get(`${API}/session`, { as: "guest:guest" }).then(({ status }) => status);
  expect(await guest()).toBe(200);
  await api.put(`${API}/users/guest`, { password: "other" });
  expect(await guest()).toBe(401);
  await api.delete(`${API}/users/guest`);
  expect(await guest()).toBe(200);
});
