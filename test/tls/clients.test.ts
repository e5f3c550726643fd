import { describe, expect, it } from "vitest";
import { WebSocket } from "ws";
import { MOSQUITTO_MISSING, Mosquitto, run, subscribe } from "../clients/mosquitto.ts";
import { MqttjsClient } from "../clients/mqttjs-client.ts";
import { runProgram, runs } from "../clients/program.ts";
import { collect, confirmed, connect } from "../clients/stompjs-client.ts";
import { temporaryFolder } from "../support/broker.ts";
import { writePair } from "../support/certificates.ts";
import { eventually } from "../support/eventually.ts";
import { type QueueBroker, startQueueBroker } from "../support/queue-broker.ts";
import { StompitClient } from "../support/stompit-client.ts";
import { ca, caFile, strangers, tlsSettings } from "./material.ts";

const PYTHON = "/usr/bin/python3";
const PAHO_MISSING = runs(PYTHON, ["-c", "import paho.mqtt.client"])
  ? ""
  : ` (skipped: there is no ${PYTHON} with the package paho.mqtt)`;
const trusting = { ca: ca.certificate };

/** A broker that takes nothing but TLS, and asks for certificates; files for clients that read such. */
async function start(): Promise<{ broker: QueueBroker; trust: string; shown: { certificate: string; key: string } }> {
  const folder = temporaryFolder();
  const trust = caFile(folder);
  const broker = await startQueueBroker(
    ...tlsSettings(folder),
    "listeners.stomp.tls.required=true",
    `tls.ca=${trust}`,
    "tls.client_certificates=want",
    "security.users.alice.password=secret",
  );
  const shown = writePair(folder, "client", ca.issue({ commonName: "pump-7" }));
  return { broker, trust, shown };
}

describe("MQTT.js", () => {
  it.each([
    ["mqtts", 4],
    ["wss", 4],
    ["mqtts", 5],
    ["wss", 5],
  ] as const)("by %s and version %s sends and receives at every QoS, a megabyte too", async (scheme, level) => {
    const { broker } = await start();
    const { port } = broker;
    const client = await MqttjsClient.connect(port, level, trusting, `${scheme}://127.0.0.1:${port}`);
    await client.mqtt.subscribeAsync("a/#", { qos: 2 });
    const big = Buffer.alloc(1 << 20, "0123456789abcde\0");
    for (const qos of [0, 1, 2] as const) {
      await client.mqtt.publishAsync(`a/${qos}`, `hello ${qos}`, { qos });
      await client.mqtt.publishAsync("a/big", big, { qos });
    }
    await eventually(() => expect(client.got).toHaveLength(6));
    expect(client.got.filter(({ body }) => body.equals(big))).toHaveLength(3);
    expect([...broker.host.clients.values()].map(({ peer }) => peer.transport)).toEqual([
      scheme === "wss" ? "wss" : "tls",
    ]);
  });
});

describe("stompit over TLS", () => {
  it("sends with receipts and receives, with another protocol on the same port", async () => {
    const { broker } = await start();
    const stomp = await StompitClient.connect(broker.port, { host: "/" }, ca.certificate);
    const inbox = await stomp.subscribe("/topic/a.b");
    const mqtt = await MqttjsClient.connect(broker.port, 5, trusting, `mqtts://127.0.0.1:${broker.port}`);
    await mqtt.mqtt.publishAsync("a/b", "from MQTT", { qos: 1 });
    await stomp.send("/topic/a.b", "from STOMP");
    await inbox.first(2);
    expect(inbox.bodies.toSorted()).toEqual(["from MQTT", "from STOMP"]);
  });
});

describe("stompjs by wss", () => {
  it("sends and receives", async () => {
    const { broker } = await start();
    const { port } = broker;
    const client = await connect(port, {
      webSocketFactory: () => new WebSocket(`wss://127.0.0.1:${port}`, ["v12.stomp"], trusting),
    });
    const got = await collect(client, "/queue/a");
    await confirmed(client, (receipt) => {
      client.publish({ destination: "/queue/a", body: "hello", headers: { receipt } });
    });
    await eventually(() => expect(got.map(({ body }) => body)).toEqual(["hello"]));
  });
});

describe.skipIf(MOSQUITTO_MISSING !== "")(`mosquitto_pub and mosquitto_sub by TLS${MOSQUITTO_MISSING}`, () => {
  it.each(["tlsv1.2", "tlsv1.3"])("%s send and receive, one with a certificate and one without", async (version) => {
    const { broker, trust, shown } = await start();
    const { port, host } = broker;
    const secure = ["--cafile", trust, "--tls-version", version];
    const receiver = await subscribe(port, host, [...secure, "-t", "a", "-q", "1", "-C", "1"], "sub");
    const certificate = ["--cert", shown.certificate, "--key", shown.key];
    await run("mosquitto_pub", port, [...secure, ...certificate, "-t", "a", "-q", "2", "-m", "hello"]);
    expect((await receiver.done()).toString()).toBe("hello\n");
  });

  it("that do not trust the broker are logged as such", async () => {
    const { broker } = await start();
    const wrong = writePair(temporaryFolder(), "strangers", strangers).certificate;
    const sender = new Mosquitto("mosquitto_pub", broker.port, ["--cafile", wrong, "-t", "a", "-m", "hello"]);
    expect((await sender.failed()).code).not.toBe(0);
    await eventually(() => {
      expect(broker.log.join("")).toContain("the peer does not accept this certificate (tls.certificate): alert ");
    });
  });
});

describe.skipIf(PAHO_MISSING !== "")(`paho-mqtt by TLS${PAHO_MISSING}`, () => {
  it.each(["tcp", "websockets"])("over %s sends and receives a megabyte at every QoS", async (transport) => {
    const { broker, trust, shown } = await start();
    const files = [trust, shown.certificate, shown.key];
    const same = [true, true, true, true];
    const args = ["qualities", String(broker.port), "5.0", transport, ...files];
    expect(await runProgram(PYTHON, "mqtt-client.py", args)).toEqual({
      0: { granted: [0], same },
      1: { granted: [1], same },
      2: { granted: [2], same },
    });
  });

  it("leaves its will where it dies", async () => {
    const { broker, trust } = await start();
    const args = ["will", String(broker.port), "3.1.1", "tcp", trust];
    expect(JSON.stringify(await runProgram(PYTHON, "mqtt-client.py", args))).toContain("died");
  });
});
