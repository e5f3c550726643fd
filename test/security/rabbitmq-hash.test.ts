import { createHash } from "node:crypto";
import { expect, it } from "vitest";
import { isOfRabbitHash, keptRabbitHash, parseRabbitHash } from "../../src/security/rabbitmq-hash.ts";
import { temporaryFolder } from "../support/broker.ts";
import { startManagement, type TestManagement } from "../support/management.ts";
import { StompWire } from "../support/stomp-wire.ts";

const SHA256 = "rabbit_password_hashing_sha256";
const SHA512 = "rabbit_password_hashing_sha512";

function rabbitHash(password: string, digest: "sha256" | "sha512"): string {
  const salt = Buffer.from([1, 2, 3, 4]);
  return Buffer.concat([salt, createHash(digest).update(salt).update(password).digest()]).toString("base64");
}

it.each<[string, string, string, boolean]>([
  // From RabbitMQ's documentation, and from a broker of version 3.10.
  [SHA256, "kI3GCqW5JLMJa4iX1lo7X4D6XbYqlLgxIs30+P6tENUV2POR", "test12", true],
  [SHA256, "kI3GCqW5JLMJa4iX1lo7X4D6XbYqlLgxIs30+P6tENUV2POR", "test13", false],
  [SHA256, "NPCtmRDrixMjCN8sZUXUwfk6Q5aUwN+khpXVetli2+K5yKan", "guest", true],
  [SHA512, rabbitHash("pässword", "sha512"), "pässword", true],
  [SHA512, rabbitHash("pässword", "sha512"), "password", false],
])("%s %s is a hash of %s: %s", (algorithm, base64, password, is) => {
  const hash = parseRabbitHash(keptRabbitHash(algorithm, base64) ?? "");
  expect(hash !== undefined && isOfRabbitHash(password, hash)).toBe(is);
});

it.each([
  ["rabbit_password_hashing_md5", rabbitHash("x", "sha256")],
  [SHA512, rabbitHash("x", "sha256")],
  [SHA256, rabbitHash("x", "sha512")],
  [SHA256, "nonsense"],
  [SHA256, ""],
  ["toString", rabbitHash("x", "sha256")],
])("%s %s is none", (algorithm, base64) => {
  expect(keptRabbitHash(algorithm, base64)).toBe(undefined);
});

const imported = (api: TestManagement, users: object[]) => api.post("/api/definitions", { users });

const login = (api: TestManagement, user: string, passcode: string) =>
  StompWire.connect(api.broker.port, { headers: { login: user, passcode } });

/** What the store has of users. */
function kept({ broker: { server } }: TestManagement): string {
  const { store } = server.broker;
  return Array.from(store.keys("account"), ({ key }) => store.get("account", key)?.toString() ?? "").join();
}

it("users of RabbitMQ log in by the passwords they had, which are kept better from then on", async () => {
  const stored = ["store.kind=lmdb", `store.directory=${temporaryFolder()}`];
  const api = await startManagement(stored);
  const users = [
    { name: "ann", password_hash: rabbitHash("ann's", "sha256"), hashing_algorithm: SHA256, tags: "monitoring" },
    { name: "bob", password_hash: rabbitHash("bob's", "sha512"), hashing_algorithm: SHA512, tags: [] },
    { name: "cy", password_hash: rabbitHash("cy's", "sha256") },
    { name: "md5", password_hash: "x", hashing_algorithm: "rabbit_password_hashing_md5" },
    { name: "guest", password_hash: rabbitHash("guest", "sha256") },
  ];
  const { body } = await imported(api, users);
  expect(body).toMatchObject({
    imported: { users: 3 },
    skipped: [expect.stringContaining("none by SHA-256"), expect.stringContaining("password that everybody knows")],
  });
  expect(kept(api)).toMatch(/rabbitmq-sha256\$.*rabbitmq-sha512\$/);
  expect((await api.get("/api/v1/session", { as: "ann:wrong" })).status).toBe(401);
  expect((await api.get("/api/v1/session", { as: "ann:ann's" })).body).toMatchObject({ groups: ["monitoring"] });
  const ann = await login(api, "ann", "ann's");
  await login(api, "bob", "bob's");
  expect(kept(api)).toMatch(/scrypt\$/);
  expect(kept(api).match(/rabbitmq-/g)).toHaveLength(1);
  // It is the same password: another look at who is connected puts nobody out.
  await api.put("/api/v1/users/ann", { groups: ["other"] });
  await ann.send("SEND", { destination: "/queue/a", receipt: "1" });
  await ann.receipt("1");
  await api.broker.stop();
  const again = await startManagement(stored);
  await login(again, "ann", "ann's");
  await login(again, "cy", "cy's");
  expect(kept(again)).not.toContain("rabbitmq-");
  expect((await again.get("/api/v1/session", { as: "cy:wrong" })).status).toBe(401);
});

it("a hash of RabbitMQ that is changed while it is checked stays changed", async () => {
  const api = await startManagement();
  await imported(api, [{ name: "ann", password_hash: rabbitHash("old", "sha256") }]);
  const before = api.get("/api/v1/session", { as: "ann:old" });
  expect((await api.put("/api/v1/users/ann", { password: "new" })).status).toBe(200);
  await before;
  expect((await api.get("/api/v1/session", { as: "ann:old" })).status).toBe(401);
  expect((await api.get("/api/v1/session", { as: "ann:new" })).status).toBe(200);
});
