import type { Socket } from "node:net";
import { TLSSocket } from "node:tls";
import { Output } from "../../core/output.ts";
import type { Peer, PeerCertificate } from "../../core/protocol.ts";
import { peerCertificate } from "../net/peer-certificate.ts";

/** Whoever makes a request over HTTP, as logins and clients of the core know a peer. Nothing is written through it. */
export class HttpPeer implements Peer {
  readonly id: string;
  readonly output = new Output(1, () => {});
  readonly remoteAddress: string;
  readonly localAddress: string;
  readonly listener = "management";
  readonly transport: "tcp" | "tls";
  readonly certificate: PeerCertificate | undefined;
  readonly subprotocol = undefined;
  /** Set for what the route notes by itself, as it notes what came of the request. */
  noted = false;
  readonly lastReceivedAt: number;
  readonly lastWrittenAt: number;
  readonly bytesReceived = 0;
  readonly bytesWritten = 0;

  /** `address`: where the request comes from, as far as proxies can be trusted. */
  constructor(id: string, socket: Socket, now: number, address: string) {
    this.id = id;
    this.remoteAddress = address;
    this.localAddress = endpoint(socket.localAddress, socket.localPort);
    const secured = socket instanceof TLSSocket;
    this.transport = secured ? "tls" : "tcp";
    this.certificate = secured ? peerCertificate(socket) : undefined;
    this.lastReceivedAt = now;
    this.lastWrittenAt = now;
  }

  pause(): void {}

  resume(): void {}

  close(): void {}

  identify(): void {}
}

function endpoint(host: string | undefined, port: number | undefined): string {
  if (host === undefined || port === undefined) return "(gone)";
  return host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`;
}
