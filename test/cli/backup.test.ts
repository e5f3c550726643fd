import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { createServer, type ServerResponse } from "node:http";
import { join } from "node:path";
import { expect, it, onTestFinished } from "vitest";
import { startBroker, startBrokerProcess, temporaryFolder } from "../support/broker.ts";
import { delos } from "../support/delos.ts";
import { eventually } from "../support/eventually.ts";
import { startManagement, type TestManagement } from "../support/management.ts";
import { StompWire } from "../support/stomp-wire.ts";

const LOGIN = { headers: { login: "admin", passcode: "secret" } };

function env(api: TestManagement): Readonly<Record<string, string>> {
  return { DELOS_URL: api.url, DELOS_PASSWORD: "secret" };
}

it("a copy made under load, restored over another store, has all that was confirmed before, in order and once", {
  timeout: 90_000,
}, async () => {
  const api = await startManagement(["store.kind=lmdb", `store.directory=${temporaryFolder()}`]);
  const client = await StompWire.connect(api.broker.port, LOGIN);
  let sent = 0;
  const send = (): Promise<unknown> =>
    client.request("SEND", { destination: "/queue/a", persistent: "true" }, `${sent++}`.padEnd(1000));
  for (let n = 0; n < 30; n++) await send();
  const load = { goesOn: true };
  const loading = (async () => {
    while (load.goesOn) await send();
  })();
  const before = sent - 1;
  const file = join(temporaryFolder(), "copy.mdb");
  const made = await delos(["backup", file], { env: env(api) });
  load.goesOn = false;
  await loading;
  expect(made).toMatchObject({ code: 0, err: "" });
  expect(sent).toBeGreaterThan(before + 1);
  expect(statSync(file).mode & 0o077).toBe(0);

  // Killed, so that a journal is left whose messages must not come into the copy.
  const directory = temporaryFolder();
  const other = await startBrokerProcess(directory);
  const stranger = await StompWire.connect(other.port);
  await stranger.request("SEND", { destination: "/queue/b", persistent: "true" }, "other");
  const inUse = await delos(["restore", file, "--set", `store.directory=${directory}`, "--force"]);
  expect([inUse.code, inUse.err]).toEqual([1, expect.stringContaining("is in use by process")]);
  await other.end("SIGKILL");
  const careful = await delos(["restore", file, "--set", `store.directory=${directory}`]);
  expect([careful.code, careful.err]).toEqual([1, expect.stringContaining("holds a store; --force moves it aside")]);
  const journals = readdirSync(directory).filter((name) => name.startsWith("journal-"));
  expect(journals).not.toEqual([]);
  const restored = await delos(["restore", file, "--set", `store.directory=${directory}`, "--force"]);
  expect(restored).toMatchObject({ code: 0, err: "" });
  const kept = readdirSync(directory).find((name) => name.startsWith("before-")) ?? "";
  expect(readdirSync(join(directory, kept))).toEqual(expect.arrayContaining(["delos.mdb", ...journals]));
  expect(readdirSync(directory).filter((name) => name.startsWith("journal-"))).toEqual([]);

  const again = await startBroker(["store.kind=lmdb", `store.directory=${directory}`]);
  const host = again.server.broker.host(undefined);
  expect(host?.queues.has("b")).toBe(false);
  const count = host?.queues.get("a")?.count ?? 0;
  expect(count).toBeGreaterThanOrEqual(before);
  const reader = await StompWire.connect(again.port);
  await reader.send("SUBSCRIBE", { id: "1", destination: "/queue/a" });
  const bodies = await reader.bodies(count);
  expect(bodies.map((body) => Number(body.trim()))).toEqual(Array.from({ length: count }, (_, n) => n));
});

it("a broker that is killed as soon as its copy is made lives on from it elsewhere", { timeout: 120_000 }, async () => {
  const settings = ["management.enabled=true", "management.port=0"];
  const broker = await startBrokerProcess(temporaryFolder(), settings);
  const managementOf = (): string => /Management.*(http:\/\/127\.0\.0\.1:\d+)/.exec(broker.output())?.[1] ?? "";
  await eventually(() => managementOf() !== "", 25_000);
  // What was confirmed: numbers that were sent, by queue, and those of the queue "done" whose consumption was.
  const confirmed = new Map(["a", "b", "c", "done"].map((name) => [name, 0]));
  let consumed = 0;
  const load = { goesOn: true };
  const publishing = [...confirmed.keys()].map(async (name) => {
    const client = await StompWire.connect(broker.port);
    for (let n = 0; load.goesOn; n += 20) {
      const some = Array.from({ length: 20 }, (_, k) =>
        client.send("SEND", { destination: `/queue/${name}`, persistent: "true" }, `${n + k}`.padEnd(2000)),
      );
      await Promise.all(some);
      // A receipt stands for everything before it.
      await client.request("SEND", { destination: "/queue/ticks", persistent: "true" }, "");
      confirmed.set(name, n + 20);
    }
  });
  const consuming = (async () => {
    const client = await StompWire.connect(broker.port);
    await client.send("SUBSCRIBE", { id: "1", destination: "/queue/done", ack: "client-individual" });
    while (load.goesOn) {
      const { headers } = await client.expect("MESSAGE");
      await client.request("ACK", { id: headers.get("ack") ?? "" });
      consumed++;
    }
  })();
  const over = Promise.allSettled([...publishing, consuming]);
  await eventually(() => expect(Math.min(consumed, ...confirmed.values())).toBeGreaterThan(20), 25_000);
  const before = new Map(confirmed);
  const consumedBefore = consumed;
  const file = join(temporaryFolder(), "copy.mdb");
  const own = { DELOS_URL: managementOf(), DELOS_USER: "guest", DELOS_PASSWORD: "guest" };
  expect(await delos(["backup", file], { env: own })).toMatchObject({ code: 0 });
  load.goesOn = false;
  await broker.end("SIGKILL");
  await over;

  const directory = temporaryFolder();
  expect(await delos(["restore", file, "--set", `store.directory=${directory}`])).toMatchObject({ code: 0 });
  const again = await startBroker(["store.kind=lmdb", `store.directory=${directory}`]);
  for (const [name, sent] of before) {
    const count = again.server.broker.host(undefined)?.queues.get(name)?.count ?? 0;
    const reader = await StompWire.connect(again.port);
    await reader.send("SUBSCRIBE", { id: "1", destination: `/queue/${name}` });
    const numbers = (await reader.bodies(count)).map((body) => Number(body.trim()));
    const first = numbers[0] ?? 0;
    expect(numbers, name).toEqual(Array.from({ length: count }, (_, n) => first + n));
    expect(first + count, name).toBeGreaterThanOrEqual(sent);
    // Nothing that was consumed before is there again.
    if (name === "done") expect(first).toBeGreaterThanOrEqual(consumedBefore);
    else expect(first).toBe(0);
  }
});

it("no file is overwritten, and none is left of a copy that failed", async () => {
  const api = await startManagement();
  const folder = temporaryFolder();
  const file = join(folder, "copy.mdb");
  const none = await delos(["backup", file], { env: env(api) });
  expect([none.code, none.err]).toEqual([1, expect.stringContaining("in memory only")]);
  expect(readdirSync(folder)).toEqual([]);
  writeFileSync(file, "mine");
  expect(await delos(["backup", file], { env: env(api) })).toMatchObject({ code: 2 });
});

it("a copy that has changed by one bit is refused, and what is there stays", { timeout: 90_000 }, async () => {
  const api = await startManagement(["store.kind=lmdb", `store.directory=${temporaryFolder()}`]);
  const client = await StompWire.connect(api.broker.port, LOGIN);
  await client.request("SEND", { destination: "/queue/a", persistent: "true" }, "precious".repeat(4000));
  const file = join(temporaryFolder(), "copy.mdb");
  expect(await delos(["backup", file], { env: env(api) })).toMatchObject({ code: 0 });
  const copy = readFileSync(file);
  const place = copy.lastIndexOf("precious");
  expect(place).toBeGreaterThan(0);
  copy[place] = (copy[place] ?? 0) ^ 1;
  writeFileSync(file, copy);
  const directory = temporaryFolder();
  const refused = await delos(["restore", file, "--set", `store.directory=${directory}`]);
  expect([refused.code, refused.err]).toEqual([1, expect.stringContaining("its checksum is another one")]);
  // Cut off: the end that says so is gone, and so are pages that the rest needs.
  writeFileSync(file, copy.subarray(0, copy.length >> 1));
  const cut = await delos(["restore", file, "--set", `store.directory=${directory}`]);
  expect([cut.code, cut.err]).toEqual([1, expect.stringContaining("damaged")]);
  expect(readdirSync(directory)).toEqual([]);
});

it("a backup that is interrupted, or whose broker dies meanwhile, says so and leaves nothing", async () => {
  const folder = temporaryFolder();
  const half = createServer((_request, response) => {
    response.writeHead(200, { "content-length": 1_000_000 });
    response.write(Buffer.alloc(100_000));
    heard.resolve(response);
  });
  const heard = Promise.withResolvers<ServerResponse>();
  await new Promise<void>((done) => half.listen(0, "127.0.0.1", done));
  onTestFinished(() => void half.close());
  const address = half.address();
  const port = typeof address === "object" && address !== null ? address.port : 0;
  const said = { DELOS_URL: `http://127.0.0.1:${port}`, DELOS_PASSWORD: "x" };
  const dying = delos(["backup", join(folder, "copy.mdb")], { env: said });
  (await heard.promise).destroy();
  const died = await dying;
  expect([died.code, died.err]).toEqual([1, expect.stringContaining("there is no copy")]);
  const stopped = delos(["backup", join(folder, "copy.mdb")], {
    env: said,
    signal: "SIGINT",
    when: () => readdirSync(folder).length > 0,
  });
  const ended = await stopped;
  expect([ended.code, ended.err]).toEqual([1, expect.stringContaining("it was interrupted; there is no copy")]);
  expect(readdirSync(folder)).toEqual([]);
});

it("what is no copy is not put in the place of a store", async () => {
  const folder = temporaryFolder();
  const directory = join(folder, "data");
  const file = join(folder, "copy.mdb");
  for (const [text, why] of [
    ["", "it is empty"],
    ["no copy at all".repeat(1000), "its first pages are not those of a data file"],
  ] as const) {
    writeFileSync(file, text);
    const refused = await delos(["restore", file, "--set", `store.directory=${directory}`]);
    expect([refused.code, refused.err]).toEqual([1, expect.stringContaining(why)]);
  }
  expect(existsSync(directory)).toBe(false);
  expect(await delos(["restore", join(folder, "none"), "--set", `store.directory=${directory}`])).toMatchObject({
    code: 1,
  });
  expect(await delos(["restore", file, "--set", "store.kind=memory"])).toMatchObject({ code: 2 });
});
