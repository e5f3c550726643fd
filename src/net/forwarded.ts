import type { IncomingMessage } from "node:http";
import { AddressSet, forwardedFor } from "./address-set.ts";
import { remoteAddress } from "./connection.ts";

/** Finds out where requests over HTTP come from, through the proxies that are trusted at the time. */
export class Forwarded {
  #networks: readonly string[] = [];
  #trusted = new AddressSet([]);

  /** The address of the client, as a peer's is written; without its port when a proxy said it. */
  addressOf({ socket, headersDistinct }: IncomingMessage, networks: readonly string[]): string {
    const address = remoteAddress(socket);
    if (networks.length === 0) return address;
    if (networks !== this.#networks) {
      this.#networks = networks;
      this.#trusted = new AddressSet(networks);
    }
    const client = forwardedFor(headersDistinct["x-forwarded-for"]?.join(","), address, this.#trusted);
    if (client === undefined) return address;
    return client.includes(":") ? `[${client}]` : client;
  }
}
