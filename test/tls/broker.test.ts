import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { connect } from "node:tls";
import { describe, expect, it } from "vitest";
import { loadConfig } from "../../src/config/load.ts";
import type { Config } from "../../src/config/schema.ts";
import { MqttjsClient } from "../clients/mqttjs-client.ts";
import { ROOT, startBroker, startBrokerProcess, temporaryFolder } from "../support/broker.ts";
import { writePair } from "../support/certificates.ts";
import { eventually } from "../support/eventually.ts";
import { Wire } from "../support/wire.ts";
import { ca, caFile, local, tlsSettings } from "./material.ts";

const trusting = { ca: ca.certificate };
const HOSTS = ["hosts.shop.aliases=[shop.example]", "hosts.plant.aliases=[]"];
const NAMES = 'tls.names=[{match: "*.factory.example", virtual_host: plant}]';

/** The common name of what a port shows to a client that calls it by a name. */
function shown(port: number, servername = "localhost"): Promise<string | undefined> {
  return new Promise((resolve, reject) => {
    const socket = connect({ port, host: "127.0.0.1", servername, rejectUnauthorized: false });
    socket.once("error", reject);
    socket.once("secureConnect", () => {
      const { CN: name } = socket.getPeerCertificate().subject;
      socket.destroy();
      resolve(typeof name === "string" ? name : undefined);
    });
  });
}

function configOf(sets: readonly string[]): Config {
  const loaded = loadConfig({ sets, directory: ROOT });
  if (!loaded.ok) throw new Error(loaded.problems.join("\n"));
  return loaded.config;
}

describe("the virtual host of a client over TLS", () => {
  const SERVERS = [
    ["shop.example", "shop"],
    ["Shop", "shop"],
    ["north.factory.example", "plant"],
    ["plant", "plant"],
    ["localhost", "default"],
    ["unknown.example", "default"],
  ] as const;

  it.each(SERVERS)("is, over MQTT by the name %s, %s", async (servername, expected) => {
    const broker = await startBroker([...tlsSettings(temporaryFolder()), ...HOSTS, NAMES, "unknown_host=refuse"]);
    const options = { ...trusting, servername, checkServerIdentity: () => undefined };
    await MqttjsClient.connect(broker.port, 5, options, `mqtts://127.0.0.1:${broker.port}`);
    const hosts = [...broker.server.broker.hosts.values()].filter(({ clients }) => clients.size > 0);
    expect(hosts.map(({ name }) => name)).toEqual([expected]);
  });

  it("is what STOMP's host header says, and without one the name the broker was called by", async () => {
    const broker = await startBroker([...tlsSettings(temporaryFolder()), ...HOSTS]);
    const options = { ...trusting, servername: "shop.example", checkServerIdentity: () => undefined };
    using named = await Wire.secure(broker.port, options);
    await named.send("CONNECT\naccept-version:1.2\nhost:plant\n\n\0");
    expect(await named.frame()).toMatch(/^CONNECTED\n/);
    using nameless = await Wire.secure(broker.port, options);
    await nameless.send("CONNECT\n\n\0");
    expect(await nameless.frame()).toMatch(/^CONNECTED\n/);
    const counts = [...broker.server.broker.hosts.values()].map(({ name, clients }) => [name, clients.size]);
    expect(Object.fromEntries(counts)).toEqual({ default: 0, shop: 1, plant: 1 });
  });
});

describe("a broker with a certificate", () => {
  it("opens the ports that require TLS, and speaks TLS on the others too", async () => {
    const folder = temporaryFolder();
    const files = writePair(folder, "broker", local);
    const { server } = await startBroker([
      `tls.certificate=${files.certificate}`,
      `tls.key=${files.key}`,
      ...["stomps", "mqtts", "amqps"].map((name) => `listeners.${name}.port=0`),
    ]);
    expect(server.listeners.map(({ name }) => name)).toEqual(["stomp", "stomps", "mqtts", "amqps"]);
    for (const { name, port } of server.listeners) {
      expect([name, await shown(port)]).toEqual([name, "broker"]);
      using wire = await Wire.connect(port);
      await wire.send("CONNECT\naccept-version:1.2\nhost:/\n\n\0");
      if (name === "stomp") expect(await wire.frame()).toMatch(/^CONNECTED/);
      else expect((await wire.closed()).length).toBe(0);
    }
  });

  it("has none of these ports without one", async () => {
    const { server } = await startBroker();
    expect(server.listeners.map(({ name }) => name)).toEqual(["stomp"]);
  });

  it("knows who logs in by a certificate", async () => {
    const folder = temporaryFolder();
    const settings = [...tlsSettings(folder), `tls.ca=${caFile(folder)}`, "tls.client_certificates=need"];
    const { port, server } = await startBroker(settings);
    const pair = ca.issue({ commonName: "pump-7" });
    const options = { ...trusting, cert: pair.certificate, key: pair.key };
    await MqttjsClient.connect(port, 4, options, `mqtts://127.0.0.1:${port}`);
    const clients = [...(server.broker.host(undefined)?.clients.values() ?? [])];
    expect(clients.map(({ peer }) => [peer.certificate?.commonName, peer.transport])).toEqual([["pump-7", "tls"]]);
  });
});

describe("a reload", () => {
  it("shows a certificate that was renewed in its file to new clients, and keeps those there", async () => {
    const folder = temporaryFolder();
    const settings = tlsSettings(folder);
    const { port, server } = await startBroker(settings);
    const before = await MqttjsClient.connect(port, 5, trusting, `mqtts://127.0.0.1:${port}`);
    writePair(folder, "broker", ca.issue({ commonName: "renewed", names: ["IP:127.0.0.1"] }));
    const config = configOf(["store.kind=memory", ...settings]);
    expect((await server.reload(config)).applied).toContain("listeners.stomp.tls");
    expect(await shown(port)).toBe("renewed");
    await before.mqtt.subscribeAsync("a", { qos: 1 });
    await before.mqtt.publishAsync("a", "still here", { qos: 1 });
    await eventually(() => expect(before.bodies).toEqual(["still here"]));
    expect((await server.reload(config)).applied).not.toContain("listeners.stomp.tls");
  });

  it("takes over everything about TLS, and says what needs a restart", async () => {
    const folder = temporaryFolder();
    const { port, server } = await startBroker();
    await expect(shown(port)).rejects.toThrow();
    const settings = [...tlsSettings(folder).filter((one) => one.startsWith("tls.")), "store.kind=memory"];
    settings.push("management.enabled=false", "management.port=0");
    const others = ["mqtt", "amqp", "openwire"].map((name) => `listeners.${name}.enabled=false`);
    const on = await server.reload(configOf([...settings, ...others, "listeners.stomp.port=0", "log.level=debug"]));
    expect(on.applied).toEqual(expect.arrayContaining(["tls.certificate", "tls.key", "listeners.stomp.tls"]));
    expect(on.needsRestart).toEqual(["stomps", "mqtts", "amqps"].map((name) => `listeners.${name}.enabled`));
    expect(await shown(port)).toBe("broker");
    const required = [...settings, ...others, "listeners.stomp.tls.required=true"];
    expect((await server.reload(configOf(required))).applied).toContain("listeners.stomp.tls.required");
    using wire = await Wire.connect(port);
    await wire.send("CONNECT\n\n\0");
    expect((await wire.closed()).length).toBe(0);
  });

  it("lets nobody in without TLS where TLS was required and has no certificate any more", async () => {
    const folder = temporaryFolder();
    const files = writePair(folder, "broker", local);
    const ports = ["stomps", "mqtts", "amqps"].map((name) => `listeners.${name}.port=0`);
    const { server } = await startBroker([`tls.certificate=${files.certificate}`, `tls.key=${files.key}`, ...ports]);
    const { needsRestart } = await server.reload(configOf(["store.kind=memory", ...ports]));
    expect(needsRestart).toContain("listeners.mqtts.enabled");
    const port = server.listeners.find(({ name }) => name === "mqtts")?.port ?? 0;
    using wire = await Wire.connect(port);
    await wire.send("CONNECT\n\n\0");
    expect((await wire.closed()).length).toBe(0);
    expect(await shown(port)).toBe("broker");
  });

  it("by SIGHUP keeps the old certificate when the new one is wrong, and logs why", async () => {
    const folder = temporaryFolder();
    const delos = await startBrokerProcess(join(folder, "data"), tlsSettings(folder));
    expect(await shown(delos.port)).toBe("broker");
    writeFileSync(join(folder, "broker.crt"), "no certificate");
    delos.process.kill("SIGHUP");
    await eventually(() => expect(delos.output()).toContain("the configuration is wrong; the old one stays"));
    expect(delos.output()).toContain("broker.crt holds no certificate in PEM");
    expect(await shown(delos.port)).toBe("broker");
    writePair(folder, "broker", ca.issue({ commonName: "renewed" }));
    delos.process.kill("SIGHUP");
    await eventually(() => expect(delos.output()).toContain("the configuration was read again"));
    expect(await shown(delos.port)).toBe("renewed");
    expect(await delos.end("SIGTERM")).toBe(0);
  });
});
