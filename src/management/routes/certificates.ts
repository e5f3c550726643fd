import { X509Certificate } from "node:crypto";
import { type Static, Type } from "typebox";
import type { TlsOptions } from "../../net/tls.ts";
import type { ManagementApp, ManagementContext } from "../context.ts";

const Shown = Type.Object(
  {
    listeners: Type.Array(Type.String(), { description: "The ports that show it; management is one of them." }),
    name: Type.String({ description: "For clients that call the broker by this name; empty for all others." }),
    use: Type.Union([Type.Literal("server"), Type.Literal("authority")], {
      description: "An authority signs the certificates of clients.",
    }),
    subject: Type.String(),
    issuer: Type.String(),
    alternative_names: Type.Array(Type.String()),
    serial_number: Type.String(),
    fingerprint: Type.String({ description: "SHA-256." }),
    valid_from: Type.Integer({ description: "Milliseconds since 1970." }),
    valid_to: Type.Integer({ description: "Milliseconds since 1970." }),
    days_left: Type.Number({ description: "Negative when it has expired." }),
  },
  { title: "Certificate" },
);

const DAY_MS = 86_400_000;
const PEM = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g;

type Use = Static<typeof Shown>["use"];

/** The certificates that are in use, and when they expire. */
export function certificateRoutes(app: ManagementApp, { certificates, clock }: ManagementContext): void {
  app.get(
    "/certificates",
    {
      config: { right: "monitor broker" },
      schema: {
        tags: ["listeners"],
        summary: "List certificates, those that expire first before all others",
        description: "Changed files are read by POST /configuration/reload. No keys are told.",
        response: { 200: Type.Array(Shown) },
      },
    },
    () => {
      const now = clock.now();
      const { listeners, management } = certificates();
      const found = new Map<string, Static<typeof Shown>>();
      const add = (place: string, name: string, use: Use, certificate: X509Certificate): void => {
        const key = `${use} ${name} ${certificate.fingerprint256}`;
        const known = found.get(key);
        if (known === undefined) found.set(key, shownOf(certificate, { place, name, use }, now));
        else known.listeners.push(place);
      };
      for (const [place, options] of listeners) eachOf(options, (...one) => add(place, ...one));
      if (management !== undefined) eachOf(management, (...one) => add("management", ...one));
      return [...found.values()].sort((a, b) => a.valid_to - b.valid_to);
    },
  );
}

function eachOf(options: TlsOptions, each: (name: string, use: Use, certificate: X509Certificate) => void): void {
  each("", "server", new X509Certificate(options.credentials.certificate));
  for (const { match, credentials } of options.names) {
    if (credentials !== undefined) each(match, "server", new X509Certificate(credentials.certificate));
  }
  for (const authority of options.ca?.toString("latin1").match(PEM) ?? []) {
    each("", "authority", new X509Certificate(authority));
  }
}

function shownOf(
  certificate: X509Certificate,
  { place, name, use }: { readonly place: string; readonly name: string; readonly use: Use },
  now: number,
): Static<typeof Shown> {
  const { subject, issuer, subjectAltName, serialNumber, fingerprint256, validFromDate, validToDate } = certificate;
  return {
    listeners: [place],
    name,
    use,
    // Node writes each part on a line of its own.
    subject: subject.replaceAll("\n", ", "),
    issuer: issuer.replaceAll("\n", ", "),
    alternative_names: subjectAltName === undefined ? [] : subjectAltName.split(", "),
    serial_number: serialNumber.toLowerCase(),
    fingerprint: fingerprint256.replaceAll(":", "").toLowerCase(),
    valid_from: validFromDate.getTime(),
    valid_to: validToDate.getTime(),
    days_left: Math.floor((validToDate.getTime() - now) / DAY_MS),
  };
}
