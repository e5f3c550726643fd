import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { loadConfig } from "../../src/config/load.ts";
import { temporaryFolder } from "../support/broker.ts";
import { eventually } from "../support/eventually.ts";
import { authority, writePair } from "../support/certificates.ts";
import { ADMIN, startManagement, type TestManagement } from "../support/management.ts";
import { StompWire } from "../support/stomp-wire.ts";

const API = "/api/v1";

/** A broker whose configuration is read again from a file that a test changes. */
async function fromFile(text: string): Promise<{ api: TestManagement; write: (text: string) => void }> {
  const directory = temporaryFolder();
  const write = (yaml: string): void => writeFileSync(join(directory, "delos.yaml"), yaml);
  write(text);
  const sets = [
    "store.kind=memory",
    "listeners.stomp.port=0",
    ...["mqtt", "amqp", "openwire"].map((name) => `listeners.${name}.enabled=false`),
    "management.port=0",
    "log.level=debug",
    "log.format=json",
    "log.repeats_per_minute=0",
    "management.enabled=true",
    "security.users.admin.password=secret",
    "security.users.admin.groups=[admins]",
  ];
  const sources = { file: "delos.yaml", directory, sets };
  const api = await startManagement([], { load: (posted) => loadConfig({ ...sources, text: posted }) });
  return { api, write };
}

it("lists what holds with where it is written, and no secret", async () => {
  const { api } = await fromFile("shutdown: {timeout: 5s}\n");
  const { body } = await api.get(`${API}/configuration?q=key LIKE 'shutdown.%25' OR key = 'stomp.max_body'`);
  expect(body).toMatchObject({
    items: expect.arrayContaining([
      {
        key: "shutdown.timeout",
        value: "10s",
        written: "5s",
        changed: true,
        origin: expect.stringMatching(/delos\.yaml:1:/),
      },
      { key: "stomp.max_body", value: "100m", written: "100m", changed: false, origin: "default" },
    ]),
  });
  const all = await api.get(`${API}/configuration?ps=1000`);
  expect(JSON.stringify(all.body)).toContain('"security.users.admin.password","value":"********"');
  expect(JSON.stringify(all.body)).not.toContain('"secret"');
});

it("checks a configuration that is posted, says what it would change and what needs a restart, and takes nothing over", async () => {
  const { api } = await fromFile("shutdown: {timeout: 10s}\n");
  const good = await api.post(`${API}/configuration/plan`, {
    text: "shutdown: {timeout: 3s}\nbroker: {name: other}\n",
  });
  expect(good.body).toEqual({
    valid: true,
    problems: [],
    warnings: expect.any(Array),
    changes: expect.arrayContaining([
      { key: "shutdown.timeout", from: "10s", to: "3s", needs_restart: false },
      { key: "broker.name", from: "delos", to: "other", needs_restart: true },
    ]),
  });
  const bad = await api.post(`${API}/configuration/plan`, { text: "shutdown: {timeout: never}\nbrocker: {}\n" });
  expect(bad.body).toMatchObject({ valid: false, changes: [] });
  expect(JSON.stringify(bad.body)).toMatch(/delos\.yaml:1:.*shutdown\.timeout/);
  expect(JSON.stringify(bad.body)).toMatch(/did you mean \\"broker\\"/);
  const { body } = await api.get(`${API}/configuration?q=key = 'shutdown.timeout'`);
  expect(body).toMatchObject({ items: [{ value: "10s" }] });
});

it("reads the configuration again when asked, and leaves all as it is when something is wrong", async () => {
  const { api, write } = await fromFile("shutdown: {timeout: 10s}\n");
  write("shutdown: {timeout: 4s}\nbroker: {name: other}\n");
  const reloaded = await api.post(`${API}/configuration/reload`);
  expect(reloaded).toMatchObject({
    status: 200,
    body: {
      applied: expect.arrayContaining(["shutdown.timeout"]),
      needs_restart: expect.arrayContaining(["broker.name"]),
    },
  });
  write("shutdown: {timeout: never}\n");
  const refused = await api.post(`${API}/configuration/reload`);
  expect(refused).toMatchObject({ status: 400, body: { detail: expect.stringMatching(/shutdown\.timeout/) } });
  const { body } = await api.get(`${API}/configuration?q=key = 'shutdown.timeout'`);
  expect(body).toMatchObject({ items: [{ value: "4s" }] });
  const results = api.broker.server.audit.recent().filter(({ action }) => action === "configuration.reload");
  expect(results.map(({ result }) => result)).toEqual(["failed", "ok"]);
});

it("changes the level of the log, of all parts or of one", async () => {
  const api = await startManagement();
  const initial = await api.get(`${API}/log`);
  expect(initial.body).toMatchObject({ level: "debug", components: { net: "debug", security: "debug" } });
  const changed = await api.put(`${API}/log`, { level: "error", components: { net: "info" } });
  expect(changed.body).toMatchObject({ level: "error", components: { net: "info", security: "error" } });
  const client = await StompWire.connect(api.broker.port);
  await client.request("DISCONNECT");
  await eventually(() =>
    expect(api.broker.log.join("")).toMatch(/"component":"net".*"reason":.*"msg":"connection closed"/),
  );
  expect((await api.put(`${API}/log`, { level: "loud" })).status).toBe(400);
  expect(await api.put(`${API}/log`, { components: { nets: "info" } })).toMatchObject({
    status: 404,
    body: { detail: expect.stringContaining("expected one of") },
  });
});

it("stops a listener and starts it again on its port, keeping or closing who is connected", async () => {
  const api = await startManagement();
  const { port } = api.broker;
  const client = await StompWire.connect(port);
  expect((await api.get(`${API}/listeners/stomp`)).body).toMatchObject({ state: "listening", port, connections: 1 });
  expect((await api.post(`${API}/listeners/stomp/stop`)).body).toMatchObject({ state: "stopped", connections: 1 });
  await expect(StompWire.open(port)).rejects.toThrow(/ECONNREFUSED/);
  await client.request("SEND", { destination: "/queue/a" }, "still here");
  expect((await api.post(`${API}/listeners/stomp/start`)).body).toMatchObject({ state: "listening", port });
  const other = await StompWire.connect(port);
  expect((await api.post(`${API}/listeners/stomp/stop?connections=close`)).status).toBe(200);
  expect(await other.refused()).toContain("stopped by an operator");
  expect((await api.post(`${API}/listeners/mqtt/stop`)).status).toBe(409);
  expect((await api.post(`${API}/listeners/none/stop`)).status).toBe(404);
  const done = api.broker.server.audit.recent().filter(({ action }) => action.startsWith("listener."));
  expect(done.map(({ action, result }) => `${action} ${result}`).reverse()).toEqual([
    "listener.stop ok",
    "listener.start ok",
    "listener.stop ok",
    "listener.stop failed",
    "listener.stop failed",
  ]);
});

it("streams figures with rates to those who watch, and ends when the broker does", async () => {
  const api = await startManagement();
  const headers = { authorization: `Basic ${Buffer.from(ADMIN).toString("base64")}` };
  const response = await fetch(`${api.url}${API}/events`, { headers });
  expect(response.headers.get("content-type")).toContain("text/event-stream");
  expect(response.headers.get("x-content-type-options")).toBe("nosniff");
  let text = "";
  const reading = (async () => {
    for await (const chunk of response.body ?? []) text += Buffer.from(chunk).toString();
  })().catch(() => {});
  const client = await StompWire.connect(api.broker.port);
  for (let n = 0; n < 50; n++) await client.send("SEND", { destination: "/queue/a" }, "x");
  await eventually(() => expect(text).toMatch(/event: figures\nid: \d+\ndata: .*"rates":\{"received":[1-9]/));
  expect(text).toMatch(/^retry: \d+\n\n/);
  await api.broker.stop();
  await reading;
});

it("lists certificates with the ports that show them, those that expire first before all others", async () => {
  const directory = temporaryFolder();
  const ca = authority("Plant CA");
  const names = ["DNS:localhost", "IP:127.0.0.1"];
  const own = ca.issue({ commonName: "broker", names, to: new Date(Date.now() + 10 * 86_400_000 + 60_000) });
  const files = writePair(directory, "broker", own);
  writeFileSync(join(directory, "ca.pem"), ca.certificate);
  const api = await startManagement([
    `tls.certificate=${files.certificate}`,
    `tls.key=${files.key}`,
    `listeners.stomp.tls.ca=${join(directory, "ca.pem")}`,
    "listeners.stomp.tls.client_certificates=want",
    ...["stomps", "mqtts", "amqps"].map((name) => `listeners.${name}.enabled=false`),
  ]);
  const { body } = await api.get(`${API}/certificates`);
  expect(body).toMatchObject([
    { listeners: ["stomp"], use: "authority", subject: "CN=Plant CA", days_left: 0 },
    {
      listeners: ["stomp", "management"],
      name: "",
      use: "server",
      subject: "CN=broker",
      alternative_names: expect.arrayContaining(["DNS:localhost"]),
      days_left: 10,
    },
  ]);
  expect(JSON.stringify(body)).not.toContain("PRIVATE");
  expect((await api.get(`${API}/listeners/stomp`)).body).toMatchObject({ tls: "offered" });
});
