import { varintSize, writeVarint } from "./bytes.ts";
import type { ReasonCode, Version } from "./errors.ts";
import { encodeProperties, type Properties } from "./property-writer.ts";

/** The packets of a server that are not frequent. */
export type Statement =
  | {
      readonly type: "connack";
      readonly sessionPresent: boolean;
      readonly code: number;
      readonly properties?: Properties;
    }
  | {
      readonly type: "suback" | "unsuback";
      readonly packetId: number;
      readonly codes: readonly number[];
      readonly properties?: Properties;
    }
  | { readonly type: "disconnect" | "auth"; readonly code: ReasonCode; readonly properties?: Properties };

/** The first bytes, with the flags that each type must have. */
const HEADS = { connack: 0x20, suback: 0x90, unsuback: 0xb0, disconnect: 0xe0, auth: 0xf0 } as const;

/**
 * The packet that says this; the code of a CONNACK is a return code in 3.1 and 3.1.1 and a reason code in 5.0, where alone
 * a server says DISCONNECT or AUTH. Reason string and user properties are left out where the packet would have more than
 * `maxPacketBytes`; undefined when it has more even so, and may not be sent [MQTT-3.1.2-24].
 */
export function encodeStatement(
  statement: Statement,
  version: Version,
  maxPacketBytes: number = Number.POSITIVE_INFINITY,
): Buffer | undefined {
  if (version !== 5) return encode(statement, undefined);
  const { properties = {} } = statement;
  const bytes = encode(statement, encodeProperties(properties));
  if (bytes.length <= maxPacketBytes) return bytes;
  // [MQTT-3.2.2-19] [MQTT-3.2.2-20] and their like for the other packets.
  const fewer = { ...properties, reasonString: undefined, userProperties: undefined };
  const short = encode(statement, encodeProperties(fewer));
  return short.length <= maxPacketBytes ? short : undefined;
}

/** `properties` are written, without their length; undefined before 5.0, where there are none. */
function encode(statement: Statement, properties: Buffer | undefined): Buffer {
  const before = fieldsBefore(statement);
  const after = codesBehind(statement, properties !== undefined);
  const propertyBytes = properties === undefined ? 0 : varintSize(properties.length) + properties.length;
  const remaining = before.length + propertyBytes + after.length;
  const bytes = Buffer.allocUnsafe(1 + varintSize(remaining) + remaining);
  bytes[0] = HEADS[statement.type];
  let at = writeVarint(bytes, 1, remaining);
  for (const byte of before) bytes[at++] = byte;
  if (properties !== undefined) {
    at = writeVarint(bytes, at, properties.length);
    at += properties.copy(bytes, at);
  }
  for (const byte of after) bytes[at++] = byte;
  return bytes;
}

/** What comes before the properties. */
function fieldsBefore(statement: Statement): readonly number[] {
  switch (statement.type) {
    case "connack":
      return [statement.sessionPresent ? 1 : 0, statement.code];
    case "suback":
    case "unsuback":
      return [statement.packetId >>> 8, statement.packetId & 0xff];
    case "disconnect":
    case "auth":
      return [statement.code];
  }
}

/** What comes behind the properties. Before 5.0 an UNSUBACK says nothing but its number (mqtt311 3.11). */
function codesBehind(statement: Statement, hasProperties: boolean): readonly number[] {
  if (statement.type === "suback") return statement.codes;
  return statement.type === "unsuback" && hasProperties ? statement.codes : [];
}
