import type { Version } from "../../protocols/mqtt/errors.ts";
import type { Read } from "./reading.ts";

/** Bytes, and what they are to the decoder: packets, or an error with its reason code. */
export interface Row {
  readonly what: string;
  /** Undefined: before CONNECT. */
  readonly version?: Version;
  /** Hexadecimal, with texts in single quotes and blanks anywhere. */
  readonly bytes: string;
  readonly packets?: readonly Read[];
  readonly error?: readonly [number, RegExp];
}

const CONNECT_5 = { type: "connect", version: 5, cleanStart: true, keepAlive: 60 };

export const CONNECT_ROWS: readonly Row[] = [
  {
    what: "a CONNECT of 3.1.1 without anything",
    bytes: "10 0e 0004'MQTT' 04 02 000a 0002'c1'",
    packets: [{ type: "connect", version: 4, cleanStart: true, keepAlive: 10, clientId: "c1" }],
  },
  {
    what: "a CONNECT of 3.1",
    bytes: "10 10 0006'MQIsdp' 03 00 000a 0002'c1'",
    packets: [{ type: "connect", version: 3, cleanStart: false, keepAlive: 10, clientId: "c1" }],
  },
  {
    what: "a CONNECT of 3.1.1 with will, user name and password, in their order [MQTT-3.1.3-1] mqtt311 [MQTT-3.1.3-1]",
    bytes: "10 1d 0004'MQTT' 04 ee 0000 0001'c' 0003'w/t' 0002 ff00 0001'u' 0002 00fe",
    packets: [
      {
        type: "connect",
        version: 4,
        cleanStart: true,
        keepAlive: 0,
        clientId: "c",
        will: { topic: "w/t", payload: "\xff\0", qos: 1, retain: true },
        username: "u",
        password: "\0\xfe",
      },
    ],
  },
  {
    what: "a CONNECT of 5.0 with properties, and with a will with properties in their order",
    bytes:
      "10 42 0004'MQTT' 05 06 003c 14 11 0000000a 21 000a 27 00001000 22 0005 17 01 19 00 0000" +
      " 1a 18 00000005 01 01 26 0001'2'0001'x' 26 0001'1'0001'y' 09 0002 0102 0001'w' 0001'm'",
    packets: [
      {
        ...CONNECT_5,
        clientId: "",
        properties: {
          sessionExpiryInterval: 10,
          receiveMaximum: 10,
          maximumPacketSize: 4096,
          topicAliasMaximum: 5,
          requestProblemInformation: 1,
          requestResponseInformation: 0,
        },
        will: {
          topic: "w",
          payload: "m",
          qos: 0,
          retain: false,
          properties: {
            willDelayInterval: 5,
            payloadFormatIndicator: 1,
            correlationData: "\x01\x02",
            userProperties: [
              ["2", "x"],
              ["1", "y"],
            ],
          },
        },
      },
    ],
  },
  {
    what: "5.0 lets a client send a password without a user name",
    bytes: "10 11 0004'MQTT' 05 42 003c 00 0000 0002'pw'",
    packets: [{ ...CONNECT_5, clientId: "", password: "pw" }],
  },
  {
    what: "3.1 lets a client leave out the user name and password it announced",
    bytes: "10 10 0006'MQIsdp' 03 c2 000a 0002'c1'",
    packets: [{ type: "connect", version: 3, cleanStart: true, keepAlive: 10, clientId: "c1" }],
  },
  {
    what: "3.1 lets a client leave out only the password it announced",
    bytes: "10 13 0006'MQIsdp' 03 c2 000a 0002'c1' 0001'u'",
    packets: [{ type: "connect", version: 3, cleanStart: true, keepAlive: 10, clientId: "c1", username: "u" }],
  },
  {
    what: "a U+FEFF is a character like others [MQTT-1.5.4-3]",
    bytes: "10 10 0004'MQTT' 04 02 000a 0004 efbbbf'x'",
    packets: [{ type: "connect", version: 4, cleanStart: true, keepAlive: 10, clientId: "\ufeffx" }],
  },
  {
    what: "the first packet has to be CONNECT [MQTT-3.1.0-1]",
    bytes: "c000",
    error: [0x82, /first packet is a PINGREQ/],
  },
  { what: "nothing is published before CONNECT [MQTT-3.1.0-1]", bytes: "3003 0001'a'", error: [0x82, /is a PUBLISH/] },
  {
    what: "only one CONNECT may come [MQTT-3.1.0-2]",
    bytes: "10 0e 0004'MQTT' 04 02 000a 0002'c1' 10 0e 0004'MQTT' 04 02 000a 0002'c1'",
    error: [0x82, /A second CONNECT/],
  },
  {
    what: "another protocol name is refused [MQTT-3.1.2-1]",
    bytes: "10 0e 0004'MQTX' 04 02 000a 0002'c1'",
    error: [0x84, /"MQTX" of level 4/],
  },
  {
    what: "another level is refused [MQTT-3.1.2-2]",
    bytes: "10 0e 0004'MQTT' 06 02 000a 0002'c1'",
    error: [0x84, /of level 6/],
  },
  {
    what: "the level of 3.1 goes with its name only [MQTT-3.1.2-2]",
    bytes: "10 0e 0004'MQTT' 03 02 000a 0002'c1'",
    error: [0x84, /of level 3/],
  },
  {
    what: "a bridge's level is refused, so that it asks again without [MQTT-3.1.2-2]",
    bytes: "10 0e 0004'MQTT' 84 02 000a 0002'c1'",
    error: [0x84, /of level 132/],
  },
  {
    what: "the reserved connect flag has to be 0 [MQTT-3.1.2-3]",
    bytes: "10 0e 0004'MQTT' 04 03 000a 0002'c1'",
    error: [0x81, /reserved flag/],
  },
  {
    what: "without a will there is no will QoS [MQTT-3.1.2-11]",
    bytes: "10 0e 0004'MQTT' 04 0a 000a 0002'c1'",
    error: [0x81, /without a will/],
  },
  {
    what: "without a will there is no will retain [MQTT-3.1.2-13]",
    bytes: "10 0e 0004'MQTT' 04 22 000a 0002'c1'",
    error: [0x81, /without a will/],
  },
  {
    what: "the will QoS is not 3 [MQTT-3.1.2-12]",
    bytes: "10 14 0004'MQTT' 04 1e 000a 0002'c1' 0001'w' 0001'm'",
    error: [0x81, /will .* QoS 3/],
  },
  {
    what: "a will has a topic and a message [MQTT-3.1.2-9]",
    bytes: "10 0e 0004'MQTT' 04 06 000a 0002'c1'",
    error: [0x81, /within its will topic/],
  },
  {
    what: "a will topic has no wildcards [MQTT-4.7.0-1]",
    bytes: "10 14 0004'MQTT' 04 06 000a 0002'c1' 0001'#' 0001'm'",
    error: [0x90, /wildcard/],
  },
  {
    what: "a will topic is UTF-8 [MQTT-3.1.3-11]",
    bytes: "10 14 0004'MQTT' 04 06 000a 0002'c1' 0001 ff 0001'm'",
    error: [0x81, /UTF-8/],
  },
  {
    what: "an announced user name has to be there [MQTT-3.1.2-17]",
    bytes: "10 0e 0004'MQTT' 04 82 000a 0002'c1'",
    error: [0x81, /within its user name/],
  },
  {
    what: "an announced password has to be there [MQTT-3.1.2-19]",
    bytes: "10 11 0004'MQTT' 04 c2 000a 0002'c1' 0001'u'",
    error: [0x81, /within its password/],
  },
  {
    what: "what no flag announced may not be there [MQTT-3.1.2-16] [MQTT-3.1.2-18]",
    bytes: "10 11 0004'MQTT' 04 02 000a 0002'c1' 0001'u'",
    error: [0x81, /3 bytes are left over/],
  },
  {
    what: "3.1.1 has no password without a user name",
    bytes: "10 11 0004'MQTT' 04 42 000a 0002'c1' 0001'p'",
    error: [0x81, /no user name/],
  },
  {
    what: "a client identifier has to be there [MQTT-3.1.3-3]",
    bytes: "10 0a 0004'MQTT' 04 02 000a",
    error: [0x81, /within its client identifier/],
  },
  {
    what: "a client identifier is UTF-8 [MQTT-3.1.3-4]",
    bytes: "10 0e 0004'MQTT' 04 02 000a 0002 c328",
    error: [0x81, /client identifier .* UTF-8/],
  },
  {
    what: "a client identifier has no U+0000 [MQTT-1.5.4-2]",
    bytes: "10 0e 0004'MQTT' 04 02 000a 0002 6100",
    error: [0x81, /client identifier .* UTF-8/],
  },
  {
    what: "a user name is UTF-8 [MQTT-3.1.3-12]",
    bytes: "10 12 0004'MQTT' 04 82 000a 0002'c1' 0002 eda0",
    error: [0x81, /user name .* UTF-8/],
  },
  {
    what: "a receive maximum is not 0",
    bytes: "10 10 0004'MQTT' 05 02 003c 03 21 0000 0000",
    error: [0x82, /receiveMaximum is 0; expected 1/],
  },
  {
    what: "a flag property is 0 or 1",
    bytes: "10 0f 0004'MQTT' 05 02 003c 02 17 02 0000",
    error: [0x82, /requestProblemInformation is 2/],
  },
  {
    what: "a property comes once",
    bytes: "10 13 0004'MQTT' 05 02 003c 06 21 0001 21 0001 0000",
    error: [0x82, /receiveMaximum is there twice/],
  },
  {
    what: "a property stands only where it may",
    bytes: "10 10 0004'MQTT' 05 02 003c 03 23 0001 0000",
    error: [0x81, /topicAlias may not stand/],
  },
  {
    what: "authentication data needs a method",
    bytes: "10 11 0004'MQTT' 05 02 003c 04 16 0001'x' 0000",
    error: [0x82, /without authenticationMethod/],
  },
  {
    what: "the flags of a CONNECT's header are 0 [MQTT-2.1.3-1]",
    bytes: "11 0e 0004'MQTT' 04 02 000a 0002'c1'",
    error: [0x81, /flags of a CONNECT are 1; expected 0/],
  },
  {
    what: "a remaining length of 5.0 has no byte too many [MQTT-1.5.5-1]",
    bytes: "10 8d00 0004'MQTT' 05 02 003c 00 0000",
    error: [0x81, /more bytes than it needs/],
  },
  {
    what: "a CONNECT that is too large is refused before it comes",
    bytes: "10 ffff7f",
    error: [0x95, /2097155 bytes; 100000 are allowed \(mqtt\.max_connect_bytes\)/],
  },
  { what: "a remaining length has four bytes at most", bytes: "10 ffffffff 01", error: [0x81, /more than 4 bytes/] },
];

export const PUBLISH_ROWS: readonly Row[] = [
  {
    what: "a PUBLISH of QoS 0 has no packet identifier [MQTT-2.2.1-2]",
    version: 4,
    bytes: "30 05 0001'a' 'hi'",
    packets: [{ type: "publish", topic: "a", payload: "hi", qos: 0 }],
  },
  {
    what: "a PUBLISH may have no payload",
    version: 4,
    bytes: "31 03 0001'a'",
    packets: [{ type: "publish", topic: "a", payload: "", qos: 0, retain: true }],
  },
  {
    what: "a PUBLISH of QoS 1 that is sent again",
    version: 4,
    bytes: "3a 06 0001'a' 0102 00",
    packets: [{ type: "publish", topic: "a", payload: "\0", qos: 1, packetId: 258, dup: true }],
  },
  {
    what: "a PUBLISH of QoS 2",
    version: 4,
    bytes: "34 06 0001'a' ffff'x'",
    packets: [{ type: "publish", topic: "a", payload: "x", qos: 2, packetId: 65535 }],
  },
  {
    what: "a topic may be any UTF-8 [MQTT-3.3.2-1]",
    version: 4,
    bytes: "30 0e 000c' *'c3a4e282acf09f9880'/'",
    packets: [{ type: "publish", topic: " *ä€😀/", payload: "", qos: 0 }],
  },
  {
    what: "3.1 gives DUP no meaning at QoS 0",
    version: 3,
    bytes: "38 03 0001'a'",
    packets: [{ type: "publish", topic: "a", payload: "", qos: 0, dup: true }],
  },
  {
    what: "a remaining length of 3.1.1 may have more bytes than it needs",
    version: 4,
    bytes: "30 8300 0001'a'",
    packets: [{ type: "publish", topic: "a", payload: "", qos: 0 }],
  },
  {
    what: "a PUBLISH of 5.0 without properties",
    version: 5,
    bytes: "30 05 0001'a' 00 'x'",
    packets: [{ type: "publish", topic: "a", payload: "x", qos: 0 }],
  },
  {
    what: "a PUBLISH of 5.0 with all properties that a client may give it",
    version: 5,
    bytes:
      "32 30 0001'a' 0001 29 01 01 02 ffffffff 03 0001't' 08 0001'r' 09 0002 00ff 23 0007 26 0001'k'0001'v' 26 0001'k'0000 26 0000 0000 'x'",
    packets: [
      {
        type: "publish",
        topic: "a",
        payload: "x",
        qos: 1,
        packetId: 1,
        properties: {
          payloadFormatIndicator: 1,
          messageExpiryInterval: 4294967295,
          contentType: "t",
          responseTopic: "r",
          correlationData: "\0\xff",
          topicAlias: 7,
          userProperties: [
            ["k", "v"],
            ["k", ""],
            ["", ""],
          ],
        },
      },
    ],
  },
  {
    what: "a topic alias stands for the topic",
    version: 5,
    bytes: "30 06 0000 03 23 0001",
    packets: [{ type: "publish", topic: "", payload: "", qos: 0, properties: { topicAlias: 1 } }],
  },
  {
    what: "properties do not stay for the next packet",
    version: 5,
    bytes: "30 07 0001'a' 03 23 0001 30 04 0001'a' 00",
    packets: [
      { type: "publish", topic: "a", payload: "", qos: 0, properties: { topicAlias: 1 } },
      { type: "publish", topic: "a", payload: "", qos: 0 },
    ],
  },
  {
    what: "a long PUBLISH",
    version: 4,
    bytes: `30 e9 07 0001'a' '${"x".repeat(998)}'`,
    packets: [{ type: "publish", topic: "a", payload: "x".repeat(998), qos: 0 }],
  },
  { what: "QoS 3 is refused [MQTT-3.3.1-4]", version: 4, bytes: "36 05 0001'a' 0001", error: [0x81, /QoS 3/] },
  { what: "DUP at QoS 0 is refused [MQTT-3.3.1-2]", version: 4, bytes: "38 03 0001'a'", error: [0x81, /DUP/] },
  { what: "a topic has no # [MQTT-3.3.2-2]", version: 4, bytes: "30 05 0003'a/#'", error: [0x90, /wildcard/] },
  { what: "a topic has no + [MQTT-3.3.2-2]", version: 5, bytes: "30 06 0003'+/a' 00", error: [0x90, /wildcard/] },
  {
    what: "a topic with wildcards behind other characters is refused too [MQTT-3.3.2-2]",
    version: 4,
    bytes: "30 06 0004 c3a4'/+'",
    error: [0x90, /wildcard/],
  },
  { what: "a topic has no U+0000 [MQTT-1.5.4-2]", version: 4, bytes: "30 05 0003 610062", error: [0x81, /U\+0000/] },
  { what: "a topic has no surrogates [MQTT-1.5.4-1]", version: 4, bytes: "30 05 0003 eda080", error: [0x81, /UTF-8/] },
  {
    what: "a topic has no overlong forms [MQTT-1.5.4-1]",
    version: 4,
    bytes: "30 04 0002 c0af",
    error: [0x81, /UTF-8/],
  },
  {
    what: "a topic has nothing past U+10FFFF [MQTT-1.5.4-1]",
    version: 4,
    bytes: "30 06 0004 f4908080",
    error: [0x81, /UTF-8/],
  },
  {
    what: "a character does not end behind the topic [MQTT-1.5.4-1]",
    version: 4,
    bytes: "30 05 0002 61c3 a4",
    error: [0x81, /UTF-8/],
  },
  {
    what: "a topic is not empty [MQTT-4.7.3-1]",
    version: 4,
    bytes: "30 03 0000'x'",
    error: [0x82, /topic of a PUBLISH is empty/],
  },
  {
    what: "an empty topic needs an alias [MQTT-4.7.3-1]",
    version: 5,
    bytes: "30 03 0000 00",
    error: [0x82, /no topic alias/],
  },
  {
    what: "a topic does not end behind its packet",
    version: 4,
    bytes: "30 04 0003'aa'",
    error: [0x81, /ends within its topic/],
  },
  { what: "a PUBLISH has a topic", version: 4, bytes: "30 01 00", error: [0x81, /ends within its topic/] },
  {
    what: "a packet identifier is not cut off",
    version: 4,
    bytes: "32 04 0001'a' 00",
    error: [0x81, /within its packet identifier/],
  },
  {
    what: "a packet identifier is not 0 [MQTT-2.2.1-3]",
    version: 4,
    bytes: "32 05 0001'a' 0000",
    error: [0x82, /identifier of a PUBLISH is 0/],
  },
  {
    what: "a topic alias is not 0 [MQTT-3.3.2-8]",
    version: 5,
    bytes: "30 07 0001'a' 03 23 0000",
    error: [0x94, /topicAlias is 0/],
  },
  {
    what: "a client sends no subscription identifier [MQTT-3.3.4-6]",
    version: 5,
    bytes: "30 06 0001'a' 02 0b 01",
    error: [0x81, /subscriptionIdentifier may not stand/],
  },
  {
    what: "a response topic has no wildcards [MQTT-3.3.2-14]",
    version: 5,
    bytes: "30 08 0001'a' 04 08 0001'+'",
    error: [0x82, /responseTopic has a wildcard/],
  },
  {
    what: "a response topic is UTF-8 [MQTT-3.3.2-13]",
    version: 5,
    bytes: "30 08 0001'a' 04 08 0001 ff",
    error: [0x81, /responseTopic is not UTF-8/],
  },
  {
    what: "a response topic is not empty [MQTT-4.7.3-1]",
    version: 5,
    bytes: "30 07 0001'a' 03 08 0000",
    error: [0x82, /responseTopic is empty/],
  },
  {
    what: "a content type is UTF-8 [MQTT-3.3.2-19]",
    version: 5,
    bytes: "30 08 0001'a' 04 03 0001 80",
    error: [0x81, /contentType is not UTF-8/],
  },
  {
    what: "both texts of a user property are UTF-8 [MQTT-1.5.7-1]",
    version: 5,
    bytes: "30 0b 0001'a' 07 26 0001'k' 0001 ff",
    error: [0x81, /userProperties is not UTF-8/],
  },
  {
    what: "an unknown property is refused",
    version: 5,
    bytes: "30 06 0001'a' 02 04 01",
    error: [0x81, /Property 4 is not one/],
  },
  {
    what: "a property does not end behind the properties",
    version: 5,
    bytes: "30 07 0001'a' 02 23 0001",
    error: [0x81, /topicAlias does not end/],
  },
  {
    what: "a text does not end behind the properties",
    version: 5,
    bytes: "30 08 0001'a' 04 03 0002'x'",
    error: [0x81, /contentType does not end/],
  },
  {
    what: "the properties do not end behind the packet",
    version: 5,
    bytes: "30 06 0001'a' 03 23 00",
    error: [0x81, /end behind the packet/],
  },
  {
    what: "the length of the properties has to be there [MQTT-2.2.2-1]",
    version: 5,
    bytes: "30 03 0001'a'",
    error: [0x81, /length of the properties/],
  },
  {
    what: "the length of the properties has no byte too many [MQTT-1.5.5-1]",
    version: 5,
    bytes: "30 05 0001'a' 8000",
    error: [0x81, /length of the properties/],
  },
  {
    what: "a payload format is 0 or 1",
    version: 5,
    bytes: "30 06 0001'a' 02 01 02",
    error: [0x82, /payloadFormatIndicator is 2/],
  },
  {
    what: "a property of a PUBLISH comes once",
    version: 5,
    bytes: "30 08 0001'a' 04 01 00 01 00",
    error: [0x82, /payloadFormatIndicator is there twice/],
  },
  {
    what: "a packet that is too large is refused before it comes",
    version: 4,
    bytes: "30 c09a0c",
    error: [0x95, /200004 bytes; 200000 are allowed \(mqtt\.max_packet_bytes\)/],
  },
  {
    what: "a remaining length of 5.0 has no byte too many [MQTT-1.5.5-1]",
    version: 5,
    bytes: "30 8400 0001'a' 00",
    error: [0x81, /more bytes than it needs/],
  },
];

export const ACK_ROWS: readonly Row[] = [
  {
    what: "the four answers of 3.1.1",
    version: 4,
    bytes: "40020001 50020002 62020003 7002ffff",
    packets: ["puback", "pubrec", "pubrel", "pubcomp"].map((type, i) => ({
      type,
      packetId: i === 3 ? 65535 : i + 1,
      reasonCode: 0,
    })),
  },
  {
    what: "the four answers of 5.0 in their shortest form",
    version: 5,
    bytes: "40020001 50020002 62020003 7002ffff",
    packets: ["puback", "pubrec", "pubrel", "pubcomp"].map((type, i) => ({
      type,
      packetId: i === 3 ? 65535 : i + 1,
      reasonCode: 0,
    })),
  },
  {
    what: "reason codes of 5.0 [MQTT-3.4.2-1] [MQTT-3.5.2-1] [MQTT-3.6.2-1] [MQTT-3.7.2-1]",
    version: 5,
    bytes: "4003000110 5003000290 6203000392 7003000492",
    packets: [
      { type: "puback", packetId: 1, reasonCode: 16 },
      { type: "pubrec", packetId: 2, reasonCode: 144 },
      { type: "pubrel", packetId: 3, reasonCode: 146 },
      { type: "pubcomp", packetId: 4, reasonCode: 146 },
    ],
  },
  {
    what: "an answer with properties",
    version: 5,
    bytes: "40 0f 0001 87 0b 1f 0001'r' 26 0001'k'0001'v'",
    packets: [
      { type: "puback", packetId: 1, reasonCode: 135, properties: { reasonString: "r", userProperties: [["k", "v"]] } },
    ],
  },
  {
    what: "an answer with a length of no properties",
    version: 5,
    bytes: "40 04 0001 00 00",
    packets: [{ type: "puback", packetId: 1, reasonCode: 0 }],
  },
  {
    what: "3.1 lets a PUBREL say that it is sent again",
    version: 3,
    bytes: "6a020003",
    packets: [{ type: "pubrel", packetId: 3, reasonCode: 0 }],
  },
  { what: "a PINGREQ", version: 4, bytes: "c000 c000", packets: [{ type: "pingreq" }, { type: "pingreq" }] },
  { what: "a PINGREQ has no bytes of its own", version: 4, bytes: "c00100", error: [0x81, /PINGREQ has 1 bytes/] },
  {
    what: "the flags of a PUBREL are 2 [MQTT-3.6.1-1]",
    version: 4,
    bytes: "60020003",
    error: [0x81, /flags of a PUBREL are 0; expected 2/],
  },
  {
    what: "the flags of a PUBACK are 0 [MQTT-2.1.3-1]",
    version: 4,
    bytes: "42020003",
    error: [0x81, /flags of a PUBACK are 2/],
  },
  {
    what: "an answer's packet identifier is not 0",
    version: 4,
    bytes: "40020000",
    error: [0x82, /identifier of a PUBACK is 0/],
  },
  { what: "an answer has a packet identifier", version: 4, bytes: "400100", error: [0x81, /PUBACK has 1 bytes/] },
  { what: "an answer of 3.1.1 has nothing else", version: 4, bytes: "4003000100", error: [0x81, /PUBACK has 3 bytes/] },
  {
    what: "a PUBACK has only its own reason codes [MQTT-3.4.2-1]",
    version: 5,
    bytes: "4003000192",
    error: [0x82, /PUBACK has reason code 146/],
  },
  {
    what: "a PUBREL has only its own reason codes [MQTT-3.6.2-1]",
    version: 5,
    bytes: "6203000110",
    error: [0x82, /PUBREL has reason code 16/],
  },
  {
    what: "an answer ends with its properties",
    version: 5,
    bytes: "4005000100 0000",
    error: [0x81, /left over at the end of a PUBACK/],
  },
  {
    what: "an answer has only its own properties",
    version: 5,
    bytes: "40 07 0001 00 03 23 0001",
    error: [0x81, /topicAlias may not stand/],
  },
  ...["20020000", "9003000100", "b0020001", "d000", "0000"].map((bytes) => ({
    what: `a client does not send what begins with ${bytes.slice(0, 2)}`,
    version: 4 as const,
    bytes,
    error: [0x82, /not a packet of clients/] as const,
  })),
];

export const CONTROL_ROWS: readonly Row[] = [
  {
    what: "a SUBSCRIBE of 3.1.1 [MQTT-3.8.3-1]",
    version: 4,
    bytes: "82 0c 0001 0003'a/#' 01 0001'+' 02",
    packets: [
      {
        type: "subscribe",
        packetId: 1,
        subscriptions: [
          { filter: "a/#", qos: 1, noLocal: false, retainAsPublished: false, retainHandling: 0 },
          { filter: "+", qos: 2, noLocal: false, retainAsPublished: false, retainHandling: 0 },
        ],
      },
    ],
  },
  {
    what: "a SUBSCRIBE of 5.0 with all options and an identifier",
    version: 5,
    bytes: "82 0e 0001 03 0b ff7f 0001'a' 2d 0001'b' 12",
    packets: [
      {
        type: "subscribe",
        packetId: 1,
        subscriptions: [
          { filter: "a", qos: 1, noLocal: true, retainAsPublished: true, retainHandling: 2 },
          { filter: "b", qos: 2, noLocal: false, retainAsPublished: false, retainHandling: 1 },
        ],
        properties: { subscriptionIdentifier: [16383] },
      },
    ],
  },
  {
    what: "3.1 lets a SUBSCRIBE say that it is sent again",
    version: 3,
    bytes: "8a 06 0001 0001'a' 00",
    packets: [
      {
        type: "subscribe",
        packetId: 1,
        subscriptions: [{ filter: "a", qos: 0, noLocal: false, retainAsPublished: false, retainHandling: 0 }],
      },
    ],
  },
  {
    what: "an UNSUBSCRIBE",
    version: 4,
    bytes: "a2 08 0001 0001'a' 0001'b'",
    packets: [{ type: "unsubscribe", packetId: 1, filters: ["a", "b"] }],
  },
  {
    what: "an UNSUBSCRIBE of 5.0",
    version: 5,
    bytes: "a2 0d 0001 07 26 0001'k'0001'v' 0001'a'",
    packets: [{ type: "unsubscribe", packetId: 1, filters: ["a"], properties: { userProperties: [["k", "v"]] } }],
  },
  { what: "a DISCONNECT of 3.1.1", version: 4, bytes: "e000", packets: [{ type: "disconnect", reasonCode: 0 }] },
  {
    what: "a DISCONNECT of 5.0 in all its lengths",
    version: 5,
    bytes: "e000 e00104 e0020400 e007 04 05 11 00000009",
    packets: [
      { type: "disconnect", reasonCode: 0 },
      { type: "disconnect", reasonCode: 4 },
      { type: "disconnect", reasonCode: 4 },
      { type: "disconnect", reasonCode: 4, properties: { sessionExpiryInterval: 9 } },
    ],
  },
  {
    what: "an AUTH",
    version: 5,
    bytes: "f0 0a 18 08 15 0001'm' 16 0001'd'",
    packets: [{ type: "auth", reasonCode: 24, properties: { authenticationMethod: "m", authenticationData: "d" } }],
  },
  {
    what: "the flags of a SUBSCRIBE are 2 [MQTT-3.8.1-1]",
    version: 4,
    bytes: "80 06 0001 0001'a' 00",
    error: [0x81, /flags of a SUBSCRIBE are 0; expected 2/],
  },
  {
    what: "3.1.1 has no DUP on a SUBSCRIBE [MQTT-3.8.1-1]",
    version: 4,
    bytes: "8a 06 0001 0001'a' 00",
    error: [0x81, /flags of a SUBSCRIBE are 10/],
  },
  {
    what: "a SUBSCRIBE's packet identifier is not 0 [MQTT-2.2.1-3]",
    version: 4,
    bytes: "82 06 0000 0001'a' 00",
    error: [0x82, /identifier of a SUBSCRIBE is 0/],
  },
  {
    what: "a SUBSCRIBE has a filter [MQTT-3.8.3-2]",
    version: 4,
    bytes: "82 02 0001",
    error: [0x82, /SUBSCRIBE has no filter/],
  },
  {
    what: "a SUBSCRIBE of 5.0 has a filter [MQTT-3.8.3-2]",
    version: 5,
    bytes: "82 03 0001 00",
    error: [0x82, /SUBSCRIBE has no filter/],
  },
  {
    what: "each filter has its options [MQTT-3.8.3-2]",
    version: 4,
    bytes: "82 05 0001 0001'a'",
    error: [0x81, /within its subscription options/],
  },
  {
    what: "a filter is UTF-8 [MQTT-3.8.3-1]",
    version: 4,
    bytes: "82 06 0001 0001 ff 00",
    error: [0x81, /filter .* UTF-8/],
  },
  {
    what: "the reserved options of 3.1.1 are 0",
    version: 4,
    bytes: "82 06 0001 0001'a' 04",
    error: [0x81, /reserved bits/],
  },
  {
    what: "the reserved options of 5.0 are 0 [MQTT-3.8.3-5]",
    version: 5,
    bytes: "82 07 0001 00 0001'a' 40",
    error: [0x81, /reserved bits/],
  },
  { what: "nobody subscribes with QoS 3", version: 4, bytes: "82 06 0001 0001'a' 03", error: [0x81, /QoS 3/] },
  {
    what: "retain handling is not 3",
    version: 5,
    bytes: "82 07 0001 00 0001'a' 30",
    error: [0x81, /retain handling 3/],
  },
  {
    what: "a shared subscription is not no-local [MQTT-3.8.3-4]",
    version: 5,
    bytes: "82 10 0001 00 000a'$share/g/a' 04",
    error: [0x82, /no-local/],
  },
  {
    what: "a subscription identifier is not 0",
    version: 5,
    bytes: "82 09 0001 02 0b 00 0001'a' 00",
    error: [0x82, /subscriptionIdentifier is 0/],
  },
  {
    what: "a subscription identifier comes once",
    version: 5,
    bytes: "82 0b 0001 04 0b 01 0b 02 0001'a' 00",
    error: [0x82, /subscriptionIdentifier is there twice/],
  },
  {
    what: "a subscription identifier has four bytes at most",
    version: 5,
    bytes: "82 0d 0001 06 0b ffffffff01 0001'a' 00",
    error: [0x81, /not a variable byte integer/],
  },
  {
    what: "an UNSUBSCRIBE has a filter [MQTT-3.10.3-2]",
    version: 4,
    bytes: "a2 02 0001",
    error: [0x82, /UNSUBSCRIBE has no filter/],
  },
  {
    what: "the filters of an UNSUBSCRIBE are UTF-8 [MQTT-3.10.3-1]",
    version: 4,
    bytes: "a2 05 0001 0001 80",
    error: [0x81, /filter .* UTF-8/],
  },
  {
    what: "the flags of an UNSUBSCRIBE are 2 [MQTT-3.10.1-1]",
    version: 4,
    bytes: "a0 05 0001 0001'a'",
    error: [0x81, /flags of a UNSUBSCRIBE/],
  },
  {
    what: "a DISCONNECT of 3.1.1 has nothing in it",
    version: 4,
    bytes: "e00100",
    error: [0x81, /left over|length of the properties/],
  },
  {
    what: "a client does not disconnect as only a server can [MQTT-3.14.2-1]",
    version: 5,
    bytes: "e0018e",
    error: [0x82, /reason code 142/],
  },
  {
    what: "the flags of a DISCONNECT are 0 [MQTT-3.14.1-1]",
    version: 4,
    bytes: "e100",
    error: [0x81, /flags of a DISCONNECT/],
  },
  {
    what: "nothing follows the properties of a DISCONNECT",
    version: 5,
    bytes: "e0030400ff",
    error: [0x81, /left over/],
  },
  {
    what: "a server reference is the server's to give",
    version: 5,
    bytes: "e006 04 04 1c 0001'x'",
    error: [0x81, /serverReference may not stand/],
  },
  { what: "3.1.1 has no AUTH", version: 4, bytes: "f000", error: [0x82, /only MQTT 5\.0 has/] },
  {
    what: "only a server says that authentication succeeded [MQTT-3.15.2-1]",
    version: 5,
    bytes: "f000",
    error: [0x82, /AUTH with reason code 0/],
  },
  {
    what: "an AUTH names its method",
    version: 5,
    bytes: "f0021800",
    error: [0x82, /without the property authenticationMethod/],
  },
  {
    what: "the flags of an AUTH are 0 [MQTT-3.15.1-1]",
    version: 5,
    bytes: "f1 06 18 04 15 0001'm'",
    error: [0x81, /flags of a AUTH/],
  },
];

/** The bytes of a row. */
export function bytesOf(row: Row): Buffer {
  const parts: Buffer[] = [];
  for (const [token] of row.bytes.matchAll(/'[^']*'|[0-9a-f]+/g)) {
    parts.push(token.startsWith("'") ? Buffer.from(token.slice(1, -1)) : Buffer.from(token, "hex"));
  }
  return Buffer.concat(parts);
}
