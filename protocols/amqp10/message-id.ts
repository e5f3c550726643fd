/*
 * message-id and correlation-id (amqp10 3.2.11 to 3.2.14) as texts, by the prefixes of the JMS mapping (AMQP JMS 3.2.1.1):
 *
 *     string   as it is             ulong    ID:AMQP_ULONG:42
 *     uuid     ID:AMQP_UUID:...     binary   ID:AMQP_BINARY:0AFF
 */
import { Scalar, uuidText, type Value } from "./values.ts";

const ULONG = "ID:AMQP_ULONG:";
const UUID = "ID:AMQP_UUID:";
const BINARY = "ID:AMQP_BINARY:";
const MOST_ULONG = 2n ** 64n - 1n;

/** The text of an id; undefined for what is none. */
export function idText(value: Value): string | undefined {
  if (typeof value === "string") return value;
  if (value instanceof Uint8Array) return BINARY + Buffer.from(value).toString("hex").toUpperCase();
  if (!(value instanceof Scalar)) return undefined;
  if (value.type === "ulong") return ULONG + value.value.toString();
  return value.type === "uuid" && value.value instanceof Uint8Array ? UUID + uuidText(value.value) : undefined;
}

/** The id that a text says: of the type that its prefix names, if it has one. */
export function idValue(text: string): Value {
  if (text.startsWith(ULONG)) {
    const digits = text.slice(ULONG.length);
    const number = /^\d{1,20}$/.test(digits) ? BigInt(digits) : undefined;
    if (number !== undefined && number <= MOST_ULONG && number.toString() === digits)
      return new Scalar("ulong", number);
  } else if (text.startsWith(UUID)) {
    const hex = text.slice(UUID.length);
    if (/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(hex)) {
      return new Scalar("uuid", Buffer.from(hex.replaceAll("-", ""), "hex"));
    }
  } else if (text.startsWith(BINARY)) {
    const hex = text.slice(BINARY.length);
    if (/^([0-9A-F]{2})*$/.test(hex)) return Buffer.from(hex, "hex");
  }
  return text;
}
