import { once } from "node:events";
import { describe, expect, it } from "vitest";
import { WebSocket } from "ws";
import { eventually } from "../support/eventually.ts";
import { VirtualClock } from "../support/virtual-clock.ts";
import { Wire } from "../support/wire.ts";
import { startListener } from "./echo.ts";

describe("a listener", () => {
  it("says which setting to change when its port is in use", async () => {
    await using test = await startListener();
    await expect(startListener({ name: "stomp", port: test.port })).rejects.toThrow(
      `listeners.stomp.port: port ${test.port} on 127.0.0.1 is in use by another process`,
    );
  });

  it("says which setting to change when its host is not here", async () => {
    await expect(startListener({ name: "stomp", host: "192.0.2.1" })).rejects.toThrow(
      "listeners.stomp.host: 192.0.2.1 is not an address of this machine",
    );
  });

  it("lets those above max_connections wait, in order, until others have gone", async () => {
    await using test = await startListener({ maxConnections: 2 });
    const wires: Wire[] = [];
    for (let count = 0; count < 4; count++) {
      const wire = await Wire.connect(test.port);
      wires.push(wire);
      await wire.send(`ECHO\n${count}`);
    }
    const [first, second, third, fourth] = wires;
    await first?.expect("ECHO\n0");
    await second?.expect("ECHO\n1");
    await eventually(() => test.log.entries.some(({ level }) => level === "warn"));
    expect(test.sessions).toHaveLength(2);
    second?.finish();
    await third?.expect("ECHO\n2");
    expect(test.sessions).toHaveLength(3);
    expect(fourth?.collected.length).toBe(0);
    first?.finish();
    await fourth?.expect("ECHO\n3");
    const warnings = test.log.entries.filter(({ level }) => level === "warn");
    expect(warnings.map(({ text }) => text)).toEqual([
      "2 connections are open, as many as listeners.test.max_connections allows; new ones wait",
    ]);
    for (const wire of wires) wire[Symbol.dispose]();
  });

  it("counts connections whose protocol is not known yet", async () => {
    await using test = await startListener({ maxConnections: 1 });
    using silent = await Wire.connect(test.port);
    using waiting = await Wire.connect(test.port);
    await waiting.send("ECHO\n");
    await eventually(() => test.log.entries.some(({ level }) => level === "warn"));
    expect(test.sessions).toEqual([]);
    silent.finish();
    await waiting.expect("ECHO\n");
  });

  it("when closed accepts nothing more and keeps its connections", async () => {
    await using test = await startListener();
    using wire = await Wire.connect(test.port);
    await wire.send("ECHO\n");
    await wire.expect("ECHO\n");
    test.listener.close();
    await expect(Wire.connect(test.port)).rejects.toThrow("ECONNREFUSED");
    await wire.send("still here");
    await wire.expect("still here");
  });

  it("when shut down lets each session say goodbye, and waits for the peers", async () => {
    await using test = await startListener();
    using wire = await Wire.connect(test.port);
    using silent = await Wire.connect(test.port);
    await wire.send("ECHO\n");
    await wire.expect("ECHO\n");
    const browser = new WebSocket(`ws://127.0.0.1:${test.port}`, ["even"]);
    const messages: string[] = [];
    browser.on("message", (data) => {
      if (Buffer.isBuffer(data)) messages.push(data.toString());
    });
    await once(browser, "open");
    await eventually(() => test.sessions.length === 2);
    const closed = once(browser, "close");
    const done = test.listener.shutdown("maintenance", 10_000);
    expect((await wire.closed()).toString()).toBe("shutdown: maintenance\n");
    const [code, reason] = await closed;
    expect([code, String(reason), messages]).toEqual([1001, "maintenance", ["shutdown: maintenance\n"]]);
    await silent.closed();
    wire.finish();
    await done;
    expect(test.sessions.map(({ closings }) => closings)).toEqual([["maintenance"], ["maintenance"]]);
    expect(test.listener.connections.size).toBe(0);
  });

  it("when shut down cuts those that do not go", async () => {
    const clock = new VirtualClock();
    await using test = await startListener({ clock });
    using wire = await Wire.connect(test.port);
    await wire.send("ECHO\n");
    const session = await eventually(() => test.sessions[0] ?? false);
    if (session === false) return;
    session.shutdown = () => {};
    const done = Promise.all([
      test.listener.shutdown("maintenance", 500),
      test.listener.shutdown("maintenance again", 60_000),
    ]);
    clock.advance(499);
    expect(test.listener.connections.size).toBe(1);
    clock.advance(1);
    await done;
    expect(session.closings).toEqual(["maintenance"]);
  });

  it("when shut down without connections is done at once", async () => {
    await using test = await startListener({ clock: new VirtualClock() });
    await test.listener.shutdown("maintenance", 10_000);
  });
});
