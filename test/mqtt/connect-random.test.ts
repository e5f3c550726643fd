import fc from "fast-check";
import { generate, type IConnectPacket } from "mqtt-packet";
import { describe, expect, it } from "vitest";
import { Decoder } from "../../protocols/mqtt/codec.ts";
import type { Connect } from "../../protocols/mqtt/packet.ts";

const text = fc.string({ unit: "grapheme", maxLength: 40 }).filter((some) => !some.includes("\0"));
const topic = text.filter((some) => some !== "" && !/[#+]/.test(some));
const bytes = fc.uint8Array({ maxLength: 40 }).map((some) => Buffer.from(some));
const qos = fc.constantFrom(0 as const, 1 as const, 2 as const);

const will = fc.record({ topic, payload: bytes, qos, retain: fc.boolean() });
// `mqtt-packet` has no empty user name, and takes an empty password for none.
const login = fc.record(
  { username: text.filter((some) => some !== ""), password: bytes.filter(({ length }) => length > 0) },
  { requiredKeys: ["username"] },
);

function connect(version: 3 | 4 | 5) {
  return (
    fc
      .record(
        { clientId: text, clean: fc.boolean(), keepalive: fc.nat({ max: 0xffff }), will, login },
        { requiredKeys: ["clientId", "clean", "keepalive"] },
      )
      // Such a one is for nobody to write.
      .filter(({ clientId, clean }) => clientId !== "" || (clean && version !== 3))
      .map(
        ({ login: given, ...rest }): IConnectPacket => ({
          cmd: "connect",
          protocolId: version === 3 ? "MQIsdp" : "MQTT",
          protocolVersion: version,
          ...rest,
          ...given,
        }),
      )
  );
}

function read(data: Buffer): Connect {
  const decoder = new Decoder({ maxPacketBytes: 1 << 20, maxConnectBytes: 1 << 20 });
  decoder.feed(data);
  const control = decoder.next()?.control;
  if (control?.type !== "connect") throw new Error("no CONNECT");
  return control;
}

describe("a CONNECT", () => {
  it.each([3, 4, 5] as const)("that mqtt-packet wrote is read as it was meant, version %d", (version) => {
    fc.assert(
      fc.property(connect(version), (packet) => {
        const { clientId, cleanStart, keepAlive, username, password, will: last } = read(generate(packet));
        expect({ clientId, clean: cleanStart, keepalive: keepAlive, username, password }).toEqual({
          clientId: packet.clientId,
          clean: packet.clean,
          keepalive: packet.keepalive,
          username: packet.username,
          password: packet.password,
        });
        const { topic: to, payload, qos: quality, retain } = last ?? {};
        expect(last === undefined ? undefined : { topic: to, payload, qos: quality, retain }).toEqual(packet.will);
      }),
    );
  });
});
