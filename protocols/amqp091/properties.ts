import type { FieldTable } from "./field-table.ts";

/** The properties of a content header of class basic; absent ones are undefined. */
export interface BasicProperties {
  readonly contentType?: string | undefined;
  readonly contentEncoding?: string | undefined;
  readonly headers?: FieldTable | undefined;
  readonly deliveryMode?: number | undefined;
  readonly priority?: number | undefined;
  readonly correlationId?: string | undefined;
  readonly replyTo?: string | undefined;
  /** Milliseconds, as a text. */
  readonly expiration?: string | undefined;
  readonly messageId?: string | undefined;
  /** Seconds since 1970. */
  readonly timestamp?: number | undefined;
  readonly type?: string | undefined;
  readonly userId?: string | undefined;
  readonly appId?: string | undefined;
  readonly clusterId?: string | undefined;
}

/** Reads property flags and properties in `data[start, end)`. Throws `AmqpError` SYNTAX_ERROR. */
export function decodeProperties(data: Buffer, start: number, end: number): BasicProperties {
  throw new Error(String([data, start, end]));
}

/** Property flags and properties as bytes. */
export function encodeProperties(properties: BasicProperties): Buffer {
  throw new Error(String(properties));
}
