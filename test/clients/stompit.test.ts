import type { Writable } from "node:stream";
import stompit, { type Client, type Headers, type IncomingFrame, type SendOptions } from "stompit";
import { describe, expect, it, onTestFinished } from "vitest";
import { startBroker } from "../support/broker.ts";
import { eventually } from "../support/eventually.ts";

interface Got {
  readonly frame: IncomingFrame;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Buffer;
}

function connect(port: number, connectHeaders: Headers = {}): Promise<Client> {
  return new Promise((resolve, reject) => {
    stompit.connect({ host: "127.0.0.1", port, connectHeaders }, (error, client) => {
      if (error !== null) {
        reject(error);
        return;
      }
      client.on("error", () => {});
      onTestFinished(() => client.destroy());
      resolve(client);
    });
  });
}

/** Does something that takes a receipt, and waits for that. */
function confirmed(act: (options: SendOptions) => Writable | void, body?: string | Buffer): Promise<void> {
  return new Promise((resolve, reject) => {
    const frame = act({ onReceipt: resolve, onError: reject });
    if (frame !== undefined) frame.end(body);
  });
}

const send = (client: Client, headers: Headers, body: string | Buffer): Promise<void> =>
  confirmed((options) => client.send(headers, options), body);

/** Subscribes and collects what comes. */
function collect(client: Client, headers: Headers): Got[] {
  const got: Got[] = [];
  client.subscribe(headers, (error, frame) => {
    if (error !== null) return;
    const chunks: Buffer[] = [];
    frame.on("data", (chunk: Buffer) => chunks.push(chunk));
    frame.on("end", () => got.push({ frame, headers: frame.headers, body: Buffer.concat(chunks) }));
  });
  return got;
}

const texts = (got: readonly Got[]): string[] => got.map(({ body }) => body.toString());

const VERSIONS = ["1.0", "1.1", "1.2"] as const;

describe.each(VERSIONS)("stompit by STOMP %s", (version) => {
  const versionHeaders = { "accept-version": version };

  it("logs in, sends and receives text with UTF-8 in headers and body", async () => {
    const { port } = await startBroker(["security.users.alice.password=secret"]);
    const client = await connect(port, { ...versionHeaders, login: "alice", passcode: "secret" });
    expect(client.headers["version"]).toBe(version);
    expect(client.headers["user-name"]).toBe("alice");
    const got = collect(client, { destination: "/queue/ü", ack: "auto" });
    await send(
      client,
      { destination: "/queue/ü", "content-type": "text/plain", wave: "\u{1f30a} é" },
      "grüße \u{1f30a}",
    );
    await eventually(() => expect(texts(got)).toEqual(["grüße \u{1f30a}"]));
    expect(got[0]?.headers["wave"]).toBe("\u{1f30a} é");
    expect(got[0]?.headers["destination"]).toBe("/queue/ü");
  });

  it("sends and receives a megabyte of any bytes", async () => {
    const { port } = await startBroker();
    const client = await connect(port, versionHeaders);
    const body = Buffer.from(Array.from({ length: 1 << 20 }, (_, i) => (i * 31) & 255));
    const got = collect(client, { destination: "/queue/big" });
    await send(client, { destination: "/queue/big", "content-length": body.length }, body);
    await eventually(() => expect(got.length).toBe(1));
    expect(got[0]?.body.equals(body)).toBe(true);
  });

  it.each(["client", "client-individual"])("acknowledges with ack:%s; what it did not comes again", async (ack) => {
    const { port, server } = await startBroker();
    const client = await connect(port, versionHeaders);
    for (const body of ["1", "2", "3"]) await send(client, { destination: "/queue/a" }, body);
    const got = collect(client, { destination: "/queue/a", ack });
    await eventually(() => expect(texts(got)).toEqual(["1", "2", "3"]));
    const second = got[1];
    if (second === undefined) throw new Error("There is no second message");
    await confirmed((options) => client.ack(second.frame, {}, options));
    await new Promise((resolve) => client.disconnect(resolve));
    await eventually(() => expect(server.broker.host(undefined)?.clients.size).toBe(0));
    const next = await connect(port, versionHeaders);
    const again = collect(next, { destination: "/queue/a" });
    const left = ack === "client" ? ["3"] : ["1", "3"];
    await eventually(() => expect(texts(again)).toEqual(left));
    for (const { headers } of again) expect(headers["redelivered"]).toBe("true");
  });

  it("commits and aborts transactions", async () => {
    const { port } = await startBroker();
    const client = await connect(port, versionHeaders);
    const got = collect(client, { destination: "/queue/a" });
    const kept = client.begin();
    const dropped = client.begin();
    kept.send({ destination: "/queue/a" }).end("kept 1");
    dropped.send({ destination: "/queue/a" }).end("dropped");
    kept.send({ destination: "/queue/a" }).end("kept 2");
    await send(client, { destination: "/queue/a" }, "outside");
    await confirmed((options) => dropped.abort(options));
    await confirmed((options) => kept.commit(options));
    await eventually(() => expect(texts(got)).toEqual(["outside", "kept 1", "kept 2"]));
  });
});

describe("stompit", () => {
  it("with a wrong password is told so", async () => {
    const { port } = await startBroker(["security.users.alice.password=secret"]);
    await expect(connect(port, { login: "alice", passcode: "guess" })).rejects.toThrow(/user name or the password/);
  });

  it("that does something wrong is told what", async () => {
    const { port } = await startBroker();
    const client = await connect(port);
    await expect(send(client, { destination: "/nowhere/a" }, "x")).rejects.toThrow(/begins with none of \/queue\//);
  });

  it("refuses a message by NACK, and it comes again", async () => {
    const { port } = await startBroker();
    const client = await connect(port);
    const got = collect(client, { destination: "/queue/a", ack: "client-individual" });
    await send(client, { destination: "/queue/a" }, "x");
    await eventually(() => expect(got.length).toBe(1));
    const first = got[0];
    if (first === undefined) throw new Error("There is no message");
    await confirmed((options) => client.nack(first.frame, {}, options));
    await eventually(() => expect(got[1]?.headers["redelivered"]).toBe("true"));
  });

  it("subscribes by wildcard", async () => {
    const { port } = await startBroker();
    const client = await connect(port);
    const got = collect(client, { destination: "/topic/a.*" });
    await confirmed((options) => client.sendFrame("BEGIN", { transaction: "after the subscription" }, options));
    for (const name of ["a.b", "b.b", "a.b.c", "a.c"]) await send(client, { destination: `/topic/${name}` }, name);
    await eventually(() => expect(texts(got)).toEqual(["a.b", "a.c"]));
  });

  it("comes back to its durable subscription", async () => {
    const { port } = await startBroker();
    const sender = await connect(port);
    const subscription = { destination: "/topic/news", id: "mine", persistent: true };
    const first = await connect(port);
    const before = collect(first, { ...subscription });
    await confirmed((options) => first.sendFrame("BEGIN", { transaction: "after the subscription" }, options));
    await send(sender, { destination: "/topic/news" }, "1");
    await eventually(() => expect(texts(before)).toEqual(["1"]));
    await new Promise((resolve) => first.disconnect(resolve));
    await send(sender, { destination: "/topic/news" }, "2");
    const after = collect(await connect(port), { ...subscription });
    await eventually(() => expect(texts(after)).toEqual(["2"]));
  });

  it("keeps its connection by heart-beats alone", async () => {
    const { port } = await startBroker([
      "stomp.heart_beat.send=100ms",
      "stomp.heart_beat.receive=100ms",
      "stomp.heart_beat.grace=10",
    ]);
    const client = await connect(port, { "heart-beat": "100,300" });
    const idleUntil = Date.now() + 2000;
    let failure: Error | undefined;
    client.on("error", (error: Error) => {
      failure = error;
    });
    await eventually(() => Date.now() > idleUntil);
    await send(client, { destination: "/queue/a" }, "still here");
    expect(failure).toBeUndefined();
  });
});
