import { describe, expect, it } from "vitest";
import { eventually } from "../support/eventually.ts";
import { VirtualClock } from "../support/virtual-clock.ts";
import { Wire } from "../support/wire.ts";
import { type EchoSession, realClock, startListener, type TestListener } from "./echo.ts";

/** Connects and says what the protocol is recognised by. */
async function open(test: TestListener): Promise<{ wire: Wire; session: EchoSession }> {
  const wire = await Wire.connect(test.port);
  await wire.send("ECHO\n");
  const session = await eventually(() => {
    const found = test.sessions.find(({ peer }) => peer.remoteAddress === wire.address);
    if (found === undefined) throw new Error("No session yet");
    return found;
  });
  return { wire, session };
}

describe("a connection", () => {
  it("is flushed once at the end of a turn, together with all others of that turn", async () => {
    let ends = 0;
    const clock = new VirtualClock();
    const endOfTurn = clock.endOfTurn.bind(clock);
    clock.endOfTurn = (task) => {
      ends++;
      endOfTurn(task);
    };
    await using test = await startListener({ clock });
    const first = await open(test);
    const second = await open(test);
    using one = first.wire;
    using two = second.wire;
    clock.settle();
    await one.expect("ECHO\n");
    await two.expect("ECHO\n");
    ends = 0;
    for (const text of ["a", "b", "c"]) {
      first.session.write(text);
      second.session.write(text);
    }
    expect(ends).toBe(1);
    expect(first.session.peer.output.waiting).toBe(3);
    clock.endTurn();
    expect(first.session.peer.output).toMatchObject({ waiting: 0, inFlight: 0, full: false });
    await one.expect("abc");
    await two.expect("abc");
  });

  it("writes own and shared bytes in their order", async () => {
    await using test = await startListener();
    const { wire, session } = await open(test);
    using _ = wire;
    await wire.expect("ECHO\n");
    const shared = Buffer.alloc(10_000, "s");
    session.write("before");
    session.peer.output.append(shared, 0, shared.length);
    session.write("after");
    await wire.expect(`before${"s".repeat(10_000)}after`);
  });

  it("counts bytes and knows when they moved", async () => {
    const clock = new VirtualClock();
    await using test = await startListener({ clock });
    const { wire, session } = await open(test);
    using _ = wire;
    clock.settle();
    clock.advance(1_234);
    await wire.send("hello");
    await eventually(() => session.received.length === 10);
    expect(session.peer.lastReceivedAt).toBe(clock.now());
    expect(session.peer.lastWrittenAt).toBe(clock.now() - 1_234);
    clock.settle();
    expect(session.peer.lastWrittenAt).toBe(clock.now());
    const [connection] = test.listener.connections;
    expect(connection).toMatchObject({ bytesReceived: 10, bytesWritten: 10 });
  });

  it("takes no more for a peer that does not read, and says so when it reads again", async () => {
    await using test = await startListener();
    const { wire, session } = await open(test);
    using _ = wire;
    await wire.expect("ECHO\n");
    wire.pause();
    const { output } = session.peer;
    const block = Buffer.alloc(16 * 1024, "x");
    let written = 0;
    let most = 0;
    let stuck = 0;
    // A well-behaved session stops at `full`; the kernel takes some megabytes before that lasts.
    await eventually(() => {
      while (!output.full) {
        session.write(block);
        written += block.length;
      }
      most = Math.max(most, output.inFlight + output.waiting);
      stuck = output.inFlight > 0 ? stuck + 1 : 0;
      return stuck > 20;
    });
    expect(output.full).toBe(true);
    expect(output.inFlight).toBeGreaterThan(0);
    expect(most).toBeLessThanOrEqual(256 * 1024 + block.length);
    const drains = session.drains;
    wire.resume();
    await wire.take(written);
    await eventually(() => session.drains === drains + 1);
    expect(output).toMatchObject({ full: false, inFlight: 0, waiting: 0 });
  });

  it("writes what came in while a write was under way, without another end of a turn", async () => {
    const clock = new VirtualClock();
    await using test = await startListener({ clock });
    const { wire, session } = await open(test);
    using _ = wire;
    clock.settle();
    await wire.expect("ECHO\n");
    wire.pause();
    const { output } = session.peer;
    let written = 0;
    while (output.inFlight === 0) {
      session.write(Buffer.alloc(1024 * 1024, "x"));
      written += 1024 * 1024;
      clock.settle();
    }
    session.write("the last");
    clock.settle();
    expect(output.waiting).toBe(8);
    wire.resume();
    await wire.take(written);
    await wire.expect("the last");
  });

  it("stops reading while it is paused, however often it was", async () => {
    await using test = await startListener();
    const { wire, session } = await open(test);
    using _ = wire;
    await wire.expect("ECHO\n");
    session.peer.pause();
    session.peer.pause();
    const much = Buffer.alloc(16 * 1024 * 1024, "y");
    const sent = wire.send(much);
    for (let turns = 0; turns < 200; turns++) await new Promise((resolve) => setImmediate(resolve));
    expect(session.received.length).toBeLessThan(256 * 1024);
    session.peer.resume();
    await sent;
    await wire.take(much.length);
  });

  it("ends with its last words when the session closes it, and hears nothing more", async () => {
    await using test = await startListener();
    const { wire, session } = await open(test);
    using _ = wire;
    await wire.send("BYE");
    expect((await wire.closed()).toString()).toBe("ECHO\nBYE");
    await wire.send("more");
    expect(session.closings).toEqual([]);
    wire.finish();
    await eventually(() => session.closings.length === 1);
    expect(session.closings).toEqual(["said goodbye"]);
    expect(session.received.toString()).toBe("ECHO\nBYE");
    expect(test.log.reasons).toEqual(["said goodbye"]);
    expect(test.listener.connections.size).toBe(0);
  });

  it("is cut when the peer does not close in time", async () => {
    const clock = new VirtualClock();
    await using test = await startListener({ clock });
    const { wire, session } = await open(test);
    using _ = wire;
    session.peer.close("go away");
    await wire.closed();
    clock.advance(999);
    expect(test.listener.connections.size).toBe(1);
    clock.advance(1);
    await eventually(() => expect(session.closings).toEqual(["go away"]));
  });

  it("that is closed while it is paused reads on into nothing, so that it sees the peer go", async () => {
    const clock = new VirtualClock();
    await using test = await startListener({ clock });
    const { wire, session } = await open(test);
    using _ = wire;
    session.peer.pause();
    const sent = wire.send(Buffer.alloc(300_000, "z"));
    session.write("the last words");
    session.peer.close("enough");
    expect((await wire.closed()).toString()).toMatch(/the last words$/);
    await sent;
    wire.finish();
    // No time passes, so it is not the bound on closing that ends it.
    await eventually(() => expect(session.closings).toEqual(["enough"]));
    expect(session.received.length).toBe(5);
  });

  it("keeps its first reason", async () => {
    await using test = await startListener();
    const { wire, session } = await open(test);
    using _ = wire;
    session.peer.close("first");
    session.peer.close("second");
    wire.finish();
    await eventually(() => expect(session.closings).toEqual(["first"]));
  });

  it.each([
    ["a FIN", (wire: Wire) => wire.finish(), "closed by the peer"],
    ["an RST", (wire: Wire) => wire.reset(), "reset by the peer (ECONNRESET)"],
  ])("that ends by %s is closed once with a reason and is no error", async (_what, end, reason) => {
    await using test = await startListener();
    const { wire, session } = await open(test);
    using _ = wire;
    await wire.expect("ECHO\n");
    session.peer.identify({ user: "ann" });
    session.peer.identify({ clientId: "c-1", protocol: "echo 1.2" });
    end(wire);
    await eventually(() => expect(session.closings).toEqual([reason]));
    const closings = test.log.entries.filter(({ level }) => level !== "debug");
    expect(closings).toEqual([
      {
        level: "info",
        text: "connection closed",
        fields: {
          connection: "echo-1",
          user: "ann",
          clientId: "c-1",
          protocol: "echo 1.2",
          listener: "test",
          transport: "tcp",
          address: wire.address,
          received: 5,
          written: 5,
          reason,
          event: `connection closed: ${reason}`,
        },
      },
    ]);
  });

  it("whose peer half-closes and reads no more is cut when its time is over", async () => {
    const clock = new VirtualClock();
    await using test = await startListener({ clock });
    const { wire, session } = await open(test);
    using _ = wire;
    wire.pause();
    while (session.peer.output.inFlight === 0) {
      session.write(Buffer.alloc(1024 * 1024));
      clock.settle();
    }
    wire.finish();
    await eventually(() => {
      clock.advance(1_000);
      expect(session.closings).toEqual(["closed by the peer"]);
    });
  });

  it("that breaks the protocol gets the session's words, and a warning is logged", async () => {
    await using test = await startListener();
    const { wire, session } = await open(test);
    using _ = wire;
    await wire.send("BREACH");
    expect((await wire.closed()).toString()).toBe("ECHO\nyou broke the rules\n");
    wire.finish();
    await eventually(() => expect(session.closings).toEqual(["Breach of the protocol"]));
    expect(test.log.entries.at(-1)).toMatchObject({ level: "warn", fields: { reason: "Breach of the protocol" } });
  });

  it("whose session fails is cut and logged with the error, and the others live on", async () => {
    await using test = await startListener();
    const bad = await open(test);
    const good = await open(test);
    using one = bad.wire;
    using two = good.wire;
    await one.send("CRASH");
    await one.closed();
    await eventually(() => expect(bad.session.closings).toEqual(["internal error: A bug in the session"]));
    const [error] = test.log.entries.filter(({ level }) => level === "error");
    expect(error?.fields["err"]).toBeInstanceOf(TypeError);
    await two.send("still here");
    await two.expect("ECHO\nstill here");
  });

  it("survives a session that fails in `drained` and in `closed`", async () => {
    const clock = new VirtualClock();
    await using test = await startListener({ clock });
    const { wire, session } = await open(test);
    using _ = wire;
    session.onDrained = () => {
      throw new Error("A bug in drained");
    };
    session.closed = () => {
      throw new Error("A bug in closed");
    };
    session.write(Buffer.alloc(300_000));
    expect(session.peer.output.full).toBe(true);
    await eventually(() => {
      clock.settle();
      const errors = test.log.entries.filter(({ level }) => level === "error").map(({ fields }) => fields["err"]);
      expect(errors.map(String)).toEqual(["Error: A bug in drained", "Error: A bug in closed"]);
    });
    expect(test.listener.connections.size).toBe(0);
  });

  it("whose session cannot be made is cut", async () => {
    await using test = await startListener({
      accept: () => {
        throw new Error("No session");
      },
    });
    using wire = await Wire.connect(test.port);
    await wire.send("ECHO\n");
    await wire.closed();
    await eventually(() => expect(test.log.reasons).toEqual(["internal error: No session"]));
  });

  it("counts time by the clock it was given", async () => {
    await using test = await startListener({ clock: { ...realClock, now: () => 77 } });
    const { wire, session } = await open(test);
    using _ = wire;
    expect(session.peer.lastReceivedAt).toBe(77);
  });
});
