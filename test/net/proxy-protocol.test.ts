import { spawn } from "node:child_process";
import { existsSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { connectAsync } from "mqtt";
import { describe, expect, it, onTestFinished } from "vitest";
import { WebSocket } from "ws";
import { AddressSet } from "../../src/net/address-set.ts";
import { startBroker, temporaryFolder, type TestBroker } from "../support/broker.ts";
import { eventually } from "../support/eventually.ts";
import { startManagement } from "../support/management.ts";
import { StompWire } from "../support/stomp-wire.ts";
import { VirtualClock } from "../support/virtual-clock.ts";
import { Wire } from "../support/wire.ts";
import { ca, tlsSettings } from "../tls/material.ts";
import { startListener } from "./echo.ts";
import { binaryHeader, headerFor, startProxy } from "./proxied.ts";

const TRUSTED = "listeners.stomp.proxy_protocol.trusted=[127.0.0.0/8]";
const REQUIRED = "listeners.stomp.proxy_protocol.required=true";
const ANN = "security.users.ann.password=secret";
const CLIENT = "203.0.113.7:50312";
const loopback = { trusted: new AddressSet(["127.0.0.1"]), required: false };
const PROBE = binaryHeader(0, 0, Buffer.alloc(0));

/** Where the clients of a broker come from. */
function addresses({ server }: TestBroker): string[] {
  return [...(server.broker.hosts.get("default")?.clients ?? [])].map(({ peer }) => peer.remoteAddress);
}

describe("a header of the PROXY protocol", () => {
  const HEADERS = ([1, 2] as const).map((version) => [version, headerFor(version)] as const);

  it.each(HEADERS)("of version %i says where a connection comes from, wherever it is cut", async (_version, header) => {
    await using test = await startListener({ proxies: loopback });
    const bytes = Buffer.concat([header, Buffer.from("ECHO\nhello")]);
    for (let cut = 0; cut <= bytes.length; cut++) {
      using wire = await Wire.connect(test.port);
      await wire.send(bytes.subarray(0, cut));
      // The first part is there before the second is sent.
      if (cut > 0) await eventually(() => test.listener.accepted === cut + 1);
      await wire.send(bytes.subarray(cut));
      await wire.expect("ECHO\nhello");
    }
    expect(new Set(test.sessions.map(({ peer }) => `${peer.remoteAddress} ${peer.localAddress}`))).toEqual(
      new Set([`${CLIENT} 192.0.2.1:1883`]),
    );
  });

  it("comes byte by byte as well", async () => {
    await using test = await startListener({ proxies: loopback });
    using wire = await Wire.connect(test.port);
    for (const byte of Buffer.concat([headerFor(2), Buffer.from("ECHO\n")])) await wire.send(Buffer.of(byte));
    await wire.expect("ECHO\n");
    expect(test.sessions[0]?.peer.remoteAddress).toBe(CLIENT);
  });

  it("may be absent, and then the proxy is who connects", async () => {
    await using test = await startListener({ proxies: loopback });
    using wire = await Wire.connect(test.port);
    await wire.send("ECHO\n");
    await wire.expect("ECHO\n");
    expect(test.sessions[0]?.peer.remoteAddress).toBe(wire.address);
  });

  it("is not counted among the bytes of a client", async () => {
    await using test = await startListener({ proxies: loopback });
    using wire = await Wire.connect(test.port);
    await wire.send(Buffer.concat([headerFor(1), Buffer.from("ECHO\n")]));
    await wire.expect("ECHO\n");
    expect(test.sessions[0]?.peer.bytesReceived).toBe(5);
  });

  it("of somebody else is refused, and the log says which setting would change that", async () => {
    const others = { trusted: new AddressSet(["10.0.0.0/8"]), required: false };
    for (const [number, proxies] of [others, undefined].entries()) {
      for (const [version, header] of HEADERS) {
        await using test = await startListener({ proxies });
        using wire = await Wire.connect(test.port);
        await wire.send(Buffer.concat([header, Buffer.from("ECHO\n")]));
        await wire.closed();
        await eventually(() => test.log.reasons.length === 1);
        expect(test.log.reasons[0], `${number} ${version}`).toContain("listeners.test.proxy_protocol.trusted");
        expect(test.sessions).toEqual([]);
      }
    }
  });

  it("that cannot be read ends the connection", async () => {
    await using test = await startListener({ proxies: loopback });
    using wire = await Wire.connect(test.port);
    await wire.send("PROXY TCP4 here there 1 2\r\nECHO\n");
    await wire.closed();
    await eventually(() => test.log.reasons.length === 1);
    expect(test.log.reasons[0]).toContain("its addresses are not of TCP4");
  });

  it("has as long to come as the first bytes of a protocol", async () => {
    const clock = new VirtualClock();
    await using test = await startListener({ proxies: loopback, clock });
    using wire = await Wire.connect(test.port);
    await wire.send("PROXY TCP4 ");
    // Who comes later is heard later.
    using later = await Wire.connect(test.port);
    await later.send("ECHO\n");
    await eventually(() => test.sessions.length === 1);
    clock.advance(5_000);
    await wire.closed();
    await eventually(() => test.log.reasons.length === 1);
    expect(test.log.reasons[0]).toContain("no whole header of the PROXY protocol came within 5000 ms");
  });

  it("by which a proxy only looks whether somebody is there is no news for the log", async () => {
    await using test = await startListener({ proxies: loopback });
    using wire = await Wire.connect(test.port);
    await wire.send(PROBE);
    wire.finish();
    await eventually(() => test.log.reasons.length === 1);
    expect(test.log.entries.filter(({ level }) => level !== "debug")).toEqual([]);
  });

  it("stands before TLS, and before WebSocket", async () => {
    const broker = await startBroker([TRUSTED, ANN, ...tlsSettings(temporaryFolder())]);
    const behind = await startProxy(broker.port, headerFor(2));
    const client = await connectAsync(`mqtts://127.0.0.1:${behind}`, {
      username: "ann",
      password: "secret",
      ca: ca.certificate,
      servername: "localhost",
    });
    const browser = await connectAsync(`ws://127.0.0.1:${behind}`, { username: "ann", password: "secret" });
    expect(addresses(broker)).toEqual([CLIENT, CLIENT]);
    await browser.endAsync();
    await client.endAsync();
  });
});

describe("a listener that requires the PROXY protocol", () => {
  it("lets in nobody but proxies", async () => {
    const proxies = { trusted: new AddressSet(["10.0.0.0/8"]), required: true };
    await using test = await startListener({ proxies });
    using wire = await Wire.connect(test.port);
    await wire.closed();
    await eventually(() => test.log.reasons.length === 1);
    expect(test.log.reasons[0]).toContain("listeners.test.proxy_protocol");
  });

  it("takes no connection of a proxy without a header", async () => {
    await using test = await startListener({ proxies: { ...loopback, required: true } });
    using wire = await Wire.connect(test.port);
    await wire.send("ECHO\n");
    await wire.closed();
    await eventually(() => test.log.reasons.length === 1);
    expect(test.log.reasons[0]).toContain("listeners.test.proxy_protocol.required");
  });
});

describe("clients behind a proxy", () => {
  it("are no guests of this machine", async () => {
    const { port } = await startBroker([TRUSTED]);
    using direct = await StompWire.connect(port);
    await direct.request("SEND", { destination: "/queue/a" }, "x");
    using client = await StompWire.open(await startProxy(port, headerFor(1)));
    await client.sendPlain("CONNECT", { "accept-version": "1.2", host: "localhost" });
    expect(await client.refused()).toMatch(/own machine/);
  });

  it("count by their own addresses where those have limits", async () => {
    const { port } = await startBroker([
      TRUSTED,
      ANN,
      "limits=[{per: address, match: [203.0.113.0/24], connections: 1}]",
    ]);
    const behind = await startProxy(port, headerFor(1));
    const headers = { login: "ann", passcode: "secret" };
    using first = await StompWire.connect(behind, { headers });
    using second = await StompWire.open(behind);
    await second.sendPlain("CONNECT", { "accept-version": "1.2", host: "localhost", ...headers });
    expect(await second.refused()).toContain("Address 203.0.113.7 has 1 connections");
    using direct = await StompWire.connect(port, { headers });
    await direct.request("SEND", { destination: "/queue/a" }, "x");
    await first.request("SEND", { destination: "/queue/a" }, "x");
  });
});

describe("X-Forwarded-For", () => {
  const FORWARDED = { headers: { "X-Forwarded-For": "198.51.100.9, 203.0.113.7" } };

  /** Where a client by WebSocket comes from in the eyes of a broker. */
  async function seen(settings: readonly string[]): Promise<string[]> {
    const broker = await startBroker([ANN, ...settings]);
    const client = new WebSocket(`ws://127.0.0.1:${broker.port}`, ["v12.stomp"], FORWARDED);
    onTestFinished(() => client.terminate());
    client.on("open", () =>
      client.send("CONNECT\naccept-version:1.2\nhost:localhost\nlogin:ann\npasscode:secret\n\n\0"),
    );
    await eventually(() => addresses(broker).length === 1);
    return addresses(broker);
  }

  it("of a trusted proxy says where a WebSocket comes from", async () => {
    expect(await seen(["listeners.stomp.websocket.trusted_proxies=[127.0.0.1]"])).toEqual(["203.0.113.7"]);
  });

  it("does not have a connection count twice for its listener", async () => {
    const limits = "limits=[{per: listener, connect_rate: 1, connections: 1}, {per: address, connections: 1}]";
    expect(await seen([limits, "listeners.stomp.websocket.trusted_proxies=[127.0.0.1]"])).toEqual(["203.0.113.7"]);
  });

  it("of anybody else does not", async () => {
    expect(await seen(["listeners.stomp.websocket.trusted_proxies=[10.0.0.1]"])).toEqual([
      expect.stringMatching(/^127\.0\.0\.1:\d+$/),
    ]);
    expect(await seen([TRUSTED])).toEqual([expect.stringMatching(/^127\.0\.0\.1:\d+$/)]);
  });

  it("says where requests to management come from, of a trusted proxy only", async () => {
    for (const [networks, address] of [
      ["[127.0.0.1]", /^203\.0\.113\.7$/],
      ["[]", /^127\.0\.0\.1:\d+$/],
    ] as const) {
      const management = await startManagement([`management.trusted_proxies=${networks}`]);
      const answer = await management.get("/api/v1/broker", FORWARDED);
      expect(answer.status).toBe(200);
      expect(management.broker.server.audit.recent()[0]).toMatchObject({
        action: "login",
        address: expect.stringMatching(address),
      });
    }
  });
});

const HAPROXY = "/usr/sbin/haproxy";

describe.skipIf(!existsSync(HAPROXY))("HAProxy", () => {
  it.each(["send-proxy", "send-proxy-v2"])(
    "with %s tells where its clients come from, and checks health",
    async (how) => {
      const broker = await startBroker([TRUSTED, REQUIRED, ANN]);
      const port = await freePort();
      const file = join(temporaryFolder(), "haproxy.cfg");
      writeFileSync(file, haproxyConfig(port, broker.port, how));
      const haproxy = spawn(HAPROXY, ["-db", "-f", file], { stdio: "ignore" });
      onTestFinished(() => {
        haproxy.kill("SIGKILL");
      });
      let client: StompWire | undefined;
      await eventually(async () => {
        client = await StompWire.connect(port, { headers: { login: "ann", passcode: "secret" } }).catch(
          () => undefined,
        );
        return client !== undefined;
      });
      onTestFinished(() => client?.[Symbol.dispose]());
      expect(addresses(broker)).toEqual([client?.wire.address]);
      const mqtt = await connectAsync(`mqtt://127.0.0.1:${port}`, { username: "ann", password: "secret" });
      expect(addresses(broker)).not.toContain(expect.stringContaining(`:${port}`));
      await mqtt.endAsync();
      // Checks of health are not connections anybody hears of.
      expect(broker.log.join("")).not.toContain("proxy_protocol");
    },
  );
});

function haproxyConfig(port: number, behind: number, how: string): string {
  return `global
  maxconn 100
defaults
  mode tcp
  timeout connect 5s
  timeout client 30s
  timeout server 30s
listen broker
  bind 127.0.0.1:${port}
  server delos 127.0.0.1:${behind} ${how} check inter 100ms
`;
}

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.listen(0, "127.0.0.1", () => {
      const address = server.address();
      server.close(() => {
        if (typeof address === "object" && address !== null) resolve(address.port);
        else reject(new Error("There is no free port"));
      });
    });
  });
}
