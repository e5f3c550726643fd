import type { TLSSocket } from "node:tls";
import type { PeerCertificate } from "../../core/protocol.ts";

/** One name of a certificate in the text Node makes of them; what holds a comma or a quote is written as JSON. */
const ALTERNATIVE_NAME = /([\w ]+):("(?:[^"\\]|\\.)*"|[^,]*)(?:, |$)/y;

/** What the certificate of a peer says; undefined when it has shown none, or none that is trusted. */
export function peerCertificate(socket: TLSSocket): PeerCertificate | undefined {
  if (!socket.authorized) return undefined;
  const certificate = socket.getPeerX509Certificate();
  if (certificate === undefined) return undefined;
  const names: unknown = certificate.toLegacyObject().subject?.CN;
  // With several common names the last one is the most specific, as in OpenSSL's own checks.
  const commonName: unknown = Array.isArray(names) ? names.at(-1) : names;
  return {
    subject: distinguishedName(certificate.subject),
    commonName: typeof commonName === "string" ? commonName : undefined,
    alternativeNames: alternativeNames(certificate.subjectAltName),
    issuer: distinguishedName(certificate.issuer),
    serialNumber: certificate.serialNumber.toLowerCase(),
    fingerprint: certificate.fingerprint256.replaceAll(":", "").toLowerCase(),
  };
}

/** In the order and the spelling of RFC 4514; Node has the reverse order, one name on a line, escaped already. */
function distinguishedName(lines: string): string {
  return lines.split("\n").reverse().join(",");
}

/** `DNS:pump.example`, `email:ann@example.org`, `URI:...`, `IP Address:...`, in the order of the certificate. */
export function alternativeNames(text: string | undefined): string[] {
  const names: string[] = [];
  ALTERNATIVE_NAME.lastIndex = 0;
  for (let found = ALTERNATIVE_NAME.exec(text ?? ""); found !== null; found = ALTERNATIVE_NAME.exec(text ?? "")) {
    const [, kind = "", value = ""] = found;
    names.push(`${kind}:${value.startsWith('"') ? unquoted(value) : value}`);
  }
  return names;
}

function unquoted(value: string): string {
  const parsed: unknown = JSON.parse(value);
  return String(parsed);
}
