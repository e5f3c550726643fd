import { BlockList, isIP } from "node:net";

/** Addresses and networks of the configuration: `10.0.0.0/8`, `::1`. */
export class AddressSet {
  readonly #list = new BlockList();
  readonly #isEmpty: boolean;

  /** What is no network is left out: `parseNetwork` tells. */
  constructor(networks: readonly string[]) {
    this.#isEmpty = networks.length === 0;
    for (const text of networks) {
      const network = parseNetwork(text);
      if (network !== undefined) this.#list.addSubnet(network.address, network.bits, network.family);
    }
  }

  /** Whether an address is in it; with or without a port, IPv4 also as mapped into IPv6. */
  has(endpoint: string): boolean {
    if (this.#isEmpty) return false;
    // By which interface it is reached, as in fe80::1%eth0, does not matter: nobody gets round a list by that.
    const address = bareAddress(endpoint).replace(/%.*$/, "");
    const family = isIP(address);
    if (family === 0) return false;
    return this.#list.check(address, family === 4 ? "ipv4" : "ipv6");
  }
}

/** An address or a network, taken apart; undefined when it is none. */
export function parseNetwork(
  text: string,
): { readonly address: string; readonly bits: number; readonly family: "ipv4" | "ipv6" } | undefined {
  const [address = "", bits, more] = text.split("/");
  const version = isIP(address);
  if (version === 0 || address.includes("%") || more !== undefined) return undefined;
  const most = version === 4 ? 32 : 128;
  if (bits !== undefined && (!/^\d{1,3}$/.test(bits) || Number(bits) > most)) return undefined;
  return { address, bits: bits === undefined ? most : Number(bits), family: version === 4 ? "ipv4" : "ipv6" };
}

/** The address of an endpoint without its port and brackets; IPv4 that is mapped into IPv6 as what it is. */
function bareAddress(endpoint: string): string {
  const bracketed = /^\[([^\]]*)\](?::\d+)?$/.exec(endpoint)?.[1];
  const isWithPort = bracketed === undefined && endpoint.indexOf(":") === endpoint.lastIndexOf(":");
  return unmapped(bracketed ?? (isWithPort ? endpoint.replace(/:\d+$/, "") : endpoint));
}

/** An address as it is, but of IPv4 mapped into IPv6 the IPv4, however it was written: `::ffff:a00:1` is 10.0.0.1. */
export function unmapped(address: string): string {
  if (!/^[0:]+ffff:/i.test(address)) return address;
  const canonical = URL.parse(`http://[${address}]/`)?.hostname ?? "";
  const [, high, low] = /^\[::ffff:([\da-f]+):([\da-f]+)\]$/.exec(canonical) ?? [];
  if (high === undefined || low === undefined) return address;
  return [high, low]
    .map((group) => Number.parseInt(group, 16))
    .flatMap((group) => [group >> 8, group & 0xff])
    .join(".");
}

const LOOPBACK = new AddressSet(["127.0.0.0/8", "::1"]);

/** Where a client is that a proxy tells of: one on the proxy's own machine is there, and no guest of this machine for that. */
export function behindProxy(client: string, proxy: string): string {
  return LOOPBACK.has(client) && !LOOPBACK.has(proxy) ? proxy : client;
}

/**
 * Where a request comes from, by the header X-Forwarded-For: each proxy adds whom it heard, so the last one that is not
 * itself a trusted proxy is the client. "unknown" when a trusted proxy says no address: whoever it is, it is not the proxy.
 * Undefined when the header is not to be believed or says nothing.
 */
export function forwardedFor(header: string | undefined, endpoint: string, trusted: AddressSet): string | undefined {
  if (header === undefined || header.trim() === "" || !trusted.has(endpoint)) return undefined;
  let client = "unknown";
  for (const entry of header.split(",").toReversed()) {
    const address = bareAddress(entry.trim());
    // What lies beyond something that is no address nobody vouches for.
    if (isIP(address) === 0) break;
    client = address;
    if (!trusted.has(address)) break;
  }
  return behindProxy(client, bareAddress(endpoint));
}
