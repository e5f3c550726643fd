/*
 * The table of conversions: one row for each thing that a message can say, with the words of each protocol for it. The
 * matrix of all pairs of protocols holds the broker to it, and docs/conversions.md is written from it.
 */
import { Typed } from "../../protocols/amqp091/field-table.ts";
import { Scalar, symbol, symbols, type Value } from "../../protocols/amqp10/values.ts";
import { type Amqp091Said, amqp091 } from "./amqp091-tongue.ts";
import { type Amqp10Said, amqp10 } from "./amqp10-tongue.ts";
import { type MqttSaid, mqttFive, mqttThree } from "./mqtt-tongue.ts";
import { stomp, type StompSaid } from "./stomp-tongue.ts";
import type { Dialect, Phrase, Place } from "./tongue.ts";

/** One thing that a message can say; a protocol that is absent neither says nor hears it. */
export interface Row {
  readonly what: string;
  readonly stomp?: Phrase<StompSaid>;
  readonly mqtt?: Phrase<MqttSaid>;
  readonly amqp091?: Phrase<Amqp091Said>;
  readonly amqp10?: Phrase<Amqp10Said>;
}

/** Rows about one part of messages. */
export interface Part {
  readonly title: string;
  readonly rows: readonly Row[];
}

/** A protocol with its words for all rows. */
export interface Tongue {
  readonly name: string;
  /** The lines that it says for a row; undefined when it cannot say it. */
  said(row: Row): readonly string[] | undefined;
  /** The lines that it hears for a row from other protocols. */
  heard(row: Row): readonly string[];
  connect(port: number, places: readonly Place[]): Promise<Speaker>;
}

/** A connection that speaks in rows. */
interface Speaker {
  say(place: Place, row: Row): Promise<void>;
  hear(): Promise<string[]>;
}

/** Said and heard alike. */
function both<S>(says: S): Phrase<S> {
  return { says };
}

/** Heard, but not to be said. */
function heard<S>(hears: S): Phrase<S> {
  return { hears };
}

const GRUSS = "grüße \u{1f30a}\n";
const NO_TEXT = Buffer.from([0, 255, 10, 0, 128]);
const MEGABYTE = "0123456789abcde\0".repeat(1 << 16);
const GZIP = Buffer.from([31, 139, 8, 255]);
const JSON_TYPE = "application/json";
const LONG_NAME = "n".repeat(300);
const LONG_VALUE = "v".repeat(70_000);

/** What a text is in each protocol, with a content type where one is given. */
function text(what: string, body: string): Row {
  return {
    what,
    stomp: both({ body: Buffer.from(body) }),
    mqtt: both({ body }),
    amqp091: both({ body: Buffer.from(body) }),
    amqp10: both({ body: { value: body } }),
  };
}

/** A body with a structure, which only AMQP 1.0 can say. */
function structure(what: string, body: NonNullable<Amqp10Said["body"]>, json: string): Row {
  return {
    what,
    stomp: heard({ headers: { "content-type": JSON_TYPE }, body: Buffer.from(json) }),
    mqtt: heard({ contentType: JSON_TYPE, body: json }),
    amqp091: heard({ properties: { contentType: JSON_TYPE }, body: Buffer.from(json) }),
    amqp10: both({ body }),
  };
}

const BODIES: readonly Row[] = [
  text("UTF-8 text", GRUSS),
  text("empty text", ""),
  text("1 MB of text", MEGABYTE),
  {
    what: "text of a content type",
    stomp: both({ headers: { "content-type": "text/plain" } }),
    mqtt: both({ contentType: "text/plain" }),
    amqp091: both({ properties: { contentType: "text/plain" } }),
    amqp10: {
      says: { properties: { contentType: symbol("text/plain") }, body: { data: Buffer.from("x") } },
      hears: { properties: { contentType: symbol("text/plain") } },
    },
  },
  {
    what: "bytes that are no text",
    stomp: both({ body: NO_TEXT }),
    mqtt: both({ body: NO_TEXT }),
    amqp091: both({ body: NO_TEXT }),
    amqp10: both({ body: { data: NO_TEXT } }),
  },
  {
    what: "bytes, whatever is in them",
    stomp: heard({ body: Buffer.from("bytes") }),
    mqtt: both({ body: Buffer.from("bytes") }),
    amqp091: heard({ body: Buffer.from("bytes") }),
    amqp10: both({ body: { data: Buffer.from("bytes") } }),
  },
  {
    what: "no bytes",
    stomp: heard({ body: Buffer.alloc(0) }),
    mqtt: both({ body: Buffer.alloc(0) }),
    amqp091: heard({ body: Buffer.alloc(0) }),
    amqp10: both({ body: { data: Buffer.alloc(0) } }),
  },
  {
    what: "bytes in several sections",
    stomp: heard({ body: NO_TEXT }),
    mqtt: heard({ body: NO_TEXT }),
    amqp091: heard({ body: NO_TEXT }),
    amqp10: both({ body: { parts: [NO_TEXT.subarray(0, 2), NO_TEXT.subarray(2)] } }),
  },
  structure(
    "map",
    {
      value: new Map<Value, Value>([
        ["a", 1],
        ["b", "x"],
        ["c", [true, null]],
      ]),
    },
    '{"a":1,"b":"x","c":[true,null]}',
  ),
  structure("list", { value: [1, "two", 2.5, new Map([["three", 3n]])] }, '[1,"two",2.5,{"three":3}]'),
  structure("sequence", { sequence: [1, "two"] }, '[1,"two"]'),
  structure("single value", { value: 42 }, "42"),
];

/** A property of a text in each protocol. */
function textual(what: string, name: string, value: string): Row {
  return {
    what,
    stomp: both({ headers: { [name]: value } }),
    mqtt: both({ userProperties: { [name]: value } }),
    amqp091: both({ headers: { [name]: value } }),
    amqp10: both({ application: { [name]: value } }),
  };
}

/** A property `n` of a type that both AMQPs have, and that is a text to others. */
function typed(what: string, field: NonNullable<Amqp091Said["headers"]>[string], value: Value, spelled: string): Row {
  return {
    what,
    stomp: heard({ headers: { n: spelled } }),
    mqtt: heard({ userProperties: { n: spelled } }),
    amqp091: both({ headers: { n: field } }),
    amqp10: both({ application: { n: value } }),
  };
}

/** A property `n` of a type that only 0-9-1 has. */
function only091(what: string, field: NonNullable<Amqp091Said["headers"]>[string], value: Value, spelled: string): Row {
  return { ...typed(what, field, value, spelled), amqp10: heard({ application: { n: value } }) };
}

/** A property `n` of a type that only AMQP 1.0 has. */
function only10(what: string, value: Value, field: NonNullable<Amqp091Said["headers"]>[string], spelled: string): Row {
  return { ...typed(what, field, value, spelled), amqp091: heard({ headers: { n: field } }) };
}

const UUID = "01234567-89ab-cdef-0123-456789abcdef";
const UUID_BYTES = Buffer.from(UUID.replaceAll("-", ""), "hex");

const PROPERTIES: readonly Row[] = [
  textual("text", "colour", "red"),
  textual("empty text", "empty", ""),
  textual("name and value beyond ASCII, with signs that STOMP escapes", "\u{1f30a} wave", "a: b\n\\ ü"),
  { ...textual("name of 300 letters", LONG_NAME, "1"), amqp091: heard({}) },
  {
    what: "value of 70000 letters",
    amqp091: both({ headers: { n: LONG_VALUE } }),
    amqp10: both({ application: { n: LONG_VALUE } }),
    stomp: heard({ headers: { n: LONG_VALUE } }),
  },
  typed("whole number of 32 bits", 5, 5, "5"),
  typed("negative number", -2_000_000_000, -2_000_000_000, "-2000000000"),
  typed("whole number of 64 bits", 2 ** 40, 2n ** 40n, "1099511627776"),
  typed("whole number beyond 2^53", 2n ** 60n + 1n, 2n ** 60n + 1n, "1152921504606846977"),
  typed("number with a fraction", -1.5, -1.5, "-1.5"),
  typed("truth", true, true, "true"),
  typed("untruth", false, false, "false"),
  typed("bytes", Buffer.from([0, 255]), Buffer.from([0, 255]), "AP8="),
  { what: "nothing", amqp091: both({ headers: { n: null } }), amqp10: both({ application: { n: null } }) },
  only091("0-9-1: byte, short and unsigned ones", new Typed("b", -5), -5, "-5"),
  only091("0-9-1: unsigned int", new Typed("i", 4_000_000_000), 4_000_000_000n, "4000000000"),
  only091("0-9-1: a long that an int would hold", new Typed("l", 5), 5, "5"),
  only091("0-9-1: float", new Typed("f", 0.5), 0.5, "0.5"),
  only091("0-9-1: decimal", new Typed("D", Buffer.from([2, 0, 0, 1, 44])), 3, "3"),
  only091("0-9-1: time in seconds", new Typed("T", 1_700_000_000), 1_700_000_000_000n, "1700000000000"),
  only091("0-9-1: table", new Map([["a", 1]]), '{"a":1}', '{"a":1}'),
  only091("0-9-1: array", ["a", 1, null], '["a",1,null]', '["a",1,null]'),
  only10("1.0: ubyte, ushort, uint, byte, short", new Scalar("ubyte", 200), 200, "200"),
  only10(
    "1.0: ulong beyond a long",
    new Scalar("ulong", 2n ** 64n - 1n),
    "18446744073709551615",
    "18446744073709551615",
  ),
  only10("1.0: a long that an int would hold", 5n, 5, "5"),
  only10("1.0: float", new Scalar("float", 0.5), 0.5, "0.5"),
  only10("1.0: double without a fraction", new Scalar("double", 3), 3, "3"),
  only10("1.0: char", new Scalar("char", 0x1f30a), "\u{1f30a}", "\u{1f30a}"),
  only10("1.0: symbol", symbol("sign"), "sign", "sign"),
  only10("1.0: uuid", new Scalar("uuid", UUID_BYTES), UUID, UUID),
  only10("1.0: timestamp", new Scalar("timestamp", 1_700_000_000_123n), 1_700_000_000_123, "1700000000123"),
  only10("1.0: list, map, array", [1, "a"], '[1,"a"]', '[1,"a"]'),
];

/** A place to answer to, in the words of each protocol. */
function replyTo(what: string, said: readonly [stomp: string, mqtt: string, amqp091: string, amqp10: string]): Row {
  const [stompText, mqttText, amqp091Text, amqp10Text] = said;
  return {
    what,
    stomp: both({ headers: { "reply-to": stompText } }),
    mqtt: both({ responseTopic: mqttText }),
    amqp091: both({ properties: { replyTo: amqp091Text } }),
    amqp10: both({ properties: { replyTo: amqp10Text } }),
  };
}

/** Properties of the message that are no application's. */
const FIELDS: readonly Row[] = [
  {
    what: "correlation id",
    stomp: both({ headers: { "correlation-id": "c-1 \u{1f30a}" } }),
    mqtt: both({ correlationData: Buffer.from("c-1 \u{1f30a}") }),
    amqp091: both({ properties: { correlationId: "c-1 \u{1f30a}" } }),
    amqp10: both({ properties: { correlationId: "c-1 \u{1f30a}" } }),
  },
  {
    what: "correlation id of 300 letters",
    stomp: both({ headers: { "correlation-id": LONG_NAME } }),
    mqtt: both({ correlationData: Buffer.from(LONG_NAME) }),
    amqp091: heard({ headers: { "correlation-id": LONG_NAME } }),
    amqp10: both({ properties: { correlationId: LONG_NAME } }),
  },
  {
    what: "correlation id of bytes (MQTT)",
    stomp: both({ headers: { "correlation-id": "base64:AP-A" } }),
    mqtt: both({ correlationData: Buffer.from([0, 255, 128]) }),
    amqp091: both({ properties: { correlationId: "base64:AP-A" } }),
    amqp10: both({ properties: { correlationId: "base64:AP-A" } }),
  },
  {
    what: "correlation id of bytes (1.0)",
    stomp: both({ headers: { "correlation-id": "ID:AMQP_BINARY:00FF80" } }),
    mqtt: both({ correlationData: Buffer.from("ID:AMQP_BINARY:00FF80") }),
    amqp091: both({ properties: { correlationId: "ID:AMQP_BINARY:00FF80" } }),
    amqp10: both({ properties: { correlationId: Buffer.from([0, 255, 128]) } }),
  },
  {
    what: "correlation id, a ulong",
    stomp: both({ headers: { "correlation-id": "ID:AMQP_ULONG:7" } }),
    mqtt: both({ correlationData: Buffer.from("ID:AMQP_ULONG:7") }),
    amqp091: both({ properties: { correlationId: "ID:AMQP_ULONG:7" } }),
    amqp10: both({ properties: { correlationId: new Scalar("ulong", 7n) } }),
  },
  {
    what: "correlation id, a uuid",
    stomp: both({ headers: { "correlation-id": `ID:AMQP_UUID:${UUID}` } }),
    mqtt: both({ correlationData: Buffer.from(`ID:AMQP_UUID:${UUID}`) }),
    amqp091: both({ properties: { correlationId: `ID:AMQP_UUID:${UUID}` } }),
    amqp10: both({ properties: { correlationId: new Scalar("uuid", UUID_BYTES) } }),
  },
  replyTo("reply to a queue", ["/queue/my.answers", "$queue/my/answers", "my.answers", "queue://my.answers"]),
  replyTo("reply to a topic", ["/topic/my.answers", "my/answers", "/topic/my.answers", "topic://my.answers"]),
  replyTo("reply to an exchange", [
    "/exchange/amq.direct/my.key",
    "$exchange/amq.direct/my.key",
    "/exchange/amq.direct/my.key",
    "/exchanges/amq.direct/my.key",
  ]),
  {
    what: "reply to what is no address",
    stomp: both({ headers: { "reply-to": "/nowhere/x" } }),
    mqtt: both({ userProperties: { "reply-to": "/nowhere/x" } }),
    amqp091: heard({ headers: { "reply-to": "/nowhere/x" } }),
    amqp10: heard({ application: { "reply-to": "/nowhere/x" } }),
  },
  {
    what: "content type",
    stomp: both({ headers: { "content-type": "image/png" }, body: NO_TEXT }),
    mqtt: both({ contentType: "image/png", body: NO_TEXT }),
    amqp091: both({ properties: { contentType: "image/png" }, body: NO_TEXT }),
    amqp10: both({ properties: { contentType: symbol("image/png") }, body: { data: NO_TEXT } }),
  },
  {
    what: "content encoding",
    stomp: both({ headers: { "content-encoding": "gzip" }, body: GZIP }),
    mqtt: heard({ userProperties: { "content-encoding": "gzip" }, body: GZIP }),
    amqp091: both({ properties: { contentEncoding: "gzip" }, body: GZIP }),
    amqp10: both({ properties: { contentEncoding: symbol("gzip") }, body: { data: GZIP } }),
  },
  {
    what: "subject, type",
    stomp: both({ headers: { type: "order" } }),
    mqtt: heard({ userProperties: { subject: "order" } }),
    amqp091: both({ properties: { type: "order" } }),
    amqp10: both({ properties: { subject: "order" } }),
  },
  {
    what: "message id",
    mqtt: heard({ userProperties: { "message-id": "m-1" } }),
    amqp091: both({ properties: { messageId: "m-1" } }),
    amqp10: both({ properties: { messageId: "m-1" } }),
  },
  {
    what: "user",
    stomp: heard({ headers: { JMSXUserID: "guest" } }),
    mqtt: heard({ userProperties: { "user-id": "guest" } }),
    amqp091: both({ properties: { userId: "guest" } }),
    amqp10: both({ properties: { userId: Buffer.from("guest") } }),
  },
  {
    what: "group and place in it",
    stomp: both({ headers: { JMSXGroupID: "g", JMSXGroupSeq: "3" } }),
    mqtt: heard({ userProperties: { "group-id": "g" } }),
    amqp091: both({ headers: { JMSXGroupID: "g", JMSXGroupSeq: 3 } }),
    amqp10: both({ properties: { groupId: "g", groupSequence: new Scalar("uint", 3) } }),
  },
  {
    what: "id by which a repeated send is found out",
    stomp: both({ headers: { "duplicate-id": "d-1" } }),
    amqp091: both({ headers: { "x-deduplication-header": "d-1" } }),
    amqp10: both({ application: { "duplicate-id": "d-1" } }),
  },
  {
    what: "priority",
    stomp: both({ headers: { priority: "7" } }),
    mqtt: both({ userProperties: { "message-priority": "7" } }),
    amqp091: both({ properties: { priority: 7 } }),
    amqp10: both({ priority: 7 }),
  },
  {
    what: "time to live",
    stomp: both({ lifetimeMs: 1_000_000 }),
    mqtt: both({ expiryInterval: 1000 }),
    amqp091: both({ properties: { expiration: "1000000" } }),
    amqp10: both({ ttlMs: 1_000_000 }),
  },
  {
    what: "to be kept on disk",
    stomp: both({ headers: { persistent: "true" }, body: NO_TEXT }),
    mqtt: both({ qos: 1, body: NO_TEXT }),
    amqp091: both({ properties: { deliveryMode: 2 }, body: NO_TEXT }),
    amqp10: both({ durable: true, body: { data: NO_TEXT } }),
  },
  {
    what: "name of the application",
    stomp: both({ headers: { "app-id": "shop" } }),
    mqtt: both({ userProperties: { "app-id": "shop" } }),
    amqp091: { says: { properties: { appId: "shop" } }, hears: { headers: { "app-id": "shop" } } },
    amqp10: both({ application: { "app-id": "shop" } }),
  },
  {
    what: "other fields of AMQP 1.0",
    amqp10: both({ annotations: { "x-opt-mine": symbols(["a"]) }, properties: { replyToGroupId: "r" } }),
  },
];

/** Delivered later than what is sent after it; MQTT says that by the topic. */
export const LATER: Row = {
  what: "delivered later",
  stomp: { says: { headers: { delay: "300" }, body: NO_TEXT }, hears: { body: NO_TEXT } },
  mqtt: heard({ body: NO_TEXT }),
  amqp091: { says: { headers: { "x-delay": 300 }, body: NO_TEXT }, hears: { body: NO_TEXT } },
  amqp10: {
    says: { annotations: { "x-opt-delivery-delay": new Scalar("uint", 300) }, body: { data: NO_TEXT } },
    hears: { body: { data: NO_TEXT } },
  },
};

/** What only the broker is to say of a message. */
export const FORGED: Row = textual("said by who is not the broker", "dead_letter_reason", "forged");

/** A message that says nothing but its body. */
export const ORDINARY: Row = text("ordinary", "now");

/** The whole table. */
export const CONVERSIONS: readonly Part[] = [
  { title: "Bodies", rows: BODIES },
  { title: "Application properties", rows: PROPERTIES },
  { title: "Everything else", rows: FIELDS },
];

/** What the broker calls messages that came by STOMP. */
const GIVEN_ID = /^(user property )?message-id "default-\d+-\d+-\d+"$/;

function tongue<S extends object>(
  dialect: Dialect<S>,
  phraseOf: (row: Row) => Phrase<S> | undefined,
  nothing: S,
): Tongue {
  return {
    name: dialect.name,
    said(row) {
      const says = phraseOf(row)?.says;
      return says === undefined ? undefined : dialect.lines(says);
    },
    heard(row) {
      const phrase = phraseOf(row);
      return dialect.lines(phrase?.hears ?? phrase?.says ?? nothing);
    },
    async connect(port, places) {
      const voice = await dialect.connect(port, places);
      return {
        say: (place, row) => {
          const says = phraseOf(row)?.says;
          if (says === undefined) throw new Error(`${dialect.name} cannot say "${row.what}"`);
          return voice.say(place, says);
        },
        hear: async () => dialect.lines(await voice.hear()).filter((line) => !GIVEN_ID.test(line)),
      };
    },
  };
}

/** MQTT 3.1.1 has of what MQTT 5.0 says the payload, as bytes, and the QoS. */
function plainMqtt({ mqtt }: Row): Phrase<MqttSaid> | undefined {
  if (mqtt === undefined) return undefined;
  const { says, hears = says } = mqtt;
  const sayable = says !== undefined && Object.keys(says).every((key) => key === "qos" || key === "body");
  return {
    ...(sayable && typeof says.body === "object" ? { says: inPlainMqtt(says) } : {}),
    ...(hears === undefined ? {} : { hears: inPlainMqtt(hears) }),
  };
}

function inPlainMqtt({ qos, body = "x" }: MqttSaid): MqttSaid {
  return { ...(qos === undefined ? {} : { qos }), body: Buffer.from(body) };
}

export const STOMP: Tongue = tongue(stomp, (row) => row.stomp, {});
const MQTT_THREE: Tongue = tongue(mqttThree, plainMqtt, {});
export const MQTT_FIVE: Tongue = tongue(mqttFive, (row) => row.mqtt, {});
export const AMQP_091: Tongue = tongue(amqp091, (row) => row.amqp091, {});
export const AMQP_10: Tongue = tongue(amqp10, (row) => row.amqp10, {});

/** All protocols of the matrix. */
export const TONGUES: readonly Tongue[] = [STOMP, MQTT_THREE, MQTT_FIVE, AMQP_091, AMQP_10];
