import { connect } from "node:net";
import { request } from "node:https";
import { expect, it } from "vitest";
import { startBroker, temporaryFolder } from "../support/broker.ts";
import { eventually } from "../support/eventually.ts";
import { startManagement } from "../support/management.ts";
import { StompWire } from "../support/stomp-wire.ts";
import { ca, tlsSettings } from "../tls/material.ts";

/** The status of a request over TLS, and the flags of the cookie it sets. */
function secureSignIn(port: number): Promise<{ status: number | undefined; cookie: string; transport: string }> {
  return new Promise((resolve, reject) => {
    const asked = request(
      {
        host: "127.0.0.1",
        port,
        path: "/api/v1/session",
        method: "POST",
        ca: ca.certificate,
        headers: { "content-type": "application/json" },
      },
      (response) => {
        response.resume();
        const { "set-cookie": cookie = [], "strict-transport-security": strict = "" } = response.headers;
        resolve({ status: response.statusCode, cookie: cookie.join(), transport: strict });
      },
    );
    asked.on("error", reject);
    asked.end(JSON.stringify({ user: "admin", password: "secret" }));
  });
}

/** All that a port says to these bytes until it closes. */
function answerTo(port: number, bytes: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, "127.0.0.1", () => socket.write(bytes));
    let answer = "";
    socket.on("data", (chunk) => (answer += chunk.toString()));
    socket.on("close", () => resolve(answer));
    socket.on("error", reject);
  });
}

it("speaks TLS on the same port, with cookies that never go out without it", async () => {
  const api = await startManagement(tlsSettings(temporaryFolder()));
  expect((await api.get("/api/v1/session")).status).toBe(200);
  expect(await secureSignIn(api.broker.managementPort)).toEqual({
    status: 200,
    cookie: expect.stringContaining("Secure"),
    transport: expect.stringContaining("max-age="),
  });
});

it("speaks nothing but TLS where that is required", async () => {
  const api = await startManagement([...tlsSettings(temporaryFolder()), "management.tls.required=true"]);
  await expect(fetch(`${api.url}/api/v1/session`)).rejects.toThrow();
  expect((await secureSignIn(api.broker.managementPort)).status).toBe(200);
});

it("ends a request that takes too long to be sent", async () => {
  const api = await startManagement(["management.request_timeout=100ms"]);
  expect(await answerTo(api.broker.managementPort, "GET /api/v1/session HTTP/1.1\r\nhost: a\r\n")).toMatch(
    /^(HTTP\/1.1 408|$)/,
  );
});

it("ends a connection that shows not what it speaks, where there is TLS", async () => {
  const settings = [...tlsSettings(temporaryFolder()), "management.request_timeout=100ms"];
  const api = await startManagement(settings);
  expect(await answerTo(api.broker.managementPort, "")).toBe("");
});

it("refuses what is no HTTP", async () => {
  const api = await startManagement();
  expect(await answerTo(api.broker.managementPort, "nonsense\r\n\r\n")).toMatch(/^HTTP\/1.1 400/);
  expect(await answerTo(api.broker.managementPort, `GET / HTTP/1.1\r\na: ${"x".repeat(20_000)}\r\n\r\n`)).toMatch(
    /^HTTP\/1.1 431/,
  );
});

it("names the setting when its port is taken", async () => {
  const api = await startManagement();
  const port = api.broker.managementPort;
  await expect(startBroker(["management.enabled=true", `management.port=${port}`])).rejects.toThrow(
    `management: 127.0.0.1:${port} is in use by another program; change management.port`,
  );
});

it("is not there when it is off", async () => {
  expect((await startBroker()).server.management).toBe(undefined);
});

it("hands what was sent by HTTP to clients of other protocols, and again after a restart", async () => {
  const folder = temporaryFolder();
  const stored = ["store.kind=lmdb", `store.directory=${folder}`];
  const first = await startManagement(stored);
  const said = { body: { a: [1, "x"] }, body_encoding: "structured", correlation_id: "c", properties: { n: 1 } };
  expect((await first.post("/api/v1/hosts/default/queues/a/messages", said)).status).toBe(200);
  await first.broker.stop();
  const second = await startManagement(stored);
  expect((await second.get("/api/v1/hosts/default/queues/a/messages")).body).toMatchObject({
    messages: [{ protocol: "http", body_kind: "map", body: said.body, correlation_id: "c", properties: { n: 1 } }],
  });
  using client = await StompWire.connect(second.broker.port);
  await client.send("SUBSCRIBE", { id: "1", destination: "/queue/a" });
  const frame = await client.expect("MESSAGE");
  expect(frame.body.toString()).toBe('{"a":[1,"x"]}');
  expect(frame.headers.get("correlation-id")).toBe("c");
  expect(frame.headers.get("n")).toBe("1");
});

it("ends at once with the broker, and tells who waits for a message why", async () => {
  const api = await startManagement();
  const path = "/api/v1/hosts/default/queues/a";
  await api.put(path);
  const waiting = api.post(`${path}/consume`, { wait_ms: 50_000 });
  await eventually(async () => expect((await api.get(path)).body).toMatchObject({ consumers: 1 }));
  await api.broker.stop();
  expect(await waiting).toMatchObject({ status: 503, body: { code: "shutting-down", detail: "the test is over" } });
});
