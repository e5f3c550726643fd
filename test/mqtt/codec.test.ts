import { describe, expect, it } from "vitest";
import { Decoder } from "../../protocols/mqtt/codec.ts";
import { MqttError } from "../../protocols/mqtt/errors.ts";
import { ACK_ROWS, bytesOf, CONNECT_ROWS, CONTROL_ROWS, PUBLISH_ROWS, type Row } from "./codec-table.ts";
import { cuttings, LIMITS, pieces, readPackets } from "./reading.ts";

function refusal(read: () => unknown): MqttError {
  try {
    read();
  } catch (error) {
    if (error instanceof MqttError) return error;
    throw error;
  }
  throw new Error("nothing was refused");
}

const publish = (payloadBytes: number): Buffer => {
  const remaining = 3 + payloadBytes;
  const head = [0x30, (remaining & 127) | 128, ((remaining >> 7) & 127) | 128, (remaining >> 14) | 128, 0, 0, 1, 97];
  return Buffer.concat([Buffer.from(head), Buffer.alloc(payloadBytes, "x")]);
};

function itReads(row: Row): void {
  const { what, version, packets, error } = row;
  it(`${what}, however the bytes are cut${version === undefined ? "" : ` (level ${version})`}`, () => {
    for (const chunks of cuttings(bytesOf(row))) {
      const read = () => readPackets(chunks, version);
      if (error === undefined) {
        expect(read()).toEqual(packets);
      } else {
        const refused = refusal(read);
        expect(refused.message).toMatch(error[1]);
        expect(refused.reasonCode).toBe(error[0]);
      }
    }
  });
}

describe("the MQTT decoder", () => {
  for (const [section, rows] of Object.entries({ CONNECT_ROWS, PUBLISH_ROWS, ACK_ROWS, CONTROL_ROWS })) {
    describe(section.slice(0, section.indexOf("_")).toLowerCase(), () => {
      for (const row of rows) itReads(row);
    });
  }

  it("tells which version a CONNECT asked for although the rest of it was refused", () => {
    const decoder = new Decoder(LIMITS);
    decoder.feed(Buffer.from("101000044d5154540503003c032100010000", "hex"));
    expect(refusal(() => decoder.next()).reasonCode).toBe(0x81);
    expect(decoder.askedVersion).toBe(5);
  });

  it("reads many chunks that came before the first was taken apart, in their order", () => {
    const decoder = new Decoder(LIMITS);
    decoder.agree(4);
    const bytes = Buffer.concat([1, 22, 333].map((size) => publish(size)));
    for (const chunk of pieces(bytes, 3)) decoder.feed(chunk);
    const lengths: number[] = [];
    for (let packet = decoder.next(); packet !== undefined; packet = decoder.next()) {
      lengths.push(packet.payloadEnd - packet.payloadStart);
      if (lengths.length === 1) decoder.feed(publish(4444));
    }
    expect(lengths).toEqual([1, 22, 333, 4444]);
    expect(decoder.idle).toBe(true);
  });

  it("takes a chunk that comes when the one before is just used up and others wait, in order", () => {
    const decoder = new Decoder(LIMITS);
    decoder.agree(4);
    decoder.feed(publish(1));
    decoder.feed(publish(2));
    const first = decoder.next();
    const lengths = [first === undefined ? 0 : first.payloadEnd - first.payloadStart];
    decoder.feed(publish(3));
    for (let packet = decoder.next(); packet !== undefined; packet = decoder.next()) {
      lengths.push(packet.payloadEnd - packet.payloadStart);
    }
    expect(lengths).toEqual([1, 2, 3]);
  });

  it("keeps the bytes of a packet when the next one is read", () => {
    const decoder = new Decoder(LIMITS);
    decoder.agree(4);
    const bytes = Buffer.concat([Buffer.from([0x30, 8, 0, 1, 97]), Buffer.from("first"), Buffer.from([0x30, 9, 0, 1])]);
    decoder.feed(bytes.subarray(0, 7));
    expect(decoder.next()).toBeUndefined();
    decoder.feed(bytes.subarray(7));
    const { data, payloadStart, payloadEnd } = decoder.next() ?? {};
    expect(decoder.next()).toBeUndefined();
    decoder.feed(Buffer.from("asecond"));
    decoder.next();
    expect(data?.toString("latin1", payloadStart, payloadEnd)).toBe("first");
  });

  it("carries over only what belongs to a packet, and copies a large one only a few times", () => {
    const decoder = new Decoder({ maxPacketBytes: 100_000_000, maxConnectBytes: 1000 });
    decoder.agree(4);
    const large = publish(2_000_000);
    decoder.feed(Buffer.concat([publish(10), large.subarray(0, 10)]));
    expect(decoder.next()?.type).toBe("publish");
    for (let at = 10; at < large.length; at += 1000) {
      expect(decoder.next()).toBeUndefined();
      decoder.feed(large.subarray(at, at + 1000));
    }
    const packet = decoder.next();
    expect(packet?.data.length).toBe(large.length);
    expect(packet?.data.equals(large)).toBe(true);
  });

  it("gives a large packet no more room than about twice what came of it", () => {
    const before = process.memoryUsage().arrayBuffers;
    const parts = Array.from({ length: 50 }, () => {
      const each = new Decoder({ maxPacketBytes: 300_000_000, maxConnectBytes: 1000 });
      each.agree(4);
      each.feed(Buffer.from([0x30, 0xff, 0xff, 0xff, 0x7f, 0, 1, 97]));
      expect(each.next()).toBeUndefined();
      return each;
    });
    expect(parts.length).toBe(50);
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(50 * 80 * 1024);
  });

  it("keeps nothing of the chunk once all of it was read", () => {
    const decoder = new Decoder(LIMITS);
    decoder.agree(4);
    decoder.feed(Buffer.concat([publish(10), Buffer.from([0x30])]));
    decoder.next();
    decoder.next();
    expect(decoder.packet.data.length).toBe(0);
    expect(decoder.idle).toBe(false);
  });
});
