import { type IFrame, type IMessage, type StompConfig, Versions } from "@stomp/stompjs";
import { describe, expect, it } from "vitest";
import { startBroker } from "../support/broker.ts";
import { eventually } from "../support/eventually.ts";
import { collect, confirmed, connect } from "./stompjs-client.ts";

const bodies = (got: readonly IMessage[]): string[] => got.map(({ body }) => body);

/** The two ways in which it puts frames into WebSocket messages. */
const MODES: readonly (readonly [string, StompConfig])[] = [
  ["text messages", {}],
  ["binary messages", { forceBinaryWSFrames: true }],
  ["frames split over messages", { splitLargeFrames: true, maxWebSocketChunkSize: 1000 }],
];

describe.each(MODES)("stompjs in Node by %s", (_mode, config) => {
  it("sends and receives UTF-8 in headers and body, and bytes with NUL", async () => {
    const { port } = await startBroker();
    const client = await connect(port, config);
    const got = await collect(client, "/queue/a");
    client.publish({ destination: "/queue/a", body: "grüße \u{1f30a}", headers: { wave: "\u{1f30a}: a\nb\\d" } });
    const bytes = Uint8Array.from({ length: 512 }, (_, i) => i & 255);
    client.publish({
      destination: "/queue/a",
      binaryBody: bytes,
      headers: { "content-type": "application/octet-stream" },
    });
    await eventually(() => expect(got.length).toBe(2));
    expect(got[0]?.body).toBe("grüße \u{1f30a}");
    expect(got[0]?.headers["wave"]).toBe("\u{1f30a}: a\nb\\d");
    expect(got[1]?.binaryBody).toEqual(bytes);
  });

  it("sends and receives a megabyte", async () => {
    const { port } = await startBroker();
    const client = await connect(port, config);
    const got = await collect(client, "/topic/big");
    const body = "0123456789abcdeü".repeat(1 << 16);
    client.publish({ destination: "/topic/big", body });
    await eventually(() => expect(got.length).toBe(1));
    expect(got[0]?.body === body).toBe(true);
  });
});

describe.each(["1.0", "1.1", "1.2"])("stompjs in Node by STOMP %s", (version) => {
  const config: StompConfig = { stompVersions: new Versions([version]) };

  it("agrees on the version, and acknowledges each message by itself", async () => {
    const { port, server } = await startBroker();
    const client = await connect(port, config);
    expect(client.connectedVersion).toBe(version);
    const got = await collect(client, "/queue/a", { ack: "client-individual" });
    for (const body of ["1", "2", "3"]) client.publish({ destination: "/queue/a", body });
    await eventually(() => expect(bodies(got)).toEqual(["1", "2", "3"]));
    got[1]?.ack();
    await eventually(() => expect(server.broker.host(undefined)?.queues.get("a")?.count).toBe(2));
    await client.deactivate();
    const again = await collect(await connect(port, config), "/queue/a");
    await eventually(() => expect(bodies(again)).toEqual(["1", "3"]));
    expect(again[0]?.headers["redelivered"]).toBe("true");
  });

  it("acknowledges a message and those before it", async () => {
    const { port, server } = await startBroker();
    const client = await connect(port, config);
    const got = await collect(client, "/queue/a", { ack: "client" });
    for (const body of ["1", "2", "3"]) client.publish({ destination: "/queue/a", body });
    await eventually(() => expect(got.length).toBe(3));
    got[1]?.ack();
    await eventually(() => expect(server.broker.host(undefined)?.queues.get("a")?.count).toBe(1));
  });

  it("commits and aborts transactions", async () => {
    const { port } = await startBroker();
    const client = await connect(port, config);
    const got = await collect(client, "/queue/a");
    const kept = client.begin();
    const dropped = client.begin();
    client.publish({ destination: "/queue/a", body: "kept", headers: { transaction: kept.id } });
    client.publish({ destination: "/queue/a", body: "dropped", headers: { transaction: dropped.id } });
    client.publish({ destination: "/queue/a", body: "outside" });
    dropped.abort();
    kept.commit();
    await eventually(() => expect(bodies(got)).toEqual(["outside", "kept"]));
  });
});

describe("stompjs in Node", () => {
  it("refuses a message, which then comes again", async () => {
    const { port } = await startBroker();
    const client = await connect(port);
    const got = await collect(client, "/queue/a", { ack: "client-individual" });
    client.publish({ destination: "/queue/a", body: "x" });
    await eventually(() => expect(got.length).toBe(1));
    got[0]?.nack();
    await eventually(() => expect(got[1]?.headers["redelivered"]).toBe("true"));
    got[1]?.ack();
  });

  it("with a wrong password is told so, and with the right one is let in", async () => {
    const { port } = await startBroker(["security.users.alice.password=secret"]);
    const wrong = connect(port, { connectHeaders: { login: "alice", passcode: "guess" } });
    await expect(wrong).rejects.toThrow(/user name or the password/);
    const right = await connect(port, { connectHeaders: { login: "alice", passcode: "secret" } });
    expect(right.connected).toBe(true);
  });

  it("that does something wrong is told what", async () => {
    const { port } = await startBroker();
    const client = await connect(port);
    const error = new Promise<IFrame>((resolve) => {
      client.onStompError = resolve;
    });
    client.publish({ destination: "/nowhere/a", body: "x" });
    expect((await error).headers["message"]).toMatch(/begins with none of \/queue\//);
  });

  it("subscribes by wildcard and unsubscribes", async () => {
    const { port } = await startBroker();
    const client = await connect(port);
    const got: string[] = [];
    const subscription = client.subscribe("/topic/a.**", ({ body }) => void got.push(body));
    for (const name of ["a.b", "b.b", "a.b.c"]) client.publish({ destination: `/topic/${name}`, body: name });
    await eventually(() => expect(got).toEqual(["a.b", "a.b.c"]));
    await confirmed(client, (receipt) => subscription.unsubscribe({ receipt }));
    await confirmed(client, (receipt) =>
      client.publish({ destination: "/topic/a.b", body: "late", headers: { receipt } }),
    );
    expect(got).toEqual(["a.b", "a.b.c"]);
  });

  it("comes back to its durable subscription", async () => {
    const { port } = await startBroker();
    const sender = await connect(port);
    const durable = { id: "mine", persistent: "true" };
    const first = await connect(port);
    await collect(first, "/topic/news", durable);
    await first.deactivate();
    await confirmed(sender, (receipt) =>
      sender.publish({ destination: "/topic/news", body: "1", headers: { receipt } }),
    );
    const got = await collect(await connect(port), "/topic/news", durable);
    await eventually(() => expect(bodies(got)).toEqual(["1"]));
  });

  it("keeps its connection by heart-beats alone", async () => {
    const { port } = await startBroker([
      "stomp.heart_beat.send=200ms",
      "stomp.heart_beat.receive=200ms",
      "stomp.heart_beat.grace=10",
    ]);
    const client = await connect(port, { heartbeatIncoming: 200, heartbeatOutgoing: 200 });
    let beats = 0;
    let lost = false;
    client.onHeartbeatReceived = () => void beats++;
    client.onHeartbeatLost = () => {
      lost = true;
    };
    await eventually(() => expect(beats).toBeGreaterThan(10));
    const got = await collect(client, "/queue/a");
    client.publish({ destination: "/queue/a", body: "still here" });
    await eventually(() => expect(bodies(got)).toEqual(["still here"]));
    expect(lost).toBe(false);
  });
});
