import type { IPublishPacket } from "mqtt-packet";
import { onTestFinished } from "vitest";
import { MqttWire } from "../support/mqtt-wire.ts";
import { bodyLines, type Dialect, type Place, showBytes, showLifetime, showText, type Voice } from "./tongue.ts";

/** What a PUBLISH says. */
export interface MqttSaid {
  readonly qos?: 1;
  readonly userProperties?: Readonly<Record<string, string>>;
  readonly contentType?: string;
  readonly correlationData?: Buffer;
  readonly responseTopic?: string;
  /** Seconds. */
  readonly expiryInterval?: number;
  /** Bytes, or with the payload format indicator 1 a text. */
  readonly body?: Buffer | string;
}

class MqttVoice implements Voice<MqttSaid> {
  readonly #wire: MqttWire;

  constructor(wire: MqttWire) {
    this.#wire = wire;
  }

  say(place: Place, said: MqttSaid): Promise<void> {
    const { qos = 0, body = "x" } = said;
    const properties = { properties: propertiesOf(said) };
    return this.#wire.publish(mqttName(place), body, { qos, ...(this.#wire.version === 5 ? properties : {}) });
  }

  async hear(): Promise<MqttSaid> {
    const { qos, messageId, properties = {}, payload } = await this.#wire.expect("publish");
    if (qos > 0) await this.#wire.acknowledge("puback", messageId);
    const { userProperties, contentType, correlationData, responseTopic, messageExpiryInterval } = properties;
    const bytes = Buffer.from(payload);
    return {
      ...(qos === 1 ? { qos } : {}),
      ...(userProperties === undefined ? {} : { userProperties: textsOf(userProperties) }),
      ...(contentType === undefined ? {} : { contentType }),
      ...(correlationData === undefined ? {} : { correlationData }),
      ...(responseTopic === undefined ? {} : { responseTopic }),
      ...(messageExpiryInterval === undefined ? {} : { expiryInterval: messageExpiryInterval }),
      body: properties.payloadFormatIndicator === true ? bytes.toString() : bytes,
    };
  }
}

function propertiesOf(said: MqttSaid): NonNullable<IPublishPacket["properties"]> {
  const { userProperties, contentType, correlationData, responseTopic, expiryInterval, body = "x" } = said;
  return {
    ...(typeof body === "string" ? { payloadFormatIndicator: true } : {}),
    ...(userProperties === undefined ? {} : { userProperties: { ...userProperties } }),
    ...(contentType === undefined ? {} : { contentType }),
    ...(correlationData === undefined ? {} : { correlationData }),
    ...(responseTopic === undefined ? {} : { responseTopic }),
    ...(expiryInterval === undefined ? {} : { messageExpiryInterval: expiryInterval }),
  };
}

function textsOf(properties: Readonly<Record<string, string | string[]>>): Record<string, string> {
  return Object.fromEntries(Object.entries(properties).map(([name, value]) => [name, String(value)]));
}

async function connect(version: 4 | 5, port: number, places: readonly Place[]): Promise<MqttVoice> {
  const wire = await MqttWire.connect(port, { version });
  onTestFinished(() => wire[Symbol.dispose]());
  for (const place of places) await wire.subscribe(mqttName(place), { qos: 1 });
  return new MqttVoice(wire);
}

export const mqttFive: Dialect<MqttSaid> = {
  name: "MQTT 5.0",
  connect: (port, places) => connect(5, port, places),
  lines({ qos, userProperties = {}, contentType, correlationData, responseTopic, expiryInterval, body }) {
    return [
      ...(qos === undefined ? [] : [`QoS ${qos}`]),
      ...Object.entries(userProperties).map(([name, value]) => `user property ${showName(name)} ${showText(value)}`),
      ...(contentType === undefined ? [] : [`content type ${contentType}`]),
      ...(correlationData === undefined ? [] : [`correlation data ${showBytes(correlationData)}`]),
      ...(responseTopic === undefined ? [] : [`response topic ${responseTopic}`]),
      ...(expiryInterval === undefined ? [] : [`expiry interval ${showLifetime(expiryInterval * 1000)}`]),
      ...(body === undefined || body === "x"
        ? []
        : [`payload ${showBytes(Buffer.from(body))}${typeof body === "string" ? ", UTF-8" : ""}`]),
    ];
  },
};

export const mqttThree: Dialect<MqttSaid> = {
  name: "MQTT 3.1.1",
  connect: (port, places) => connect(4, port, places),
  lines: ({ qos, body = "x" }) => [
    ...(qos === undefined ? [] : [`QoS ${qos}`]),
    ...bodyLines(Buffer.from(body), "payload"),
  ],
};

function showName(name: string): string {
  return /^[\w-]+$/.test(name) && name.length < 100 ? name : showText(name);
}

/** A place as a topic. */
function mqttName({ kind, name }: Place): string {
  return `${kind === "queue" ? "$queue/" : ""}${name.replaceAll(".", "/")}`;
}
