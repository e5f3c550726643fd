import type { Credentials, TlsOptions } from "../../src/net/tls.ts";
import { authority, type Pair, writePair } from "../support/certificates.ts";

/** Who signs what servers and clients show in these tests. */
export const ca = authority("Test CA");
/** Nobody trusts it. */
export const strangers = authority("Strangers' CA");
/** What a server on this machine shows. */
export const local: Pair = ca.issue({ commonName: "broker", names: ["DNS:localhost", "IP:127.0.0.1"] });

/** A pair as a listener takes it. */
export function credentials({ certificate, key }: Pair): Credentials {
  return { certificate: Buffer.from(certificate), key: Buffer.from(key), passphrase: "" };
}

/** TLS of a listener, beside plain text and without client certificates unless said otherwise. */
export function tlsOptions(options: Partial<TlsOptions> = {}): TlsOptions {
  return {
    required: false,
    credentials: credentials(local),
    names: [],
    ca: undefined,
    clientCertificates: "none",
    minimumVersion: "TLSv1.2",
    ciphers: "",
    ...options,
  };
}

/** Settings of a broker that has the certificate `local` for all its listeners, which are the one of `startBroker`. */
export function tlsSettings(folder: string): string[] {
  const files = writePair(folder, "broker", local);
  return [
    `tls.certificate=${files.certificate}`,
    `tls.key=${files.key}`,
    ...["stomps", "mqtts", "amqps"].map((name) => `listeners.${name}.enabled=false`),
  ];
}

/** The file of the authority's certificate in a folder. */
export function caFile(folder: string): string {
  return writePair(folder, "ca", ca).certificate;
}
