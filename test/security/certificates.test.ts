import { writeFileSync } from "node:fs";
import amqplib from "amqplib";
import { describe, expect, it, onTestFinished } from "vitest";
import { MqttjsClient } from "../clients/mqttjs-client.ts";
import { connectRhea, once } from "../clients/rhea-client.ts";
import { startBroker, temporaryFolder, type TestBroker } from "../support/broker.ts";
import { Wire } from "../support/wire.ts";
import { ca, caFile, tlsSettings } from "../tls/material.ts";

const pump = ca.issue({ commonName: "pump-7", organization: "Example", names: ["email:pump@example.org"] });
const valve = ca.issue({ commonName: "valve-1", organization: "Example" });

const MODULES =
  "security.modules=[{control: optional, groups: {file: GROUPS, match: certificate}}, " +
  '{control: sufficient, certificate: {allow: ["CN=pump-*,O=Example"]}}, {control: sufficient, users: {}}]';

/** A broker that lets in pumps by their certificates, and ann by her password. */
async function start(): Promise<TestBroker> {
  const folder = temporaryFolder();
  const groups = `${folder}/groups.properties`;
  writeFileSync(groups, "machines=CN=pump-7,O=Example|CN=pump-8,O=Example\n");
  return startBroker([
    ...tlsSettings(folder),
    `tls.ca=${caFile(folder)}`,
    "tls.client_certificates=want",
    MODULES.replace("GROUPS", groups),
    "security.users.ann.password=secret",
  ]);
}

function inside({ server }: TestBroker): unknown[] {
  const clients = [...(server.broker.hosts.get("default")?.clients ?? [])];
  return clients.map(({ login: { user, groups } }) => ({ user, groups }));
}

const PUMP = { user: "pump-7", groups: ["machines"] };
const showing = { ca: ca.certificate, cert: pump.certificate, key: pump.key };
const other = { ca: ca.certificate, cert: valve.certificate, key: valve.key };

describe("a client with a certificate and no user name", () => {
  it("over STOMP is who the certificate is of", async () => {
    const broker = await start();
    using wire = await Wire.secure(broker.port, showing);
    await wire.send("CONNECT\naccept-version:1.2\nhost:localhost\n\n\0");
    expect(await wire.frame()).toContain("\nuser-name:pump-7\n");
    expect(inside(broker)).toEqual([PUMP]);
  });

  it("over MQTT is who the certificate is of", async () => {
    const broker = await start();
    for (const level of [4, 5] as const) {
      await MqttjsClient.connect(broker.port, level, showing, `mqtts://127.0.0.1:${broker.port}`);
    }
    expect(inside(broker)).toEqual([PUMP, PUMP]);
  });

  it("over AMQP 0-9-1 is who it is of, by EXTERNAL", async () => {
    const broker = await start();
    const options = { ...showing, credentials: amqplib.credentials.external() };
    const connection = await amqplib.connect(`amqps://127.0.0.1:${broker.port}`, options);
    onTestFinished(() => connection.close());
    expect(inside(broker)).toEqual([PUMP]);
  });

  it("over AMQP 1.0 is who it is of, by EXTERNAL", async () => {
    const broker = await start();
    const { ca: authority, cert, key } = showing;
    const tls = { ca: [authority], cert, key, enable_sasl_external: true };
    await once(connectRhea(broker.port, { transport: "tls", ...tls }), "connection_open");
    expect(inside(broker)).toEqual([PUMP]);
  });

  it("that is not let in is told so, and the log has its name", async () => {
    const broker = await start();
    using wire = await Wire.secure(broker.port, other);
    await wire.send("CONNECT\naccept-version:1.2\nhost:localhost\n\n\0");
    expect(await wire.frame()).toContain("CN=valve-1,O=Example is not among those that are let in");
    const options = { ...other, credentials: amqplib.credentials.external() };
    await expect(amqplib.connect(`amqps://127.0.0.1:${broker.port}`, options)).rejects.toThrow();
    expect(broker.log.join("")).toMatch(/"dn":"CN=valve-1,O=Example"/);
  });

  it("may log in with a password all the same, and is then who that is of", async () => {
    const broker = await start();
    using wire = await Wire.secure(broker.port, other);
    await wire.send("CONNECT\naccept-version:1.2\nhost:localhost\nlogin:ann\npasscode:secret\n\n\0");
    expect(await wire.frame()).toContain("\nuser-name:ann\n");
  });
});

it("a client without a certificate is not let in by EXTERNAL, which is not offered to it", async () => {
  const broker = await start();
  const options = { credentials: amqplib.credentials.external() };
  await expect(amqplib.connect(`amqp://127.0.0.1:${broker.port}`, options)).rejects.toThrow();
});
