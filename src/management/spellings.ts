/*
 * How each protocol writes destinations, for explanations: `parse` reads what its clients write, `format` what they would see.
 */
import type { Address } from "../../core/addresses/address.ts";
import { canonical } from "../../core/addresses/spelling.ts";
import { BrokerError } from "../../core/errors.ts";
import type { Message } from "../../core/message.ts";
import { formatReplyTo, parseReplyTo } from "../../protocols/amqp091/address.ts";
import { formatAddress as formatAmqp10, parseTarget as parseAmqp10 } from "../../protocols/amqp10/address.ts";
import { propertiesOf } from "../../protocols/mqtt/convert.ts";
import { formatTopic, parseTarget as parseMqtt } from "../../protocols/mqtt/topic.ts";
import { spellHeaders } from "../../protocols/stomp/convert.ts";
import { formatAddress as formatStomp, parseTarget as parseStomp } from "../../protocols/stomp/destination.ts";
import type { Config } from "../config/schema.ts";

/** The protocols that can be explained. */
export const SPELLED = ["stomp", "mqtt", "amqp091", "amqp10", "canonical"] as const;

/** One protocol's way to write destinations. */
export interface ProtocolSpelling {
  /** Where a send leads. Throws BrokerError. */
  readonly parse: (text: string) => readonly Address[];
  readonly format: (address: Address) => string;
  /** Headers or properties that its readers get; undefined where all that a message has is carried as it is. */
  readonly headers?: (message: Message) => readonly string[];
}

/** The spelling of a protocol. */
export function spellingOf(protocol: (typeof SPELLED)[number], { mqtt, amqp10 }: Config): ProtocolSpelling {
  switch (protocol) {
    case "stomp":
      return {
        parse: (text) => parseStomp(text, noTemporary),
        format: formatStomp,
        headers: (message) => lines(spellHeaders(message, "1.2", undefined).toString()),
      };
    case "mqtt":
      return {
        parse(text) {
          const target = parseMqtt(text, {
            maxTopicBytes: mqtt.max_topic_bytes,
            maxTopicLevels: mqtt.max_topic_levels,
          });
          if (target instanceof Error) throw new BrokerError("bad-address", target.message);
          return [target.address];
        },
        format: formatTopic,
        headers: mqttProperties,
      };
    case "amqp091":
      return { parse: parseAmqp091, format: formatReplyTo };
    case "amqp10":
      return { parse: (text) => parseAmqp10(text, amqp10.plain_address, noTemporary), format: formatAmqp10 };
    case "canonical":
      return { parse: parseCanonical, format: formatCanonical };
  }
}

/** The spelling in which a client sees names, by what its connection calls its protocol. */
export function spellingOfClient(protocol: string, config: Config): ProtocolSpelling {
  if (protocol.startsWith("STOMP")) return spellingOf("stomp", config);
  if (protocol === "AMQP 0-9-1") return spellingOf("amqp091", config);
  if (protocol === "AMQP 1.0") return spellingOf("amqp10", config);
  if (!protocol.startsWith("MQTT")) return spellingOf("canonical", config);
  const { parse, format, headers = mqttProperties } = spellingOf("mqtt", config);
  // MQTT 3 has a topic and a body, and nothing else.
  return { parse, format, headers: protocol.endsWith("5.0") ? headers : () => [] };
}

function noTemporary(kind: string, name: string): Address {
  throw new BrokerError("bad-address", `The temporary ${kind} ${name} is one of a connection: name it canonically`);
}

function lines(text: string): string[] {
  return text.split("\n").filter((line) => line !== "");
}

function mqttProperties(message: Message): string[] {
  const { userProperties = [], contentType, responseTopic, correlationData } = propertiesOf(message);
  const pairs = Array.isArray(userProperties) ? userProperties : [];
  return [
    ...(contentType === undefined ? [] : [`content type: ${contentType}`]),
    ...(responseTopic === undefined ? [] : [`response topic: ${responseTopic}`]),
    ...(correlationData === undefined ? [] : [`correlation data: ${Buffer.from(correlationData).toString()}`]),
    ...pairs.map(([name, value]) => `user property ${name}: ${value}`),
  ];
}

function parseAmqp091(text: string): Address[] {
  const address = parseReplyTo(text);
  if (address !== undefined) return [address];
  throw new BrokerError(
    "bad-address",
    `"${text}" is none of QUEUE, /topic/KEY (of amq.topic) and /exchange/NAME/KEY, which is how exchange and key are written here`,
  );
}

function parseCanonical(text: string): Address[] {
  const [, kind = "queue", name = text] = /^(queue|topic):(.*)$/s.exec(text) ?? [];
  return [canonical.parse(kind === "topic" ? "topic" : "queue", name)];
}

function formatCanonical({ kind, name }: Address): string {
  return `${kind}:${name}`;
}
