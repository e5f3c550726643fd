import { createPrivateKey } from "node:crypto";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { readCertificates } from "../../src/config/certificates.ts";
import { loadConfig, type LoadedConfig } from "../../src/config/load.ts";
import { temporaryFolder } from "../support/broker.ts";
import { writePair } from "../support/certificates.ts";
import { ca, local } from "./material.ts";

/** Loads a file in a folder that has a certificate, its key, another key and an authority. */
function load(yaml: string, folder = temporaryFolder()): LoadedConfig {
  writePair(folder, "server", local);
  writePair(folder, "other", ca.issue({ commonName: "other" }));
  writePair(folder, "ca", ca);
  writePair(folder, "old", ca.issue({ commonName: "old", to: new Date(Date.now() - 60_000) }));
  writePair(folder, "new", ca.issue({ commonName: "new", from: new Date(Date.now() + 60_000) }));
  const encrypted = createPrivateKey(local.key).export({
    type: "pkcs8",
    format: "pem",
    cipher: "aes-256-cbc",
    passphrase: "open sesame",
  });
  writeFileSync(join(folder, "encrypted.key"), encrypted);
  writeFileSync(join(folder, "text"), "hello");
  mkdirSync(join(folder, "directory"));
  writeFileSync(join(folder, "delos.yaml"), yaml);
  return loadConfig({ file: "delos.yaml", directory: folder });
}

function problems(yaml: string): readonly string[] {
  const loaded = load(yaml);
  if (loaded.ok) throw new Error("Expected a problem");
  return loaded.problems;
}

const GOOD = "certificate: server.crt, key: server.key";

describe("what is wrong with TLS is told with key and file", () => {
  it.each([
    [
      "tls: {certificate: none.crt, key: server.key}",
      /^delos\.yaml:1:20: tls\.certificate: there is no file .*none\.crt$/,
    ],
    ["tls: {certificate: server.crt, key: none.key}", /: tls\.key: there is no file \/.*none\.key$/],
    ["tls: {certificate: server.crt}", /: tls\.key: must name the file of the key of .*server\.crt$/],
    [
      "tls: {certificate: text, key: server.key}",
      /tls\.certificate: .*text holds no certificate in PEM: it has no -----BEGIN/,
    ],
    ["tls: {certificate: server.key, key: server.key}", /tls\.certificate: .*server\.key holds no certificate in PEM/],
    ["tls: {certificate: server.crt, key: text}", /tls\.key: .*text holds no private key in PEM: /],
    ["tls: {certificate: server.crt, key: other.key}", /tls\.key: .*other\.key is not the key of .*server\.crt$/],
    ["tls: {certificate: directory, key: server.key}", /tls\.certificate: .*directory cannot be read: EISDIR/],
    [
      "tls: {certificate: server.crt, key: encrypted.key}",
      /the key in .*encrypted\.key is encrypted, and tls\.passphrase is not set$/,
    ],
    [
      "tls: {certificate: server.crt, key: encrypted.key, passphrase: wrong}",
      /tls\.passphrase: is not what the key in .*encrypted\.key is encrypted with$/,
    ],
    [`tls: {${GOOD}, ca: text}`, /tls\.ca: .*text holds no certificate in PEM/],
    [`tls: {${GOOD}, client_certificates: need}`, /tls\.client_certificates: need needs a ca to trust$/],
    [`tls: {${GOOD}, ciphers: NONE-OF-THESE}`, /tls\.ciphers: cannot be used: no cipher match$/],
    [
      `tls: {${GOOD}, names: [{match: a.example, certificate: none.crt, key: server.key}]}`,
      /tls\.names\[0\]\.certificate: there is no file/,
    ],
    [`tls: {${GOOD}, names: [{match: a.example, key: server.key}]}`, /tls\.names\[0\]\.key: needs the certificate/],
    [
      `tls: {${GOOD}, names: [{match: a.example, virtual_host: shop}]}`,
      /tls\.names\[0\]\.virtual_host: there is no virtual host "shop"/,
    ],
    [`tls: {${GOOD}, names: [{match: "a.*.example"}]}`, /tls\.names\[0\]\.match: expected text that matches/],
    [`tls: {${GOOD}, minimum_version: TLSv1.1}`, /tls\.minimum_version: expected one of TLSv1\.2, TLSv1\.3/],
    [
      "listeners: {stomp: {tls: {required: true}}}",
      /listeners\.stomp\.tls\.required: there is no certificate \(tls\.certificate\), so nobody/,
    ],
    [
      `tls: {${GOOD}}\nlisteners: {stomp: {tls: {enabled: false, required: true}}}`,
      /listeners\.stomp\.tls\.required: TLS is not enabled/,
    ],
    [
      `tls: {${GOOD}}\nlisteners: {mqtt: {tls: {key: other.key}}}`,
      /^delos\.yaml:2:31: listeners\.mqtt\.tls\.key: .*other\.key is not the key of .*server\.crt$/,
    ],
  ])("%s", (yaml, problem) => {
    const found = problems(yaml);
    expect(found).toHaveLength(1);
    expect(found[0]).toMatch(problem);
  });

  it("never shows a passphrase", () => {
    const loaded = load("tls: {certificate: server.crt, key: encrypted.key, passphrase: tell-nobody}");
    expect(JSON.stringify(loaded)).not.toContain("tell-nobody");
  });
});

describe("certificates", () => {
  it.each([
    ["old", /^delos\.yaml:1:20: tls\.certificate: the certificate in .*old\.crt expired on /],
    ["new", /tls\.certificate: the certificate in .*new\.crt is not valid before /],
  ])("that are too %s are warned about, once for all listeners", (name, warning) => {
    const loaded = load(`tls: {certificate: ${name}.crt, key: ${name}.key}`);
    expect(loaded.ok && loaded.warnings).toEqual([expect.stringMatching(warning)]);
  });

  it("are read relative to the file that names them, with an encrypted key too", () => {
    const loaded = load("tls: {certificate: server.crt, key: encrypted.key, passphrase: open sesame}");
    expect(loaded).toMatchObject({ ok: true, warnings: [] });
  });

  it("of a listener are its own, each setting by itself, or those of all", () => {
    const loaded = load(
      `tls: {${GOOD}, ca: ca.crt, client_certificates: want}\n` +
        "listeners:\n" +
        "  mqtt: {tls: {certificate: other.crt, key: other.key, client_certificates: need}}\n" +
        "  amqp: {tls: {enabled: false}}\n" +
        "  openwire: {tls: {minimum_version: TLSv1.3, required: true}}\n",
    );
    if (!loaded.ok) throw new Error(loaded.problems.join("\n"));
    const { listeners: all } = readCertificates(loaded.config, Date.now(), { refuse: () => {}, warn: () => {} });
    const shown = [...all].map(([name, { credentials, ...options }]) => [
      name,
      credentials.certificate.toString() === local.certificate,
      options.clientCertificates,
      options.minimumVersion,
      options.required,
    ]);
    expect(shown).toEqual([
      ["stomp", true, "want", "TLSv1.2", false],
      ["mqtt", false, "need", "TLSv1.2", false],
      ["openwire", true, "want", "TLSv1.3", true],
      ["stomps", true, "want", "TLSv1.2", true],
      ["mqtts", true, "want", "TLSv1.2", true],
      ["amqps", true, "want", "TLSv1.2", true],
    ]);
  });

  it("of a listener of one's own leave the ports of the default that require TLS alone", () => {
    const loaded = load(
      "listeners: {own: {port: 8883, tls: {certificate: server.crt, key: server.key, required: true}}}",
    );
    expect(loaded).toMatchObject({ ok: true, warnings: [] });
  });
});
