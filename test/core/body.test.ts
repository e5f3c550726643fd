import { describe, expect, it } from "vitest";
import { Address } from "../../core/addresses/address.ts";
import { encodeBody } from "../../core/body.ts";
import { type Content, Message, type WireFormat } from "../../core/message.ts";

const ABSENT = { messageId: undefined, correlationId: undefined, replyTo: undefined, subject: undefined } as const;
const NONE = { contentEncoding: undefined, userId: undefined, groupId: undefined, groupSequence: undefined } as const;

function message(body: Pick<Content, "bodyKind" | "value">, structured = true): Message {
  const content: Content = { ...ABSENT, ...NONE, contentType: "x/y", properties: new Map([["a", 1]]), ...body };
  const format: WireFormat = { name: "some", structured, open: () => content };
  const fields = { address: new Address("queue", ["q"]), durable: true, priority: 7, expiresAt: 5, receivedAt: 1 };
  return new Message(format, fields, Buffer.from("<raw>"), 0, 5, 1, 4);
}

describe("a structured body, for protocols whose bodies are bytes", () => {
  it("is JSON", () => {
    const value = new Map<unknown, unknown>([
      ["list", [1, 1.5, true, null, "é"]],
      [7, new Map([["far", 2n ** 60n]])],
      ["at", new Date(0)],
      ["bytes", Buffer.from([1, 2, 255])],
      ["none", Number.NaN],
      ["strange", () => 1],
    ]);
    expect(JSON.parse(encodeBody(value).toString())).toEqual({
      list: [1, 1.5, true, null, "é"],
      7: { far: "1152921504606846976" },
      at: "1970-01-01T00:00:00.000Z",
      bytes: "AQL/",
      none: null,
      strange: null,
    });
  });

  it("ends somewhere, however deep it is", () => {
    let value: unknown = 1;
    for (let i = 0; i < 100_000; i++) value = [value];
    expect(encodeBody(value).length).toBeLessThan(1000);
  });

  it("comes with its content type, and everything else as it was", () => {
    const given = message({ bodyKind: "map", value: new Map([["k", 1]]) });
    const { flat } = given;
    expect(flat.body.toString()).toBe('{"k":1}');
    expect(flat.content).toMatchObject({ contentType: "application/json", bodyKind: "text" });
    expect(flat.content.properties).toBe(given.content.properties);
    expect(flat).toMatchObject({ durable: true, priority: 7, expiresAt: 5, receivedAt: 1, address: given.address });
    expect(given.flat).toBe(flat);
  });

  it("keeps the broker's annotations", () => {
    const annotations = new Map([["dead_letter_reason", "rejected"]]);
    const given = message({ bodyKind: "value", value: null }).with({ annotations });
    expect(given.flat.annotations).toEqual(annotations);
    expect(given.flat.body.toString()).toBe("null");
  });

  it("of bytes in pieces is those bytes, of the type they had", () => {
    const { flat } = message({ bodyKind: "bytes", value: Buffer.from("whole") });
    expect(flat.body.toString()).toBe("whole");
    expect(flat.content).toMatchObject({ contentType: "x/y", bodyKind: "bytes" });
  });

  it("does not concern messages whose bytes are their body", () => {
    const bytes = message({ bodyKind: "text" });
    expect(bytes.flat).toBe(bytes);
    const unopened = message({ bodyKind: "map", value: 1 }, false);
    expect(unopened.flat).toBe(unopened);
  });
});
