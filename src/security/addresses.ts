import { isIP } from "node:net";
import { AddressSet, parseNetwork } from "../net/address-set.ts";

/** A peer's address without its port and brackets, IPv4 mapped into IPv6 as IPv4; undefined if it is none. */
export function ipOf(remoteAddress: string): string | undefined {
  const bracketed = /^\[([^\]]*)\](?::\d+)?$/.exec(remoteAddress)?.[1];
  const whole = bracketed ?? remoteAddress;
  // Asking whether it is an address of IPv6 takes long, and one with a single colon is none.
  const hasPort = whole.indexOf(":") === whole.lastIndexOf(":") || isIP(whole) === 0;
  const address = hasPort ? whole.replace(/:\d+$/, "") : whole;
  if (isIP(address) === 0) return undefined;
  return /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(address)?.[1] ?? address;
}

/** What belongs to one machine or one site: an address of IPv4, or the first half of one of IPv6. */
export function siteOf(remoteAddress: string): string {
  const address = ipOf(remoteAddress);
  if (address === undefined) return remoteAddress;
  if (isIP(address) === 4) return address;
  const plain = address.replace(/%.*$/, "");
  const [head = "", tail] = plain.split("::", 2);
  const groups = head === "" ? [] : head.split(":");
  if (tail !== undefined) {
    const end = tail === "" ? [] : tail.split(":");
    while (groups.length + end.length < 8) groups.push("0");
    groups.push(...end);
  }
  return groups
    .slice(0, 4)
    .map((group) => group.replace(/^0+(?=.)/, "").toLowerCase())
    .join(":");
}

/** The addresses and networks in a text, one on a line, `#` before comments. Throws an Error with one sentence. */
export function parseNetworks(text: string): AddressSet {
  const lines = text.split(/\r?\n/).map((line) => line.replace(/#.*$/, "").trim());
  const entries = lines.filter((line) => line !== "");
  for (const entry of entries) {
    if (parseNetwork(entry) === undefined) {
      throw new Error(`"${entry}" is neither an address nor a network such as 10.0.0.0/8`);
    }
  }
  return new AddressSet(entries);
}

const LOOPBACK = new AddressSet(["127.0.0.0/8", "::1"]);

/** Whether a peer's address, with or without its port, is of this machine: IPv4, IPv6 or IPv4 mapped into IPv6. */
export function isLoopback(remoteAddress: string): boolean {
  const address = ipOf(remoteAddress);
  return address !== undefined && LOOPBACK.has(address);
}
