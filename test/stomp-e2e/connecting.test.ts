import { describe, expect, it } from "vitest";
import { startBroker } from "../support/broker.ts";
import { eventually } from "../support/eventually.ts";
import { StompWire, type StompVersion } from "../support/stomp-wire.ts";
import { Wire } from "../support/wire.ts";

describe("connecting by STOMP", () => {
  it.each<[string | undefined, string]>([
    [undefined, "1.0"],
    ["1.0", "1.0"],
    ["1.1", "1.1"],
    ["1.2", "1.2"],
    ["1.0,1.1", "1.1"],
    ["1.0,1.1,1.2", "1.2"],
    ["1.2, 1.0", "1.2"],
    ["3.1,1.1,9.9", "1.1"],
  ])("with accept-version %s agrees on the highest common one: %s", async (accepted, agreed) => {
    const { port } = await startBroker();
    using client = await StompWire.open(port);
    await client.sendPlain("CONNECT", accepted === undefined ? {} : { "accept-version": accepted, host: "/" });
    const { headers } = await client.expect("CONNECTED");
    expect(headers.get("version")).toBe(agreed);
    expect(headers.get("session")).toMatch(/./);
    expect(headers.get("server")).toMatch(/^delos\/\d/);
  });

  it("with no common version gets an ERROR with those that are spoken, and is closed", async () => {
    const { port } = await startBroker();
    using client = await StompWire.open(port, "1.0");
    await client.sendPlain("CONNECT", { "accept-version": "1.3,2.0", host: "/" });
    const error = await client.expect("ERROR");
    expect(error.headers.get("version")).toBe("1.0,1.1,1.2");
    expect(error.headers.get("message")).toContain("1.3,2.0");
    client.wire.finish();
    await client.wire.closed();
  });

  it("by the STOMP frame is the same as by CONNECT", async () => {
    const { port } = await startBroker();
    using client = await StompWire.open(port);
    await client.sendPlain("STOMP", { "accept-version": "1.2", host: "/" });
    expect((await client.expect("CONNECTED")).headers.get("version")).toBe("1.2");
  });

  it("may be preceded by ends of line, and every line may end in CR LF", async () => {
    const { port } = await startBroker();
    using client = await StompWire.open(port);
    await client.wire.send("\n\r\n\nCONNECT\r\naccept-version:1.2\r\nhost:localhost\r\n\r\n\0\n\r\n");
    expect((await client.expect("CONNECTED")).headers.get("version")).toBe("1.2");
    await client.wire.send("SUBSCRIBE\r\nid:1\r\ndestination:/queue/crlf\r\nreceipt:s\r\n\r\n\0\r\n\r\n");
    await client.receipt("s");
    await client.wire.send("\n\n\nSEND\r\ndestination:/queue/crlf\r\nkey:value\r\n\r\na body\0\n\n\n\n");
    const message = await client.message();
    expect(message.headers.get("key")).toBe("value");
    expect(message.body.toString()).toBe("a body");
  });

  it("byte by byte is the same as at once", async () => {
    const { port } = await startBroker();
    using client = await StompWire.open(port);
    const frames = Buffer.concat([
      client.encode("CONNECT", { "accept-version": "1.2", host: "localhost" }),
      client.encode("SUBSCRIBE", { id: "1", destination: "/queue/slow" }),
      client.encode("SEND", { destination: "/queue/slow", "content-length": "3" }, "a\0b"),
      client.encode("SEND", { destination: "/queue/slow" }, "last"),
    ]);
    for (const byte of frames) await client.wire.send(Buffer.from([byte]));
    await client.expect("CONNECTED");
    expect(await client.bodies(2)).toEqual(["a\0b", "last"]);
  });

  it("and sending at once, without waiting for CONNECTED, loses nothing", async () => {
    const { port } = await startBroker();
    using client = await StompWire.open(port);
    await client.wire.send(
      Buffer.concat([
        client.encode("CONNECT", { "accept-version": "1.2", host: "localhost", login: "guest", passcode: "guest" }),
        client.encode("SUBSCRIBE", { id: "1", destination: "/queue/early" }),
        ...["a", "b", "c"].map((body) => client.encode("SEND", { destination: "/queue/early" }, body)),
      ]),
    );
    await client.expect("CONNECTED");
    expect(await client.bodies(3)).toEqual(["a", "b", "c"]);
  });

  it("with a wrong password gets an ERROR that says so, and is closed", async () => {
    const { port } = await startBroker(["security.users.alice.password=secret"]);
    using wrong = await StompWire.open(port);
    await wrong.sendPlain("CONNECT", { "accept-version": "1.2", host: "/", login: "alice", passcode: "guess" });
    const error = await wrong.expect("ERROR");
    expect(error.headers.get("message")).toMatch(/user name or the password/);
    expect(error.body.toString()).toMatch(/^Login failed: /);
    wrong.wire.finish();
    await wrong.wire.closed();
    using right = await StompWire.connect(port, { headers: { login: "alice", passcode: "secret" } });
    expect(right.session.get("user-name")).toBe("alice");
  });

  it("that is refused may close first, so that clients get to read why", async () => {
    const { port, log } = await startBroker(["stomp.error_close_delay=1h"]);
    using client = await StompWire.open(port);
    let ended = false;
    await client.sendPlain("CONNECT", { "accept-version": "9" });
    await client.expect("ERROR");
    const end = (async () => {
      await client.wire.closed();
      ended = true;
    })();
    // The end would have come before this answer.
    using other = await StompWire.connect(port);
    await other.request("SEND", { destination: "/queue/a" });
    expect(ended).toBe(false);
    client.wire.finish();
    await end;
    await eventually(() => expect(log.join("")).toContain("connection closed: No common version"));
  });

  it("that is refused and does not close is closed after a while", async () => {
    const { port } = await startBroker(["stomp.error_close_delay=50ms"]);
    using client = await StompWire.open(port);
    await client.sendPlain("CONNECT", { "accept-version": "9" });
    await client.expect("ERROR");
    await client.wire.closed();
  });

  it("with a password that has a colon and a backslash in it works in every version", async () => {
    const { port } = await startBroker(["security.users.bob.password=a:b\\c"]);
    for (const version of ["1.0", "1.1", "1.2"] as const) {
      using client = await StompWire.connect(port, { version, headers: { login: "bob", passcode: "a:b\\c" } });
      expect(client.session.get("user-name")).toBe("bob");
    }
  });

  it("to a virtual host by its name or an alias leads there, and each has its own queues", async () => {
    const { port } = await startBroker(["hosts.shop.aliases=[shop.example]"]);
    using shop = await StompWire.connect(port, { headers: { host: "shop" } });
    using alias = await StompWire.connect(port, { headers: { host: "Shop.Example" } });
    using other = await StompWire.connect(port);
    expect(alias.session.get("host-id")).toBe("shop");
    expect(other.session.get("host-id")).toBe("default");
    await shop.request("SEND", { destination: "/queue/a" }, "of the shop");
    await other.request("SEND", { destination: "/queue/a" }, "of the other");
    await other.send("SUBSCRIBE", { id: "1", destination: "/queue/a" });
    await alias.send("SUBSCRIBE", { id: "1", destination: "/queue/a" });
    expect(await other.bodies(1)).toEqual(["of the other"]);
    expect(await alias.bodies(1)).toEqual(["of the shop"]);
  });

  it("to an unknown virtual host leads to the default one, or is refused where that is set", async () => {
    const open = await startBroker();
    using lost = await StompWire.connect(open.port, { headers: { host: "nowhere" } });
    expect(lost.session.get("host-id")).toBe("default");
    const strict = await startBroker(["unknown_host=refuse"]);
    using refused = await StompWire.open(strict.port);
    await refused.sendPlain("CONNECT", { "accept-version": "1.2", host: "nowhere" });
    expect(await refused.refused()).toContain('"nowhere"');
  });

  it("and then saying nothing is ended by the connect timeout", async () => {
    const { port } = await startBroker(["stomp.connect_timeout=50ms", "detection.timeout=1h"]);
    using client = await StompWire.open(port);
    // Enough to be recognised as STOMP, but not a frame.
    await client.wire.send("CONNECT\naccept-version:1.2\n");
    expect(await client.refused()).toContain("stomp.connect_timeout");
  });

  it("is found out on a port that speaks several protocols, and what is none of them is refused", async () => {
    const { port } = await startBroker();
    using stomp = await StompWire.connect(port);
    await stomp.request("SEND", { destination: "/queue/a" }, "x");
    using stranger = await Wire.connect(port);
    await stranger.send("HELO mail.example\r\n");
    await stranger.closed();
    await stomp.request("SEND", { destination: "/queue/a" }, "y");
  });

  it("is answered with no heart-beat to who asks for none", async () => {
    const { port } = await startBroker();
    using client = await StompWire.connect(port, { version: "1.1" });
    expect(client.session.get("heart-beat")).toBe("10000,10000");
    using old = await StompWire.connect(port, { version: "1.0" });
    expect(old.session.has("heart-beat")).toBe(false);
  });

  it("and agreeing on heart-beats gets them, and is given up with an ERROR when its own stay away", async () => {
    const settings = ["stomp.heart_beat.send=40ms", "stomp.heart_beat.receive=200ms"];
    const { port } = await startBroker(settings);
    using client = await StompWire.connect(port, { headers: { "heart-beat": "10,10" } });
    expect(client.session.get("heart-beat")).toBe("40,200");
    const rest = (await client.wire.closed()).toString();
    expect(rest).toMatch(/^\n\n+ERROR\n/);
    expect(rest).toContain("no heart-beat for");
  });

  it("and beating in time is kept, with nothing else said", async () => {
    const settings = ["stomp.heart_beat.send=50ms", "stomp.heart_beat.receive=100ms", "stomp.heart_beat.grace=20"];
    const { port } = await startBroker(settings);
    using client = await StompWire.connect(port, { headers: { "heart-beat": "50,50" } });
    for (let beat = 0; beat < 20; beat++) {
      await client.wire.expect("\n");
      await client.wire.send("\n");
    }
    await client.request("SEND", { destination: "/queue/a" }, "still here");
  });

  it.each<StompVersion>(["1.0", "1.1", "1.2"])(
    "STOMP %s gets a receipt for every frame, DISCONNECT included",
    async (version) => {
      const { port } = await startBroker();
      using client = await StompWire.connect(port, { version });
      const destination = "/queue/all";
      await client.request("BEGIN", { transaction: "tx" });
      await client.request("SEND", { destination, transaction: "tx" }, "one");
      await client.request("COMMIT", { transaction: "tx" });
      await client.request("BEGIN", { transaction: "tx" });
      await client.request("ABORT", { transaction: "tx" });
      await client.request("SUBSCRIBE", { destination, id: "s", ack: "client" });
      const first = await client.message();
      expect(first.headers.get("subscription")).toBe("s");
      await client.request("ACK", client.acknowledging(first));
      if (version !== "1.0") {
        await client.request("SEND", { destination }, "two");
        await client.request("NACK", client.acknowledging(await client.message()));
      }
      await client.request("UNSUBSCRIBE", { id: "s" });
      await client.request("DISCONNECT");
      expect((await client.wire.closed()).toString()).toBe("\n");
    },
  );

  it("and leaving without a receipt closes the connection", async () => {
    const { port } = await startBroker();
    using client = await StompWire.connect(port);
    await client.send("DISCONNECT");
    expect((await client.wire.closed()).toString()).toBe("\n");
  });

  it("is told when the broker stops", async () => {
    const broker = await startBroker();
    using client = await StompWire.connect(broker.port);
    const stopped = broker.stop();
    expect(await client.refused()).toContain("the test is over");
    await stopped;
  });
});
