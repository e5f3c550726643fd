import { once } from "node:events";
import { onTestFinished, describe, expect, it } from "vitest";
import { WebSocket } from "ws";
import { startBroker } from "../support/broker.ts";
import { eventually } from "../support/eventually.ts";

interface Talk {
  readonly socket: WebSocket;
  /** Everything received so far, as one text. */
  readonly text: () => string;
  /** Of each message received whether it was binary. */
  readonly binary: boolean[];
}

async function talk(port: number, subprotocols: string[], options: { origin?: string } = {}): Promise<Talk> {
  const socket = new WebSocket(`ws://127.0.0.1:${port}/any/path`, subprotocols, options);
  onTestFinished(() => socket.terminate());
  let received = "";
  const binary: boolean[] = [];
  socket.on("message", (data, isBinary) => {
    received += Buffer.isBuffer(data) ? data.toString() : "";
    binary.push(isBinary);
  });
  await once(socket, "open");
  return { socket, text: () => received, binary };
}

const CONNECT = "CONNECT\naccept-version:1.2\nhost:/\n\n\0";
const SUBSCRIBE = "SUBSCRIBE\nid:1\ndestination:/queue/ws\n\n\0";
const SEND = "SEND\ndestination:/queue/ws\n\nbödy\0";

describe("STOMP over WebSocket", () => {
  it.each(["v10.stomp", "v11.stomp", "v12.stomp", "stomp"])("by the subprotocol %s is accepted", async (name) => {
    const { port } = await startBroker();
    const { socket, text } = await talk(port, [name]);
    expect(socket.protocol).toBe(name);
    socket.send(CONNECT);
    await eventually(() => expect(text()).toMatch(/^CONNECTED\n/));
  });

  it("without a subprotocol is recognised by its first frame", async () => {
    const { port } = await startBroker();
    const { socket, text } = await talk(port, []);
    socket.send(CONNECT);
    await eventually(() => expect(text()).toMatch(/^CONNECTED\n/));
  });

  it("as text is answered as text, as binary in binary", async () => {
    const { port } = await startBroker();
    for (const binary of [false, true]) {
      const conversation = await talk(port, ["v12.stomp"]);
      conversation.socket.send(Buffer.from(CONNECT + SUBSCRIBE + SEND), { binary });
      await eventually(() => expect(conversation.text()).toContain("\n\nbödy\0"));
      expect(new Set(conversation.binary)).toEqual(new Set([binary]));
      conversation.socket.close();
      await once(conversation.socket, "close");
    }
  });

  it("may have many frames in one message", async () => {
    const { port } = await startBroker();
    const { socket, text } = await talk(port, ["v12.stomp"]);
    socket.send(CONNECT + SUBSCRIBE + SEND.repeat(50));
    await eventually(() => expect(text().split("bödy").length - 1).toBe(50));
  });

  it("may have one frame in many messages, cut anywhere", async () => {
    const { port } = await startBroker();
    const { socket, text } = await talk(port, ["v12.stomp"]);
    for (const byte of Buffer.from(CONNECT + SUBSCRIBE + SEND)) socket.send(Buffer.from([byte]));
    await eventually(() => expect(text()).toContain("\n\nbödy\0"));
  });

  it("may beat and send empty messages between frames", async () => {
    const { port } = await startBroker();
    const { socket, text } = await talk(port, ["v12.stomp"]);
    for (const part of [CONNECT, "\n", "", SUBSCRIBE, "\n", "\r\n", SEND]) socket.send(part);
    await eventually(() => expect(text()).toContain("\n\nbödy\0"));
  });

  it("that is wrong gets an ERROR frame and is closed", async () => {
    const { port } = await startBroker();
    const { socket, text } = await talk(port, ["v12.stomp"]);
    socket.send(`${CONNECT}BOGUS\n\n\0`);
    await once(socket, "close");
    expect(text()).toMatch(/ERROR\nmessage:Unknown command "BOGUS"/);
  });

  it("meets STOMP over TCP on the same port in the same queues", async () => {
    const { port } = await startBroker();
    const one = await talk(port, ["v12.stomp"]);
    const two = await talk(port, ["v10.stomp"]);
    one.socket.send(CONNECT + SUBSCRIBE);
    await eventually(() => expect(one.text()).toContain("CONNECTED"));
    two.socket.send(CONNECT + SEND);
    await eventually(() => expect(one.text()).toContain("\n\nbödy\0"));
  });
});
