import { closeReason, openSocket, type TryClient, type TryListener, type TryLogin } from "./client.ts";

const NUL = "\u0000";
const BEAT_MS = 10_000;

interface Frame {
  readonly command: string;
  readonly headers: ReadonlyMap<string, string>;
  readonly body: string;
}

/** STOMP 1.2 over WebSocket. */
export class StompClient implements TryClient {
  private readonly socket: WebSocket;
  private readonly listener: TryListener;
  private rest = "";
  private counter = 0;
  private beat: number | undefined = undefined;

  constructor({ url, user, password }: TryLogin, listener: TryListener) {
    this.listener = listener;
    this.socket = openSocket(url, "v12.stomp");
    this.socket.addEventListener("open", () => {
      const login = user === "" ? {} : { login: user, passcode: password };
      this.send("CONNECT", { "accept-version": "1.2", host: "/", "heart-beat": "10000,10000", ...login });
    });
    this.socket.addEventListener("message", ({ data }) =>
      this.onData(data instanceof ArrayBuffer ? new TextDecoder().decode(data) : String(data)),
    );
    this.socket.addEventListener("close", (event) => {
      window.clearInterval(this.beat);
      listener.closed(closeReason(event));
    });
  }

  subscribe(destination: string): void {
    this.send("SUBSCRIBE", { id: String(++this.counter), destination, ack: "auto" });
  }

  publish(destination: string, body: string): void {
    this.send("SEND", { destination, "content-type": "text/plain", receipt: `sent-${++this.counter}` }, body);
  }

  close(): void {
    if (this.socket.readyState === WebSocket.OPEN) this.send("DISCONNECT", {});
    this.socket.close(1000);
  }

  private send(command: string, headers: Readonly<Record<string, string>>, body = ""): void {
    // CONNECT escapes nothing [STOMP 1.2, Value Encoding].
    const written = command === "CONNECT" ? (value: string) => value : escaped;
    const lines = Object.entries(headers).map(([name, value]) => `${name}:${written(value)}\n`);
    this.socket.send(`${command}\n${lines.join("")}\n${body}${NUL}`);
    const { destination = headers["id"] ?? "" } = headers;
    this.listener.noted("out", `${command} ${destination}`.trim());
  }

  /** A frame may come in several messages, and several frames in one. */
  private onData(data: string): void {
    this.rest += data;
    for (;;) {
      this.rest = this.rest.replace(/^[\r\n]+/, "");
      const end = this.rest.indexOf(NUL);
      if (end < 0) return;
      const frame = parsed(this.rest.slice(0, end));
      this.rest = this.rest.slice(end + 1);
      this.onFrame(frame);
    }
  }

  private onFrame({ command, headers, body }: Frame): void {
    const about = headers.get("message") ?? headers.get("destination") ?? headers.get("receipt-id") ?? "";
    this.listener.noted("in", `${command} ${about}`.trim());
    if (command === "CONNECTED") {
      this.beat = window.setInterval(() => this.socket.send("\n"), BEAT_MS);
      this.listener.opened();
    }
    if (command === "MESSAGE") this.listener.received(headers.get("destination") ?? "", body);
  }
}

function parsed(text: string): Frame {
  const cut = text.indexOf("\n\n");
  const [command = "", ...lines] = text.slice(0, cut < 0 ? text.length : cut).split(/\r?\n/);
  const headers = new Map<string, string>();
  for (const line of lines) {
    const colon = line.indexOf(":");
    const name = line.slice(0, colon);
    // The first of several headers of one name counts [STOMP 1.2, Repeated Header Entries].
    if (!headers.has(name)) headers.set(name, unescaped(line.slice(colon + 1)));
  }
  return { command, headers, body: cut < 0 ? "" : text.slice(cut + 2) };
}

function escaped(value: string): string {
  return value.replaceAll("\\", "\\\\").replaceAll("\n", "\\n").replaceAll("\r", "\\r").replaceAll(":", "\\c");
}

const SIGNS: Readonly<Record<string, string>> = { "\\n": "\n", "\\r": "\r", "\\c": ":", "\\\\": "\\" };

function unescaped(value: string): string {
  return value.replaceAll(/\\[nrc\\]/g, (sign) => SIGNS[sign] ?? sign);
}
