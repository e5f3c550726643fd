import type { Output } from "../../core/output.ts";

/** Writes a basic.ack: what the client sent up to here, or this, is safe. */
export function writeAck(output: Output, channel: number, deliveryTag: number, multiple: boolean): void {
  throw new Error(String([output, channel, deliveryTag, multiple]));
}

/** Writes a basic.nack: the broker did not take it. */
export function writeNack(output: Output, channel: number, deliveryTag: number, multiple: boolean): void {
  throw new Error(String([output, channel, deliveryTag, multiple]));
}

/** Writes a heartbeat. */
export function writeHeartbeat(output: Output): void {
  throw new Error(String(output));
}
