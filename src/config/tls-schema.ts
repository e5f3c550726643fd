import { Type } from "typebox";
import { CLOSED, choice, flag } from "./field.ts";

const certificate = Type.String({
  default: "",
  description: "The file of the certificate with its intermediates, in PEM. Empty: there is none, and so no TLS.",
});
const key = Type.String({ default: "", description: "The file of the certificate's private key, in PEM." });
const passphrase = Type.String({
  default: "",
  writeOnly: true,
  description: "What the private key is encrypted with; empty if it is not.",
});
const ca = Type.String({
  default: "",
  description: "The file of the certificates, in PEM, of those who may sign the certificates of clients.",
});
const clientCertificates = choice(
  ["none", "want", "need"],
  "none",
  "Whether clients are asked for a certificate: want lets those in that have none, need does not; one that is shown must " +
    "be valid.",
);
const minimumVersion = choice(["TLSv1.2", "TLSv1.3"], "TLSv1.2", "The oldest version of TLS that is spoken.");
const ciphers = Type.String({
  default: "",
  description: "The ciphers that are allowed, as OpenSSL writes them; empty for those that Node prefers.",
});
const names = Type.Array(
  Type.Object(
    {
      match: Type.String({
        pattern: "^(\\*\\.)?[^*\\s.]+(\\.[^*\\s.]+)*$",
        description: 'A host name, or "*." and the rest of one, which stands for one level.',
      }),
      certificate: Type.Optional(
        Type.String({
          default: "",
          description:
            "The certificate for clients that call the broker by such a name. Empty: the same as for others.",
        }),
      ),
      key: Type.Optional(key),
      passphrase: Type.Optional(passphrase),
      virtual_host: Type.Optional(
        Type.String({
          default: "",
          description:
            "The virtual host of clients whose protocol names none. Empty: the one that has this name or alias, or else " +
            "the default one.",
        }),
      ),
    },
    { ...CLOSED, description: "What holds for clients that call the broker by certain names (SNI)." },
  ),
  { default: [], description: "Certificates and virtual hosts by the name that clients call the broker by (SNI)." },
);

/** TLS of all listeners. */
export const tls = Type.Object(
  {
    certificate,
    key,
    passphrase,
    ca,
    client_certificates: clientCertificates,
    minimum_version: minimumVersion,
    ciphers,
    names,
  },
  { ...CLOSED, description: "TLS of all listeners; each can have its own instead. Files are read again by a reload." },
);

/** TLS of one listener. */
export const listenerTls = Type.Object(
  {
    enabled: flag(true, "Whether TLS is recognised on this port, if there is a certificate for it."),
    required: flag(false, "Whether nothing but TLS is let in."),
    certificate: Type.Optional(certificate),
    key: Type.Optional(key),
    passphrase: Type.Optional(passphrase),
    ca: Type.Optional(ca),
    client_certificates: Type.Optional(clientCertificates),
    minimum_version: Type.Optional(minimumVersion),
    ciphers: Type.Optional(ciphers),
    names: Type.Optional(names),
  },
  { ...CLOSED, description: 'TLS on this port: what is not said here is as the section "tls" says.' },
);

/** The settings of one of the two, as they are read. */
export type TlsSection = Type.Static<typeof tls>;
