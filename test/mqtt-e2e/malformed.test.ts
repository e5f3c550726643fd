import { describe, expect, it } from "vitest";
import { startBroker } from "../support/broker.ts";
import { MqttWire } from "../support/mqtt-wire.ts";

/** What is wrong, the bytes in 3.1.1, the bytes in 5.0 and the reason code there; undefined: right or unknown in that version. */
type Row = readonly [what: string, old: string | undefined, five: string | undefined, code?: number];

const ROWS: readonly Row[] = [
  // Fixed headers.
  ["a packet of type 0", "00 00", "00 00", 0x82],
  ["a CONNACK from a client", "20 02 0000", "20 03 0000 00", 0x82],
  ["a SUBACK from a client", "90 03 0001 00", "90 04 0001 00 00", 0x82],
  ["an UNSUBACK from a client", "b0 02 0001", "b0 04 0001 00 00", 0x82],
  ["a PINGRESP from a client", "d0 00", "d0 00", 0x82],
  ["an AUTH in 3.1.1", "f0 00", undefined],
  ["an AUTH of a client without enhanced authentication", undefined, "f0 05 18 03 15 0000", 0x82],
  ["flags in a PUBACK [MQTT-2.1.3-1] mqtt311 [MQTT-2.2.2-1] mqtt311 [MQTT-2.2.2-2]", "41 02 0001", "41 02 0001", 0x81],
  ["flags in a PUBREC [MQTT-2.1.3-1] mqtt311 [MQTT-2.2.2-1] mqtt311 [MQTT-2.2.2-2]", "52 02 0001", "52 02 0001", 0x81],
  ["no flags in a PUBREL [MQTT-3.6.1-1] mqtt311 [MQTT-3.6.1-1]", "60 02 0001", "60 02 0001", 0x81],
  ["other flags in a PUBREL [MQTT-3.6.1-1] mqtt311 [MQTT-3.6.1-1]", "66 02 0001", "66 02 0001", 0x81],
  ["flags in a PUBCOMP [MQTT-2.1.3-1] mqtt311 [MQTT-2.2.2-1] mqtt311 [MQTT-2.2.2-2]", "78 02 0001", "78 02 0001", 0x81],
  [
    "no flags in a SUBSCRIBE [MQTT-3.8.1-1] mqtt311 [MQTT-3.8.1-1]",
    "80 06 0001 0001'a' 00",
    "80 07 0001 00 0001'a' 00",
    0x81,
  ],
  [
    "no flags in an UNSUBSCRIBE [MQTT-3.10.1-1] mqtt311 [MQTT-3.10.1-1]",
    "a0 05 0001 0001'a'",
    "a0 06 0001 00 0001'a'",
    0x81,
  ],
  ["flags in a PINGREQ [MQTT-2.1.3-1] mqtt311 [MQTT-2.2.2-1] mqtt311 [MQTT-2.2.2-2]", "c1 00", "c1 00", 0x81],
  ["flags in a DISCONNECT [MQTT-3.14.1-1] mqtt311 [MQTT-3.14.1-1]", "e4 00", "e4 00", 0x81],
  ["a remaining length of five bytes", "30 ffffffff01", "30 ffffffff01", 0x81],
  ["a remaining length in more bytes than it needs [MQTT-1.5.5-1]", undefined, "c0 80 00", 0x81],
  ["a length of properties in more bytes than it needs [MQTT-1.5.5-1]", undefined, "30 05 0001'a' 80 00", 0x81],
  // PUBLISH.
  ["QoS 3 [MQTT-3.3.1-4] mqtt311 [MQTT-3.3.1-4]", "36 05 0001'a' 0001", "36 06 0001'a' 0001 00", 0x81],
  ["DUP at QoS 0 [MQTT-3.3.1-2] mqtt311 [MQTT-3.3.1-2]", "38 03 0001'a'", "38 04 0001'a' 00", 0x81],
  [
    "packet identifier 0 at QoS 1 [MQTT-2.2.1-3] mqtt311 [MQTT-2.3.1-1]",
    "32 05 0001'a' 0000",
    "32 06 0001'a' 0000 00",
    0x82,
  ],
  [
    "packet identifier 0 at QoS 2 [MQTT-2.2.1-3] mqtt311 [MQTT-2.3.1-1]",
    "34 05 0001'a' 0000",
    "34 06 0001'a' 0000 00",
    0x82,
  ],
  ["a PUBLISH without a packet identifier", "32 03 0001'a'", "32 03 0001'a'", 0x81],
  ["a topic longer than its packet", "30 03 0005'a'", "30 03 0005'a'", 0x81],
  [
    "a topic that is not UTF-8 [MQTT-1.5.4-1] [MQTT-3.3.2-1] mqtt311 [MQTT-1.5.3-1] mqtt311 [MQTT-3.3.2-1]",
    "30 04 0002 c328",
    "30 05 0002 c328 00",
    0x81,
  ],
  ["a surrogate in a topic [MQTT-1.5.4-1] mqtt311 [MQTT-1.5.3-1]", "30 05 0003 eda080", "30 06 0003 eda080 00", 0x81],
  ["an overlong form in a topic [MQTT-1.5.4-1] mqtt311 [MQTT-1.5.3-1]", "30 04 0002 c080", "30 05 0002 c080 00", 0x81],
  [
    "U+0000 in a topic [MQTT-1.5.4-2] [MQTT-4.7.3-2] mqtt311 [MQTT-1.5.3-2] mqtt311 [MQTT-4.7.3-2]",
    "30 05 0003'a'00'b'",
    "30 06 0003'a'00'b' 00",
    0x81,
  ],
  ["properties longer than their packet", undefined, "30 05 0001'a' 05 01", 0x81],
  // Acknowledgements.
  ["a PUBACK of one byte", "40 01 00", "40 01 00", 0x81],
  ["packet identifier 0 in a PUBACK", "40 02 0000", "40 02 0000", 0x82],
  ["a PUBACK that is too long", "40 03 0001 00", "40 06 0001 00 00 0000", 0x81],
  ["a reason code that PUBACK does not have [MQTT-3.4.2-1]", undefined, "40 03 0001 92", 0x82],
  ["a reason code that PUBREC does not have [MQTT-3.5.2-1]", undefined, "50 03 0001 04", 0x82],
  ["a reason code that PUBREL does not have [MQTT-3.6.2-1]", undefined, "62 03 0001 80", 0x82],
  ["a reason code that PUBCOMP does not have [MQTT-3.7.2-1]", undefined, "70 03 0001 01", 0x82],
  ["a property that PUBACK does not have", undefined, "40 06 0001 00 02 0100", 0x81],
  // SUBSCRIBE and UNSUBSCRIBE.
  [
    "packet identifier 0 in a SUBSCRIBE [MQTT-2.2.1-3] mqtt311 [MQTT-2.3.1-1]",
    "82 06 0000 0001'a' 00",
    "82 07 0000 00 0001'a' 00",
    0x82,
  ],
  [
    "packet identifier 0 in an UNSUBSCRIBE [MQTT-2.2.1-3] mqtt311 [MQTT-2.3.1-1]",
    "a2 05 0000 0001'a'",
    "a2 06 0000 00 0001'a'",
    0x82,
  ],
  ["a SUBSCRIBE without a filter [MQTT-3.8.3-2] mqtt311 [MQTT-3.8.3-3]", "82 02 0001", "82 03 0001 00", 0x82],
  ["an UNSUBSCRIBE without a filter [MQTT-3.10.3-2] mqtt311 [MQTT-3.10.3-2]", "a2 02 0001", "a2 03 0001 00", 0x82],
  ["a SUBSCRIBE without options", "82 05 0001 0001'a'", "82 06 0001 00 0001'a'", 0x81],
  [
    "reserved bits in the options [MQTT-3.8.3-5] mqtt311 [MQTT-3.8.3-4]",
    "82 06 0001 0001'a' 80",
    "82 07 0001 00 0001'a' 80",
    0x81,
  ],
  ["options of 5.0 in 3.1.1 mqtt311 [MQTT-3.8.3-4]", "82 06 0001 0001'a' 04", undefined],
  ["requested QoS 3 [MQTT-3.8.3-5] mqtt311 [MQTT-3.8.3-4]", "82 06 0001 0001'a' 03", "82 07 0001 00 0001'a' 03", 0x81],
  ["retain handling 3", undefined, "82 07 0001 00 0001'a' 30", 0x81],
  [
    "a filter that is not UTF-8 [MQTT-3.8.3-1] [MQTT-1.5.4-1] mqtt311 [MQTT-3.8.3-1] mqtt311 [MQTT-1.5.3-1]",
    "82 07 0001 0002 c328 00",
    "82 08 0001 00 0002 c328 00",
    0x81,
  ],
  [
    "U+0000 in a filter [MQTT-4.7.3-2] mqtt311 [MQTT-4.7.3-2] mqtt311 [MQTT-1.5.3-2]",
    "82 06 0001 0001 00 00",
    "82 07 0001 00 0001 00 00",
    0x81,
  ],
  [
    "a filter of an UNSUBSCRIBE that is not UTF-8 [MQTT-3.10.3-1] mqtt311 [MQTT-3.10.3-1]",
    "a2 06 0001 0002 c328",
    "a2 07 0001 00 0002 c328",
    0x81,
  ],
  // The rest.
  ["a PINGREQ with a payload", "c0 01 00", "c0 01 00", 0x81],
  ["a DISCONNECT with a payload", "e0 01 00", undefined],
  ["a property that DISCONNECT does not have", undefined, "e0 04 00 02 0100", 0x81],
];

describe("what is malformed or breaks the protocol ends its connection and no other", () => {
  for (const [what, old, five, code] of ROWS) {
    if (old !== undefined) {
      it(`in 3.1.1 without a word: ${what} mqtt311 [MQTT-4.8.0-1]`, async () => {
        const { port } = await startBroker();
        using other = await MqttWire.connect(port, { version: 4, clientId: "" });
        using client = await MqttWire.connect(port, { version: 4, clientId: "" });
        await client.sendHex(old);
        await client.dismissed();
        await other.nothing();
      });
    }
    if (five !== undefined) {
      it(`in 5.0 with its reason code: ${what} [MQTT-4.13.1-1] [MQTT-4.13.2-1]`, async () => {
        const { port } = await startBroker();
        using other = await MqttWire.connect(port, { clientId: "" });
        using client = await MqttWire.connect(port, { clientId: "" });
        await client.sendHex(five);
        expect(await client.dismissed()).toBe(code);
        await other.nothing();
      });
    }
  }

  it("also when it comes behind packets that are right, which are done", async () => {
    const { port } = await startBroker();
    using client = await MqttWire.connect(port, { version: 4, clientId: "" });
    await client.subscribe("behind");
    await client.sendHex("30 09 0006'behind'78 c0 00 36 00 c0 00");
    await client.message("x");
    await client.expect("pingresp");
    await client.dismissed();
  });
});

describe("what was not malformed in 3.1.1", () => {
  it("is a remaining length in more bytes than it needs", async () => {
    const { port } = await startBroker();
    using client = await MqttWire.connect(port, { version: 4, clientId: "" });
    await client.sendHex("c0 80 00");
    await client.expect("pingresp");
  });
});
