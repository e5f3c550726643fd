import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { Address } from "../../core/addresses/address.ts";
import { type Annotation, Message, type WireFormat } from "../../core/message.ts";
import type { Version } from "../../protocols/stomp/escape.ts";
import { delivery, stored, World } from "./fake-core.ts";

const HEADERS = "message-id:m\ndestination:/queue/a";

async function delivered(message: Message, version: Version, more = "", deliveries = 0): Promise<string> {
  const connection = await new World().connect(version);
  const { consumer } = connection.subscribe(`id:1\ndestination:/queue/a${more}`);
  consumer.deliver(message, more === "" ? undefined : delivery(deliveries), deliveries);
  return connection.raw().toString();
}

function annotated(message: Message, annotations: Record<string, Annotation>): Message {
  return message.with({ annotations: new Map(Object.entries(annotations)) });
}

const DEAD = {
  dead_letter_reason: "rejected",
  dead_letter_origin: "queue:orders.eu",
  dead_letter_deliveries: 5,
  odd: true,
};

describe("annotations of a message", () => {
  it("come behind the broker's other headers and before the stored ones", async () => {
    const message = annotated(stored(`${HEADERS}\nk:v`, "x", { expiresAt: 77 }), DEAD);
    expect(await delivered(message, "1.2", "\nack:client", 3)).toBe(
      "MESSAGE\nsubscription:1\nack:1-1\nredelivered:true\nredeliveries:3\nexpires:77\n" +
        "dead_letter_reason:rejected\ndead_letter_origin:queue\\corders.eu\ndead_letter_deliveries:5\nodd:true\n" +
        `${HEADERS}\nk:v\n\nx\0\n`,
    );
  });

  it("cannot be forged by the sender's headers", async () => {
    const forged = `${HEADERS}\ndead_letter_reason:forged\nk:v\nodd:forged\ndead_letter_reason:again`;
    const text = await delivered(annotated(stored(forged), DEAD), "1.2");
    expect(text).not.toMatch(/forged|again/);
    expect(text.match(/dead_letter_reason:/g)?.length).toBe(1);
    expect(text).toContain("\nk:v\n");
  });

  it.each<[Version, string]>([
    ["1.2", "why:a\\cb\\\\\\n\\r\n"],
    ["1.1", "why:a\\cb\\\\\\n\r\n"],
    ["1.0", "why:a:b\\\\n\r\n"],
  ])("are spelled as %s does", async (version, expected) => {
    const message = annotated(stored(HEADERS), { why: "a:b\\\n\r" });
    expect(await delivered(message, version)).toBe(`MESSAGE\nsubscription:1\n${expected}${HEADERS}\n\n\0\n`);
  });

  it("are told of a large message too", async () => {
    const text = await delivered(annotated(stored(HEADERS, "y".repeat(40_000)), { n: 1 }), "1.2");
    expect(text).toBe(`MESSAGE\nsubscription:1\nn:1\n${HEADERS}\n\n${"y".repeat(40_000)}\0\n`);
  });

  it("are in the encoding that several consumers share", async () => {
    const world = new World();
    const message = annotated(stored(`${HEADERS}\nn:forged`, "x"), { n: 1 });
    message.shared = true;
    for (let i = 0; i < 2; i++) {
      const connection = await world.connect();
      connection.subscribe("id:0\ndestination:/topic/a").consumer.deliver(message, undefined, 0);
      expect(connection.raw().toString()).toBe(`MESSAGE\nsubscription:0\nn:1\n${HEADERS}\n\nx\0\n`);
    }
    expect(message.wire).toBeDefined();
  });

  it("are told of messages of other protocols, whose properties cannot forge them either", async () => {
    const format: WireFormat = {
      name: "other",
      open: () => ({
        messageId: "id",
        correlationId: undefined,
        replyTo: undefined,
        subject: undefined,
        contentType: undefined,
        contentEncoding: undefined,
        userId: undefined,
        groupId: undefined,
        groupSequence: undefined,
        duplicateId: "once",
        bodyKind: "bytes",
        properties: new Map([
          ["dead_letter_reason", "forged"],
          ["JMSXGroupFirstForConsumer", "forged"],
          ["browser", "end"],
          ["k", "v"],
        ]),
      }),
    };
    const address = new Address("queue", ["a"]);
    const envelope = { address, durable: false, priority: 7, expiresAt: 0, receivedAt: 5 };
    const message = annotated(new Message(format, envelope, Buffer.from("x"), 0, 1, 0, 1), DEAD);
    const lines = (await delivered(message, "1.2")).split("\n");
    expect(lines.slice(2, 7)).toEqual([
      "dead_letter_reason:rejected",
      "dead_letter_origin:queue\\corders.eu",
      "dead_letter_deliveries:5",
      "odd:true",
      "message-id:id",
    ]);
    expect(lines.slice(7).sort()).toEqual(
      [
        "",
        "",
        "content-length:1",
        "destination:/queue/a",
        "duplicate-id:once",
        "k:v",
        "priority:7",
        "timestamp:5",
        "x\0",
      ].sort(),
    );
  });

  it("come out as they were, whatever is in them", async () => {
    const name = fc.stringMatching(/^[a-z_:\\]{1,12}$/);
    // A line feed or a NUL has no spelling in every version, so 1.2 is asked; a NUL is left out there.
    const value = fc.oneof(fc.string({ unit: "binary" }), fc.integer(), fc.boolean());
    await fc.assert(
      fc.asyncProperty(fc.dictionary(name, value, { maxKeys: 5, noNullPrototype: true }), async (annotations) => {
        const connection = await new World().connect();
        const { consumer } = connection.subscribe("id:1\ndestination:/queue/a");
        consumer.deliver(annotated(stored(`${HEADERS}\nlast:1`), annotations), undefined, 0);
        const found = connection.read()[0]?.headers.slice(1) ?? [];
        const expected = Object.entries(annotations).map(([key, told]) => [key, String(told).replaceAll("\0", "")]);
        const kept = [
          ["message-id", "m"],
          ["destination", "/queue/a"],
          ["last", "1"],
        ].filter(([key]) => key === undefined || !(key in annotations));
        expect(found).toEqual([...expected, ...kept]);
      }),
      { numRuns: 100 },
    );
  });
});
