import { describe, expect, it } from "vitest";
import { WebSocket } from "ws";
import { startBroker } from "../support/broker.ts";

/** What the broker says first to these bytes over a WebSocket. */
async function answer(port: number, bytes: string): Promise<string> {
  const socket = new WebSocket(`ws://127.0.0.1:${port}/`, ["amqp"]);
  await new Promise((resolve) => socket.once("open", resolve));
  expect(socket.protocol).toBe("amqp");
  const first = new Promise<Buffer>((resolve) => socket.once("message", (data: Buffer) => resolve(data)));
  socket.send(Buffer.from(bytes, "latin1"));
  const said = (await first).toString("latin1");
  socket.terminate();
  return said;
}

describe("the WebSocket subprotocol amqp", () => {
  it("is AMQP 1.0 or AMQP 0-9-1, as the first bytes say", async () => {
    const { port } = await startBroker();
    expect(await answer(port, "AMQP\0\u0001\0\0")).toBe("AMQP\0\u0001\0\0");
    expect(await answer(port, "AMQP\u0003\u0001\0\0")).toSatisfy(
      (text: string) => text.startsWith("AMQP\u0003\u0001\0\0") && text.includes("PLAIN"),
    );
    const start = await answer(port, "AMQP\0\0\u0009\u0001");
    // A method frame of channel 0 with connection.start, class 10 method 10.
    expect([start.slice(0, 3), start.slice(7, 11)]).toEqual(["\u0001\0\0", "\0\u000a\0\u000a"]);
  });
});
