import rhea, { type Message as TheirMessage } from "rhea";
import { describe, expect, it } from "vitest";
import { Address } from "../../core/addresses/address.ts";
import { type Content, Message, TRAIT } from "../../core/message.ts";
import { amqp10Format, fillPayload, messageOf } from "../../protocols/amqp10/convert.ts";
import { idText, idValue } from "../../protocols/amqp10/message-id.ts";
import { Payload } from "../../protocols/amqp10/payload.ts";
import { Sections } from "../../protocols/amqp10/sections.ts";
import { Scalar, type Value } from "../../protocols/amqp10/values.ts";
import { bytesOf, refusal } from "./reading.ts";

const NOW = 1_700_000_000_000;
const QUEUE = new Address("queue", ["orders"]);

/** A message as it is received, from bytes that do not begin their buffer. */
function received(bytes: Buffer, user?: string): Message {
  const data = Buffer.concat([Buffer.alloc(11, 0xff), bytes]);
  const sections = new Sections();
  sections.scan(data, 11, data.length);
  return messageOf(sections, QUEUE, NOW, user);
}

/** One that rhea sends. */
function sent(message: TheirMessage): Message {
  return received(rhea.message.encode(message));
}

/** The sections that go to a consumer. */
function delivered(message: Message, deliveries = 0, now = NOW): Buffer {
  const payload = new Payload();
  fillPayload(payload, message, deliveries, now);
  const { head, headEnd, middle, middleStart, middleEnd, tail, tailStart, tailEnd } = payload;
  const parts = [head.subarray(0, headEnd), middle.subarray(middleStart, middleEnd), tail.subarray(tailStart, tailEnd)];
  expect(payload.length).toBe(Buffer.concat(parts).length);
  return Buffer.concat(parts);
}

/** The same as rhea reads them. */
function read(message: Message, deliveries = 0, now = NOW): TheirMessage {
  return rhea.message.decode(delivered(message, deliveries, now)) as unknown as TheirMessage;
}

/** A message of another protocol. */
function foreign(content: Partial<Content>, body = "", envelope: object = {}): Message {
  const whole: Content = {
    messageId: undefined,
    correlationId: undefined,
    replyTo: undefined,
    subject: undefined,
    contentType: undefined,
    contentEncoding: undefined,
    userId: undefined,
    groupId: undefined,
    groupSequence: undefined,
    bodyKind: "bytes",
    properties: new Map(),
    ...content,
  };
  const data = Buffer.from(`<${body}>`);
  const fields = { address: QUEUE, durable: false, priority: 4, expiresAt: 0, receivedAt: NOW, ...envelope };
  return new Message({ name: "other", open: () => whole }, fields, data, 0, data.length, 1, data.length - 1);
}

/** What JMS says of a body. */
function jms(type: number): NonNullable<TheirMessage["message_annotations"]> {
  return { "x-opt-jms-msg-type": rhea.types.wrap_byte(type) };
}

/** When a message that says this is delivered. */
function timing(fields: object): unknown {
  const message = sent({ ...fields, body: "" });
  expect(message.traits).toBe(TRAIT.timed);
  expect(message.content.timing).toEqual(message.timing);
  return message.timing;
}

function refused(fields: object): string {
  return refusal(() => sent({ ...fields, body: "" })).message;
}

describe("a message that came by AMQP 1.0", () => {
  it("has the envelope that its header says", () => {
    const { durable, priority, expiresAt, receivedAt, traits } = sent({
      durable: true,
      priority: 7,
      ttl: 500,
      body: "",
    });
    expect({ durable, priority, expiresAt, receivedAt, traits }).toEqual({
      durable: true,
      priority: 7,
      expiresAt: NOW + 500,
      receivedAt: NOW,
      traits: 0,
    });
  });

  it("expires when its properties say so, where the header does not", () => {
    expect(sent({ absolute_expiry_time: new Date(NOW + 9), body: "" }).expiresAt).toBe(NOW + 9);
    expect(sent({ absolute_expiry_time: new Date(NOW + 9), ttl: 5, body: "" }).expiresAt).toBe(NOW + 5);
    expect(sent({ ttl: 0, body: "" }).expiresAt).toBe(0);
  });

  it("says all its fields to others", () => {
    const { content } = sent({
      message_id: "m",
      correlation_id: 42,
      reply_to: "topic://answers.eu",
      subject: "s",
      content_type: "text/csv",
      content_encoding: "gzip",
      user_id: Buffer.from("me") as unknown as string,
      group_id: "g",
      group_sequence: 0xffff_ffff,
      application_properties: {
        text: "x",
        yes: true,
        whole: 5,
        broken: 1.5,
        none: null,
        at: new Date(7),
        list: [1, "a"],
      },
      body: "",
    });
    expect({ ...pick(content), properties: Object.fromEntries(content.properties) }).toEqual({
      messageId: "m",
      correlationId: "ID:AMQP_ULONG:42",
      replyTo: new Address("topic", ["answers", "eu"]),
      subject: "s",
      contentType: "text/csv",
      contentEncoding: "gzip",
      userId: "me",
      groupId: "g",
      groupSequence: -1,
      properties: { text: "x", yes: true, whole: 5, broken: 1.5, none: null, at: 7, list: '[1,"a"]' },
    });
  });

  it("keeps a reply-to that is no address as a property", () => {
    const { content } = sent({ reply_to: "queue://a.*", body: "" });
    expect(content.replyTo).toBeUndefined();
    expect(content.properties.get("reply-to")).toBe("queue://a.*");
  });

  it("has a reply-to of the kind that JMS says", () => {
    const message_annotations = { "x-opt-jms-reply-to": rhea.types.wrap_byte(1) };
    expect(sent({ reply_to: "a.b", message_annotations, body: "" }).content.replyTo?.kind).toBe("topic");
  });

  it("answers for one property as for all of them, whatever the name", () => {
    const { content } = sent({
      application_properties: { a: 1, ä: "x", longer: null, [`l${"o".repeat(300)}ng`]: true },
      body: "",
    });
    const names = ["a", "ä", "longer", `l${"o".repeat(300)}ng`, "b", "", "lon"];
    const found = names.map((name) => content.lookup?.(name));
    expect(found).toEqual([1, "x", null, true, undefined, undefined, undefined]);
    expect(names.map((name) => content.properties.get(name))).toEqual(found);
    expect(names.map((name) => content.lookup?.(name))).toEqual(found);
  });

  it.each<[string, unknown, Content["bodyKind"], string, unknown]>([
    ["a text", "grüß", "text", "grüß", undefined],
    ["bytes", rhea.types.wrap_binary("ab"), "bytes", "ab", undefined],
    ["nothing", null, "bytes", "", undefined],
    ["data", rhea.message.data_section(Buffer.from("ab")), "bytes", "ab", undefined],
    [
      "several data sections",
      rhea.message.data_sections([Buffer.from("a"), Buffer.from("bc")]),
      "bytes",
      "abc",
      Buffer.from("abc"),
    ],
    [
      "a map",
      { a: 1, b: [true, null] },
      "map",
      '{"a":1,"b":[true,null]}',
      new Map<string, unknown>([
        ["a", 1],
        ["b", [true, null]],
      ]),
    ],
    ["a list", [1, "x", new Date(0)], "list", '[1,"x","1970-01-01T00:00:00.000Z"]', [1, "x", new Date(0)]],
    ["a sequence", rhea.message.sequence_section([1, "x"]), "list", '[1,"x"]', [1, "x"]],
    ["a number", 5, "value", "5", 5],
    ["a large number", rhea.types.wrap_ulong(Buffer.alloc(8, 0xff)), "value", '"18446744073709551615"', 2n ** 64n - 1n],
  ])("with %s for a body has it for other protocols too", (_what, body, kind, flat, value) => {
    const message = sent({ body });
    expect(message.content.bodyKind).toBe(kind);
    expect(message.flat.body.toString()).toBe(flat);
    expect(message.content.value).toEqual(value);
    expect(message.flat.content.contentType).toBe(
      ["map", "list", "value"].includes(kind) ? "application/json" : undefined,
    );
  });

  it("is text when its data is text by content type, or by what JMS says, and is UTF-8", () => {
    const body = rhea.message.data_section(Buffer.from("ab"));
    const broken = rhea.message.data_section(Buffer.from([0xff]));
    expect(sent({ content_type: "application/json", body }).content.bodyKind).toBe("text");
    expect(sent({ message_annotations: jms(5), body }).content.bodyKind).toBe("text");
    expect(sent({ message_annotations: jms(3), content_type: "text/plain", body }).content.bodyKind).toBe("bytes");
    expect(sent({ content_type: "text/plain", body: broken }).content.bodyKind).toBe("bytes");
  });

  it("asks to be delivered later, by any of the names there are", () => {
    const at = { deliverAt: NOW + 60, periodMs: undefined, repeats: 0, cron: undefined };
    expect(timing({ message_annotations: { "x-opt-delivery-delay": 60 } })).toEqual(at);
    expect(timing({ message_annotations: { "x-opt-delivery-time": new Date(NOW + 60) } })).toEqual(at);
    expect(timing({ application_properties: { AMQ_SCHEDULED_DELAY: "60" } })).toEqual(at);
    const recurring = { AMQ_SCHEDULED_PERIOD: 5, AMQ_SCHEDULED_REPEAT: -1 };
    expect(timing({ application_properties: recurring })).toEqual({
      ...at,
      deliverAt: undefined,
      periodMs: 5,
      repeats: -1,
    });
    const cron = { AMQ_SCHEDULED_CRON: "0 * * * *" };
    expect(timing({ application_properties: cron })).toEqual({ ...at, deliverAt: undefined, cron: "0 * * * *" });
  });

  it("is refused over a time that makes no sense", () => {
    expect(refused({ message_annotations: { "x-opt-delivery-delay": "soon" } })).toMatch(/no whole number/);
    expect(refused({ application_properties: { AMQ_SCHEDULED_REPEAT: 2 } })).toMatch(/expected AMQ_SCHEDULED_PERIOD/);
    const both = { "x-opt-delivery-delay": 5, "x-opt-delivery-time": new Date(NOW + 5) };
    expect(refused({ message_annotations: both })).toMatch(/both say when/);
  });

  it("belongs to a group and has an id, found without taking it apart", () => {
    const message = sent({ group_id: "g", group_sequence: 3, application_properties: { _AMQ_DUPL_ID: "d" }, body: "" });
    expect(message.traits).toBe(TRAIT.grouped | TRAIT.identified);
    expect(message.groupId).toBe("g");
    expect(message.duplicateId).toBe("d");
    expect(message.closesGroup).toBe(false);
    expect(sent({ group_id: "g", group_sequence: 0xffff_ffff, body: "" }).closesGroup).toBe(true);
    expect(sent({ group_id: "", body: "" }).traits).toBe(0);
  });

  it("is refused in somebody else's name", () => {
    const bytes = bytesOf("00 53 73 c0[02 40 a0 03'bob'] 00 53 77 40");
    expect(received(bytes, "bob").content.userId).toBe("bob");
    const error = refusal(() => received(bytes, "eve"));
    expect(error.condition).toBe("amqp:unauthorized-access");
    expect(error.message).toMatch(/is "bob"; expected "eve"/);
  });

  it("goes to AMQP 1.0 as it came, behind a header of this delivery", () => {
    const rest = bytesOf(
      "00 a3 1c'amqp:message-annotations:map' d1{00000002 a3 01'x' 81 0000000000000001} 00 53 73 c0[01 98 00112233445566778899aabbccddeeff]" +
        "00 53 75 a0 01'a' 00 53 75 b0{'b'} 00 53 78 c1[02 a3 01'f' 43]",
    );
    const header = bytesOf("00 53 70 c0[05 41 50 ff 70 00000064 40 52 09] 00 53 71 c1[02 a3 01'd' 43]");
    const message = received(Buffer.concat([header, rest]));
    const bytes = delivered(message, 2, NOW + 40);
    expect(bytes.subarray(-rest.length).equals(rest)).toBe(true);
    expect(bytes.subarray(0, -rest.length).toString("hex")).toBe(
      bytesOf("00 53 70 c0[05 41 50 09 70 0000003c 42 70 00000002]").toString("hex"),
    );
    const moved = Buffer.alloc(message.size + 5);
    message.data.copy(moved, 5, message.start, message.end);
    const { content } = message;
    message.relocate(moved, 5);
    expect(content.messageId).toBe("ID:AMQP_UUID:00112233-4455-6677-8899-aabbccddeeff");
    expect(delivered(message, 2, NOW + 40).equals(bytes)).toBe(true);
  });

  it("goes with the broker's annotations in place of those that it claims", () => {
    const claimed = { "x-opt-dead-letter-reason": "none", other: "kept" };
    const annotations = new Map<string, string | number>([
      ["dead_letter_reason", "rejected"],
      ["dead_letter_count", 2],
    ]);
    const message = sent({ message_id: "m", message_annotations: claimed, body: "b" }).with({ annotations });
    expect(read(message)).toMatchObject({
      message_id: "m",
      body: "b",
      message_annotations: { "x-opt-dead-letter-reason": "rejected", "x-opt-dead-letter-count": 2, other: "kept" },
    });
    expect(read(sent({ message_id: "m", body: "b" }).with({ annotations })).message_annotations).toEqual({
      "x-opt-dead-letter-reason": "rejected",
      "x-opt-dead-letter-count": 2,
    });
  });
});

describe("a message from elsewhere, for AMQP 1.0", () => {
  it("has all its fields", () => {
    const message = foreign(
      {
        messageId: "ID:AMQP_ULONG:7",
        correlationId: "c",
        replyTo: new Address("topic", ["r"]),
        subject: "s",
        contentType: "text/plain",
        contentEncoding: "identity",
        userId: "me",
        groupId: "g",
        groupSequence: -1,
        duplicateId: "d",
        bodyKind: "text",
        properties: new Map<string, string | number | null | boolean>([
          ["a", 1],
          ["b", "x"],
          ["c", null],
          ["d", 5e9],
          ["e", true],
        ]),
      },
      "grüß",
      { durable: true, priority: 2, expiresAt: NOW + 100 },
    );
    expect(read(message, 1, NOW + 1)).toEqual({
      durable: true,
      priority: 2,
      ttl: 99,
      first_acquirer: false,
      delivery_count: 1,
      message_annotations: { "x-opt-jms-msg-type": 5, "x-opt-jms-dest": 0, "x-opt-jms-reply-to": 1 },
      message_id: 7,
      user_id: Buffer.from("me"),
      to: "queue://orders",
      subject: "s",
      reply_to: "topic://r",
      correlation_id: "c",
      content_type: "text/plain",
      content_encoding: "identity",
      absolute_expiry_time: new Date(NOW + 100),
      creation_time: new Date(NOW),
      group_id: "g",
      group_sequence: 0xffff_ffff,
      application_properties: { "duplicate-id": "d", a: 1, b: "x", c: null, d: 5e9, e: true },
      body: "grüß",
    });
  });

  it("has its bytes as data, and what only claims to be text too", () => {
    expect(read(foreign({}, "ab")).body).toEqual(rhea.message.data_section(Buffer.from("ab")));
    const claimed = foreign({ bodyKind: "text" });
    claimed.data = Buffer.from([0xff]);
    claimed.bodyStart = 0;
    claimed.bodyEnd = 1;
    expect(read(claimed).body).toEqual(rhea.message.data_section(Buffer.from([0xff])));
  });

  it("has a structure where it has one", () => {
    const value = new Map<string, unknown>([["a", [1, "x", null]]]);
    expect(read(foreign({ bodyKind: "map", value }, "ignored")).body).toEqual({ a: [1, "x", null] });
  });

  it("is written once for all who get it at the same time", () => {
    const message = foreign({ subject: "s", bodyKind: "text" }, "body");
    message.shared = true;
    const first = delivered(message, 0);
    const { wire } = message;
    expect(delivered(message, 0).equals(first)).toBe(true);
    expect(message.wire).toBe(wire);
    expect(wire).toBeDefined();
  });

  it("carries the broker's annotations", () => {
    const message = foreign({}).with({ annotations: new Map([["dead_letter_reason", "expired"]]) });
    expect(read(message).message_annotations).toMatchObject({ "x-opt-dead-letter-reason": "expired" });
  });

  it("says nothing of an expiry that is further off than a ttl can say", () => {
    expect(read(foreign({}, "", { expiresAt: NOW + 2 ** 33 })).ttl).toBeUndefined();
  });
});

describe("message ids", () => {
  it.each<[string, Value, string]>([
    ["a text", "m-1", "m-1"],
    ["a ulong", new Scalar("ulong", 2n ** 64n - 1n), "ID:AMQP_ULONG:18446744073709551615"],
    ["a uuid", new Scalar("uuid", Buffer.alloc(16, 0xa1)), "ID:AMQP_UUID:a1a1a1a1-a1a1-a1a1-a1a1-a1a1a1a1a1a1"],
    ["bytes", Buffer.from([0, 0xaf]), "ID:AMQP_BINARY:00AF"],
  ])("that are %s are texts elsewhere, and the same again on their way back", (_what, value, text) => {
    expect(idText(value)).toBe(text);
    expect(idValue(text)).toEqual(value);
  });

  it.each([
    "ID:AMQP_ULONG:",
    "ID:AMQP_ULONG:01",
    "ID:AMQP_ULONG:18446744073709551616",
    "ID:AMQP_UUID:x",
    "ID:AMQP_BINARY:0a",
  ])("that only look so stay texts: %s", (text) => {
    expect(idValue(text)).toBe(text);
  });
});

it("messages are stored under a name that never changes", () => {
  expect(amqp10Format.name).toBe("amqp10");
});

function pick(content: Content): object {
  const { messageId, correlationId, replyTo, subject, contentType, contentEncoding, userId, groupId, groupSequence } =
    content;
  return { messageId, correlationId, replyTo, subject, contentType, contentEncoding, userId, groupId, groupSequence };
}
