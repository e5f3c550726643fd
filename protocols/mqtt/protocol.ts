import type { Broker } from "../../core/broker.ts";
import type { Peer, Protocol, Session } from "../../core/protocol.ts";
import type { PacketLimits } from "./codec.ts";
import { SharedWire } from "./delivery-writer.ts";
import { MqttSession } from "./session.ts";
import type { TopicLimits } from "./topic.ts";

/** To another server (mqtt5 4.13). */
interface Redirect {
  /** Whether it is for good. */
  readonly moved: boolean;
  /** Where that is, such as `other.example:1883`; "": clients know. */
  readonly reference: string;
}

/** Settings of an MQTT adapter: sizes in bytes, times in milliseconds. */
export interface MqttOptions extends PacketLimits, TopicLimits {
  /** From the connection's beginning to its CONNECT. */
  readonly connectTimeoutMs: number;
  /** Deliveries at QoS 1 and 2 under way to one client, unless it wants fewer. */
  readonly maxInflight: number;
  /** Messages at QoS 1 and 2 that a client may have under way. */
  readonly receiveMaximum: number;
  /** The highest topic alias a client may use; 0 for none. */
  readonly topicAliasMaximum: number;
  /** Topics that one client is sent by alias at most; 0 for none. */
  readonly clientTopicAliases: number;
  /** Where all clients are sent instead; undefined: they are welcome. */
  readonly redirect: Redirect | undefined;
  /** What the response information of a client begins with; "": none is given. */
  readonly responsePrefix: string;
  /** How long a session may outlive its connection at most; Infinity for ever. */
  readonly maxSessionExpiryMs: number;
  /** Filters of one session. */
  readonly maxSubscriptions: number;
  /** The longest keep alive in seconds; clients that want more, or none, get this one; 0 lets them. */
  readonly maxKeepAlive: number;
  /** Bytes of a client identifier. */
  readonly maxClientIdBytes: number;
  /** How long a client that reads nothing holds up who publishes to it at QoS 0, before that is dropped; 0: as the topics say. */
  readonly slowSubscriberGraceMs: number;
  /** Answers not yet written to a client before the broker stops reading from it. */
  readonly maxAcksWaiting: number;
}

/** The first bytes of the variable header: the protocol's names with their lengths. */
const NAMES = [Buffer.from("\0\u0004MQTT"), Buffer.from("\0\u0006MQIsdp")];
const CONNECT = 0x10;

/** MQTT 3.1, 3.1.1 and 5.0. Its sessions share what they encode alike. */
export function createMqtt(options: MqttOptions): Protocol {
  const wire = new SharedWire();
  return {
    name: "mqtt",
    subprotocols: ["mqtt", "mqttv3.1"],
    recognitionBytes: 13,
    recognizes,
    accept: (peer: Peer, broker: Broker): Session => new MqttSession(peer, broker, options, wire),
  };
}

/** A CONNECT: type and flags, remaining length of one to four bytes, the protocol's name. */
function recognizes(head: Uint8Array): boolean | undefined {
  if (head[0] === undefined) return undefined;
  if (head[0] !== CONNECT) return false;
  let at = 1;
  while (at < 5 && (head[at] ?? 0) >= 0x80) at++;
  if (at === 5) return false;
  let undecided = false;
  for (const name of NAMES) {
    const found = matches(head, at + 1, name);
    if (found === true) return true;
    if (found === undefined) undecided = true;
  }
  // Another level, or another name of the same length, is refused by the session in the protocol's words.
  return undecided ? undefined : false;
}

function matches(head: Uint8Array, start: number, name: Uint8Array): boolean | undefined {
  for (let i = 0; i < name.length; i++) {
    if (start + i >= head.length) return undefined;
    if (head[start + i] !== name[i]) return false;
  }
  return true;
}
