import { BrokerError, type ErrorCode } from "../../core/errors.ts";
import { encodeFrame } from "./codec.ts";
import type { Version } from "./escape.ts";

/** STOMP has no codes: what the body of an ERROR frame begins with. */
const TITLES: Readonly<Record<ErrorCode, string>> = {
  "bad-request": "The request was refused",
  "bad-address": "The destination is not valid",
  "bad-selector": "The selector is not valid",
  "not-found": "Not found",
  "not-authenticated": "Login failed",
  "not-authorized": "Not allowed",
  "in-use": "In use",
  exclusive: "In exclusive use",
  limit: "A limit was reached",
  throttled: "Too often or too much; try again later",
  full: "The destination is full and takes no more",
  "too-large": "Too large",
  conflict: "In conflict with what exists",
  "shutting-down": "The broker is stopping",
  internal: "The broker failed",
};

/** What went wrong, for the body of an ERROR frame. */
export function explain(error: unknown): string {
  if (error instanceof BrokerError) return `${TITLES[error.code]}: ${error.message}\n`;
  return error instanceof Error ? `${error.message}\n` : "The broker failed\n";
}

/** An ERROR frame. Before a version was agreed on it lists those that are spoken. */
export function encodeError(
  message: string,
  body: string,
  spelledReceipt: string | undefined,
  version: Version | undefined,
): Buffer {
  const bytes = Buffer.from(body);
  const headers: [string, string][] = [
    ["message", message.replace(/[\r\n]+/g, " ")],
    // With its charset: stompit crashes over an ERROR of plain "text/plain" with a length.
    ["content-type", "text/plain;charset=utf-8"],
    ["content-length", String(bytes.length)],
  ];
  if (version === undefined) headers.push(["version", "1.0,1.1,1.2"]);
  const frame = encodeFrame("ERROR", headers, bytes, version);
  if (spelledReceipt === undefined) return frame;
  // The id goes back as it came, so it must not be escaped once more.
  return Buffer.concat([
    Buffer.from(`ERROR\nreceipt-id:${spelledReceipt}\n`, "latin1"),
    frame.subarray("ERROR\n".length),
  ]);
}
