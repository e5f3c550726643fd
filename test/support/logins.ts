import { BrokerError } from "../../core/errors.ts";
import { Output } from "../../core/output.ts";
import type { Peer, PeerCertificate } from "../../core/protocol.ts";
import { defaultConfig } from "../../src/config/load.ts";
import type { Config } from "../../src/config/schema.ts";
import { ConfiguredLogin } from "../../src/security/login.ts";
import { VirtualClock } from "./virtual-clock.ts";

export type Security = Config["security"];
type User = Security["users"][string];

/** Somebody at an address, maybe with a certificate. */
export function peerAt(remoteAddress: string, certificate?: PeerCertificate): Peer {
  return {
    id: "test",
    output: new Output(1024, () => {}),
    remoteAddress,
    localAddress: "127.0.0.1:1",
    listener: "test",
    transport: certificate === undefined ? "tcp" : "tls",
    certificate,
    subprotocol: undefined,
    lastReceivedAt: 0,
    lastWrittenAt: 0,
    bytesReceived: 0,
    bytesWritten: 0,
    pause() {},
    resume() {},
    close() {},
    identify() {},
  };
}

/** A certificate of somebody. */
export function certificateOf(subject: string, alternativeNames: readonly string[] = []): PeerCertificate {
  const commonName = /CN=([^,]*)/.exec(subject)?.[1];
  return { subject, commonName, alternativeNames, issuer: "CN=CA", serialNumber: "1", fingerprint: "00" };
}

/** Users with what is said of them, and the defaults for the rest. */
export function users(given: Readonly<Record<string, Partial<User>>>): Security["users"] {
  return Object.fromEntries(
    Object.entries(given).map(([name, user]) => [name, { groups: [], enabled: true, ...user }]),
  );
}

/** The section of a configuration, with what is given in place of the defaults. */
export function securityWith(given: Partial<Security> = {}): Security {
  return { ...defaultConfig("/").security, ...given };
}

/** Logins by a section, and what they log. */
export function loginsBy(security: Security, hosts: Config["hosts"] = {}) {
  const clock = new VirtualClock();
  const log: { text: string; fields: object }[] = [];
  const tell = (fields: object, text: string): void => void log.push({ text, fields });
  const logins = new ConfiguredLogin({ security, hosts }, clock, { warn: tell, error: tell });
  return { logins, clock, log };
}

/** The text of a refusal. */
export async function refusal(attempt: Promise<unknown>, code = "not-authenticated"): Promise<string> {
  try {
    await attempt;
  } catch (error) {
    if (error instanceof BrokerError && error.code === code) return error.message;
    throw error;
  }
  throw new Error("The login was accepted");
}
