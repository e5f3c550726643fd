import { expect, it } from "vitest";
import { type Answer, startManagement, type TestManagement } from "../support/management.ts";
import { StompWire } from "../support/stomp-wire.ts";
import { hmacToken, JWT_SECRET } from "../support/tokens.ts";

const PLANT = "/api/v1/hosts/plant";
const OTHER = "/api/v1/hosts/default";
const SESSION = "/api/v1/session";
const SETTINGS = [
  "hosts.plant.security.users.ann.password=ann's",
  "hosts.plant.security.users.ann.groups=[admins]",
  "hosts.plant.security.users.admin.password=plant's",
  "security.users.bob.password=bob's",
  "access_rules=[{allow: [admins]}]",
];
const ANN = { as: "ann:ann's" };

const statusOf = async (answer: Promise<Answer>): Promise<number> => (await answer).status;

it("users of a virtual host log in there, and have no say anywhere else, whatever their groups are called", async () => {
  const api = await startManagement(SETTINGS);
  expect(await statusOf(api.put(`${PLANT}/queues/a`, {}, ANN))).toBe(201);
  expect(await statusOf(api.post(`${PLANT}/queues/a/messages`, { body: "x" }, ANN))).toBe(200);
  expect((await api.post(`${PLANT}/queues/a/consume`, {}, ANN)).body).toMatchObject({ messages: [{ body: "x" }] });
  for (const path of [`${OTHER}/queues`, "/api/v1/users", "/api/v1/hosts", SESSION, "/api/queues", "/api/whoami"]) {
    expect([path, await statusOf(api.get(path, ANN))]).toEqual([path, 401]);
  }
});

it("users of the broker administer it too, but are not its clients", async () => {
  const api = await startManagement(SETTINGS);
  expect(await statusOf(api.put(`${PLANT}/queues/a`))).toBe(403);
  expect(await statusOf(api.put(`${PLANT}/queues/a`, {}, ANN))).toBe(201);
  expect(await statusOf(api.get(`${PLANT}/queues`))).toBe(200);
  expect(await statusOf(api.post(`${PLANT}/queues/a/consume`, {}))).toBe(403);
  // Who is called the same here and there is each by his own password.
  expect(await statusOf(api.get(`${PLANT}/queues`, { as: "admin:plant's" }))).toBe(403);
  expect(await statusOf(api.get(`${OTHER}/queues`, { as: "admin:plant's" }))).toBe(401);
  expect(await statusOf(api.get(`${PLANT}/queues`, { as: "bob:bob's" }))).toBe(403);
  expect(await statusOf(api.get(`${PLANT}/queues`, { as: "bob:wrong" }))).toBe(401);
});

it("a browser signs in at a virtual host, and its session counts there only", async () => {
  const api = await startManagement(SETTINGS);
  const signIn = (host?: string) => api.post(SESSION, { user: "ann", password: "ann's", host }, { as: null });
  expect(await statusOf(signIn())).toBe(401);
  const { body, headers } = await signIn("plant");
  expect(body).toMatchObject({ user: "ann", host: "plant", by: "session" });
  const cookie = headers.get("set-cookie")?.split(";", 1)[0] ?? "";
  const asAnn = { as: null, headers: { cookie } };
  expect(await statusOf(api.get(SESSION, asAnn))).toBe(200);
  expect(await statusOf(api.get(`${PLANT}/queues`, asAnn))).toBe(200);
  for (const path of [`${OTHER}/queues`, "/api/v1/users", "/api/queues", "/api/whoami", "/api/v1/hosts"]) {
    expect([path, await statusOf(api.get(path, asAnn))]).toEqual([path, 403]);
  }
});

it("a try at a virtual host is one try, wherever it is looked up, and counts for nobody else who is called so", async () => {
  const api = await startManagement([...SETTINGS, "security.attempts.free=3", "security.attempts.delay=1m"]);
  const guess = (as: string) => statusOf(api.get(`${PLANT}/queues`, { as }));
  expect([await guess("admin:x"), await guess("admin:y"), await guess("admin:z")]).toEqual([401, 401, 401]);
  expect(await guess("admin:secret")).toBe(429);
  const other = await startManagement([...SETTINGS, "security.attempts.free=3", "security.attempts.delay=1m"]);
  const login = (path: string, as: string) => statusOf(other.get(path, { as }));
  // Whoever has an account of that name in his own virtual host has no more tries at the broker's.
  for (let n = 0; n < 3; n++) {
    expect(await login(`${PLANT}/queues`, "ann:ann's")).toBe(200);
    expect(await login(SESSION, "ann:guess")).toBe(401);
  }
  expect(await login(SESSION, "ann:guess")).toBe(429);
});

it("counts tries at the broker's users though somebody called so has to wait at the virtual host", async () => {
  const api = await startManagement([...SETTINGS, "security.attempts.free=3", "security.attempts.delay=1m"]);
  const guess = (path: string, as: string) => statusOf(api.get(path, { as }));
  // Known from this address, ann fails by herself, and nobody else with her.
  expect(await guess(`${PLANT}/queues`, "ann:ann's")).toBe(200);
  for (let n = 0; n < 2; n++) await guess(`${PLANT}/queues`, "ann:x");
  using own = await StompWire.open(api.broker.port);
  await own.sendPlain("CONNECT", { "accept-version": "1.2", host: "plant", login: "ann", passcode: "x" });
  await own.expect("ERROR");
  // From now on she has to wait there; the broker's user of that name has one try left.
  expect(await guess(`${PLANT}/queues`, "ann:y")).toBe(429);
  expect(await guess("/api/v1/hosts", "ann:z")).toBe(429);
});

it("takes tokens of a virtual host's own issuer, and none of nobody where nobody need log in", async () => {
  const api: TestManagement = await startManagement([
    `hosts.plant.security.modules=[{control: sufficient, jwt: {secret: ${JWT_SECRET}}}]`,
    "hosts.open.security.enabled=false",
  ]);
  const token = { as: null, headers: { authorization: `Bearer ${hmacToken({ sub: "ann" })}` } };
  expect(await statusOf(api.get(`${PLANT}/queues`, token))).toBe(200);
  expect(await statusOf(api.get(`${OTHER}/queues`, token))).toBe(401);
  expect(await statusOf(api.get("/api/v1/hosts/open/queues", { as: "x:y" }))).toBe(401);
  expect(await statusOf(api.get("/api/v1/hosts/open/queues"))).toBe(200);
});
