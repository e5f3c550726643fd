import { createServer } from "node:net";
import { onTestFinished } from "vitest";
import { WebSocket } from "ws";
import type { Pair } from "../../support/certificates.ts";
import { Wire } from "../../support/wire.ts";
import { ca } from "../../tls/material.ts";

/** What bytes go by. */
export const CARRIERS = ["TCP", "WebSocket"] as const;
export type Carrier = (typeof CARRIERS)[number];

/** Connects to a port, by TLS if there is a certificate to show. */
export function dial(port: number, carrier: Carrier, subprotocol: string, certificate?: Pair): Promise<Wire> {
  if (carrier === "WebSocket") return byWebSocket(port, subprotocol, certificate);
  return certificate === undefined ? Wire.connect(port) : Wire.secure(port, shown(certificate));
}

function shown({ certificate, key }: Pair) {
  return { ca: ca.certificate, cert: certificate, key };
}

/** A wire whose bytes go through a WebSocket. */
async function byWebSocket(port: number, subprotocol: string, certificate: Pair | undefined): Promise<Wire> {
  const url = `${certificate === undefined ? "ws" : "wss"}://127.0.0.1:${port}/`;
  const far = new WebSocket(url, [subprotocol], certificate === undefined ? {} : shown(certificate));
  await new Promise<void>((resolve, reject) => {
    far.once("open", resolve);
    far.once("error", reject);
  });
  const bridge = createServer((near) => {
    near.on("data", (chunk) => far.send(chunk));
    near.on("error", () => far.terminate());
    near.on("close", () => far.close());
    far.on("message", (data) => {
      if (Buffer.isBuffer(data)) near.write(data);
    });
    far.on("close", () => near.end());
  });
  onTestFinished(() => {
    far.terminate();
    bridge.close();
  });
  await new Promise<void>((resolve) => bridge.listen(0, "127.0.0.1", resolve));
  const address = bridge.address();
  if (address === null || typeof address === "string") throw new Error("The bridge has no port");
  return Wire.connect(address.port);
}
