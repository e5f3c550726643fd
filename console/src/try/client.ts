/** What a client of the try-it page tells. */
export interface TryListener {
  readonly opened: () => void;
  readonly received: (destination: string, body: string) => void;
  /** What went over the wire, in words. */
  readonly noted: (way: "in" | "out", what: string) => void;
  readonly closed: (reason: string) => void;
}

/** How to connect. */
export interface TryLogin {
  readonly url: string;
  readonly user: string;
  readonly password: string;
}

/** A client of the try-it page: as much of its protocol as one needs to see it work. */
export interface TryClient {
  subscribe(destination: string): void;
  publish(destination: string, body: string): void;
  close(): void;
}

/** Opens a WebSocket for bytes. Throws for what is no address, and for another host than that of this page. */
export function openSocket(url: string, protocol: string): WebSocket {
  const socket = new WebSocket(url, [protocol]);
  // The content security policy lets a page connect to its own host only; such a socket never says that it is closed.
  if (socket.readyState === WebSocket.CLOSED) throw new Error(`This page may connect to ${location.hostname} only`);
  socket.binaryType = "arraybuffer";
  return socket;
}

/** A reason that a WebSocket gives, or that there is none. */
export function closeReason({ code, reason }: CloseEvent): string {
  if (reason !== "") return `Closed: ${reason}`;
  if (code !== 1006) return `Closed (WebSocket ${code})`;
  return "The connection was refused or lost: the log of the broker says why, or the browser does not trust its certificate";
}
