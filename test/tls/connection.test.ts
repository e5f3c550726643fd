import { once } from "node:events";
import { connect as connectSocket } from "node:net";
import { connect } from "node:tls";
import { describe, expect, it } from "vitest";
import { WebSocket } from "ws";
import { type EchoSession, startListener, type TestListener } from "../net/echo.ts";
import { eventually } from "../support/eventually.ts";
import { VirtualClock } from "../support/virtual-clock.ts";
import { Wire } from "../support/wire.ts";
import { ca, tlsOptions } from "./material.ts";

const trusting = { ca: ca.certificate };
const HIGH_WATER = 256 * 1024;

/** Connects by TLS and says what the protocol is recognised by. */
async function open(test: TestListener): Promise<{ wire: Wire; session: EchoSession }> {
  const wire = await Wire.secure(test.port, trusting);
  await wire.send("ECHO\n");
  const session = await eventually(() => {
    const found = test.sessions.find(({ peer }) => peer.remoteAddress === wire.address);
    if (found === undefined) throw new Error("No session yet");
    return found;
  });
  return { wire, session };
}

describe("a connection over TLS", () => {
  it("is flushed once at the end of a turn, and waits for that write before the next", async () => {
    const clock = new VirtualClock();
    await using test = await startListener({ clock, tls: tlsOptions() });
    const { wire, session } = await open(test);
    using _ = wire;
    clock.settle();
    await wire.expect("ECHO\n");
    const { output } = session.peer;
    await eventually(() => expect(output.inFlight).toBe(0));
    for (const text of ["a", "b", "c"]) session.write(text);
    expect(output.waiting).toBe(3);
    clock.endTurn();
    expect(output).toMatchObject({ waiting: 0, inFlight: 3 });
    // Written when the first write is done, without another end of a turn.
    for (const text of ["d", "e", "f"]) session.write(text);
    clock.endTurn();
    expect(output).toMatchObject({ waiting: 3, inFlight: 3 });
    await wire.expect("abcdef");
    await eventually(() => expect(output).toMatchObject({ waiting: 0, inFlight: 0, full: false }));
  });

  it("writes own and shared bytes in their order", async () => {
    await using test = await startListener({ tls: tlsOptions() });
    const { wire, session } = await open(test);
    using _ = wire;
    await wire.expect("ECHO\n");
    const shared = Buffer.alloc(100_000, "s");
    session.write("before");
    session.peer.output.append(shared, 0, shared.length);
    session.write("after");
    await wire.expect(`before${"s".repeat(100_000)}after`);
  });

  it("carries 16 MiB each way, and counts the bytes of the protocol", async () => {
    await using test = await startListener({ tls: tlsOptions() });
    const { wire, session } = await open(test);
    using _ = wire;
    await wire.expect("ECHO\n");
    const much = Buffer.alloc(16 << 20, "0123456789abcdef!");
    const sent = wire.send(much);
    expect((await wire.take(much.length)).equals(much)).toBe(true);
    await sent;
    expect(session.peer.bytesReceived).toBe(much.length + 5);
    expect(session.peer.bytesWritten).toBe(much.length + 5);
  });

  it("takes no more for a peer that does not read, and says so when it reads again", async () => {
    await using test = await startListener({ tls: tlsOptions() });
    const { wire, session } = await open(test);
    using _ = wire;
    await wire.expect("ECHO\n");
    wire.pause();
    const { output } = session.peer;
    const block = Buffer.alloc(16 * 1024, "x");
    let written = 0;
    let most = 0;
    let stuck = 0;
    let before = -1;
    // The kernel takes some megabytes before it lasts.
    await eventually(() => {
      while (!output.full) {
        session.write(block);
        written += block.length;
      }
      most = Math.max(most, output.inFlight + output.waiting);
      stuck = output.full && written === before ? stuck + 1 : 0;
      before = written;
      return stuck > 20;
    });
    expect(output.full).toBe(true);
    expect(most).toBeLessThanOrEqual(HIGH_WATER + block.length);
    expect(written).toBeLessThan(64 << 20);
    const drains = session.drains;
    wire.resume();
    await wire.take(written);
    await eventually(() => session.drains > drains);
    await eventually(() => expect(output).toMatchObject({ full: false, inFlight: 0, waiting: 0 }));
  });

  it("stops reading while it is paused, however much comes", async () => {
    await using test = await startListener({ tls: tlsOptions() });
    const { wire, session } = await open(test);
    using _ = wire;
    await wire.expect("ECHO\n");
    session.peer.pause();
    session.peer.pause();
    const much = Buffer.alloc(16 << 20, "y");
    const sent = wire.send(much);
    for (let turns = 0; turns < 200; turns++) await new Promise((resolve) => setImmediate(resolve));
    expect(session.received.length).toBeLessThan(HIGH_WATER);
    session.peer.resume();
    await sent;
    await wire.take(much.length);
  });

  it("ends with its last words when the session closes it, and hears nothing more", async () => {
    await using test = await startListener({ tls: tlsOptions() });
    const { wire, session } = await open(test);
    using _ = wire;
    await wire.send("BYE");
    expect((await wire.closed()).toString()).toBe("ECHO\nBYE");
    await eventually(() => expect(session.closings).toEqual(["said goodbye"]));
    expect(test.log.reasons).toEqual(["said goodbye"]);
    expect(test.listener.connections.size).toBe(0);
  });

  it("that is closed while it is paused reads on into nothing, and its last words arrive", async () => {
    await using test = await startListener({ clock: new VirtualClock(), tls: tlsOptions() });
    const { wire, session } = await open(test);
    using _ = wire;
    session.peer.pause();
    const sent = wire.send(Buffer.alloc(300_000, "z"));
    session.write("the last words");
    session.peer.close("enough");
    expect((await wire.closed()).toString()).toMatch(/the last words$/);
    await sent.catch(() => {});
    wire.finish();
    await eventually(() => expect(session.closings).toEqual(["enough"]));
  });

  it.each([
    ["says goodbye in TLS", (wire: Wire) => wire.finish(), /^closed by the peer$/],
    ["is gone", (wire: Wire) => wire.tls.destroy(), /^(closed|reset) by the peer/],
  ])("whose peer %s is closed once", async (_what, end, reason) => {
    await using test = await startListener({ tls: tlsOptions() });
    const { wire, session } = await open(test);
    using _ = wire;
    await wire.expect("ECHO\n");
    end(wire);
    await eventually(() => expect(session.closings).toEqual([expect.stringMatching(reason)]));
    expect(test.log.reasons).toHaveLength(1);
    expect(test.log.entries.at(-1)).toMatchObject({ level: "info", fields: { transport: "tls", received: 5 } });
  });

  it("is cut when the peer does not close in time", async () => {
    const clock = new VirtualClock();
    await using test = await startListener({ clock, tls: tlsOptions() });
    const { wire, session } = await open(test);
    using _ = wire;
    wire.pause();
    while (session.peer.output.inFlight === 0) {
      session.write(Buffer.alloc(64 << 20));
      clock.settle();
    }
    session.peer.close("go away");
    expect(session.closings).toEqual([]);
    clock.advance(1000);
    await eventually(() => expect(session.closings).toEqual(["go away"]));
  });

  it("whose bytes are changed on the way is cut, and the session hears none of them", async () => {
    await using test = await startListener({ tls: tlsOptions() });
    const raw = connectSocket({ port: test.port, host: "127.0.0.1", noDelay: true });
    const socket = connect({ socket: raw, ...trusting, servername: "localhost" });
    socket.on("error", () => {});
    await once(socket, "secureConnect");
    socket.write("ECHO\n");
    const [session] = await eventually(() =>
      test.sessions.length === 1 ? test.sessions : Promise.reject(new Error()),
    );
    raw.write(Buffer.concat([Buffer.from([0x17, 0x03, 0x03, 0x00, 0x20]), Buffer.alloc(32, 1)]));
    await eventually(() => expect(session?.closings).toEqual([expect.stringContaining("bad record mac")]));
    expect(session?.received.toString()).toBe("ECHO\n");
    socket.destroy();
  });

  it("whose bytes are changed before its protocol is known is cut with that reason", async () => {
    await using test = await startListener({ tls: tlsOptions() });
    const raw = connectSocket({ port: test.port, host: "127.0.0.1", noDelay: true });
    const socket = connect({ socket: raw, ...trusting, servername: "localhost" });
    socket.on("error", () => {});
    await once(socket, "secureConnect");
    raw.write(Buffer.concat([Buffer.from([0x17, 0x03, 0x03, 0x00, 0x20]), Buffer.alloc(32, 1)]));
    await eventually(() => expect(test.log.reasons).toEqual([expect.stringContaining("bad record mac")]));
    socket.destroy();
  });

  it("hears the session's goodbye when the listener is shut down; a handshake under way is ended", async () => {
    await using test = await startListener({ tls: tlsOptions() });
    const { wire } = await open(test);
    using _ = wire;
    await wire.expect("ECHO\n");
    using half = await Wire.connect(test.port);
    await half.send(Buffer.from([0x16, 0x03, 0x01]));
    await eventually(() => expect(test.listener.accepted).toBe(2));
    const done = test.listener.shutdown("maintenance", 10_000);
    expect((await wire.closed()).toString()).toBe("shutdown: maintenance\n");
    await half.closed();
    await done;
    expect(test.listener.connections.size).toBe(0);
  });
});

function secure(test: TestListener, subprotocols: string[] = []): WebSocket {
  return new WebSocket(`wss://127.0.0.1:${test.port}/`, subprotocols, trusting);
}

describe("WebSocket over TLS", () => {
  it.each([[["v1.echo"]], [[]]])("carries a protocol, with subprotocols %j", async (subprotocols) => {
    await using test = await startListener({ tls: tlsOptions() });
    const browser = secure(test, subprotocols);
    await once(browser, "open");
    browser.send("ECHO\nhello");
    const [data]: unknown[] = await once(browser, "message");
    expect(String(data)).toBe("ECHO\nhello");
    expect(test.sessions[0]?.peer).toMatchObject({ transport: "wss", subprotocol: subprotocols[0] });
    browser.close();
    await eventually(() => expect(test.sessions[0]?.closings).toHaveLength(1));
  });

  it("takes no more for a peer that does not read", async () => {
    await using test = await startListener({ tls: tlsOptions() });
    const browser = secure(test, ["v1.echo"]);
    let got = 0;
    browser.on("message", (data) => {
      if (Buffer.isBuffer(data)) got += data.length;
    });
    await once(browser, "open");
    await eventually(() => test.sessions.length === 1);
    const [session] = test.sessions;
    if (session === undefined) return;
    browser.pause();
    const { output } = session.peer;
    let written = 0;
    let before = -1;
    let stuck = 0;
    await eventually(() => {
      while (!output.full) {
        session.write(Buffer.alloc(16 * 1024, "x"));
        written += 16 * 1024;
      }
      stuck = written === before ? stuck + 1 : 0;
      before = written;
      return stuck > 20;
    });
    expect(written).toBeLessThan(64 << 20);
    browser.resume();
    await eventually(() => expect(got).toBe(written));
    await eventually(() => expect(output).toMatchObject({ full: false, inFlight: 0, waiting: 0 }));
    browser.terminate();
  });

  it("is refused as without TLS: a page of somewhere else, a subprotocol nobody speaks", async () => {
    await using test = await startListener({ tls: tlsOptions() });
    const origin = new WebSocket(`wss://127.0.0.1:${test.port}/`, { ...trusting, origin: "https://evil.example" });
    const [first]: unknown[] = await once(origin, "error");
    expect(String(first)).toContain("403");
    const [second]: unknown[] = await once(secure(test, ["v9.echo"]), "error");
    expect(String(second)).toContain("400");
    await eventually(() => expect(test.log.reasons).toHaveLength(2));
    expect(test.log.reasons).toEqual([
      expect.stringContaining("Origin https://evil.example"),
      expect.stringContaining("v9.echo"),
    ]);
    expect(test.listener.failedHandshakes).toBe(0);
  });
});
