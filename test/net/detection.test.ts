import { describe, expect, it, vi } from "vitest";
import { eventually } from "../support/eventually.ts";
import { VirtualClock } from "../support/virtual-clock.ts";
import { Wire } from "../support/wire.ts";
import { startListener, wordProtocol } from "./echo.ts";

describe("the protocol of a connection", () => {
  it.each([1, 2, 3, 4, 5])("is recognised when the first bytes are cut after %i", async (offset) => {
    await using test = await startListener();
    for (const [word, name] of [
      ["ECHO\n", "echo"],
      ["EVEN\n", "even"],
    ] as const) {
      using wire = await Wire.connect(test.port);
      await wire.send(word.slice(0, offset));
      await eventually(() => test.heads.at(-1) === word.slice(0, offset));
      await wire.send(`${word.slice(offset)}and more`);
      await wire.expect(`${word}and more`);
      expect(test.sessions.at(-1)?.protocol).toBe(name);
    }
  });

  it("is recognised byte by byte, and all bytes reach the session once", async () => {
    await using test = await startListener();
    using wire = await Wire.connect(test.port);
    for (let at = 0; at < 5; at++) {
      await wire.send("EVEN\n".slice(at, at + 1));
      await eventually(() => test.heads.at(-1) === "EVEN\n".slice(0, at + 1));
    }
    await wire.send("hello");
    await wire.expect("EVEN\nhello");
    expect(test.sessions.map(({ protocol, received }) => [protocol, received.toString()])).toEqual([
      ["even", "EVEN\nhello"],
    ]);
  });

  it("gives the connection its names", async () => {
    await using test = await startListener();
    using wire = await Wire.connect(test.port);
    await wire.send("ECHO\n");
    await wire.expect("ECHO\n");
    expect(test.sessions[0]?.peer).toMatchObject({
      id: "echo-1",
      listener: "test",
      transport: "tcp",
      subprotocol: undefined,
      remoteAddress: wire.address,
      localAddress: `127.0.0.1:${test.port}`,
    });
  });

  it("is not recognised: the connection ends and the log shows the first 16 bytes", async () => {
    await using test = await startListener();
    using wire = await Wire.connect(test.port);
    await wire.send("EXIT and much more than sixteen bytes");
    await wire.closed();
    const shown = Buffer.from("EXIT and much mo").toString("hex");
    await eventually(() => expect(test.log.reasons).toHaveLength(1));
    expect(test.log.reasons[0]).toBe(
      `no protocol recognised in the first bytes (${shown}); this listener speaks echo, even`,
    );
    expect(test.log.entries[0]).toMatchObject({ level: "info", fields: { listener: "test", address: wire.address } });
    expect(test.sessions).toEqual([]);
  });

  it("is not recognised when a protocol goes on asking after the bytes it wanted", async () => {
    const undecided = { ...wordProtocol("SLOW"), recognizes: () => undefined };
    await using test = await startListener({ protocols: [undecided], clock: new VirtualClock() });
    using wire = await Wire.connect(test.port);
    await wire.send("SLO");
    await wire.send("W");
    await wire.closed();
    await eventually(() => expect(test.log.reasons).toHaveLength(1));
    expect(test.log.reasons[0]).toContain("no protocol recognised in the first bytes (534c4f57)");
  });

  it("must be known in time", async () => {
    const clock = new VirtualClock();
    await using test = await startListener({ clock });
    using silent = await Wire.connect(test.port);
    using slow = await Wire.connect(test.port);
    await slow.send("EC");
    await eventually(() => test.heads.includes("EC"));
    clock.advance(4_999);
    expect(test.log.reasons).toEqual([]);
    clock.advance(1);
    await eventually(() => expect(test.log.reasons).toHaveLength(2));
    expect(test.log.reasons.map(String).sort()).toEqual([
      "no protocol recognised in the first bytes (4543); this listener speaks echo, even; within 5000 ms (detection.timeout)",
      "no protocol recognised: no byte came; this listener speaks echo, even; within 5000 ms (detection.timeout)",
    ]);
    await silent.closed();
    await slow.closed();
  });

  it("must be known in time when the machine's clock was put back meanwhile", async () => {
    const clock = new VirtualClock();
    await using test = await startListener({ clock });
    const ahead = vi.spyOn(clock, "now").mockReturnValue(clock.now() + 3_600_000);
    using first = await Wire.connect(test.port);
    using second = await Wire.connect(test.port);
    await eventually(() => test.listener.accepted === 2);
    ahead.mockRestore();
    clock.advance(5_000);
    clock.advance(5_000);
    await first.closed();
    await second.closed();
  });

  it("once known is not asked for again by the clock", async () => {
    const clock = new VirtualClock();
    await using test = await startListener({ clock });
    using wire = await Wire.connect(test.port);
    await wire.send("ECHO\n");
    await eventually(() => test.sessions.length === 1);
    clock.advance(60_000);
    await wire.expect("ECHO\n");
    expect(test.log.reasons).toEqual([]);
  });

  it("is TLS on a port without TLS: the log says so", async () => {
    await using test = await startListener();
    using wire = await Wire.connect(test.port);
    await wire.send(Buffer.from([0x16]));
    await wire.send(Buffer.from([0x03, 0x01, 0x02, 0x00, 0x01]));
    await wire.closed();
    await eventually(() => expect(test.log.reasons).toHaveLength(1));
    expect(test.log.reasons[0]).toContain("there is no certificate (tls, listeners.test.tls)");
  });

  it("is HTTP on a port without WebSocket: the log says so", async () => {
    await using test = await startListener({ webSocket: undefined });
    using wire = await Wire.connect(test.port);
    await wire.send("GET / HTTP/1.1\r\n\r\n");
    await wire.closed();
    await eventually(() => expect(test.log.reasons).toHaveLength(1));
    expect(test.log.reasons[0]).toContain("listeners.test.websocket.enabled");
  });

  it("is not missed in a probe that says nothing: that is logged at level debug only", async () => {
    await using test = await startListener();
    using wire = await Wire.connect(test.port);
    wire.finish();
    await wire.closed();
    await eventually(() => expect(test.log.reasons).toHaveLength(1));
    expect(test.log.entries.map(({ level }) => level)).toEqual(["debug"]);
  });
});
