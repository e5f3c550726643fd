import mqtt, { type IClientOptions, type IPublishPacket, type MqttClient } from "mqtt";
import { onTestFinished } from "vitest";

/** What MQTT.js calls the versions 3.1, 3.1.1 and 5.0. */
export type Level = 3 | 4 | 5;

export interface Got {
  readonly topic: string;
  readonly body: Buffer;
  readonly packet: IPublishPacket;
}

/** A client that ends with the test. */
export class MqttjsClient {
  readonly mqtt: MqttClient;
  /** All that came, in order. */
  readonly got: Got[] = [];
  /** Whether its session was there already when it last connected. */
  present = false;
  /** How often it was connected. */
  connections = 0;

  private constructor(client: MqttClient) {
    this.mqtt = client;
    client.on("message", (topic, body, packet) => void this.got.push({ topic, body, packet }));
    client.on("connect", ({ sessionPresent }) => {
      this.present = sessionPresent;
      this.connections++;
    });
    // Without a listener it throws into the void what is told by other ways too.
    client.on("error", () => {});
    onTestFinished(() => client.endAsync(true));
  }

  /** Connects by TCP, unless `url` says otherwise; rejects when it is refused. */
  static async connect(
    port: number,
    level: Level,
    options: IClientOptions = {},
    url = `mqtt://127.0.0.1:${port}`,
  ): Promise<MqttjsClient> {
    const client = mqtt.connect(url, {
      protocolVersion: level,
      protocolId: level === 3 ? "MQIsdp" : "MQTT",
      reconnectPeriod: 0,
      resubscribe: false,
      ...options,
    });
    const made = new MqttjsClient(client);
    await new Promise<void>((resolve, reject) => {
      client.once("connect", () => resolve());
      client.once("error", reject);
      client.once("close", () => reject(new Error("The connection was closed")));
    });
    return made;
  }

  get bodies(): string[] {
    return this.got.map(({ body }) => body.toString());
  }

  /** Loses the connection as a crash does. */
  crash(): void {
    this.mqtt.stream.destroy();
  }
}
