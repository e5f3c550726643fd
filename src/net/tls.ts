/*
 * TLS on the port of the protocols it carries.
 *
 *     socket with 0x16 0x03 first -> a tls.Server that never listens -> handshake -> the listener, as if newly accepted
 *
 * A gate never changes: other certificates make another gate, and who came through the old one stays connected.
 */
import { constants } from "node:crypto";
import { Socket } from "node:net";
import { createSecureContext, type SecureContext, Server, type TLSSocket } from "node:tls";
import type { Protocol } from "../../core/protocol.ts";
import { describe } from "./connection.ts";
import { ServerNames } from "./server-names.ts";

/** A certificate with its intermediates, and its key: what is in their files, in PEM. */
export interface Credentials {
  readonly certificate: Buffer;
  readonly key: Buffer;
  readonly passphrase: string;
}

/** What holds for clients that call the server by a name. */
export interface NamedTls {
  /** A host name, or `*.` and the rest of one. */
  readonly match: string;
  /** Undefined: what all others get. */
  readonly credentials: Credentials | undefined;
  /** The virtual host of clients whose protocol names none. */
  readonly virtualHost: string | undefined;
}

/** TLS of one listener. */
export interface TlsOptions {
  /** Whether nothing but TLS is let in. */
  readonly required: boolean;
  readonly credentials: Credentials;
  readonly names: readonly NamedTls[];
  /** Certificates in PEM of those who may sign the certificates of clients. */
  readonly ca: Buffer | undefined;
  readonly clientCertificates: "none" | "want" | "need";
  readonly minimumVersion: "TLSv1.2" | "TLSv1.3";
  /** In OpenSSL's words; empty for Node's own choice. */
  readonly ciphers: string;
}

/** Whom a gate tells what became of a socket. */
export interface TlsGateEvents {
  readonly secured: (socket: Socket, secured: TLSSocket, virtualHost: string | undefined) => void;
  /** The socket is being closed. */
  readonly failed: (socket: Socket, reason: string) => void;
}

/** Longer than any detection timeout, which is what bounds a handshake. */
const HANDSHAKE_TIMEOUT_MS = 2 ** 31 - 1;

/** What OpenSSL needs to serve with these credentials; throws where it finds fault with something. */
export function secureContext(options: TlsOptions, credentials: Credentials): SecureContext {
  return createSecureContext({ ...contextOptions(options), ...keyPair(credentials) });
}

function keyPair({ certificate, key, passphrase }: Credentials): { cert: Buffer; key: Buffer; passphrase?: string } {
  return { cert: certificate, key, ...(passphrase === "" ? {} : { passphrase }) };
}

function contextOptions({ ca, minimumVersion, ciphers }: TlsOptions): {
  minVersion: TlsOptions["minimumVersion"];
  secureOptions: number;
  ca?: Buffer;
  ciphers?: string;
} {
  return {
    minVersion: minimumVersion,
    // A renegotiation costs the broker more than the peer, and nothing here needs one.
    secureOptions: constants.SSL_OP_NO_RENEGOTIATION,
    ...(ca === undefined ? {} : { ca }),
    ...(ciphers === "" ? {} : { ciphers }),
  };
}

/** Turns sockets that speak TLS into ones that need not know of it. */
export class TlsGate {
  readonly options: TlsOptions;
  readonly #events: TlsGateEvents;
  readonly #server: Server;
  readonly #contexts = new ServerNames<SecureContext>();
  readonly #virtualHosts = new ServerNames<string>();

  /** `alpn`: the protocols that may be agreed on in the handshake. Throws where OpenSSL finds fault with the options. */
  constructor(options: TlsOptions, alpn: readonly string[], events: TlsGateEvents) {
    this.options = options;
    this.#events = events;
    for (const { match, credentials, virtualHost } of options.names) {
      if (credentials !== undefined) this.#contexts.add(match, secureContext(options, credentials));
      if (virtualHost !== undefined) this.#virtualHosts.add(match, virtualHost);
    }
    this.#server = new Server({
      ...contextOptions(options),
      ...keyPair(options.credentials),
      ALPNProtocols: [...alpn],
      requestCert: options.clientCertificates !== "none",
      rejectUnauthorized: options.clientCertificates === "need",
      handshakeTimeout: HANDSHAKE_TIMEOUT_MS,
      SNICallback: (serverName, done) => done(null, this.#contexts.find(serverName)),
    });
    this.#server.on("secureConnection", (secured) => this.#onSecured(secured));
    this.#server.on("tlsClientError", (error, secured) => this.#onFailed(error, secured));
  }

  /** Takes over a socket whose first bytes were read already. */
  take(socket: Socket, head: Buffer): void {
    socket.pause();
    socket.unshift(head);
    this.#server.emit("connection", socket);
  }

  #onSecured(secured: TLSSocket): void {
    const socket = carrierOf(secured);
    if (socket === undefined || secured.destroyed) {
      secured.destroy();
      return;
    }
    const { clientCertificates } = this.options;
    if (clientCertificates === "want" && !secured.authorized && secured.getPeerX509Certificate() !== undefined) {
      this.#events.failed(socket, untrusted(secured));
      secured.destroy();
      return;
    }
    const { servername: serverName } = secured;
    const named = typeof serverName === "string" ? this.#virtualHosts.find(serverName) : undefined;
    this.#events.secured(socket, secured, named);
  }

  #onFailed(error: Error, secured: TLSSocket): void {
    const socket = carrierOf(secured);
    if (socket === undefined) return;
    // Node closes a peer without a trusted certificate without an error.
    const refused = secured.authorizationError !== null && secured.authorizationError !== undefined;
    this.#events.failed(socket, refused ? untrusted(secured) : this.#failure(error));
  }

  #failure(error: Error): string {
    const reason = describe(error);
    const { minimumVersion, clientCertificates } = this.options;
    switch ("code" in error ? error.code : undefined) {
      case "ERR_SSL_UNSUPPORTED_PROTOCOL":
        return `the peer offers no version of TLS from ${minimumVersion} on (tls.minimum_version): ${reason}`;
      case "ERR_SSL_PEER_DID_NOT_RETURN_A_CERTIFICATE":
        return `the peer has shown no certificate, and tls.client_certificates is ${clientCertificates}`;
      case "ERR_SSL_NO_SHARED_CIPHER":
        return `the peer offers no cipher that is allowed here (tls.ciphers, tls.certificate): ${reason}`;
      case "ECONNRESET":
        return "the peer closed the connection during the TLS handshake";
    }
    const alert = /alert (.*(?:unknown ca|bad certificate|certificate).*)$/.exec(reason)?.[1];
    if (alert !== undefined) return `the peer does not accept this certificate (tls.certificate): alert ${alert}`;
    return `the TLS handshake failed: ${reason}`;
  }
}

function untrusted({ authorizationError }: TLSSocket): string {
  // Typed as an Error, and a code in fact.
  return `the peer's certificate is not trusted (tls.ca): ${String(authorizationError)}`;
}

/**
 * The socket that a TLS socket was made of. Node has no public way to tell, and a closed socket no longer knows the
 * address to find it by.
 */
function carrierOf(secured: TLSSocket): Socket | undefined {
  return "_parent" in secured && secured._parent instanceof Socket ? secured._parent : undefined;
}

/** What peers may agree on in the handshake on a port that speaks these protocols, by the names of ALPN. */
export function alpnProtocols(protocols: readonly Protocol[], webSocket: boolean): string[] {
  const names = new Set(protocols.map(({ name }) => (name.startsWith("amqp") ? "amqp" : name)));
  if (webSocket) names.add("http/1.1");
  return [...names];
}
