import { once } from "node:events";
import { describe, expect, it } from "vitest";
import { WebSocket } from "ws";
import { originAllowed } from "../../src/net/websocket.ts";
import { eventually } from "../support/eventually.ts";
import { VirtualClock } from "../support/virtual-clock.ts";
import { Wire } from "../support/wire.ts";
import { startListener, type TestListener } from "./echo.ts";

/** A WebSocket client that keeps what it gets. */
class Browser implements Disposable {
  readonly socket: WebSocket;
  readonly messages: { data: Buffer; binary: boolean }[] = [];

  constructor(test: TestListener, subprotocols: string[] = [], options: { origin?: string } = {}) {
    this.socket = new WebSocket(`ws://127.0.0.1:${test.port}/any/path?x=y`, subprotocols, options);
    this.socket.on("message", (data, binary) => {
      if (Buffer.isBuffer(data)) this.messages.push({ data, binary });
    });
    this.socket.on("error", () => {});
  }

  static async open(test: TestListener, subprotocols?: string[], options?: { origin?: string }): Promise<Browser> {
    const browser = new Browser(test, subprotocols, options);
    await once(browser.socket, "open");
    return browser;
  }

  get bytes(): string {
    return Buffer.concat(this.messages.map(({ data }) => data)).toString("latin1");
  }

  [Symbol.dispose](): void {
    this.socket.terminate();
  }
}

/** Sends a request for a WebSocket and returns the answer's status line and body. */
async function request(test: TestListener, headers: readonly string[]): Promise<{ status: string; body: string }> {
  using wire = await Wire.connect(test.port);
  const lines = ["GET / HTTP/1.1", `Host: 127.0.0.1:${test.port}`, ...headers, "", ""];
  await wire.send(lines.join("\r\n"));
  const head = await wire.frame("\r\n\r\n");
  const [status = ""] = head.split("\r\n");
  const length = Number(/content-length: (\d+)/i.exec(head)?.[1] ?? 0);
  const body = length === 0 ? (await wire.closed()).toString() : (await wire.take(length)).toString();
  return { status, body };
}

const UPGRADE = [
  "Connection: Upgrade",
  "Upgrade: websocket",
  "Sec-WebSocket-Version: 13",
  "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
];

describe("a subprotocol", () => {
  it.each([
    [["v1.echo"], "v1.echo", "echo"],
    [["v1.echo", "v2.echo"], "v2.echo", "echo"],
    [["even", "unheard-of", "v1.echo"], "v1.echo", "echo"],
    [["even"], "even", "even"],
  ])("of %j offered is %s", async (offered, chosen, protocol) => {
    await using test = await startListener();
    using browser = await Browser.open(test, offered);
    expect(browser.socket.protocol).toBe(chosen);
    await eventually(() => test.sessions.length === 1);
    expect(test.sessions[0]?.protocol).toBe(protocol);
    expect(test.sessions[0]?.peer).toMatchObject({ subprotocol: chosen, transport: "ws" });
  });

  it("is not answered when none was offered, and the first bytes decide, cut anywhere", async () => {
    await using test = await startListener();
    using browser = await Browser.open(test);
    expect(browser.socket.protocol).toBe("");
    expect(test.sessions).toEqual([]);
    for (const part of ["E", "VE", "N\nhel", "lo"]) browser.socket.send(part);
    await eventually(() => browser.bytes === "EVEN\nhello");
    expect(test.sessions.map(({ protocol, peer }) => [protocol, peer.subprotocol])).toEqual([["even", undefined]]);
  });

  it("that nobody speaks is refused with those that are spoken", async () => {
    await using test = await startListener();
    const { status, body } = await request(test, [...UPGRADE, "Sec-WebSocket-Protocol: mqtt, chat"]);
    expect(status).toBe("HTTP/1.1 400 Bad Request");
    expect(body).toBe("Subprotocol mqtt, chat is not spoken here; these are: v2.echo, v1.echo, even\n");
    await eventually(() => expect(test.log.reasons).toHaveLength(1));
    expect(test.log.reasons[0]).toContain("mqtt, chat is not spoken here");
  });

  it("is not asked for the extension that compresses", async () => {
    await using test = await startListener();
    using browser = await Browser.open(test, ["even"]);
    expect(browser.socket.extensions).toBe("");
  });
});

describe("an HTTP request", () => {
  it("that is no upgrade gets 426", async () => {
    await using test = await startListener();
    const { status } = await request(test, []);
    expect(status).toBe("HTTP/1.1 426 Upgrade Required");
    await eventually(() => expect(test.log.reasons).toEqual(["a plain HTTP request"]));
    const other = await request(test, ["Connection: Upgrade", "Upgrade: h2c"]);
    expect(other.status).toBe("HTTP/1.1 426 Upgrade Required");
  });

  it.each([1, 3, 4, 10, 60])("cut after %i bytes becomes a WebSocket all the same", async (offset) => {
    await using test = await startListener();
    using wire = await Wire.connect(test.port);
    const text = ["GET /x HTTP/1.1", "Host: a", ...UPGRADE, "", ""].join("\r\n");
    await wire.send(text.slice(0, offset));
    await eventually(() => test.heads.length > 0);
    await wire.send(text.slice(offset));
    expect(await wire.frame("\r\n\r\n")).toContain("101 Switching Protocols");
  });

  it("with its first message in the same bytes loses nothing", async () => {
    await using test = await startListener();
    using wire = await Wire.connect(test.port);
    const text = ["GET /x HTTP/1.1", "Host: a", ...UPGRADE, "", ""].join("\r\n");
    // A text message "ECHO\n" under the mask 0.
    const message = Buffer.from([0x81, 0x85, 0, 0, 0, 0, ...Buffer.from("ECHO\n")]);
    await wire.send(Buffer.concat([Buffer.from(text), message]));
    expect(await wire.frame("\r\n\r\n")).toContain("101 Switching Protocols");
    await wire.expect(Buffer.from([0x81, 5, ...Buffer.from("ECHO\n")]));
  });

  it("that is not HTTP gets 400", async () => {
    await using test = await startListener();
    using wire = await Wire.connect(test.port);
    await wire.send("GET nonsense\r\n\r\n");
    expect(await wire.frame("\r\n")).toBe("HTTP/1.1 400 Bad Request");
  });

  it("without a key gets 400", async () => {
    await using test = await startListener();
    const { status } = await request(test, UPGRADE.slice(0, 3));
    expect(status).toBe("HTTP/1.1 400 Bad Request");
  });

  it("that was refused is cut in time when its peer does not close", async () => {
    const clock = new VirtualClock();
    await using test = await startListener({ clock });
    using wire = await Wire.connect(test.port);
    await wire.send("GET nonsense\r\n\r\n");
    await wire.closed();
    expect(test.log.reasons).toEqual([]);
    clock.advance(5_000);
    await eventually(() => expect(test.log.reasons).toHaveLength(1));
    expect(test.log.reasons[0]).toContain("WebSocket refused (400)");
  });

  it("that does not end is cut in time", async () => {
    const clock = new VirtualClock();
    await using test = await startListener({ clock });
    using wire = await Wire.connect(test.port);
    await wire.send("GET / HTTP/1.1\r\nHost:");
    await eventually(() => test.heads.length > 0);
    clock.advance(5_000);
    await wire.closed();
    await eventually(() => expect(test.log.reasons).toHaveLength(1));
    expect(test.log.reasons[0]).toBe("no whole WebSocket request came within 5000 ms (detection.timeout)");
  });
});

describe("an origin", () => {
  it.each([
    [undefined, "broker:61613", [], true],
    ["http://broker:61613", "broker:61613", [], true],
    ["http://Broker:61613", "broker:61613", [], true],
    ["https://broker", "broker:443", [], true],
    ["http://broker", "broker", [], true],
    ["http://broker:80", "broker:61613", [], false],
    ["http://evil.example", "broker:61613", [], false],
    ["http://evil.example", undefined, [], false],
    ["http://shop.example", "broker:61613", ["http://shop.example"], true],
    ["http://shop.example", "broker:61613", ["http://shop.example/"], true],
    ["https://shop.example", "broker:61613", ["http://shop.example"], false],
    ["http://evil.example", "broker:61613", ["*"], true],
    ["null", "broker:61613", [], false],
    ["null", "broker:61613", ["http://shop.example"], false],
    ["null", "broker:61613", ["null"], true],
    ["file://", "", ["data:"], false],
    ["nonsense", "nonsense", [], false],
  ])("%s at host %s with %j allowed: %s", (origin, host, allowed, expected) => {
    expect(originAllowed(origin, host, allowed)).toBe(expected);
  });

  it.each([
    ["http://broker:61680", "broker:61613", true],
    ["https://broker:61680", "broker:61613", true],
    ["http://broker:61681", "broker:61613", false],
    ["http://evil.example:61680", "broker:61613", false],
    ["http://broker:61680", undefined, false],
    ["null", "broker:61613", false],
  ])("%s at host %s with the console on port 61680: %s", (origin, host, expected) => {
    expect(originAllowed(origin, host, [], 61_680)).toBe(expected);
  });

  it("that is not allowed gets 403 and the name of the setting", async () => {
    await using test = await startListener();
    const { status, body } = await request(test, [...UPGRADE, "Origin: http://evil.example"]);
    expect(status).toBe("HTTP/1.1 403 Forbidden");
    expect(body).toContain("Origin http://evil.example is not allowed");
    expect(body).toContain("listeners.test.websocket.origins");
    await eventually(() => expect(test.log.reasons).toHaveLength(1));
    expect(test.sessions).toEqual([]);
  });

  it("that is allowed opens", async () => {
    await using test = await startListener({
      webSocket: { origins: ["https://shop.example"], maxMessageBytes: 1_000 },
    });
    using browser = await Browser.open(test, ["even"], { origin: "https://shop.example" });
    expect(browser.socket.readyState).toBe(WebSocket.OPEN);
  });
});

describe("a WebSocket", () => {
  it("is answered in text when its first message was text, one message per turn", async () => {
    await using test = await startListener();
    using browser = await Browser.open(test, ["even"]);
    browser.socket.send("grüße");
    await eventually(() => browser.messages.length === 1);
    test.sessions[0]?.write("a");
    test.sessions[0]?.write("b");
    await eventually(() => browser.messages.length === 2);
    expect(browser.messages.map(({ data, binary }) => [data.toString(), binary])).toEqual([
      ["grüße", false],
      ["ab", false],
    ]);
  });

  it("is answered in text too when its first message is what the protocol was recognised by", async () => {
    await using test = await startListener();
    using text = await Browser.open(test);
    using binary = await Browser.open(test);
    text.socket.send("ECHO\n");
    binary.socket.send(Buffer.from("ECHO\n"));
    await eventually(() => text.messages.length === 1 && binary.messages.length === 1);
    expect(text.messages[0]?.binary).toBe(false);
    expect(binary.messages[0]?.binary).toBe(true);
  });

  it("that speaks text gets bytes that are no UTF-8 in a binary message, and text again after it", async () => {
    await using test = await startListener();
    using browser = await Browser.open(test, ["even"]);
    browser.socket.send("x");
    await eventually(() => browser.messages.length === 1);
    for (const bytes of [Buffer.from([0xff, 0x00]), Buffer.from("é").subarray(0, 1), Buffer.from("é")]) {
      const count = browser.messages.length;
      test.sessions[0]?.write(bytes);
      await eventually(() => browser.messages.length === count + 1);
    }
    expect(browser.messages.map(({ binary }) => binary)).toEqual([false, true, true, false]);
  });

  it("that speaks binary is answered in binary, whatever it sends later", async () => {
    await using test = await startListener();
    using browser = await Browser.open(test, ["even"]);
    browser.socket.send(Buffer.from("plain"));
    browser.socket.send("text");
    await eventually(() => browser.bytes === "plaintext");
    expect(browser.messages.every(({ binary }) => binary)).toBe(true);
  });

  it("carries one stream of bytes over messages split and joined, fragments and empty ones", async () => {
    await using test = await startListener();
    using browser = await Browser.open(test, ["even"]);
    const { socket } = browser;
    socket.send("one ");
    socket.send("");
    socket.send("t", { fin: false });
    socket.send("wo ", { fin: true });
    socket.send("three");
    await eventually(() => browser.bytes === "one two three");
  });

  it("sends own and shared bytes of a turn as one message", async () => {
    await using test = await startListener();
    using browser = await Browser.open(test, ["even"]);
    await eventually(() => test.sessions.length === 1);
    const shared = Buffer.alloc(10_000, "s");
    test.sessions[0]?.write("before");
    test.sessions[0]?.peer.output.append(shared, 0, shared.length);
    test.sessions[0]?.write("after");
    await eventually(() => browser.messages.length === 1);
    expect(browser.bytes).toBe(`before${"s".repeat(10_000)}after`);
  });

  it("that does not read is full, stays bounded, and is told when it is drained", async () => {
    await using test = await startListener();
    using browser = await Browser.open(test, ["even"]);
    const session = await eventually(() => test.sessions[0] ?? false);
    if (session === false) return;
    browser.socket.pause();
    const { output } = session.peer;
    const block = Buffer.alloc(16 * 1024, "x");
    let written = 0;
    let most = 0;
    let stuck = 0;
    await eventually(() => {
      while (!output.full) {
        session.write(block);
        written += block.length;
      }
      most = Math.max(most, output.inFlight + output.waiting);
      stuck = output.inFlight > 0 ? stuck + 1 : 0;
      return stuck > 20;
    });
    expect(most).toBeLessThanOrEqual(256 * 1024 + block.length + 64);
    const drains = session.drains;
    browser.socket.resume();
    await eventually(() => session.drains === drains + 1);
    await eventually(() => browser.bytes.length === written);
    expect(output).toMatchObject({ full: false, inFlight: 0, waiting: 0 });
  });

  it("stops reading while it is paused", async () => {
    await using test = await startListener();
    using browser = await Browser.open(test, ["even"]);
    const session = await eventually(() => test.sessions[0] ?? false);
    if (session === false) return;
    session.peer.identify({ user: "ann" });
    session.peer.pause();
    const much = Buffer.alloc(512 * 1024, "y");
    for (let count = 0; count < 32; count++) browser.socket.send(much);
    for (let turns = 0; turns < 200; turns++) await new Promise((resolve) => setImmediate(resolve));
    expect(session.received.length).toBeLessThan(much.length * 16);
    session.peer.resume();
    await eventually(() => session.received.length === much.length * 32);
  });

  it("pings and is answered", async () => {
    await using test = await startListener();
    using browser = await Browser.open(test, ["even"]);
    const pong = once(browser.socket, "pong");
    browser.socket.ping("are you there");
    const [data] = await pong;
    expect(String(data)).toBe("are you there");
  });

  it.each([
    ["BYE", 1000, "said goodbye", "BYE"],
    ["BREACH", 1002, "Breach of the protocol", "you broke the rules\n"],
    ["CRASH", 1006, "", ""],
  ])("that is closed after %s ends with code %i and the last words", async (sent, code, reason, words) => {
    await using test = await startListener();
    using browser = await Browser.open(test, ["even"]);
    const closed = once(browser.socket, "close");
    browser.socket.send(sent);
    const [foundCode, foundReason] = await closed;
    expect([foundCode, String(foundReason), browser.bytes]).toEqual([code, reason, words]);
    await eventually(() => expect(test.sessions[0]?.closings).toHaveLength(1));
    expect(test.listener.connections.size).toBe(0);
  });

  it("is closed with a reason that is cut between characters to what a close frame holds", async () => {
    await using test = await startListener();
    using browser = await Browser.open(test, ["even"]);
    await eventually(() => test.sessions.length === 1);
    const closed = once(browser.socket, "close");
    test.sessions[0]?.peer.close("é".repeat(100));
    const [code, reason] = await closed;
    expect([code, String(reason)]).toEqual([1000, "é".repeat(61)]);
  });

  it("that the peer closes is logged with the peer's code", async () => {
    await using test = await startListener();
    using browser = await Browser.open(test, ["even"]);
    browser.socket.close(4001, "lunch");
    await eventually(() =>
      expect(test.sessions[0]?.closings).toEqual(["closed by the peer (WebSocket close 4001, lunch)"]),
    );
    expect(test.log.reasons).toEqual(["closed by the peer (WebSocket close 4001, lunch)"]);
  });

  it("that is cut by the peer is closed once", async () => {
    await using test = await startListener();
    using browser = await Browser.open(test, ["even"]);
    await eventually(() => test.sessions.length === 1);
    browser.socket.terminate();
    await eventually(() => expect(test.sessions[0]?.closings).toHaveLength(1));
    expect(test.sessions[0]?.closings[0]).toMatch(/^(closed|reset) by the peer/);
  });

  it("whose message is longer than allowed is closed with 1009", async () => {
    await using test = await startListener({ webSocket: { origins: [], maxMessageBytes: 1_000 } });
    using browser = await Browser.open(test, ["even"]);
    const closed = once(browser.socket, "close");
    browser.socket.send(Buffer.alloc(1_001));
    const [code] = await closed;
    expect(code).toBe(1009);
    await eventually(() => expect(test.log.reasons).toHaveLength(1));
    expect(test.log.reasons[0]).toContain("Max payload size exceeded");
  });

  it.each([
    ["before its protocol is known", []],
    ["before it has logged in", ["even"]],
  ])("whose message grows and grows %s is cut", async (_when, subprotocols) => {
    await using test = await startListener({ webSocket: { origins: [], maxMessageBytes: 16 * 1024 * 1024 } });
    using browser = await Browser.open(test, subprotocols);
    const closed = once(browser.socket, "close");
    browser.socket.send(Buffer.alloc(700_000), { fin: false });
    browser.socket.send(Buffer.alloc(700_000), { fin: false });
    const [code] = await closed;
    expect(code).toBe(1006);
    await eventually(() => expect(test.log.reasons).toHaveLength(1));
    expect(test.log.reasons[0]).toBe("it sent more than 1048576 bytes and has not logged in");
  });

  it("may send as much as it likes once it has logged in", async () => {
    await using test = await startListener();
    using browser = await Browser.open(test, ["even"]);
    const session = await eventually(() => test.sessions[0] ?? false);
    if (session === false) return;
    session.peer.identify({ user: "ann" });
    for (let count = 0; count < 4; count++) browser.socket.send(Buffer.alloc(500_000, "y"));
    await eventually(() => session.received.length === 2_000_000);
  });

  it("that pings without end and does not read is cut", async () => {
    await using test = await startListener();
    using browser = await Browser.open(test, ["even"]);
    await eventually(() => test.sessions.length === 1);
    browser.socket.pause();
    const timer = setInterval(() => {
      for (let count = 0; count < 1000; count++) browser.socket.ping(Buffer.alloc(125));
    }, 1);
    await eventually(() => expect(test.sessions[0]?.closings).toHaveLength(1));
    clearInterval(timer);
  });

  it("whose first bytes nobody knows is closed with 1008", async () => {
    await using test = await startListener();
    using browser = await Browser.open(test);
    const closed = once(browser.socket, "close");
    browser.socket.send("GET / HTTP/1.1");
    const [code, reason] = await closed;
    expect([code, String(reason)]).toEqual([1008, "no protocol recognised"]);
    await eventually(() => expect(test.log.reasons).toHaveLength(1));
    expect(test.log.reasons[0]).toContain("no protocol recognised in the first bytes (474554");
  });

  it("that says nothing after it was opened is closed with 1008 in time", async () => {
    const clock = new VirtualClock();
    await using test = await startListener({ clock });
    using browser = await Browser.open(test);
    const closed = once(browser.socket, "close");
    clock.advance(5_000);
    const [code] = await closed;
    expect(code).toBe(1008);
  });
});
