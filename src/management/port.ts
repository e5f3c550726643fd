/*
 * The port of management: HTTP/1.1, and TLS on the same port if there is a certificate, told apart by the first byte.
 *
 *     socket -> 0x16? -> TlsGate -> the HTTP server, as if newly accepted
 *               else  -> the HTTP server
 */
import { createServer, type RequestListener, type Server } from "node:http";
import type { Socket } from "node:net";
import { nextTick } from "node:process";
import { isDeepStrictEqual } from "node:util";
import type { Log } from "../log.ts";
import { TlsGate, type TlsOptions } from "../net/tls.ts";

const TLS_HANDSHAKE = 0x16;
const MAX_HEADER_BYTES = 16 * 1024;
const MAX_HEADERS = 100;
const KEEP_ALIVE_MS = 30_000;
const CHECK_INTERVAL_MS = 5000;

/** How the port is set up. */
export interface PortOptions {
  readonly host: string;
  /** 0 for any free one. */
  readonly port: number;
  readonly maxConnections: number;
  readonly requestTimeoutMs: number;
  /** How long nothing may come or go while a request is under way. */
  readonly silenceMs: number;
  readonly tls: TlsOptions | undefined;
  readonly log: Log;
}

/** Accepts connections for one HTTP server. */
export class ManagementPort {
  readonly server: Server;
  private readonly options: PortOptions;
  private readonly accept: (socket: Socket) => void;
  /** Sockets that have not shown yet what they speak, or shake hands, with what ends those that take too long. */
  private readonly opening = new Map<Socket, NodeJS.Timeout>();
  private gate: TlsGate | undefined = undefined;

  constructor(options: PortOptions, onRequest: RequestListener) {
    const { requestTimeoutMs } = options;
    this.options = options;
    this.server = createServer(
      {
        maxHeaderSize: MAX_HEADER_BYTES,
        requestTimeout: requestTimeoutMs,
        headersTimeout: requestTimeoutMs,
        keepAliveTimeout: KEEP_ALIVE_MS,
        connectionsCheckingInterval: Math.min(CHECK_INTERVAL_MS, requestTimeoutMs),
      },
      onRequest,
    );
    this.server.maxHeadersCount = MAX_HEADERS;
    this.bear(options.silenceMs);
    this.server.maxConnections = options.maxConnections;
    // What the server itself does with a connection is still to be done, but only once it is clear what the peer speaks.
    const [accept] = this.server.listeners("connection");
    this.accept = (socket) => accept?.call(this.server, socket);
    this.server.removeAllListeners("connection");
    this.server.on("connection", (socket: Socket) => this.onSocket(socket));
    this.secure(options.tls);
  }

  /** Has connections end that are silent for so long: nobody reads what they asked for. Holds for requests to come. */
  bear(silenceMs: number): void {
    this.server.timeout = silenceMs;
  }

  /** Starts to accept; rejects with an error that names the setting to change. */
  listen(): Promise<{ host: string; port: number }> {
    const { host, port, log } = this.options;
    return new Promise((resolve, reject) => {
      const failed = (error: Error): void => reject(cannotListen(host, port, error));
      this.server.once("error", failed);
      this.server.listen({ host, port }, () => {
        this.server.off("error", failed);
        this.server.on("error", (error) => log.error({ err: error }, "management could not accept a connection"));
        const address = this.server.address();
        if (address === null || typeof address === "string") reject(new Error("management has no port"));
        else resolve({ host: address.address, port: address.port });
      });
    });
  }

  /** Other certificates for those who connect from now on, or none. Returns whether that is a change. */
  secure(tls: TlsOptions | undefined): boolean {
    if (isDeepStrictEqual(tls, this.gate?.options)) return false;
    this.gate =
      tls === undefined
        ? undefined
        : new TlsGate(tls, ["http/1.1"], {
            secured: (socket, secured) => {
              this.opened(socket);
              secured.on("error", () => secured.destroy());
              this.accept(secured);
            },
            failed: (socket, reason) => {
              this.opened(socket);
              this.options.log.debug({ reason }, "a TLS handshake with management failed");
            },
          });
    return true;
  }

  /** Accepts nothing more; requests under way may end until `timeoutMs` have gone. */
  close(timeoutMs: number): Promise<void> {
    for (const socket of this.opening.keys()) socket.destroy();
    const cut = setTimeout(() => this.server.closeAllConnections(), timeoutMs);
    return new Promise((resolve) => {
      this.server.close(() => {
        clearTimeout(cut);
        resolve();
      });
      this.server.closeIdleConnections();
    });
  }

  private onSocket(socket: Socket): void {
    if (this.gate === undefined) {
      this.accept(socket);
      return;
    }
    this.opening.set(
      socket,
      setTimeout(() => socket.destroy(), this.options.requestTimeoutMs),
    );
    socket.on("error", ignore);
    socket.once("close", () => this.opened(socket));
    socket.once("data", (head: Buffer) => this.onHead(socket, head));
  }

  private opened(socket: Socket): void {
    clearTimeout(this.opening.get(socket));
    this.opening.delete(socket);
  }

  private onHead(socket: Socket, head: Buffer): void {
    if (this.gate === undefined || head[0] !== TLS_HANDSHAKE) {
      this.opened(socket);
      if (this.gate?.options.required === true) {
        socket.destroy();
        return;
      }
      socket.pause();
      socket.unshift(head);
      this.accept(socket);
      nextTick(() => socket.resume());
      return;
    }
    this.gate.take(socket, head);
  }
}

function ignore(): void {}

function cannotListen(host: string, port: number, error: Error): Error {
  const code = "code" in error ? error.code : undefined;
  const where = host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`;
  if (code === "EADDRINUSE") {
    return new Error(`management: ${where} is in use by another program; change management.port or stop that program`);
  }
  if (code === "EADDRNOTAVAIL") return new Error(`management: ${host} is no address of this machine (management.host)`);
  if (code === "EACCES") return new Error(`management: this user may not listen on ${where} (management.port)`);
  return new Error(`management: cannot listen on ${where}: ${error.message}`);
}
