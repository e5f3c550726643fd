import type { Peer, Protocol, Session } from "../../core/protocol.ts";
import type { AddressSet } from "./address-set.ts";
import type { Limits } from "./limits.ts";
import type { TlsOptions } from "./tls.ts";

/** WebSocket on the port of a listener. */
export interface WebSocketSettings {
  readonly origins: readonly string[];
  readonly consolePort?: () => number | undefined;
  readonly maxMessageBytes: number;
  /** Whose X-Forwarded-For is believed; nobody's if absent. */
  readonly proxies?: AddressSet | undefined;
}

/** One entry of `listeners` in the configuration. */
export interface ListenerOptions {
  readonly name: string;
  readonly host: string;
  /** 0 for any free one. */
  readonly port: number;
  /** In the order in which they are asked whether they recognise a connection. */
  readonly protocols: readonly Protocol[];
  readonly maxConnections: number;
  /** Connections a second that may log in; 0 for any number. */
  readonly connectRate: number;
  /** Undefined: no WebSocket on this port. */
  readonly webSocket: WebSocketSettings | undefined;
  /** Undefined: nobody's header of the PROXY protocol is believed. */
  readonly proxies?: { readonly trusted: AddressSet; readonly required: boolean } | undefined;
  /** Undefined: no TLS on this port. */
  readonly tls?: TlsOptions | undefined;
  /** If absent, none but the two above. */
  readonly limits?: Limits | undefined;
  /** Makes the session of a connection whose protocol was recognised. */
  readonly accept: (protocol: Protocol, peer: Peer) => Session;
}
