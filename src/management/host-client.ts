import type { Client } from "../../core/client.ts";
import { BrokerError } from "../../core/errors.ts";
import type { ClientListener } from "../../core/protocol.ts";
import type { VirtualHost } from "../../core/virtual-host.ts";
import type { Caller } from "./context.ts";

/** What connections for the time of a request say that they speak. */
export const HTTP = "HTTP";

/** Whoever makes a request, as a client of a virtual host: with its own rights and nobody else's. */
export class HostClient implements ClientListener {
  readonly client: Client;
  private readonly waiting: { readonly resolve: () => void; readonly reject: (error: unknown) => void }[] = [];
  private readonly blocked: (() => void)[] = [];
  private readonly controller = new AbortController();

  /** Throws BrokerError when it may not connect. */
  constructor(host: VirtualHost, { login, peer }: Caller) {
    this.client = host.connect({ peer, login, protocol: HTTP, listener: this });
  }

  /** Aborted with the reason when it has ended, by itself or because the broker wants it gone. */
  get ended(): AbortSignal {
    return this.controller.signal;
  }

  /** Fulfilled once everything it has done so far is safe. */
  settled(): Promise<void> {
    return new Promise((resolve, reject) => {
      this.waiting.push({ resolve, reject });
      this.client.confirm(this.waiting.length);
    });
  }

  /** Fulfilled once it may send again. */
  ready(): Promise<void> {
    if (!this.client.blocked) return Promise.resolve();
    return new Promise((resolve) => this.blocked.push(resolve));
  }

  close(): void {
    this.end(new BrokerError("shutting-down", "The request has ended"));
  }

  confirmed(): void {
    this.waiting.shift()?.resolve();
  }

  unblocked(): void {
    for (const resolve of this.blocked.splice(0)) resolve();
  }

  evicted(reason: string): void {
    this.end(new BrokerError("shutting-down", reason));
  }

  private end(reason: BrokerError): void {
    this.client.close();
    this.controller.abort(reason);
    for (const { reject } of this.waiting.splice(0)) reject(reason);
  }
}

/**
 * Does, as a client, what the route of a request is there for and notes in the audit log. The client is gone afterwards; what
 * it did is safe when this is fulfilled.
 */
export async function asClient<T>(host: VirtualHost, caller: Caller, act: (client: Client) => T): Promise<T> {
  caller.peer.noted = true;
  const own = new HostClient(host, caller);
  try {
    const result = act(own.client);
    await own.settled();
    return result;
  } finally {
    own.close();
  }
}
