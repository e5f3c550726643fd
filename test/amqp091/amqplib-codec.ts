import { createRequire } from "node:module";

/** What is used here of the codec inside amqplib, which it does not export. */
interface Definitions {
  decode(id: number, buffer: Buffer): Record<string, unknown>;
  encodeMethod(id: number, channel: number, fields: Record<string, unknown>): Buffer;
  encodeProperties(id: number, channel: number, size: number, fields: Record<string, unknown>): Buffer;
  info(id: number): {
    readonly name: string;
    readonly args: readonly { readonly name: string; readonly type: string }[];
  };
  readonly BasicProperties: number;
}

interface Tables {
  encodeTable(buffer: Buffer, value: Record<string, unknown>, offset: number): number;
  decodeFields(slice: Buffer): Record<string, unknown>;
}

const require = createRequire(import.meta.url);

/** Methods and properties as amqplib reads and writes them. */
export const definitions: Definitions = require("../../node_modules/amqplib/lib/defs.js");

/** Field tables as amqplib reads and writes them. */
export const tables: Tables = require("../../node_modules/amqplib/lib/codec.js");
