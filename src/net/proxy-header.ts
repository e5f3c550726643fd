/*
 * The header of the PROXY protocol, which a proxy sends before anything else, TLS included:
 *
 *     1:  PROXY TCP4 203.0.113.7 192.0.2.1 50312 1883\r\n          at most 107 bytes; or PROXY UNKNOWN ... \r\n
 *     2:  \r\n\r\n\0\r\nQUIT\n | version, command | family | length (16 bits) | addresses, ports, extensions
 *
 * Extensions are passed over. Who asks the proxy itself for its health (LOCAL), or has no address to tell, stays who it is.
 */
import { isIPv4, isIPv6 } from "node:net";
import { unmapped } from "./address-set.ts";

const SIGNATURE_1 = Buffer.from("PROXY ");
const SIGNATURE_2 = Buffer.from("\r\n\r\n\0\r\nQUIT\n", "latin1");
/** Section 2.1 of the specification. */
const MOST_BYTES_1 = 107;
const FIXED_BYTES_2 = 16;
/** The specification lets extensions have 64 KiB; what proxies send of them is some hundred bytes. */
const MOST_BYTES_2 = 4096;

const COMMAND_LOCAL = 0x0;
const COMMAND_PROXY = 0x1;
const FAMILY_IPV4 = 0x1;
const FAMILY_IPV6 = 0x2;
/** An address and a port of each end. */
const IPV4_BYTES = 12;
const IPV6_BYTES = 36;

/** Where a proxy says that a connection comes from, and where it went. */
interface ProxiedEnds {
  /** `203.0.113.7:50312` */
  readonly remote: string;
  readonly local: string;
}

/** What the first bytes of a connection are. */
export type ProxyHeader =
  /** No header: the connection begins with these bytes. */
  | { readonly is: "absent" }
  /** A header of so many bytes; without ends, the connection is the proxy's own. */
  | { readonly is: "header"; readonly length: number; readonly ends: ProxiedEnds | undefined }
  /** What begins like a header and is none. */
  | { readonly is: "broken"; readonly reason: string };

/** Reads the header at the beginning of a connection; undefined asks for more bytes. */
export function readProxyHeader(head: Buffer): ProxyHeader | undefined {
  const first = beginsWith(head, SIGNATURE_1);
  if (first === true) return readText(head);
  const second = beginsWith(head, SIGNATURE_2);
  if (second === true) return readBinary(head);
  return first === false && second === false ? { is: "absent" } : undefined;
}

function beginsWith(head: Buffer, signature: Buffer): boolean | undefined {
  const length = Math.min(head.length, signature.length);
  if (head.compare(signature, 0, length, 0, length) !== 0) return false;
  return length === signature.length ? true : undefined;
}

function readText(head: Buffer): ProxyHeader | undefined {
  const end = head.subarray(0, MOST_BYTES_1).indexOf("\r\n");
  if (end === -1) {
    if (head.length < MOST_BYTES_1) return undefined;
    return broken(`its line is longer than ${MOST_BYTES_1} bytes`);
  }
  const length = end + 2;
  const words = head.toString("latin1", 0, end).split(" ");
  const [, family, source = "", destination = "", sourcePort = "", destinationPort = ""] = words;
  if (family === "UNKNOWN") return { is: "header", length, ends: undefined };
  const isAddress = family === "TCP4" ? isIPv4 : family === "TCP6" ? isIPv6 : undefined;
  if (isAddress === undefined) return broken(`its family is "${family}"; expected TCP4, TCP6 or UNKNOWN`);
  if (words.length !== 6) return broken(`it has ${words.length} words; expected 6`);
  if (!isAddress(source) || !isAddress(destination)) return broken(`its addresses are not of ${family}`);
  if (!isPort(sourcePort) || !isPort(destinationPort)) return broken("its ports are no numbers from 0 to 65535");
  const ends = { remote: endpoint(source, Number(sourcePort)), local: endpoint(destination, Number(destinationPort)) };
  return { is: "header", length, ends };
}

function readBinary(head: Buffer): ProxyHeader | undefined {
  if (head.length < FIXED_BYTES_2) return undefined;
  const versionAndCommand = head.readUInt8(12);
  if (versionAndCommand >> 4 !== 2) return broken(`its version is ${versionAndCommand >> 4}; expected 2`);
  const length = FIXED_BYTES_2 + head.readUInt16BE(14);
  if (length > MOST_BYTES_2) return broken(`it has ${length} bytes; at most ${MOST_BYTES_2} are taken`);
  if (head.length < length) return undefined;
  const command = versionAndCommand & 0xf;
  if (command === COMMAND_LOCAL) return { is: "header", length, ends: undefined };
  if (command !== COMMAND_PROXY) return broken(`its command is ${command}; expected 0 (LOCAL) or 1 (PROXY)`);
  return readAddresses(head.readUInt8(13) >> 4, head.subarray(FIXED_BYTES_2, length), length);
}

function readAddresses(family: number, block: Buffer, length: number): ProxyHeader {
  // What is neither of IPv4 nor of IPv6 has no address that means anything here; the connection is good all the same.
  if (family !== FAMILY_IPV4 && family !== FAMILY_IPV6) return { is: "header", length, ends: undefined };
  const needed = family === FAMILY_IPV4 ? IPV4_BYTES : IPV6_BYTES;
  if (block.length < needed) return broken(`its addresses have ${block.length} bytes; expected ${needed}`);
  const size = (needed - 4) / 2;
  const text = family === FAMILY_IPV4 ? ipv4Text : ipv6Text;
  const ends = {
    remote: endpoint(text(block.subarray(0, size)), block.readUInt16BE(2 * size)),
    local: endpoint(text(block.subarray(size, 2 * size)), block.readUInt16BE(2 * size + 2)),
  };
  return { is: "header", length, ends };
}

function ipv4Text(bytes: Buffer): string {
  return bytes.join(".");
}

/** As RFC 5952 writes it. */
function ipv6Text(bytes: Buffer): string {
  const groups = Array.from({ length: 8 }, (_, index) => bytes.readUInt16BE(2 * index).toString(16));
  const host = URL.parse(`http://[${groups.join(":")}]/`)?.hostname ?? "";
  return host.slice(1, -1);
}

function isPort(text: string): boolean {
  return /^(0|[1-9]\d{0,4})$/.test(text) && Number(text) <= 65_535;
}

function endpoint(text: string, port: number): string {
  const address = unmapped(text);
  return address.includes(":") ? `[${address}]:${port}` : `${address}:${port}`;
}

function broken(reason: string): ProxyHeader {
  return { is: "broken", reason: `the header of the PROXY protocol cannot be read: ${reason}` };
}
