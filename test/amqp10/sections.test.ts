import { describe, expect, it } from "vitest";
import { Sections } from "../../protocols/amqp10/sections.ts";
import { bytesOf, refusal } from "./reading.ts";

const HEADER = "00 53 70 c0[05 41 50 07 70 000003e8 41 43]";
const DELIVERY = "00 53 71 c1[02 a3 01'd' 43]";
const MESSAGE = "00 53 72 c1[04 a3 14'x-opt-delivery-delay' 52 05 a3 01'm' 43]";
const PROPERTIES = "00 53 73 c0[03 a1 02'id' 40 a1 01'q']";
const APPLICATION = "00 53 74 c1[02 a1 0c'duplicate-id' a1 01'x']";
const DATA = "00 53 75 a0 04'body'";
const SEQUENCE = "00 53 76 c0[01 43]";
const VALUE = "00 53 77 a1 04'body'";
const FOOTER = "00 53 78 c1[02 a3 01'f' 43]";

function scan(text: string): Sections {
  const bytes = bytesOf(text);
  // Not at the beginning of its buffer.
  const data = Buffer.concat([Buffer.alloc(9, 0xff), bytes, Buffer.alloc(3, 0xff)]);
  const sections = new Sections();
  sections.scan(data, 9, 9 + bytes.length);
  return sections;
}

describe("the sections of a message", () => {
  it("are all found, and what is for one hop is left out", () => {
    const sections = scan([HEADER, DELIVERY, MESSAGE, PROPERTIES, APPLICATION, DATA, FOOTER].join(" "));
    const from = (start: number, end: number): string => sections.data.toString("hex", start, end);
    const { durable, priority, ttl, body, bodySections } = sections;
    expect({ durable, priority, ttl, body, bodySections }).toEqual({
      durable: true,
      priority: 7,
      ttl: 1000,
      body: "data",
      bodySections: 1,
    });
    const rest = bytesOf([MESSAGE, PROPERTIES, APPLICATION, DATA, FOOTER].join(" "));
    expect(from(sections.start, sections.end)).toBe(rest.toString("hex"));
    expect(from(sections.bodyStart, sections.bodyEnd)).toBe(bytesOf(DATA).toString("hex"));
    expect(from(sections.propertiesStart, sections.propertiesEnd)).toBe(bytesOf(PROPERTIES).toString("hex"));
    expect(sections.known("duplicate-id")).toBe("x");
    expect(sections.read(sections.propertyAt[0] ?? 0)).toBe("id");
    expect(sections.propertyAt[1]).toBe(0);
    expect(sections.read(sections.propertyAt[2] ?? 0)).toBe("q");
  });

  it("have defaults where they are not there", () => {
    const { durable, priority, ttl, body, hasKnown } = scan("");
    expect({ durable, priority, ttl, body, hasKnown }).toEqual({
      durable: false,
      priority: 4,
      ttl: -1,
      body: "none",
      hasKnown: false,
    });
  });

  it("know nothing of the message before", () => {
    const sections = scan([HEADER, MESSAGE, PROPERTIES, DATA].join(" "));
    const next = bytesOf(VALUE);
    sections.scan(next, 0, next.length);
    expect(sections).toMatchObject({
      durable: false,
      ttl: -1,
      hasKnown: false,
      body: "value",
      messageAnnotationsAt: 0,
    });
    expect(sections.known("x-opt-delivery-delay")).toBeNull();
    expect(sections.propertyAt.every((at) => at === 0)).toBe(true);
  });

  it("may be described by their names, and by numbers in eight bytes", () => {
    const named = "00 a3 10'amqp:header:list' 45";
    const { durable, body, bodySections } = scan(`${named} 00 80 0000000000000075 a0 01'x' ${DATA}`);
    expect({ durable, body, bodySections }).toEqual({ durable: false, body: "data", bodySections: 2 });
  });

  it("have a priority above nine as nine", () => {
    expect(scan("00 53 70 c0[02 40 50 ff]").priority).toBe(9);
  });

  it.each([
    ["in another order", `${PROPERTIES} ${MESSAGE}`, /message-annotations cannot stand behind properties/],
    ["that come twice", `${HEADER} ${HEADER}`, /header cannot stand behind header/],
    ["with two values", `${VALUE} ${VALUE}`, /amqp-value cannot stand behind amqp-value/],
    ["with data and a sequence", `${DATA} ${SEQUENCE}`, /amqp-sequence cannot stand behind data/],
    ["behind the footer", `${FOOTER} ${DATA}`, /data cannot stand behind footer/],
    ["that are none", "00 53 79 45", /no section/],
    ["that are not described", "a1 01'x'", /no section/],
    ["of another type", "00 53 74 45", /application-properties of a message is no map/],
    ["with data that is a text", "00 53 75 a1 01'x'", /data of a message is no binary/],
    ["with a sequence that is none", "00 53 76 43", /amqp-sequence of a message is no list/],
    ["with properties that are a map", "00 53 73 c1[00]", /properties of a message is no list/],
    ["with too many properties", `00 53 73 c0[0e ${"40".repeat(14)}]`, /14 fields; expected 13/],
    ["with a header of too many fields", "00 53 70 c0[06 40 40 40 40 40 40]", /6 fields; expected 5/],
    ["with a priority that is a text", "00 53 70 c0[02 40 a1 00]", /priority is no ubyte/],
    ["that are cut off", "00 53 75 a0 05'body'", /needs 5 bytes where 4/],
    ["with a value of no type", "00 53 77 46", /0x46/],
    ["with a list that is broken inside", "00 53 77 c0[02 43 46]", /0x46/],
  ])("%s are refused", (_what, text, message) => {
    const error = refusal(() => scan(text));
    expect(error.message).toMatch(message);
    expect(error.condition).toBe("amqp:decode-error");
  });

  it("that are cut anywhere are refused, or are fewer", () => {
    const whole = bytesOf([HEADER, DELIVERY, MESSAGE, PROPERTIES, APPLICATION, DATA].join(" "));
    let scanned = 0;
    const sections = new Sections();
    for (let end = 0; end < whole.length; end++) {
      try {
        sections.scan(whole, 0, end);
        scanned++;
      } catch (error) {
        expect(error).toHaveProperty("condition", "amqp:decode-error");
      }
    }
    expect(scanned).toBe(6);
  });
});
