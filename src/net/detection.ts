import type { Protocol } from "../../core/protocol.ts";

const GET = Buffer.from("GET ");
/** A handshake record of any version of TLS. */
const TLS_HELLO = Buffer.from([0x16, 0x03]);
/** How much of what was not understood the log shows. */
const SHOWN_BYTES = 16;

/** What lies below the protocol: TLS, HTTP, neither (false), or too few bytes to say (undefined). */
export function detectCarrier(head: Uint8Array): "http" | "tls" | false | undefined {
  const http = startsWith(head, GET);
  if (http === true) return "http";
  const tls = startsWith(head, TLS_HELLO);
  if (tls === true) return "tls";
  return http === undefined || tls === undefined ? undefined : false;
}

/** The first of the protocols that recognises these first bytes, none of them (false), or too few bytes to say (undefined). */
export function detectProtocol(protocols: readonly Protocol[], head: Uint8Array): Protocol | false | undefined {
  let open = false;
  for (const protocol of protocols) {
    const recognized = protocol.recognizes(head);
    if (recognized === true) return protocol;
    // A protocol that still cannot say after the bytes it asked for does not get to keep the others waiting.
    if (recognized === undefined && head.length < protocol.recognitionBytes) open = true;
  }
  return open ? undefined : false;
}

/** Why a connection is closed whose protocol stayed unknown. */
export function unrecognised(head: Uint8Array, protocols: readonly Protocol[]): string {
  const spoken = protocols.map((protocol) => protocol.name).join(", ");
  if (head.length === 0) return `no protocol recognised: no byte came; this listener speaks ${spoken}`;
  const shown = Buffer.from(head.subarray(0, SHOWN_BYTES)).toString("hex");
  return `no protocol recognised in the first bytes (${shown}); this listener speaks ${spoken}`;
}

function startsWith(head: Uint8Array, prefix: Uint8Array): boolean | undefined {
  const length = Math.min(head.length, prefix.length);
  for (let at = 0; at < length; at++) if (head[at] !== prefix[at]) return false;
  return length === prefix.length ? true : undefined;
}
