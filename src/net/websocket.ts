/*
 * WebSocket on the port of the protocols it carries.
 *
 *     socket with "GET " first -> an http.Server that never listens -> origin and subprotocol -> `ws` -> WebSocketConnection
 */
import { isUtf8 } from "node:buffer";
import { type IncomingMessage, Server, type ServerResponse, STATUS_CODES } from "node:http";
import { Socket } from "node:net";
import type { Duplex } from "node:stream";
import { WebSocketServer, type WebSocket } from "ws";
import type { PeerIdentity, Protocol } from "../../core/protocol.ts";
import { meansThisHost } from "./own-host.ts";
import { Connection, type ConnectionOptions, describe, type Ending } from "./connection.ts";

/** RFC 6455 7.4.1 */
const CLOSE_CODES: Readonly<Record<Ending, number>> = { normal: 1000, "going-away": 1001, "protocol-error": 1002 };
/** A control frame holds 125 bytes, two of them the code (RFC 6455 5.5). */
const MAX_CLOSE_REASON_BYTES = 123;
/** Bytes of somebody who has not logged in yet: protocols bound them too, but see a message only when it is whole. */
const MOST_BEFORE_LOGIN = 1024 * 1024;
const WRONG_REQUEST = "This port speaks messaging protocols and WebSocket, not plain HTTP\n";

/** What a connection over WebSocket is made of. */
interface WebSocketConnectionOptions extends ConnectionOptions {
  readonly novice: Novice;
  /** Whether the first message was text, if it has come. */
  readonly text: boolean | undefined;
}

/** Counts what comes over a socket until somebody has logged in. */
export class Novice {
  /** Called with the reason when it was too much; whoever has the socket is to cut it. */
  tooMuch: (reason: string) => void = () => {};
  readonly #socket: Socket;
  #received = 0;

  constructor(socket: Socket) {
    this.#socket = socket;
    socket.on("data", this.#onData);
  }

  /** It has logged in. */
  end(): void {
    this.#socket.off("data", this.#onData);
  }

  readonly #onData = (chunk: Buffer): void => {
    this.#received += chunk.length;
    if (this.#received <= MOST_BEFORE_LOGIN) return;
    this.end();
    this.tooMuch(`it sent more than ${MOST_BEFORE_LOGIN} bytes and has not logged in`);
  };
}

/** A connection whose bytes travel as the payload of WebSocket messages. */
export class WebSocketConnection extends Connection {
  readonly #webSocket: WebSocket;
  readonly #novice: Novice;
  /** Answers are text when the peer's first message was; undefined before that. */
  #text: boolean | undefined;

  constructor(webSocket: WebSocket, socket: Socket, { novice, text, ...options }: WebSocketConnectionOptions) {
    super(socket, options);
    this.#webSocket = webSocket;
    this.#novice = novice;
    this.#text = text;
    novice.tooMuch = (reason) => this.destroy(reason);
    webSocket.on("message", (data, isBinary) => {
      this.#text ??= !isBinary;
      if (Buffer.isBuffer(data) && data.length > 0) this.receive(data);
    });
    webSocket.on("error", (error) => this.broke(describe(error)));
    webSocket.on("close", (code, reason) => this.ended(closedByPeer(code, reason)));
    socket.on("end", () => this.endedByPeer());
  }

  override identify(identity: PeerIdentity): void {
    super.identify(identity);
    this.#novice.end();
  }

  protected stopReading(): void {
    this.#webSocket.pause();
  }

  protected startReading(): void {
    this.#webSocket.resume();
  }

  protected transmit(chunks: readonly Buffer[], bytes: number, written: (() => void) | undefined): void {
    const [first] = chunks;
    const message = chunks.length === 1 && first !== undefined ? first : Buffer.concat(chunks, bytes);
    // A text message must be UTF-8 as a whole [RFC 6455 5.6]; what is not goes as a binary one.
    const binary = this.#text !== true || !isUtf8(message);
    this.#webSocket.send(message, { binary, compress: false }, written);
  }

  protected finish(ending: Ending, reason: string): void {
    this.#webSocket.close(CLOSE_CODES[ending], closeReason(reason));
  }

  protected abort(): void {
    this.#webSocket.terminate();
  }
}

/** What proxies say of a request in its header X-Forwarded-For. */
type Forwarding = string | undefined;

/** What a gate needs to know, and whom it tells. */
export interface WebSocketGateOptions {
  /** The listener's name, for texts. */
  readonly listener: string;
  readonly protocols: readonly Protocol[];
  /** Origins besides the listener's own host; `*` allows every one. */
  readonly origins: readonly string[];
  /** The port of the console, whose pages may connect from the same host too; undefined where there is none. */
  readonly consolePort?: (() => number | undefined) | undefined;
  /** Whether there are proxies in front that may call the broker by another name. */
  readonly proxied: boolean;
  readonly maxMessageBytes: number;
  /** A WebSocket is open; the protocol is undefined when no subprotocol was offered, or one that several protocols speak. */
  readonly opened: (
    socket: Socket,
    webSocket: WebSocket,
    protocol: Protocol | undefined,
    forwarded: Forwarding,
  ) => void;
  /** The request was answered with a refusal, and the socket is about to close. */
  readonly refused: (socket: Socket, reason: string) => void;
}

/** Turns HTTP requests into WebSockets, or refuses them. */
export class WebSocketGate {
  readonly #options: WebSocketGateOptions;
  readonly #http = new Server();
  readonly #webSockets: WebSocketServer;
  /** In our order of preference; of a name that several protocols have the first bytes tell which one it is. */
  readonly #subprotocols = new Map<string, Protocol | undefined>();

  constructor(options: WebSocketGateOptions) {
    this.#options = options;
    for (const protocol of options.protocols) {
      for (const name of protocol.subprotocols) {
        this.#subprotocols.set(name, this.#subprotocols.has(name) ? undefined : protocol);
      }
    }
    this.#webSockets = new WebSocketServer({
      noServer: true,
      clientTracking: false,
      perMessageDeflate: false,
      maxPayload: options.maxMessageBytes,
      handleProtocols: (offered) => this.#choose(offered) ?? false,
    });
    this.#webSockets.on("wsClientError", (error, socket) => this.#refuse(socket, 400, `${error.message}\n`));
    this.#http.on("request", (_request: IncomingMessage, response: ServerResponse) => {
      if (response.socket !== null) this.#options.refused(response.socket, "a plain HTTP request");
      response.writeHead(426, { Connection: "Upgrade, close", Upgrade: "websocket", "Content-Type": "text/plain" });
      response.end(WRONG_REQUEST);
    });
    this.#http.on("upgrade", (request: IncomingMessage, socket: Duplex, head: Buffer) => {
      this.#onUpgrade(request, socket, head);
    });
    this.#http.on("clientError", (error: Error, socket: Duplex) => {
      if (socket.writable) this.#refuse(socket, 400, `${error.message}\n`);
      else socket.destroy();
    });
  }

  /** Takes over a socket whose first bytes were read already. */
  take(socket: Socket, head: Buffer): void {
    socket.pause();
    socket.unshift(head);
    this.#http.emit("connection", socket);
    socket.resume();
  }

  #onUpgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    if (request.headers.upgrade?.toLowerCase() !== "websocket") {
      this.#refuse(socket, 426, WRONG_REQUEST);
      return;
    }
    const { origin, host } = request.headers;
    const { localAddress } = request.socket;
    const own = this.#options.proxied || meansThisHost(host, localAddress) ? host : undefined;
    if (!originAllowed(origin, own, this.#options.origins, this.#options.consolePort?.())) {
      const setting = `listeners.${this.#options.listener}.websocket.origins`;
      this.#refuse(
        socket,
        403,
        `Origin ${origin} is not allowed: only this host's own (${host ?? "none given"}) and those in ${setting} are\n`,
      );
      return;
    }
    const offered = offeredSubprotocols(request);
    const chosen = this.#choose(offered);
    if (offered.length > 0 && chosen === undefined) {
      const spoken = [...this.#subprotocols.keys()].join(", ");
      this.#refuse(
        socket,
        400,
        `Subprotocol ${offered.join(", ")} is not spoken here; these are: ${spoken || "none"}\n`,
      );
      return;
    }
    const forwarded = request.headersDistinct["x-forwarded-for"]?.join(",");
    this.#webSockets.handleUpgrade(request, socket, head, (webSocket) => {
      if (!(socket instanceof Socket)) return;
      const protocol = chosen === undefined ? undefined : this.#subprotocols.get(chosen);
      this.#options.opened(socket, webSocket, protocol, forwarded);
    });
  }

  #choose(offered: Iterable<string>): string | undefined {
    const names = new Set(offered);
    return [...this.#subprotocols.keys()].find((name) => names.has(name));
  }

  #refuse(socket: Duplex, status: number, text: string): void {
    if (socket instanceof Socket) this.#options.refused(socket, `WebSocket refused (${status}): ${text.trim()}`);
    const upgrade = status === 426 ? "Connection: Upgrade, close\r\nUpgrade: websocket\r\n" : "Connection: close\r\n";
    socket.end(
      `HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\n${upgrade}Content-Type: text/plain; charset=utf-8\r\n` +
        `Content-Length: ${Buffer.byteLength(text)}\r\n\r\n${text}`,
    );
  }
}

/**
 * A browser page may connect from the host it talks to, from the console on that host, and from the origins allowed; a
 * program sends no origin.
 */
export function originAllowed(
  origin: string | undefined,
  host: string | undefined,
  allowed: readonly string[],
  consolePort?: number,
): boolean {
  if (origin === undefined || allowed.includes("*") || allowed.includes(origin)) return true;
  const from = URL.parse(origin);
  if (from === null) return false;
  if (allowed.some((other) => URL.parse(other)?.origin === from.origin && from.origin !== "null")) return true;
  if (host === undefined || from.host === "") return false;
  const own = URL.parse(`${from.protocol}//${host}`);
  if (own?.host === from.host) return true;
  return consolePort !== undefined && own?.hostname === from.hostname && from.port === String(consolePort);
}

function offeredSubprotocols(request: IncomingMessage): string[] {
  const header = request.headers["sec-websocket-protocol"];
  if (header === undefined) return [];
  return header.split(",").map((name) => name.trim());
}

function closedByPeer(code: number, reason: Buffer): string {
  // 1006: no close frame came [RFC 6455 7.1.5]
  if (code === 1006) return "closed by the peer without a WebSocket close";
  return `closed by the peer (WebSocket close ${code}${reason.length === 0 ? "" : `, ${reason.toString()}`})`;
}

/** As much of the reason as a close frame holds, cut between characters. */
function closeReason(reason: string): Buffer {
  const bytes = Buffer.from(reason);
  let end = Math.min(bytes.length, MAX_CLOSE_REASON_BYTES);
  while (end < bytes.length && ((bytes[end] ?? 0) & 0xc0) === 0x80) end--;
  return bytes.subarray(0, end);
}
