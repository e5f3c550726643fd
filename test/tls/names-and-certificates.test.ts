import { connect } from "node:tls";
import { describe, expect, it } from "vitest";
import { alternativeNames } from "../../src/net/peer-certificate.ts";
import { ServerNames } from "../../src/net/server-names.ts";
import type { NamedTls, TlsOptions } from "../../src/net/tls.ts";
import { startListener, type TestListener } from "../net/echo.ts";
import type { Pair } from "../support/certificates.ts";
import { eventually } from "../support/eventually.ts";
import { Wire } from "../support/wire.ts";
import { ca, credentials, strangers, tlsOptions } from "./material.ts";

const trusting = { ca: ca.certificate };
const CLIENT = {
  commonName: "pump-7",
  organization: "Pumps, Valves",
  names: ["DNS:pump-7.example", "email:ann@example.org", "URI:urn:pump:7", "IP:10.0.0.7"],
};
const pump = ca.issue(CLIENT);

function asking(clientCertificates: TlsOptions["clientCertificates"]): TlsOptions {
  return tlsOptions({ clientCertificates, ca: Buffer.from(ca.certificate) });
}

function showing({ certificate, key }: Pair): { ca: string; cert: string; key: string } {
  return { ...trusting, cert: certificate, key };
}

/** Speaks ECHO, and returns the broker's side of the newest connection. */
async function opened(test: TestListener, wire: Wire): Promise<TestListener["sessions"][number]["peer"]> {
  await wire.send("ECHO\n");
  await wire.expect("ECHO\n");
  const peer = test.sessions.at(-1)?.peer;
  if (peer === undefined) throw new Error("No session");
  return peer;
}

/** In TLS 1.3 a client hears of its refusal after its own part of the handshake is done. */
async function refused(port: number, options: Parameters<typeof Wire.secure>[1]): Promise<void> {
  const socket = connect({ port, host: "127.0.0.1", ...options });
  await new Promise<void>((resolve) => {
    socket.on("error", () => resolve());
    socket.on("close", () => resolve());
  });
}

describe("a client's certificate", () => {
  it.each(["want", "need"] as const)("is what the peer is known by, with client_certificates: %s", async (asked) => {
    await using test = await startListener({ tls: asking(asked) });
    using wire = await Wire.secure(test.port, showing(pump));
    const { certificate } = await opened(test, wire);
    expect(certificate).toEqual({
      subject: "CN=pump-7,O=Pumps\\, Valves",
      commonName: "pump-7",
      alternativeNames: ["DNS:pump-7.example", "email:ann@example.org", "URI:urn:pump:7", "IP Address:10.0.0.7"],
      issuer: "CN=Test CA",
      serialNumber: expect.stringMatching(/^[0-9a-f]+$/),
      fingerprint: expect.stringMatching(/^[0-9a-f]{64}$/),
    });
  });

  it("is known in a session that is resumed too", async () => {
    await using test = await startListener({ tls: asking("need") });
    using first = await Wire.secure(test.port, showing(pump));
    await opened(test, first);
    const session = first.tls.getSession();
    using second = await Wire.secure(test.port, { ...showing(pump), ...(session === undefined ? {} : { session }) });
    const { certificate } = await opened(test, second);
    expect(second.tls.isSessionReused()).toBe(true);
    expect(certificate?.commonName).toBe("pump-7");
  });

  it("that is missing is fine with want, and refused in the handshake with need", async () => {
    await using test = await startListener({ tls: asking("want") });
    using wire = await Wire.secure(test.port, trusting);
    expect((await opened(test, wire)).certificate).toBeUndefined();
    test.listener.secure(asking("need"));
    const two = { ...trusting, maxVersion: "TLSv1.2" } as const;
    await expect(Wire.secure(test.port, two)).rejects.toThrow(/alert handshake failure/);
    await refused(test.port, trusting);
    const why = "the peer has shown no certificate, and tls.client_certificates is need";
    await eventually(() => expect(test.log.reasons).toEqual([why, why]));
    expect(test.listener.failedHandshakes).toBe(2);
    expect(test.sessions).toHaveLength(1);
  });

  it.each([
    ["want", "of strangers", strangers.issue(CLIENT), "UNABLE_TO_VERIFY_LEAF_SIGNATURE"],
    ["need", "of strangers", strangers.issue(CLIENT), "UNABLE_TO_VERIFY_LEAF_SIGNATURE"],
    ["want", "that has expired", ca.issue({ ...CLIENT, to: new Date(Date.now() - 1000) }), "CERT_HAS_EXPIRED"],
    [
      "need",
      "that is not valid yet",
      ca.issue({ ...CLIENT, from: new Date(Date.now() + 60_000) }),
      "CERT_NOT_YET_VALID",
    ],
  ] as const)("with client_certificates: %s, and one %s, is refused", async (asked, _what, pair, code) => {
    await using test = await startListener({ tls: asking(asked) });
    for (const maxVersion of ["TLSv1.2", "TLSv1.3"] as const) {
      await refused(test.port, { ...showing(pair), maxVersion });
    }
    const why = `the peer's certificate is not trusted (tls.ca): ${code}`;
    await eventually(() => expect(test.log.reasons).toEqual([why, why]));
    expect(test.listener.failedHandshakes).toBe(2);
    expect(test.sessions).toEqual([]);
  });

  it("is not asked for, and not looked at, with client_certificates: none", async () => {
    await using test = await startListener({ tls: tlsOptions() });
    using wire = await Wire.secure(test.port, showing(strangers.issue(CLIENT)));
    expect((await opened(test, wire)).certificate).toBeUndefined();
  });

  it("that was trusted once is not in a session resumed after the authority is another one", async () => {
    await using test = await startListener({ tls: asking("need") });
    using first = await Wire.secure(test.port, showing(pump));
    await opened(test, first);
    const session = first.tls.getSession();
    test.listener.secure(tlsOptions({ clientCertificates: "need", ca: Buffer.from(strangers.certificate) }));
    await refused(test.port, { ...showing(pump), ...(session === undefined ? {} : { session }) });
    await eventually(() => expect(test.log.reasons).toEqual([expect.stringContaining("is not trusted")]));
  });

  it.each([
    [undefined, []],
    ["", []],
    ["DNS:a.example, IP Address:::1", ["DNS:a.example", "IP Address:::1"]],
    ['DNS:"a.example, DNS:admin.example", DNS:b.example', ["DNS:a.example, DNS:admin.example", "DNS:b.example"]],
    ['DNS:"a\\"b", email:c@d', ['DNS:a"b', "email:c@d"]],
  ])("has the alternative names %j", (text, names) => {
    expect(alternativeNames(text)).toEqual(names);
  });
});

function named(match: string, virtualHost?: string): NamedTls {
  return {
    match,
    credentials: credentials(ca.issue({ commonName: match, names: [`DNS:${match}`] })),
    virtualHost,
  };
}

describe("the name a client calls the broker by", () => {
  const names = [named("shop.example", "shop"), named("*.plant.example", "plant"), named("one.plant.example")];

  it.each([
    ["shop.example", "shop.example", "shop"],
    ["SHOP.example", "shop.example", "shop"],
    ["two.plant.example", "*.plant.example", "plant"],
    ["one.plant.example", "one.plant.example", "plant"],
    ["a.b.plant.example", "broker", undefined],
    ["plant.example", "broker", undefined],
    ["other.example", "broker", undefined],
    ["", "broker", undefined],
  ])("%j gets the certificate of %s and the virtual host %s", async (servername, commonName, virtualHost) => {
    await using test = await startListener({ tls: tlsOptions({ names }) });
    using wire = await Wire.secure(test.port, { ...trusting, servername, checkServerIdentity: () => undefined });
    expect(wire.tls.getPeerCertificate().subject.CN).toBe(commonName);
    expect((await opened(test, wire)).virtualHost).toBe(virtualHost);
  });

  it("asks for client certificates whatever it is", async () => {
    await using test = await startListener({ tls: { ...asking("need"), names } });
    for (const servername of ["shop.example", "other.example"]) {
      const options = { ...showing(pump), servername, checkServerIdentity: () => undefined };
      using wire = await Wire.secure(test.port, options);
      expect((await opened(test, wire)).certificate?.commonName).toBe("pump-7");
      await refused(test.port, { ...trusting, servername, checkServerIdentity: () => undefined });
    }
    await eventually(() => expect(test.listener.failedHandshakes).toBe(2));
    expect(test.sessions).toHaveLength(2);
  });

  it("is looked up without its final dot, and what was added first counts", () => {
    const found = new ServerNames<number>();
    found.add("a.example.", 1);
    found.add("A.example", 2);
    found.add("*.example", 3);
    found.add("*.EXAMPLE.", 4);
    expect(["a.example", "a.example.", "b.example", ".example", "example"].map((name) => found.find(name))).toEqual([
      1,
      1,
      3,
      undefined,
      undefined,
    ]);
  });
});
