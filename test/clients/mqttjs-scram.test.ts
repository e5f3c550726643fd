import mqtt, { type MqttClient } from "mqtt";
import { generate } from "mqtt-packet";
import { describe, expect, it, onTestFinished } from "vitest";
import { startBroker } from "../support/broker.ts";
import { eventually } from "../support/eventually.ts";
import { ScramClient } from "../support/scram-client.ts";

const METHOD = "SCRAM-SHA-256";

interface Proving {
  readonly client: MqttClient;
  /** Begins to prove who it is by another pair of user name and password, on the same connection. */
  renew(user: string, password: string): void;
  /** How often the broker has proven in its turn to know the password, in an AUTH. */
  renewed: number;
}

/** MQTT.js with SCRAM as an application would add it. */
function proving(port: number, user: string, password: string): Proving {
  let scram = new ScramClient(user, password);
  const client = mqtt.connect(`mqtt://127.0.0.1:${port}`, {
    protocolVersion: 5,
    clientId: "prover",
    reconnectPeriod: 0,
    properties: { authenticationMethod: METHOD, authenticationData: scram.first() },
  });
  onTestFinished(() => client.endAsync(true));
  client.on("error", () => {});
  const made: Proving = {
    client,
    renewed: 0,
    renew(otherUser, otherPassword) {
      scram = new ScramClient(otherUser, otherPassword);
      const properties = { authenticationMethod: METHOD, authenticationData: scram.first() };
      client.stream.write(generate({ cmd: "auth", reasonCode: 0x19, properties }, { protocolVersion: 5 }));
    },
  };
  client.handleAuth = ({ reasonCode, properties }, done) => {
    if (reasonCode === 0) {
      if (scram.trusts(properties?.authenticationData)) made.renewed++;
      done();
      return;
    }
    const authenticationData = scram.last(properties?.authenticationData);
    done(undefined, {
      cmd: "auth",
      reasonCode: 0x18,
      properties: { authenticationMethod: METHOD, authenticationData },
    });
  };
  return made;
}

/** How the first attempt ended. */
function outcome(client: MqttClient): Promise<string> {
  return new Promise((resolve) => {
    client.once("connect", () => resolve("connected"));
    client.once("error", ({ message }) => resolve(message));
  });
}

describe("MQTT.js with SCRAM-SHA-256", () => {
  it("connects, and proves who it is again while messages flow", async () => {
    const { port } = await startBroker(["security.users.ann.password=ann's"]);
    const made = proving(port, "ann", "ann's");
    expect(await outcome(made.client)).toBe("connected");
    const got: string[] = [];
    made.client.on("message", (_topic, body) => void got.push(body.toString()));
    await made.client.subscribeAsync("t", { qos: 1 });
    const sent: string[] = [];
    for (let n = 0; n < 50; n++) {
      if (n % 10 === 5) made.renew("ann", "ann's");
      sent.push(String(n));
      await made.client.publishAsync("t", String(n), { qos: 1 });
      if (n % 10 === 9) await eventually(() => expect(made.renewed).toBe((n + 1) / 10));
    }
    await eventually(() => expect(got).toEqual(sent));
  });

  it("is told why it was refused", async () => {
    const { port } = await startBroker(["security.users.ann.password=ann's"]);
    expect(await outcome(proving(port, "ann", "wrong").client)).toBe("Connection refused: Bad User Name or Password");
  });

  it("is disconnected when it cannot prove it again", async () => {
    const { port } = await startBroker(["security.users.ann.password=ann's"]);
    const made = proving(port, "ann", "ann's");
    expect(await outcome(made.client)).toBe("connected");
    const reasons: (number | undefined)[] = [];
    made.client.on("disconnect", ({ reasonCode }) => void reasons.push(reasonCode));
    made.renew("ann", "wrong");
    await eventually(() => expect(reasons).toEqual([0x87]));
  });
});
