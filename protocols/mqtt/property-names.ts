/** What a property holds (mqtt5 2.2.2.2). */
export type PropertyKind = "byte" | "u16" | "u32" | "varint" | "utf8" | "binary" | "pair";

/** Properties that are numbers, by their names in the specification. */
export type NumberProperty =
  | "payloadFormatIndicator"
  | "messageExpiryInterval"
  | "subscriptionIdentifier"
  | "sessionExpiryInterval"
  | "serverKeepAlive"
  | "requestProblemInformation"
  | "willDelayInterval"
  | "requestResponseInformation"
  | "receiveMaximum"
  | "topicAliasMaximum"
  | "topicAlias"
  | "maximumQoS"
  | "retainAvailable"
  | "maximumPacketSize"
  | "wildcardSubscriptionAvailable"
  | "subscriptionIdentifiersAvailable"
  | "sharedSubscriptionAvailable";

/** Properties that are text. */
export type TextProperty =
  | "contentType"
  | "responseTopic"
  | "assignedClientIdentifier"
  | "authenticationMethod"
  | "responseInformation"
  | "serverReference"
  | "reasonString";

/** Properties that are bytes. */
export type BytesProperty = "correlationData" | "authenticationData";

/** All properties. */
export type PropertyName = NumberProperty | TextProperty | BytesProperty | "userProperties";

/**
 * Where properties stand, a bit each: `delivery` and `farewell` are the server's PUBLISH and DISCONNECT, `ack` is PUBACK,
 * PUBREC, PUBREL and PUBCOMP, `granted` is SUBACK and UNSUBACK.
 */
export const PLACE = {
  connect: 1,
  will: 2,
  connack: 4,
  publish: 8,
  delivery: 16,
  ack: 32,
  subscribe: 64,
  granted: 128,
  unsubscribe: 256,
  disconnect: 512,
  farewell: 1024,
  auth: 2048,
} as const;

/** One of the places where properties stand. */
export type Place = (typeof PLACE)[keyof typeof PLACE];

/** What is known of a property. */
export interface PropertyRule {
  readonly name: PropertyName;
  readonly id: number;
  readonly kind: PropertyKind;
  /** Its number here, and that number as a bit. */
  readonly number: number;
  readonly bit: number;
  /** Bits of the places where it may stand, and of those where it may stand several times. */
  readonly places: number;
  readonly repeatable: number;
  /** What a number may be. */
  readonly least: number;
  readonly most: number;
}

const { connect, will, connack, publish, delivery, ack, subscribe, granted, unsubscribe, disconnect, farewell, auth } =
  PLACE;
const MESSAGE = publish | delivery | will;
const ANSWER = connack | ack | granted | disconnect | farewell | auth;
const ANY = MESSAGE | ANSWER | connect | subscribe | unsubscribe;

const rules: PropertyRule[] = [];

function define(
  name: PropertyName,
  id: number,
  kind: PropertyKind,
  places: number,
  options: { least?: number; most?: number; repeatable?: number } = {},
): void {
  const { least = 0, most = Number.POSITIVE_INFINITY, repeatable = 0 } = options;
  rules.push({ name, id, kind, number: rules.length, bit: 1 << rules.length, places, repeatable, least, most });
}

// mqtt5 2.2.2.2, table 2-4; the values as each packet's section has them.
define("payloadFormatIndicator", 1, "byte", MESSAGE, { most: 1 });
define("messageExpiryInterval", 2, "u32", MESSAGE);
define("contentType", 3, "utf8", MESSAGE);
define("responseTopic", 8, "utf8", MESSAGE);
define("correlationData", 9, "binary", MESSAGE);
// [MQTT-3.3.4-6]: not in what a client publishes.
define("subscriptionIdentifier", 11, "varint", delivery | subscribe, { least: 1, repeatable: delivery });
define("sessionExpiryInterval", 17, "u32", connect | connack | disconnect);
define("assignedClientIdentifier", 18, "utf8", connack);
define("serverKeepAlive", 19, "u16", connack);
define("authenticationMethod", 21, "utf8", connect | connack | auth);
define("authenticationData", 22, "binary", connect | connack | auth);
define("requestProblemInformation", 23, "byte", connect, { most: 1 });
define("willDelayInterval", 24, "u32", will);
define("requestResponseInformation", 25, "byte", connect, { most: 1 });
define("responseInformation", 26, "utf8", connack);
define("serverReference", 28, "utf8", connack | farewell);
define("reasonString", 31, "utf8", ANSWER);
define("receiveMaximum", 33, "u16", connect | connack, { least: 1 });
define("topicAliasMaximum", 34, "u16", connect | connack);
define("topicAlias", 35, "u16", publish | delivery, { least: 1 });
define("maximumQoS", 36, "byte", connack, { most: 1 });
define("retainAvailable", 37, "byte", connack, { most: 1 });
define("userProperties", 38, "pair", ANY, { repeatable: ANY });
define("maximumPacketSize", 39, "u32", connect | connack, { least: 1 });
define("wildcardSubscriptionAvailable", 40, "byte", connack, { most: 1 });
define("subscriptionIdentifiersAvailable", 41, "byte", connack, { most: 1 });
define("sharedSubscriptionAvailable", 42, "byte", connack, { most: 1 });

/** All properties, in the order of their identifiers. */
export const PROPERTIES: readonly PropertyRule[] = rules;

/** Properties by identifier. */
export const BY_ID: readonly (PropertyRule | undefined)[] = Array.from({ length: 43 }, (_, id) =>
  rules.find((rule) => rule.id === id),
);

const BY_NAME = new Map(rules.map((rule) => [rule.name, rule]));

/** What is known of a property by its name. */
export function propertyRule(name: PropertyName): PropertyRule {
  const rule = BY_NAME.get(name);
  if (rule === undefined) throw new Error(`no property is named ${name}`);
  return rule;
}
