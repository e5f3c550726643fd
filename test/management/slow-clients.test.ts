import { readdirSync } from "node:fs";
import { connect, type Socket } from "node:net";
import { PassThrough } from "node:stream";
import { expect, it, onTestFinished, vi } from "vitest";
import { systemClock } from "../../src/clock.ts";
import { openLog } from "../../src/log.ts";
import { ManagementPort } from "../../src/management/port.ts";
import { temporaryFolder } from "../support/broker.ts";
import { eventually } from "../support/eventually.ts";
import { ADMIN, startManagement, type TestManagement } from "../support/management.ts";

/** Sends a request, and reads nothing until it is resumed. */
function ask(api: TestManagement, start: string): Socket {
  const socket = connect(api.broker.managementPort, "127.0.0.1");
  socket.pause();
  socket.on("error", () => {});
  onTestFinished(() => void socket.destroy());
  const authorization = `Basic ${Buffer.from(ADMIN).toString("base64")}`;
  socket.write(`${start} HTTP/1.1\r\nHost: localhost\r\nAuthorization: ${authorization}\r\nContent-Length: 0\r\n\r\n`);
  return socket;
}

it("ends the connections of those who ask for much and read nothing of it", async () => {
  const log = await openLog({
    settings: { level: "error", format: "json", repeats_per_minute: 0 },
    clock: systemClock,
    stream: new PassThrough(),
  });
  const ended: Socket[] = [];
  const port = new ManagementPort(
    { host: "127.0.0.1", port: 0, maxConnections: 10, requestTimeoutMs: 5000, silenceMs: 50, tls: undefined, log },
    ({ socket, url }, response) => {
      socket.once("close", () => ended.push(socket));
      response.end(url === "/much" ? "x".repeat(50_000_000) : "little");
    },
  );
  const { port: number } = await port.listen();
  onTestFinished(() => port.close(0));
  const silent = connect(number, "127.0.0.1").pause();
  onTestFinished(() => void silent.destroy());
  silent.on("error", () => {});
  silent.write("GET /much HTTP/1.1\r\nHost: localhost\r\n\r\n");
  await eventually(() => expect(ended).toHaveLength(1));
  expect(await (await fetch(`http://127.0.0.1:${number}/`)).text()).toBe("little");
});

it("makes another copy of the store when the one who asked for the first has gone before it was made", async () => {
  const directory = temporaryFolder();
  const api = await startManagement(["store.kind=lmdb", `store.directory=${directory}`]);
  const { store } = api.broker.server.broker;
  const made = Promise.withResolvers<void>();
  const asked = Promise.withResolvers<void>();
  const backup = store.backup?.bind(store);
  vi.spyOn(store, "backup").mockImplementationOnce(async (path) => {
    asked.resolve();
    await made.promise;
    await backup?.(path);
  });
  const first = ask(api, "POST /api/v1/backup");
  await asked.promise;
  first.destroy();
  // Comes after the end of the other connection.
  await api.get("/api/v1/openapi.json", { as: null });
  expect(await api.post("/api/v1/backup")).toMatchObject({ status: 409 });
  made.resolve();
  await eventually(async () => expect((await api.post("/api/v1/backup")).status).toBe(200));
  await eventually(() => expect(readdirSync(directory).filter((name) => name.startsWith("backup-"))).toEqual([]));
});

it("makes no more large replies for those who do not read them than there is room for", async () => {
  const api = await startManagement();
  const path = "/api/v1/hosts/default/queues/a/messages";
  const body = "x".repeat(1024 * 1024);
  for (let n = 0; n < 8; n++) await api.post(path, { body });
  const large = `${path}?max=1000&max_body=1048576`;
  const abort = new AbortController();
  onTestFinished(() => abort.abort());
  const headers = { authorization: `Basic ${Buffer.from(ADMIN).toString("base64")}` };
  // Of these only the heads are read.
  const slow = Array.from({ length: 8 }, () => fetch(`${api.url}${large}`, { headers, signal: abort.signal }));
  for (const { status } of await Promise.all(slow)) expect(status).toBe(200);
  expect(await api.get(large)).toMatchObject({ status: 503, body: { code: "full" } });
  expect((await api.get("/api/v1/hosts/default/queues")).status).toBe(200);
  abort.abort();
  await eventually(async () => expect((await api.get(large)).status).toBe(200));
});
