import { once } from "node:events";
import { connect as connectSocket, createServer, Socket } from "node:net";
import { Duplex } from "node:stream";
import { connect } from "node:tls";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { startListener, type TestListener } from "../net/echo.ts";
import { eventually } from "../support/eventually.ts";
import { VirtualClock } from "../support/virtual-clock.ts";
import { Wire } from "../support/wire.ts";
import { ca, credentials, local, tlsOptions } from "./material.ts";

const trusting = { ca: ca.certificate };

/** Why the only connection ended, once the log says so. */
async function reason(test: TestListener): Promise<unknown> {
  await eventually(() => expect(test.log.reasons).not.toEqual([]));
  expect(test.log.reasons).toHaveLength(1);
  return test.log.reasons[0];
}

/** A socket that hands on every byte by itself. */
class Dribble extends Duplex {
  private readonly socket;

  constructor(port: number) {
    super();
    this.socket = connectSocket({ port, host: "127.0.0.1", noDelay: true });
    this.socket.on("data", (chunk) => this.push(chunk));
    this.socket.on("close", () => this.push(null));
  }

  override _read(): void {}

  override _write(chunk: Buffer, _encoding: string, done: (error?: Error | null) => void): void {
    const next = (at: number): void => {
      if (at === chunk.length) done();
      else this.socket.write(chunk.subarray(at, at + 1), () => setImmediate(next, at + 1));
    };
    next(0);
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    this.socket.destroy();
    done(error);
  }
}

/** What a client says first. */
async function clientHello(): Promise<Buffer> {
  const server = createServer();
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  const port = typeof address === "object" && address !== null ? address.port : 0;
  const client = connect({ port, host: "127.0.0.1", servername: "localhost", ALPNProtocols: ["echo"] });
  client.on("error", () => {});
  const [socket]: unknown[] = await once(server, "connection");
  if (!(socket instanceof Socket)) throw new Error("Not a socket");
  const [hello]: unknown[] = await once(socket, "data");
  client.destroy();
  socket.destroy();
  server.close();
  if (!Buffer.isBuffer(hello)) throw new Error("Not bytes");
  return hello;
}

describe("a TLS handshake", () => {
  it("is recognised by its first bytes, on a port where plain text goes on", async () => {
    await using test = await startListener({ tls: tlsOptions() });
    using secure = await Wire.secure(test.port, trusting);
    await secure.send("ECHO\nsecret");
    await secure.expect("ECHO\nsecret");
    using plain = await Wire.connect(test.port);
    await plain.send("ECHO\nplain");
    await plain.expect("ECHO\nplain");
    expect(test.sessions.map(({ peer }) => peer.transport)).toEqual(["tls", "tcp"]);
    expect(test.sessions.map(({ peer }) => peer.certificate)).toEqual([undefined, undefined]);
  });

  it("that comes byte by byte is one all the same", async () => {
    await using test = await startListener({ tls: tlsOptions() });
    const socket = connect({ socket: new Dribble(test.port), ...trusting, servername: "localhost" });
    await once(socket, "secureConnect");
    socket.write("EVEN\nhello");
    const [answer]: unknown[] = await once(socket, "data");
    expect(String(answer)).toMatch(/^EVEN\n/);
    socket.destroy();
  });

  it.each([
    ["garbage that begins like a handshake", Buffer.from("\x16\x03\x01garbage and more of it", "latin1")],
    ["a version there is not", Buffer.from([0x16, 0x03, 0x09, 0x00, 0x05, 1, 2, 3, 4, 5])],
    ["an empty record", Buffer.from([0x16, 0x03, 0x01, 0x00, 0x00])],
    ["a record longer than any may be", Buffer.from([0x16, 0x03, 0x01, 0xff, 0xff, 1, 0, 0, 1])],
  ])("made of %s ends the connection, is logged once and counted", async (_what, bytes) => {
    await using test = await startListener({ tls: tlsOptions() });
    using wire = await Wire.connect(test.port);
    await wire.send(bytes);
    await wire.send(Buffer.alloc(100, 0x55)).catch(() => {});
    await wire.closed();
    wire.finish();
    expect(await reason(test)).toMatch(/^the TLS handshake failed: /);
    const [entry] = test.log.entries;
    expect(entry).toMatchObject({ level: "info", fields: { listener: "test", address: wire.address } });
    expect(test.listener.failedHandshakes).toBe(1);
    expect(test.sessions).toEqual([]);
  });

  it("made of a real one with bytes changed ends by itself, and harms nobody", async () => {
    await using test = await startListener({ maxConnections: 2, tls: tlsOptions() });
    const hello = await clientHello();
    const changes = fc.array(fc.tuple(fc.nat(hello.length - 1), fc.nat(255)), { minLength: 1, maxLength: 8 });
    await fc.assert(
      fc.asyncProperty(changes, fc.integer({ min: 2, max: hello.length }), async (changed, length) => {
        const bytes = Buffer.from(hello);
        for (const [at, byte] of changed) bytes[at] = byte;
        using wire = await Wire.connect(test.port);
        await wire.send(bytes.subarray(0, length)).catch(() => {});
        wire.finish();
        await wire.closed();
      }),
      { numRuns: 60 },
    );
    using good = await Wire.secure(test.port, trusting);
    await good.send("ECHO\n");
    await good.expect("ECHO\n");
    expect(test.sessions).toHaveLength(1);
  });

  it("that stalls is ended when detection.timeout is over", async () => {
    const clock = new VirtualClock();
    await using test = await startListener({ clock, tls: tlsOptions() });
    using wire = await Wire.connect(test.port);
    await wire.send(Buffer.from([0x16, 0x03, 0x01]));
    await eventually(() => {
      clock.advance(1000);
      expect(test.log.reasons).toEqual(["the TLS handshake was not done within 5000 ms (detection.timeout)"]);
    });
    await wire.closed();
    expect(test.listener.failedHandshakes).toBe(1);
  });

  it("that is done leaves the whole time to say which protocol it is, and no more", async () => {
    const clock = new VirtualClock();
    await using test = await startListener({ clock, tls: tlsOptions() });
    using wire = await Wire.secure(test.port, trusting);
    await eventually(() => {
      clock.advance(1000);
      expect(test.log.reasons).toEqual([expect.stringMatching(/^no protocol recognised: no byte came; .*detection/)]);
    });
    await wire.closed();
    expect(test.listener.failedHandshakes).toBe(0);
  });

  it("that the peer breaks off is a failed one", async () => {
    await using test = await startListener({ tls: tlsOptions() });
    using wire = await Wire.connect(test.port);
    await wire.send(Buffer.from([0x16, 0x03, 0x01, 0x02]));
    wire.finish();
    expect(await reason(test)).toMatch(
      /^(closed by the peer|the peer closed the connection) during the TLS handshake$/,
    );
    expect(test.listener.failedHandshakes).toBe(1);
  });

  it("inside of TLS is no protocol", async () => {
    await using test = await startListener({ tls: tlsOptions() });
    using wire = await Wire.secure(test.port, trusting);
    await wire.send(Buffer.from([0x16, 0x03, 0x01, 0x02]));
    await wire.closed();
    expect(await reason(test)).toMatch(/^no protocol recognised in the first bytes \(16030102\)/);
  });

  it.each(["TLSv1", "TLSv1.1"] as const)("of %s is refused with an alert", async (version) => {
    await using test = await startListener({ tls: tlsOptions() });
    const old = { ...trusting, minVersion: version, maxVersion: version, ciphers: "ALL:@SECLEVEL=0" };
    await expect(Wire.secure(test.port, old)).rejects.toThrow(/alert protocol version/);
    expect(await reason(test)).toBe(
      "the peer offers no version of TLS from TLSv1.2 on (tls.minimum_version): unsupported protocol",
    );
  });

  it("of TLS 1.2 is refused where tls.minimum_version says so", async () => {
    await using test = await startListener({ tls: tlsOptions({ minimumVersion: "TLSv1.3" }) });
    await expect(Wire.secure(test.port, { ...trusting, maxVersion: "TLSv1.2" })).rejects.toThrow(/protocol version/);
    using wire = await Wire.secure(test.port, trusting);
    expect(wire.tls.getProtocol()).toBe("TLSv1.3");
  });

  it("agrees on the ciphers that are allowed only", async () => {
    const ciphers = "ECDHE-ECDSA-AES128-GCM-SHA256";
    await using test = await startListener({ tls: tlsOptions({ ciphers }) });
    const two = { ...trusting, maxVersion: "TLSv1.2" } as const;
    using wire = await Wire.secure(test.port, two);
    expect(wire.tls.getCipher().name).toBe(ciphers);
    const other = Wire.secure(test.port, { ...two, ciphers: "ECDHE-ECDSA-AES256-GCM-SHA384" });
    await expect(other).rejects.toThrow(/alert handshake failure/);
    await eventually(() =>
      expect(test.log.reasons).toEqual([expect.stringMatching(/^the peer offers no cipher that is allowed here/)]),
    );
  });
});

describe("a port that requires TLS", () => {
  it.each([
    ["a protocol it speaks", "ECHO\nlet me in"],
    ["HTTP", "GET / HTTP/1.1\r\n\r\n"],
    ["a byte of neither", "\0"],
  ])("ends who speaks %s in plain text, and answers nothing", async (_what, bytes) => {
    await using test = await startListener({ tls: tlsOptions({ required: true }) });
    using wire = await Wire.connect(test.port);
    await wire.send(bytes);
    expect((await wire.closed()).length).toBe(0);
    expect(await reason(test)).toBe("the peer does not speak TLS, which listeners.test.tls.required asks for");
    expect(test.sessions).toEqual([]);
    expect(test.heads).toEqual([]);
    expect(test.listener.failedHandshakes).toBe(0);
  });

  it("lets in who speaks TLS", async () => {
    await using test = await startListener({ tls: tlsOptions({ required: true }) });
    using wire = await Wire.secure(test.port, trusting);
    await wire.send("ECHO\nin");
    await wire.expect("ECHO\nin");
  });
});

describe("connect_rate", () => {
  it("holds for TLS before the handshake, which costs most", async () => {
    const clock = new VirtualClock();
    await using test = await startListener({ clock, connectRate: 1, tls: tlsOptions() });
    using first = await Wire.secure(test.port, trusting);
    await expect(Wire.secure(test.port, trusting)).rejects.toThrow();
    expect(await reason(test)).toMatch(/^More than 1 connections in a second/);
    expect(test.listener.failedHandshakes).toBe(0);
    await first.send("ECHO\n");
    await eventually(() => expect(test.sessions).toHaveLength(1));
    expect(test.sessions[0]?.peer.refusal).toBeUndefined();
    clock.advance(1000);
    using second = await Wire.secure(test.port, trusting);
    await second.send("ECHO\n");
    await eventually(() => expect(test.sessions).toHaveLength(2));
  });
});

function offering(...protocols: string[]): { ca: string; ALPNProtocols: string[] } {
  return { ...trusting, ALPNProtocols: protocols };
}

describe("ALPN", () => {
  it("agrees on a protocol the port speaks, and on HTTP for WebSocket", async () => {
    await using test = await startListener({ tls: tlsOptions() });
    using echo = await Wire.secure(test.port, offering("h2", "echo"));
    expect(echo.tls.alpnProtocol).toBe("echo");
    using http = await Wire.secure(test.port, offering("http/1.1"));
    expect(http.tls.alpnProtocol).toBe("http/1.1");
    using none = await Wire.secure(test.port, trusting);
    expect(none.tls.alpnProtocol).toBe(false);
  });

  it("refuses who offers nothing the port speaks [RFC 7301 3.2]", async () => {
    await using test = await startListener({ tls: tlsOptions(), webSocket: undefined });
    await expect(Wire.secure(test.port, offering("http/1.1"))).rejects.toThrow(/no application protocol/);
    expect(await reason(test)).toMatch(/^the TLS handshake failed: /);
  });
});

describe("renegotiation", () => {
  it("is refused, and others do not notice", async () => {
    await using test = await startListener({ tls: tlsOptions() });
    using wire = await Wire.secure(test.port, { ...trusting, maxVersion: "TLSv1.2" });
    using other = await Wire.secure(test.port, { ...trusting, maxVersion: "TLSv1.2" });
    await wire.send("ECHO\n");
    await wire.expect("ECHO\n");
    const refused = new Promise<unknown>((resolve) => {
      wire.tls.once("error", resolve);
      wire.tls.renegotiate({ rejectUnauthorized: true }, resolve);
    });
    expect(String(await refused)).toMatch(/no renegotiation/);
    await other.send("ECHO\nstill here");
    await other.expect("ECHO\nstill here");
  });
});

describe("a session of TLS", () => {
  it.each(["TLSv1.2", "TLSv1.3"] as const)(
    "of %s is resumed, until the certificate is another one",
    async (version) => {
      await using test = await startListener({ tls: tlsOptions() });
      const options = { ...trusting, minVersion: version, maxVersion: version } as const;
      let session: Buffer | undefined;
      const again = async (): Promise<boolean> => {
        const wire = await Wire.secure(test.port, session === undefined ? options : { ...options, session });
        await wire.send("ECHO\n");
        await wire.expect("ECHO\n");
        const reused = wire.tls.isSessionReused();
        session = wire.tls.getSession();
        wire[Symbol.dispose]();
        return reused;
      };
      expect(await again()).toBe(false);
      expect(await again()).toBe(true);
      expect(test.listener.secure(tlsOptions())).toBe(false);
      expect(await again()).toBe(true);
      const renewed = ca.issue({ commonName: "broker", names: ["IP:127.0.0.1"] });
      expect(test.listener.secure(tlsOptions({ credentials: credentials(renewed) }))).toBe(true);
      expect(await again()).toBe(false);
      expect(test.sessions.at(-1)?.peer.transport).toBe("tls");
    },
  );
});

describe("other certificates", () => {
  it("are for who connects from now on; who is there stays", async () => {
    await using test = await startListener({ tls: tlsOptions() });
    using before = await Wire.secure(test.port, trusting);
    await before.send("ECHO\n");
    await before.expect("ECHO\n");
    const renewed = ca.issue({ commonName: "renewed", names: ["IP:127.0.0.1"] });
    test.listener.secure(tlsOptions({ credentials: credentials(renewed) }));
    using after = await Wire.secure(test.port, trusting);
    expect(before.tls.getPeerCertificate().subject.CN).toBe("broker");
    expect(after.tls.getPeerCertificate().subject.CN).toBe("renewed");
    await before.send("still here");
    await before.expect("still here");
  });

  it("that cannot be used change nothing", async () => {
    await using test = await startListener({ tls: tlsOptions() });
    const { key } = ca.issue({ commonName: "other" });
    const mixed = { ...credentials(local), key: Buffer.from(key) };
    expect(() => test.listener.secure(tlsOptions({ credentials: mixed }))).toThrow(/key values mismatch/);
    using wire = await Wire.secure(test.port, trusting);
    expect(wire.tls.getPeerCertificate().subject.CN).toBe("broker");
  });

  it("that are none end TLS on the port", async () => {
    await using test = await startListener({ tls: tlsOptions() });
    test.listener.secure(undefined);
    await expect(Wire.secure(test.port, trusting)).rejects.toThrow();
    expect(await reason(test)).toMatch(/^the peer speaks TLS, and there is no certificate/);
  });
});
