import { createServer, type Server, type Socket } from "node:net";
import { nextTick } from "node:process";
import type { TLSSocket } from "node:tls";
import { isDeepStrictEqual } from "node:util";
import type { WebSocket } from "ws";
import { BrokerError } from "../../core/errors.ts";
import type { Peer, Protocol } from "../../core/protocol.ts";
import { behindProxy, forwardedFor } from "./address-set.ts";
import { type Connection, type ConnectionOptions, describe, TcpConnection } from "./connection.ts";
import { detectCarrier, detectProtocol, unrecognised } from "./detection.ts";
import { inTurns, type Work } from "../turns.ts";
import { cannotListen } from "./listen-error.ts";
import type { ListenerOptions, WebSocketSettings } from "./listener-options.ts";
import type { Network } from "./network.ts";
import { Opening, Openings } from "./opening.ts";
import { peerCertificate } from "./peer-certificate.ts";
import { readProxyHeader } from "./proxy-header.ts";
import { Rate } from "./rate.ts";
import { noneRefused, type Refusal } from "./refusal.ts";
import { alpnProtocols, TlsGate, type TlsOptions } from "./tls.ts";
import { Novice, WebSocketConnection, WebSocketGate } from "./websocket.ts";

/** Connections the kernel holds until they are accepted, and that we hold above `maxConnections`. */
const BACKLOG = 4096;
const KEEP_ALIVE_DELAY_MS = 60_000;
/** RFC 6455 7.4.1: the message breaks a rule that no other code names. */
const POLICY_VIOLATION = 1008;
const NOTHING: Buffer = Buffer.alloc(0);

/** One port, which finds out what each connection speaks. */
export class Listener {
  readonly name: string;
  /** Connections that were accepted so far. */
  accepted = 0;
  /** TLS handshakes that failed so far, those that took too long among them. */
  failedHandshakes = 0;
  /** Connections that were refused so far. */
  readonly refused: Record<Refusal, number> = noneRefused();
  readonly #network: Network;
  readonly #options: ListenerOptions;
  readonly #server: Server;
  readonly #gate: WebSocketGate | undefined;
  #tlsGate: TlsGate | undefined = undefined;
  readonly #connections = new Set<Connection>();
  readonly #openings: Openings;
  #maxConnections = 0;
  #connectRate = 0;
  #rate: Rate | undefined = undefined;
  /** Sockets that nothing is read from before others have gone. */
  readonly #waiting = new Set<Socket>();
  #open = 0;
  #closed = false;
  #bound: { host: string; port: number } | undefined = undefined;
  #listening: Promise<{ host: string; port: number }> | undefined = undefined;
  #emptied: PromiseWithResolvers<void> | undefined = undefined;

  constructor(network: Network, options: ListenerOptions) {
    this.name = options.name;
    this.#network = network;
    this.#options = options;
    this.#openings = new Openings(network.clock, network.settings.detectionTimeoutMs, (opening) => {
      this.#refuse(opening, opening.handshaking ? "tls" : "timeout", this.#overdue(opening));
    });
    this.limit(options);
    this.#gate = options.webSocket === undefined ? undefined : this.#createGate(options.webSocket);
    this.secure(options.tls);
    this.#server = createServer(
      { noDelay: true, keepAlive: true, keepAliveInitialDelay: KEEP_ALIVE_DELAY_MS, pauseOnConnect: true },
      (socket) => this.#onSocket(socket),
    );
  }

  /** Those whose protocol is known. */
  get connections(): ReadonlySet<Connection> {
    return this.#connections;
  }

  /** Where it listens; undefined while it does not. */
  get address(): { readonly host: string; readonly port: number } | undefined {
    return this.#closed ? undefined : this.#bound;
  }

  /** Starts to accept, also after `close`, on the port it had; rejects with an error that names the setting to change. */
  listen(): Promise<{ host: string; port: number }> {
    // Who asks twice gets one answer: to listen twice is an error, and not that of the port.
    this.#listening ??= this.#listen().finally(() => (this.#listening = undefined));
    return this.#listening;
  }

  #listen(): Promise<{ host: string; port: number }> {
    const { host, port } = this.#bound ?? this.#options;
    return new Promise((resolve, reject) => {
      const failed = (error: Error): void => reject(cannotListen(this.#options, error));
      this.#server.removeAllListeners("error");
      this.#server.once("error", failed);
      this.#server.listen({ host, port, backlog: BACKLOG }, () => {
        this.#server.off("error", failed);
        this.#server.on("error", (error) => {
          this.#network.log.error({ listener: this.name, err: error }, "a connection could not be accepted");
        });
        const address = this.#server.address();
        if (address === null || typeof address === "string") {
          reject(new Error(`${this.name} has no port`));
          return;
        }
        this.#closed = false;
        this.#bound = { host: address.address, port: address.port };
        resolve(this.#bound);
      });
    });
  }

  /** Other limits of its own, for who is here and who waits too; nobody is sent away. */
  limit({ maxConnections, connectRate }: Pick<ListenerOptions, "maxConnections" | "connectRate">): void {
    if (connectRate !== this.#connectRate) {
      this.#connectRate = connectRate;
      this.#rate = connectRate === 0 ? undefined : new Rate(connectRate, this.#network.clock.now());
    }
    this.#maxConnections = maxConnections;
    this.#admitWaiting();
  }

  /**
   * Other certificates for those who connect from now on, or none; connections stay. Returns whether that is a change:
   * otherwise sessions of TLS can still be resumed. Throws, and changes nothing, where OpenSSL finds fault with the options.
   */
  secure(tls: TlsOptions | undefined): boolean {
    if (isDeepStrictEqual(tls, this.#tlsGate?.options)) return false;
    this.#tlsGate = tls === undefined ? undefined : this.#createTlsGate(tls);
    return true;
  }

  /** Accepts nothing more; connections stay. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#server.close();
    for (const socket of this.#waiting) socket.destroy();
    this.#waiting.clear();
  }

  /** Closes, lets every session say goodbye, and cuts those that are still there after `timeoutMs`. */
  async shutdown(reason: string, timeoutMs: number): Promise<void> {
    this.close();
    for (const opening of this.#openings) this.#refuse(opening, undefined, reason);
    // In turns: with very many the first ones would wait for the last to be told, and health would not answer.
    void inTurns(this.#farewells(reason));
    if (this.#open === 0) return;
    this.#emptied ??= Promise.withResolvers();
    const timer = this.#network.clock.after(timeoutMs, () => {
      for (const connection of this.#connections) connection.destroy(reason);
      for (const opening of this.#openings) opening.socket.destroy();
    });
    await this.#emptied.promise;
    timer.cancel();
  }

  *#farewells(reason: string): Work<void> {
    for (const connection of this.#connections) {
      connection.shutdown(reason);
      yield undefined;
    }
  }

  #onSocket(socket: Socket): void {
    // Whoever owns the socket has a listener of its own that keeps the reason; this one is for the moments in between.
    socket.on("error", ignore);
    // Who was cut off before being accepted has no address any more, and nothing to say.
    if (this.#closed || socket.remoteAddress === undefined) {
      socket.destroy();
    } else if (this.#open < this.#maxConnections) {
      this.#admit(socket);
    } else if (this.#waiting.size < BACKLOG) {
      if (this.#waiting.size === 0) this.#warnFull();
      this.#waiting.add(socket);
    } else {
      this.refused.full++;
      socket.destroy();
    }
  }

  #admitWaiting(): void {
    for (const socket of this.#waiting) {
      if (this.#open >= this.#maxConnections) return;
      this.#waiting.delete(socket);
      this.#admit(socket);
    }
  }

  #admit(socket: Socket): void {
    this.#open++;
    this.accepted++;
    socket.on("close", () => this.#onClose(socket));
    const opening = new Opening(socket, (fed, chunk) => this.#feed(fed, chunk));
    this.#openings.add(opening);
    const { proxies } = this.#options;
    opening.awaitsProxyHeader = proxies?.trusted.has(opening.address) === true;
    if (proxies?.required === true && !opening.awaitsProxyHeader) {
      // Whoever is gone already has no address any more: a proxy that looked whether somebody is there.
      if (socket.remoteAddress === undefined) socket.destroy();
      else this.#refuse(opening, "proxy", `only proxies may connect (listeners.${this.name}.proxy_protocol)`);
      return;
    }
    if (!opening.awaitsProxyHeader && !this.#arrive(opening)) return;
    socket.on("data", opening.onData);
    socket.resume();
  }

  #onClose(socket: Socket): void {
    const opening = this.#openings.get(socket);
    if (opening?.handshaking === true) {
      // Why the handshake failed, the socket of TLS tells right after this one.
      nextTick(() => this.#forget(opening));
    } else if (opening !== undefined) {
      this.#forget(opening);
    }
    this.#open--;
    this.#admitWaiting();
    if (this.#open === 0) this.#emptied?.resolve();
  }

  #forget(opening: Opening): void {
    this.#openings.remove(opening);
    if (opening.arrival !== undefined) this.#options.limits?.leave(opening.arrival);
    this.#logUnopened(opening, opening.reason ?? closedEarly(opening));
  }

  /** Counts a connection for the address it comes from, as far as that is known. False: that was one too many even to tell. */
  #arrive(opening: Opening): boolean {
    const { limits, webSocket } = this.#options;
    if (limits === undefined) return true;
    const { address, arrival } = opening;
    opening.arrival =
      arrival === undefined ? limits.arrive(address, this.name) : limits.move(arrival, address, this.name);
    const { cut, refusal } = opening.arrival;
    // Whom a proxy speaks for is still to be heard.
    if (!cut || refusal === undefined || webSocket?.proxies?.has(address) === true) return true;
    this.#refuse(opening, "limits", refusal.message);
    return false;
  }

  /** Bytes of a connection whose protocol is not known yet. */
  #feed(opening: Opening, chunk: Buffer): void {
    const head = opening.head.length === 0 ? chunk : Buffer.concat([opening.head, chunk]);
    opening.head = head;
    if (opening.awaitsProxyHeader) this.#feedProxyHeader(opening);
    else if (head.length > 0) this.#detect(opening);
  }

  #feedProxyHeader(opening: Opening): void {
    const header = readProxyHeader(opening.head);
    if (header === undefined) return;
    if (header.is === "broken") {
      this.#refuse(opening, "proxy", header.reason);
      return;
    }
    if (header.is === "absent" && this.#options.proxies?.required === true) {
      const setting = `listeners.${this.name}.proxy_protocol.required`;
      this.#refuse(opening, "proxy", `the proxy sent no header of the PROXY protocol, which ${setting} asks for`);
      return;
    }
    opening.awaitsProxyHeader = false;
    if (header.is === "header") {
      opening.head = opening.head.subarray(header.length);
      if (header.ends !== undefined) opening.address = behindProxy(header.ends.remote, opening.address);
      opening.localAddress = header.ends?.local;
      opening.isProbe = header.ends === undefined && opening.head.length === 0;
    }
    if (this.#arrive(opening) && opening.head.length > 0) this.#detect(opening);
  }

  /** Finds out what a connection is by its first bytes. */
  #detect(opening: Opening): void {
    const { protocols } = this.#options;
    const { head } = opening;
    opening.isProbe = false;
    // Who came by WebSocket was let in already, before a reload that requires TLS.
    if (this.#tlsGate?.options.required === true && opening.secured === undefined && !opening.http) {
      this.#feedTls(opening);
      return;
    }
    const protocol = detectProtocol(protocols, head);
    if (protocol !== undefined && protocol !== false) {
      this.#start(opening, protocol, undefined);
      return;
    }
    const carrier = opening.http ? false : detectCarrier(head);
    if (carrier === "tls" && opening.secured === undefined) {
      this.#handshake(opening);
    } else if (carrier === "http") {
      this.#upgrade(opening);
    } else if (protocol === false && carrier !== undefined) {
      const notTrusted = this.#notTrusted(opening);
      if (notTrusted === undefined) this.#refuse(opening, "protocol", unrecognised(head, protocols));
      else this.#refuse(opening, "proxy", notTrusted);
    }
  }

  #notTrusted({ head, address }: Opening): string | undefined {
    if (readProxyHeader(head)?.is === "absent") return undefined;
    const setting = `listeners.${this.name}.proxy_protocol.trusted`;
    return `the peer speaks the PROXY protocol, and ${address} is not among ${setting}`;
  }

  /** First bytes on a port that takes nothing but TLS. */
  #feedTls(opening: Opening): void {
    const carrier = detectCarrier(opening.head);
    if (carrier === "tls") {
      this.#handshake(opening);
    } else if (carrier !== undefined) {
      this.#refuse(opening, "tls", `the peer does not speak TLS, which listeners.${this.name}.tls.required asks for`);
    }
  }

  #handshake(opening: Opening): void {
    const { socket, head } = opening;
    if (this.#tlsGate === undefined) {
      this.#refuse(
        opening,
        "tls",
        `the peer speaks TLS, and there is no certificate (tls, listeners.${this.name}.tls)`,
      );
      return;
    }
    // Before the handshake, which is what a storm of connections costs most.
    const refusal = this.#refusalOf(opening) ?? (this.#admits() ? undefined : this.#tooMany());
    if (refusal !== undefined) {
      this.#refuse(opening, "limits", refusal.message);
      return;
    }
    socket.off("data", opening.onData);
    opening.handshaking = true;
    opening.head = NOTHING;
    this.#tlsGate.take(socket, head);
  }

  /** Not of a proxy's address where it may still say for whom it speaks. */
  #refusalOf({ arrival, address }: Opening): BrokerError | undefined {
    return this.#options.webSocket?.proxies?.has(address) === true ? undefined : arrival?.refusal;
  }

  #createTlsGate(tls: TlsOptions): TlsGate {
    return new TlsGate(tls, alpnProtocols(this.#options.protocols, this.#gate !== undefined), {
      secured: (socket, secured, virtualHost) => this.#onSecured(socket, secured, virtualHost),
      failed: (socket, reason) => {
        const opening = this.#openings.get(socket);
        if (opening !== undefined) this.#note(opening, "tls", reason);
      },
    });
  }

  #onSecured(socket: Socket, secured: TLSSocket, virtualHost: string | undefined): void {
    const opening = this.#openings.get(socket);
    // After the handshake Node only tells of an error, such as a record that was tampered with.
    secured.on("error", (error) => {
      const unknown = this.#openings.get(secured);
      if (unknown !== undefined) this.#note(unknown, "tls", describe(error));
      secured.destroy();
    });
    if (opening === undefined || opening.reason !== undefined) {
      secured.destroy();
      return;
    }
    opening.handshaking = false;
    opening.certificate = peerCertificate(secured);
    opening.virtualHost = virtualHost;
    this.#openings.secure(opening, secured);
    secured.on("data", opening.onData);
  }

  #upgrade(opening: Opening): void {
    const { head } = opening;
    const socket = opening.secured ?? opening.socket;
    if (this.#gate === undefined) {
      this.#refuse(
        opening,
        "websocket",
        `the peer speaks HTTP, and WebSocket is off (listeners.${this.name}.websocket.enabled)`,
      );
      return;
    }
    socket.off("data", opening.onData);
    opening.http = true;
    opening.head = NOTHING;
    this.#gate.take(socket, head);
  }

  #createGate(options: WebSocketSettings): WebSocketGate {
    return new WebSocketGate({
      ...options,
      listener: this.name,
      protocols: this.#options.protocols,
      proxied: options.proxies !== undefined,
      opened: (socket, webSocket, protocol, forwarded) => {
        const opening = this.#openings.get(socket);
        if (opening === undefined) {
          webSocket.terminate();
          return;
        }
        if (options.proxies !== undefined) {
          const client = forwardedFor(forwarded, opening.address, options.proxies);
          if (client !== undefined) {
            opening.address = client.includes(":") ? `[${client}]` : client;
            if (!this.#arrive(opening)) return;
          }
        }
        opening.novice = new Novice(socket);
        this.#onWebSocket(opening, opening.novice, webSocket, protocol);
      },
      refused: (socket, reason) => {
        const opening = this.#openings.get(socket);
        if (opening !== undefined) this.#note(opening, "websocket", reason);
      },
    });
  }

  #onWebSocket(opening: Opening, novice: Novice, webSocket: WebSocket, protocol: Protocol | undefined): void {
    opening.webSocket = webSocket;
    novice.tooMuch = (reason) => {
      this.#note(opening, "websocket", reason);
      webSocket.terminate();
    };
    if (protocol !== undefined) {
      this.#start(opening, protocol, webSocket.protocol);
      return;
    }
    this.#openings.add(opening);
    webSocket.on("error", (error) => this.#note(opening, "websocket", error.message));
    webSocket.on("message", (data, isBinary) => {
      opening.text ??= !isBinary;
      if (Buffer.isBuffer(data) && opening.reason === undefined) this.#feed(opening, data);
    });
  }

  #start(opening: Opening, protocol: Protocol, subprotocol: string | undefined): void {
    const { secured, webSocket, novice, text } = opening;
    const socket = secured ?? opening.socket;
    this.#openings.remove(opening);
    const { limits } = this.#options;
    if (opening.arrival !== undefined && limits !== undefined) {
      opening.arrival = limits.renewed(opening.arrival, opening.address, this.name);
    }
    const refusal =
      opening.arrival?.refusal ?? (secured === undefined && !this.#admits() ? this.#tooMany() : undefined);
    if (refusal !== undefined) this.refused.limits++;
    const options: ConnectionOptions = {
      network: this.#network,
      protocol: protocol.name,
      listener: this.name,
      transport: transportOf(opening),
      remoteAddress: opening.address,
      localAddress: opening.localAddress,
      certificate: opening.certificate,
      virtualHost: opening.virtualHost,
      subprotocol,
      refusal,
      arrival: opening.arrival,
      gone: this.#gone,
    };
    socket.off("data", opening.onData);
    webSocket?.removeAllListeners();
    const connection =
      webSocket === undefined || novice === undefined
        ? new TcpConnection(socket, options)
        : new WebSocketConnection(webSocket, socket, { ...options, novice, text });
    this.#connections.add(connection);
    limits?.meter(connection);
    connection.start((peer) => this.#options.accept(protocol, peer), opening.head);
  }

  readonly #gone = (connection: Connection): void => {
    this.#connections.delete(connection);
    if (connection.arrival !== undefined) this.#options.limits?.leave(connection.arrival);
  };

  /** Ends a connection whose protocol is not known; it is logged when the socket is gone. */
  #refuse(opening: Opening, cause: Refusal | undefined, reason: string): void {
    if (opening.reason !== undefined) {
      opening.socket.destroy();
      return;
    }
    this.#note(opening, cause, reason);
    const { webSocket, secured, socket } = opening;
    if (webSocket === undefined) (secured ?? socket).destroy();
    else webSocket.close(POLICY_VIOLATION, "no protocol recognised");
  }

  /** Counts a connection as refused, by the first reason there is. */
  #note(opening: Opening, cause: Refusal | undefined, reason: string): void {
    if (opening.reason !== undefined) return;
    opening.reason = reason;
    if (cause !== undefined) this.refused[cause]++;
  }

  #admits(): boolean {
    return this.#rate?.take(this.#network.clock.now()) !== false;
  }

  #tooMany(): BrokerError {
    const setting = `listeners.${this.name}.connect_rate`;
    return new BrokerError("throttled", `More than ${this.#connectRate} connections in a second (${setting})`);
  }

  #overdue(opening: Opening): string {
    const within = `within ${this.#network.settings.detectionTimeoutMs} ms (detection.timeout)`;
    if (opening.handshaking) return `the TLS handshake was not done ${within}`;
    if (opening.awaitsProxyHeader && opening.head.length > 0) {
      return `no whole header of the PROXY protocol came ${within}`;
    }
    if (opening.http && opening.webSocket === undefined) return `no whole WebSocket request came ${within}`;
    return `${unrecognised(opening.head, this.#options.protocols)}; ${within}`;
  }

  #logUnopened(opening: Opening, reason: string): void {
    if (opening.handshaking) this.failedHandshakes++;
    const fields = { listener: this.name, address: opening.address, reason };
    // Probes of load balancers connect and say nothing.
    const silent = opening.reason === undefined && (opening.isProbe || opening.socket.bytesRead === 0);
    if (silent) this.#network.log.debug(fields, "connection closed");
    else this.#network.log.info(fields, "connection closed");
  }

  #warnFull(): void {
    const { name } = this;
    const maxConnections = this.#maxConnections;
    this.#network.log.warn(
      { listener: name, maxConnections },
      `${maxConnections} connections are open, as many as listeners.${name}.max_connections allows; new ones wait`,
    );
  }
}

function closedEarly({ handshaking }: Opening): string {
  return `closed by the peer ${handshaking ? "during the TLS handshake" : "before its protocol was known"}`;
}

function transportOf({ secured, webSocket }: Opening): Peer["transport"] {
  if (webSocket === undefined) return secured === undefined ? "tcp" : "tls";
  return secured === undefined ? "ws" : "wss";
}

function ignore(): void {}
