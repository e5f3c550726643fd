import { malformed, MqttError, protocolError, REASON, type Version } from "./errors.ts";
import { checkTopicName, Fields } from "./fields.ts";
import type { Connect, Qos, Will } from "./packet.ts";
import { PropertyBlock } from "./properties.ts";
import { PLACE } from "./property-names.ts";

const RESERVED = 0x01;
const CLEAN_START = 0x02;
const WILL = 0x04;
const WILL_QOS = 0x18;
const WILL_RETAIN = 0x20;
const PASSWORD = 0x40;
const USERNAME = 0x80;

/**
 * The version that the CONNECT in `data[at, end)` asks for; throws `MqttError` when it is none that is spoken. To be known
 * before anything else, because the answer to a bad CONNECT depends on it.
 */
export function connectVersion(data: Buffer, at: number, end: number): Version {
  const fields = new Fields("CONNECT", data, at, end);
  const start = fields.at + 2;
  fields.text("protocol name");
  const name = data.toString("utf8", start, fields.at);
  const level = fields.byte("protocol level");
  // [MQTT-3.1.2-1] [MQTT-3.1.2-2]
  if (name === "MQTT" && (level === 4 || level === 5)) return level;
  if (name === "MQIsdp" && level === 3) return 3;
  throw new MqttError(
    REASON.unsupportedProtocolVersion,
    `Protocol "${name.slice(0, 20).replace(/[^ -~]/g, "?")}" of level ${level}; expected MQTT of level 4 or 5, or MQIsdp of level 3`,
  );
}

/** Reads a CONNECT that has the bytes for itself; its fields are in `bytes[at, end)`. Throws `MqttError`. */
export function readConnect(bytes: Buffer, at: number, version: Version): Connect {
  const fields = new Fields("CONNECT", bytes, at, bytes.length);
  fields.text("protocol name");
  fields.byte("protocol level");
  const flags = fields.byte("flags");
  checkFlags(flags, version);
  const keepAlive = fields.u16("keep alive");
  const properties = version === 5 ? fields.properties(PLACE.connect) : new PropertyBlock();
  checkAuthentication(properties);
  // [MQTT-3.1.3-1] [MQTT-3.1.3-3] [MQTT-3.1.3-4]
  const clientId = fields.string("client identifier");
  const will = (flags & WILL) === 0 ? undefined : readWill(fields, flags, version);
  // [MQTT-3.1.2-16] to [MQTT-3.1.2-19], [MQTT-3.1.3-12]
  const username = announces(fields, flags & USERNAME, version) ? fields.string("user name") : undefined;
  const password = announces(fields, flags & PASSWORD, version) ? fields.bytes("password") : undefined;
  fields.finish();
  const cleanStart = (flags & CLEAN_START) !== 0;
  return { type: "connect", version, cleanStart, keepAlive, clientId, username, password, will, properties };
}

/** [MQTT-3.1.2-9]: properties, topic and message. */
function readWill(fields: Fields, flags: number, version: Version): Will {
  const properties = version === 5 ? fields.properties(PLACE.will) : new PropertyBlock();
  const start = fields.at + 2;
  // [MQTT-3.1.3-11]
  const topic = fields.string("will topic");
  checkTopicName(fields.data, start, fields.at);
  return {
    topic,
    payload: fields.bytes("will message"),
    qos: willQos(flags),
    retain: (flags & WILL_RETAIN) !== 0,
    properties,
  };
}

/** Whether a field is there whose flag is given; 3.1 lets a client leave out what it announced (mqtt31 3.1, flags). */
function announces(fields: Fields, flag: number, version: Version): boolean {
  return flag !== 0 && (version !== 3 || fields.left > 0);
}

function checkFlags(flags: number, version: Version): void {
  // [MQTT-3.1.2-3]
  if ((flags & RESERVED) !== 0) throw malformed("The reserved flag of a CONNECT is 1; expected 0");
  const qos = (flags & WILL_QOS) >> 3;
  // [MQTT-3.1.2-12]
  if (qos === 3) throw malformed("The will of a CONNECT has QoS 3; expected 0, 1 or 2");
  if ((flags & WILL) === 0) {
    // [MQTT-3.1.2-11] [MQTT-3.1.2-13]
    if ((flags & (WILL_QOS | WILL_RETAIN)) !== 0) throw malformed("A CONNECT without a will has flags for one");
  }
  // mqtt311 [MQTT-3.1.2-22]; 5.0 allows it.
  if (version !== 5 && (flags & (USERNAME | PASSWORD)) === PASSWORD) {
    throw malformed("A CONNECT has a password and no user name; only MQTT 5.0 allows that");
  }
}

function checkAuthentication(properties: PropertyBlock): void {
  if (properties.bytes("authenticationData") === undefined) return;
  if (properties.text("authenticationMethod") !== undefined) return;
  // mqtt5 3.1.2.11.10
  throw protocolError("The property authenticationData is there without authenticationMethod");
}

function willQos(flags: number): Qos {
  const qos = (flags & WILL_QOS) >> 3;
  return qos === 2 ? 2 : qos === 1 ? 1 : 0;
}
