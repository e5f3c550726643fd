import { once } from "node:events";
import { generate } from "mqtt-packet";
import { describe, expect, it, onTestFinished } from "vitest";
import { WebSocket } from "ws";
import { startBroker } from "../support/broker.ts";
import { eventually } from "../support/eventually.ts";
import { hex } from "../support/mqtt-wire.ts";

interface Talk {
  readonly socket: WebSocket;
  /** All bytes received, as hexadecimal. */
  readonly text: () => string;
  /** Of each message received whether it was binary. */
  readonly binary: boolean[];
}

async function talk(port: number, subprotocols: string[]): Promise<Talk> {
  const socket = new WebSocket(`ws://127.0.0.1:${port}/mqtt`, subprotocols);
  onTestFinished(() => socket.terminate());
  const chunks: Buffer[] = [];
  const binary: boolean[] = [];
  socket.on("message", (data, isBinary) => {
    if (Buffer.isBuffer(data)) chunks.push(data);
    binary.push(isBinary);
  });
  await once(socket, "open");
  return { socket, text: () => Buffer.concat(chunks).toString("hex"), binary };
}

const CONNECT = hex("10 0d 0004'MQTT' 04 02 0000 0001'c'");

describe("MQTT over WebSocket", () => {
  it("is offered as the subprotocol mqtt, and answers with it [MQTT-6.0.0-3] [MQTT-6.0.0-4] mqtt311 [MQTT-6.0.0-3] mqtt311 [MQTT-6.0.0-4]", async () => {
    const { port } = await startBroker();
    const { socket, text } = await talk(port, ["mqtt"]);
    expect(socket.protocol).toBe("mqtt");
    socket.send(CONNECT);
    await eventually(() => expect(text()).toBe("20020000"));
  });

  it("goes in binary messages, which need not be packets [MQTT-6.0.0-1] [MQTT-6.0.0-2] mqtt311 [MQTT-6.0.0-1] mqtt311 [MQTT-6.0.0-2]", async () => {
    const { port } = await startBroker();
    const { socket, text, binary } = await talk(port, ["mqtt"]);
    const ping = generate({ cmd: "pingreq" });
    const all = Buffer.concat([CONNECT, ping, ping, hex("82 06 0001 0001'a' 00 30 04 0001'a' 78"), ping]);
    for (let at = 0; at < 40; at += 3) socket.send(all.subarray(at, Math.min(40, at + 3)));
    socket.send(all.subarray(40));
    await eventually(() => expect(text()).toMatch(/^20020000d000d000(9003000100|300400016178)*d000$/));
    expect(binary.every(Boolean)).toBe(true);
  });

  it("is closed when a message is text [MQTT-6.0.0-1] mqtt311 [MQTT-6.0.0-1]", async () => {
    const { port } = await startBroker();
    const { socket, text } = await talk(port, ["mqtt"]);
    socket.send(CONNECT);
    await eventually(() => expect(text()).toBe("20020000"));
    socket.send("\u00c0\u0000");
    await once(socket, "close");
  });
});
