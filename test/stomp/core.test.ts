import { describe, expect, it } from "vitest";
import type { Address } from "../../core/addresses/address.ts";
import { canonical } from "../../core/addresses/spelling.ts";
import { stompFormat } from "../../protocols/stomp/convert.ts";
import { createStomp } from "../../protocols/stomp/protocol.ts";
import { MemoryStore } from "../../store/memory/store.ts";
import { type CoreBroker, coreBroker } from "../support/core-broker.ts";
import { VirtualClock } from "../support/virtual-clock.ts";
import { FakePeer, OPTIONS } from "./fake-core.ts";
import { type Read, readFrames } from "./reading.ts";

function readAddress(name: string): Address {
  return canonical.parse("topic", name);
}

function inTransaction(name: string): string {
  return `SEND\ndestination:/queue/q\ntransaction:${name}\n\n${name}\0`;
}

/** Sessions over the real core, on a virtual clock. */
async function world() {
  const clock = new VirtualClock();
  const formats = new Map([[stompFormat.name, stompFormat]]);
  const core = await coreBroker({ clock, store: new MemoryStore({ formats, addresses: readAddress, clock }) });
  const protocol = createStomp(OPTIONS);
  return { core, connect: () => Wire.open(core, protocol) };
}

/** One scripted client. */
class Wire {
  readonly #core: CoreBroker;
  readonly #peer = new FakePeer(1 << 20);
  readonly #session;

  static async open(core: CoreBroker, protocol: ReturnType<typeof createStomp>): Promise<Wire> {
    const wire = new Wire(core, protocol);
    wire.send("CONNECT\naccept-version:1.2\n\n\0");
    await new Promise(setImmediate);
    wire.#peer.output.take();
    return wire;
  }

  private constructor(core: CoreBroker, protocol: ReturnType<typeof createStomp>) {
    this.#core = core;
    this.#session = protocol.accept(this.#peer, core.broker);
  }

  send(...frames: string[]): void {
    for (const frame of frames) this.#session.receive(Buffer.from(frame));
    this.#core.settle();
  }

  close(): void {
    this.#session.closed("test");
    this.#core.settle();
  }

  read(): Read[] {
    this.#core.settle();
    const bytes = Buffer.concat(this.#peer.output.take());
    return readFrames([bytes], "1.2", { ...OPTIONS, maxFrameHeaderBytes: 100_000, maxBody: 1 << 24 });
  }

  /** Command and body of each frame. */
  get said(): string[] {
    return this.read().map(({ command, body }) => `${command} ${body}`);
  }
}

function header(frame: Read | undefined, name: string): string | undefined {
  return frame?.headers.find(([key]) => key === name)?.[1];
}

describe("STOMP over the core", () => {
  it("brings a queue's messages to one of its consumers, and receipts back", async () => {
    const { connect } = await world();
    const sender = await connect();
    const [one, two] = [await connect(), await connect()];
    for (const consumer of [one, two]) consumer.send("SUBSCRIBE\nid:0\ndestination:/queue/q\n\n\0");
    for (let i = 0; i < 4; i++) sender.send(`SEND\ndestination:/queue/q\npersistent:true\nreceipt:${i}\n\n${i}\0`);
    expect([...one.said, ...two.said].sort()).toEqual(["MESSAGE 0", "MESSAGE 1", "MESSAGE 2", "MESSAGE 3"]);
    expect(sender.read().map((frame) => header(frame, "receipt-id"))).toEqual(["0", "1", "2", "3"]);
  });

  it("brings a topic's messages to all, by wildcard and selector", async () => {
    const { connect } = await world();
    const [all, some, other, sender] = [await connect(), await connect(), await connect(), await connect()];
    all.send("SUBSCRIBE\nid:0\ndestination:/topic/a.**\n\n\0");
    some.send("SUBSCRIBE\nid:0\ndestination:/topic/a.b\nselector:n > 1\n\n\0");
    other.send("SUBSCRIBE\nid:0\ndestination:/topic/c\n\n\0");
    for (const n of [1, 2]) sender.send(`SEND\ndestination:/topic/a.b\nn:${n}\n\n${n}\0`);
    expect([all.said, some.said, other.said]).toEqual([["MESSAGE 1", "MESSAGE 2"], ["MESSAGE 2"], []]);
  });

  it("gives what a lost client had not acknowledged to the next one, marked and with the same id", async () => {
    const { connect } = await world();
    const [sender, lost, next] = [await connect(), await connect(), await connect()];
    lost.send("SUBSCRIBE\nid:0\ndestination:/queue/q\nack:client-individual\n\n\0");
    sender.send("SEND\ndestination:/queue/q\n\n1\0SEND\ndestination:/queue/q\n\n2\0");
    const [first, second] = lost.read();
    lost.send(`ACK\nid:${header(first, "ack")}\n\n\0`);
    lost.close();
    next.send("SUBSCRIBE\nid:0\ndestination:/queue/q\nack:client\n\n\0");
    const again = next.read();
    expect(again.map(({ body }) => body)).toEqual(["2"]);
    expect(header(again[0], "redelivered")).toBe("true");
    expect(header(again[0], "message-id")).toBe(header(second, "message-id"));
  });

  it("carries out a transaction as a whole, or not at all", async () => {
    const { connect } = await world();
    const [client, consumer] = [await connect(), await connect()];
    consumer.send("SUBSCRIBE\nid:0\ndestination:/queue/q\n\n\0");
    client.send("BEGIN\ntransaction:t\n\n\0", inTransaction("t"), inTransaction("t"));
    expect(consumer.said).toEqual([]);
    client.send(
      "COMMIT\ntransaction:t\nreceipt:c\n\n\0",
      "BEGIN\ntransaction:u\n\n\0",
      inTransaction("u"),
      "ABORT\ntransaction:u\n\n\0",
    );
    expect(consumer.said).toEqual(["MESSAGE t", "MESSAGE t"]);
    expect(client.said).toEqual(["RECEIPT "]);
  });

  it("delivers no more than the credit, until an ACK", async () => {
    const { connect } = await world();
    const [sender, consumer] = [await connect(), await connect()];
    consumer.send("SUBSCRIBE\nid:0\ndestination:/queue/q\nack:client\ncredit:2,0\n\n\0");
    for (let i = 0; i < 5; i++) sender.send(`SEND\ndestination:/queue/q\n\n${i}\0`);
    const first = consumer.read();
    expect(first.map(({ body }) => body)).toEqual(["0", "1"]);
    consumer.send(`ACK\nid:${header(first[1], "ack")}\n\n\0`);
    expect(consumer.said).toEqual(["MESSAGE 2", "MESSAGE 3"]);
  });

  it("keeps a retained message and a durable subscription", async () => {
    const { connect } = await world();
    const [sender, durable] = [await connect(), await connect()];
    durable.send("SUBSCRIBE\nid:mine\ndestination:/topic/t\npersistent:true\n\n\0", "DISCONNECT\n\n\0");
    durable.close();
    sender.send("SEND\ndestination:/topic/t\nretain:set\n\nkept\0");
    const [again, plain] = [await connect(), await connect()];
    again.send("SUBSCRIBE\nid:0\ndestination:/dsub/mine\n\n\0");
    plain.send("SUBSCRIBE\nid:0\ndestination:/topic/t\n\n\0");
    expect([again.said, plain.said]).toEqual([["MESSAGE kept"], ["MESSAGE kept"]]);
    again.send("UNSUBSCRIBE\nid:0\n\n\0", "UNSUBSCRIBE\nid:mine\npersistent:true\n\n\0");
    again.send("SUBSCRIBE\nid:0\ndestination:/dsub/mine\n\n\0");
    expect(header(again.read()[0], "message")).toMatch(/no durable subscription mine/);
  });

  it("answers a request at a temporary queue", async () => {
    const { connect } = await world();
    const [client, server] = [await connect(), await connect()];
    server.send("SUBSCRIBE\nid:0\ndestination:/queue/service\n\n\0");
    client.send("SUBSCRIBE\nid:0\ndestination:/temp-queue/mine\n\n\0");
    client.send("SEND\ndestination:/queue/service\nreply-to:/temp-queue/mine\n\nask\0");
    const replyTo = header(server.read()[0], "reply-to");
    server.send(`SEND\ndestination:${replyTo}\n\nanswer\0`);
    expect(client.said).toEqual(["MESSAGE answer"]);
  });
});
