/*
 * The packets that are not frequent. `mqtt-packet` takes SUBSCRIBE and UNSUBSCRIBE apart, but it overlooks much that the
 * specification forbids, so each is first walked field by field here; what it reads after that can only be right.
 * Properties are read by our own code, because `mqtt-packet` forgets the order of user properties; and CONNECT as well,
 * because there are storms of it.
 */
import { malformed, protocolError, type Version } from "./errors.ts";
import { readConnect } from "./connect.ts";
import { Fields } from "./fields.ts";
import type { Auth, Control, Disconnect, Subscribe, Unsubscribe } from "./packet.ts";
import { parse } from "./parse.ts";
import { PropertyBlock } from "./properties.ts";
import { PLACE, type Place } from "./property-names.ts";

/** The packets read here by their type on the wire. */
export const CONTROL = { connect: 1, subscribe: 8, unsubscribe: 10, disconnect: 14, auth: 15 } as const;

const SHARED = "$share/";

/** What a client may say with DISCONNECT [MQTT-3.14.2-1] and AUTH [MQTT-3.15.2-1]. */
const CLIENT_DISCONNECTS = new Set([
  0x00, 0x04, 0x80, 0x81, 0x82, 0x83, 0x90, 0x93, 0x94, 0x95, 0x96, 0x97, 0x98, 0x99,
]);
const CLIENT_AUTHS = new Set([0x18, 0x19]);

/**
 * Reads a packet that has the bytes for itself, with its fields from `at` on. Throws `MqttError`. The bytes may be
 * changed, and parts of them stay in use.
 */
export function readControl(type: number, bytes: Buffer, at: number, version: Version): Control {
  switch (type) {
    case CONTROL.connect:
      return readConnect(bytes, at, version);
    case CONTROL.subscribe:
      return readSubscribe(bytes, at, version);
    case CONTROL.unsubscribe:
      return readUnsubscribe(bytes, at, version);
    case CONTROL.disconnect:
      return readDisconnect(bytes, at, version);
    default:
      return readAuth(bytes, at);
  }
}

function readSubscribe(bytes: Buffer, at: number, version: Version): Subscribe {
  const fields = new Fields("SUBSCRIBE", bytes, at, bytes.length);
  const packetId = fields.packetId();
  const properties = propertiesOf(fields, PLACE.subscribe, version);
  // [MQTT-3.8.3-2]
  if (fields.left === 0) throw protocolError("A SUBSCRIBE has no filter; expected one or more");
  while (fields.left > 0) {
    const start = fields.at + 2;
    // [MQTT-3.8.3-1]
    fields.text("filter");
    const end = fields.at;
    checkOptions(fields.byte("subscription options"), bytes.toString("utf8", start, end), version);
  }
  const { subscriptions } = parse("subscribe", bytes, version);
  return {
    type: "subscribe",
    packetId,
    subscriptions: subscriptions.map(({ topic, qos, nl = false, rap = false, rh = 0 }) => ({
      filter: topic,
      qos,
      noLocal: nl,
      retainAsPublished: rap,
      retainHandling: rh,
    })),
    properties,
  };
}

function checkOptions(options: number, filter: string, version: Version): void {
  // [MQTT-3.8.3-5]
  if ((options & (version === 5 ? 0xc0 : 0xfc)) !== 0) {
    throw malformed(`Subscription options ${options}: reserved bits are set`);
  }
  if ((options & 3) === 3) throw malformed("A subscription asks for QoS 3; expected 0, 1 or 2");
  if (version !== 5) return;
  if ((options & 0x30) === 0x30) throw malformed("A subscription has retain handling 3; expected 0, 1 or 2");
  // [MQTT-3.8.3-4]
  if ((options & 4) !== 0 && filter.startsWith(SHARED)) {
    throw protocolError("A shared subscription asks for no-local, which is not allowed");
  }
}

function readUnsubscribe(bytes: Buffer, at: number, version: Version): Unsubscribe {
  const fields = new Fields("UNSUBSCRIBE", bytes, at, bytes.length);
  const packetId = fields.packetId();
  const properties = propertiesOf(fields, PLACE.unsubscribe, version);
  // [MQTT-3.10.3-2]
  if (fields.left === 0) throw protocolError("An UNSUBSCRIBE has no filter; expected one or more");
  // [MQTT-3.10.3-1]
  while (fields.left > 0) fields.text("filter");
  const { unsubscriptions } = parse("unsubscribe", bytes, version);
  return { type: "unsubscribe", packetId, filters: unsubscriptions, properties };
}

function readDisconnect(bytes: Buffer, at: number, version: Version): Disconnect {
  const fields = new Fields("DISCONNECT", bytes, at, bytes.length);
  const reasonCode = version === 5 && fields.left > 0 ? fields.byte("reason code") : 0;
  // mqtt5 3.14.2.2.1: left out, the properties are empty.
  const properties = fields.left > 0 ? propertiesOf(fields, PLACE.disconnect, version) : new PropertyBlock();
  fields.finish();
  // [MQTT-3.14.2-1]
  if (!CLIENT_DISCONNECTS.has(reasonCode)) {
    throw protocolError(`A client cannot disconnect with reason code ${reasonCode}`);
  }
  return { type: "disconnect", reasonCode, properties };
}

function readAuth(bytes: Buffer, at: number): Auth {
  const fields = new Fields("AUTH", bytes, at, bytes.length);
  // mqtt5 3.15.2.1: nothing at all means success, which only a server can say.
  const reasonCode = fields.left > 0 ? fields.byte("reason code") : 0;
  // [MQTT-3.15.2-1]
  if (!CLIENT_AUTHS.has(reasonCode)) {
    throw protocolError(`A client cannot send AUTH with reason code ${reasonCode}; expected 24 or 25`);
  }
  const properties = fields.properties(PLACE.auth);
  fields.finish();
  // mqtt5 3.15.2.2.2
  if (properties.text("authenticationMethod") === undefined) {
    throw protocolError("An AUTH is without the property authenticationMethod");
  }
  return { type: "auth", reasonCode, properties };
}

function propertiesOf(fields: Fields, place: Place, version: Version): PropertyBlock {
  return version === 5 ? fields.properties(place) : new PropertyBlock();
}
