import { describe, expect, it } from "vitest";
import { startBroker } from "../support/broker.ts";
import { eventually } from "../support/eventually.ts";
import { StompWire } from "../support/stomp-wire.ts";

const BODY = Buffer.alloc(16 * 1024, "x");
/** Far more than the sockets of both sides and the broker's buffers hold. */
const FLOOD = 4000;

/** Sends until the broker stops reading, and goes on when it reads again; `sent` counts what the kernel took. */
function flood(client: StompWire, destination: string, count: number): { sent: number; done: Promise<void> } {
  const frame = client.encode("SEND", { destination, "content-length": String(BODY.length) }, BODY);
  const state = { sent: 0, done: Promise.resolve() };
  state.done = (async () => {
    for (; state.sent < count; state.sent++) await client.wire.send(frame);
  })();
  state.done.catch(() => {});
  return state;
}

/** Waits until a number has stopped growing. */
async function settled(read: () => number): Promise<number> {
  let last = -1;
  let steady = 0;
  await eventually(() => {
    const now = read();
    steady = now === last ? steady + 1 : 0;
    last = now;
    return steady >= 20;
  });
  return last;
}

describe("back-pressure by STOMP", () => {
  it("stops a producer to a topic whose subscriber does not read, with bounded memory, and nobody else", async () => {
    const { port, server } = await startBroker([
      "topics=[{match: '**', slow_subscriber_deadline: 0, subscriber_buffer: 256k}]",
    ]);
    using deaf = await StompWire.connect(port);
    await deaf.request("SUBSCRIBE", { id: "1", destination: "/topic/busy" });
    deaf.wire.pause();
    using producer = await StompWire.connect(port);
    const state = flood(producer, "/topic/busy", FLOOD);
    const reached = await settled(() => state.sent);
    expect(reached).toBeLessThan(FLOOD);
    const topic = server.broker.host(undefined)?.topics.get("busy");
    const taken = topic?.ledger.received ?? 0;
    expect(taken).toBeLessThanOrEqual(reached);
    using other = await StompWire.connect(port);
    await other.request("SUBSCRIBE", { id: "1", destination: "/topic/quiet" });
    await other.send("SEND", { destination: "/topic/quiet" }, "goes on");
    expect(await other.bodies(1)).toEqual(["goes on"]);
    deaf.wire.resume();
    for (let i = 0; i < FLOOD; i++) await deaf.message();
    await state.done;
    expect(topic?.ledger.received).toBe(FLOOD);
  });

  it("ends with the disconnection of the subscriber, who is told why, and the producer goes on", async () => {
    const { port } = await startBroker([
      "topics=[{match: '**', slow_subscriber_deadline: 200ms, subscriber_buffer: 256k}]",
    ]);
    using deaf = await StompWire.connect(port);
    await deaf.request("SUBSCRIBE", { id: "1", destination: "/topic/busy" });
    deaf.wire.pause();
    using producer = await StompWire.connect(port);
    const state = flood(producer, "/topic/busy", FLOOD);
    await state.done;
    await producer.request("SEND", { destination: "/topic/busy" }, "still here");
    deaf.wire.resume();
    deaf.wire.finish();
    const rest = await deaf.wire.closed();
    // What was under way comes first; the ERROR is the last frame, if the client reads on in time at all.
    expect(rest.subarray(-4096).toString()).toMatch(/ERROR\n[^\0]*slow_subscriber_deadline[^\0]*\0\n$/);
  });

  it("stops a client that asks for receipts it does not read", async () => {
    const { port, server } = await startBroker(["stomp.max_receipts_waiting=100"]);
    using client = await StompWire.connect(port);
    client.wire.pause();
    const receipt = "r".repeat(4000);
    const frame = client.encode("SEND", { destination: "/topic/a", receipt });
    let sent = 0;
    const done = (async () => {
      for (; sent < 20_000; sent++) await client.wire.send(frame);
    })();
    done.catch(() => {});
    expect(await settled(() => sent)).toBeLessThan(20_000);
    expect(server.broker.host(undefined)?.topics.get("a")?.ledger.received).toBeLessThan(20_000);
    client.wire.resume();
    for (let i = 0; i < 20_000; i++) await client.expect("RECEIPT");
    await done;
  });

  it("does not hold up those who consume from the queue a full consumer also has", async () => {
    const { port } = await startBroker();
    using deaf = await StompWire.connect(port);
    await deaf.request("SUBSCRIBE", { id: "1", destination: "/queue/a", ack: "client-individual", credit: "1,0" });
    deaf.wire.pause();
    using worker = await StompWire.connect(port);
    await worker.request("SUBSCRIBE", { id: "1", destination: "/queue/a", ack: "client-individual", credit: "10,0" });
    using producer = await StompWire.connect(port);
    const count = 300;
    const state = flood(producer, "/queue/a", count);
    for (let i = 0; i < count - 1; i++) await worker.ack(await worker.message());
    await state.done;
  });
});
