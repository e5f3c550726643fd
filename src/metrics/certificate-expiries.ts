import { X509Certificate } from "node:crypto";
import type { Certificates } from "../config/certificates.ts";
import type { TlsOptions } from "../net/tls.ts";

/** When the certificate of a port expires. */
export interface Expiry {
  /** `management` is one of them. */
  readonly listener: string;
  /** For clients that call the broker by this name; empty for all others. */
  readonly name: string;
  /** Milliseconds since 1970. */
  readonly at: number;
}

/** Knows when the certificates in use expire. */
export class CertificateExpiries {
  private readonly certificates: () => Certificates;
  /** They are taken apart once. */
  private readonly known = new WeakMap<Buffer, number>();

  /** `certificates` are those as they are now. */
  constructor(certificates: () => Certificates) {
    this.certificates = certificates;
  }

  /** Of every port, and of each name that has one of its own. */
  *all(): Iterable<Expiry> {
    const { listeners, management } = this.certificates();
    for (const [listener, tls] of listeners) yield* this.ofPort(listener, tls);
    if (management !== undefined) yield* this.ofPort("management", management);
  }

  private *ofPort(listener: string, { credentials, names }: TlsOptions): Iterable<Expiry> {
    yield { listener, name: "", at: this.expiryOf(credentials.certificate) };
    for (const { match: name, credentials: own } of names) {
      if (own !== undefined) yield { listener, name, at: this.expiryOf(own.certificate) };
    }
  }

  private expiryOf(certificate: Buffer): number {
    let expiry = this.known.get(certificate);
    if (expiry === undefined) {
      expiry = new X509Certificate(certificate).validToDate.getTime();
      this.known.set(certificate, expiry);
    }
    return expiry;
  }
}
