import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { temporaryFolder } from "../support/broker.ts";
import { authority } from "../support/certificates.ts";
import { startManagement } from "../support/management.ts";
import { eventually } from "../support/eventually.ts";
import { StompWire } from "../support/stomp-wire.ts";
import { CertificateExpiries } from "../../src/metrics/certificate-expiries.ts";
import { Health } from "../../src/metrics/health.ts";
import { Alarms } from "../../core/alarms.ts";

function nothing(): void {}

function healthy(): Health {
  const certificates = { listeners: new Map(), management: undefined };
  return new Health(new Alarms(nothing, nothing), new CertificateExpiries(() => certificates));
}

const WELL = { ok: true, reasons: [] };

describe("health", () => {
  it("is told to anybody", async () => {
    const api = await startManagement();
    for (const path of ["/livez", "/readyz"]) {
      const { status, body } = await api.get(path, { as: null });
      expect([status, body]).toEqual([200, WELL]);
    }
  });

  it("names the alarm for which no clients should be sent here; the broker lives all the same", async () => {
    const api = await startManagement();
    const { alarms } = api.broker.server.broker.engine;
    alarms.raise("disk", "too little", 0);
    const ailment = { name: "alarm-disk", reason: "the broker is short of room on its disk: publishers wait" };
    const { status, body } = await api.get("/readyz", { as: null });
    expect([status, body]).toEqual([503, { ok: false, reasons: [ailment] }]);
    for (const path of ["/livez", "/readyz?exclude=alarms", "/readyz?exclude=alarm-memory,alarm-disk"]) {
      expect((await api.get(path)).status).toBe(200);
    }
    expect((await api.get("/readyz?exclude=alarm-memory")).status).toBe(503);
    alarms.clear("disk");
    expect((await api.get("/readyz")).body).toEqual(WELL);
  });

  it("counts certificates that expire within so many days, if it is asked to", async () => {
    const folder = temporaryFolder();
    const to = new Date(Date.now() + 10 * 86_400_000);
    const { certificate, key } = authority("CA").issue({ commonName: "broker", names: ["DNS:localhost"], to });
    writeFileSync(join(folder, "cert.pem"), certificate);
    writeFileSync(join(folder, "key.pem"), key);
    const api = await startManagement([
      `listeners.stomp.tls.certificate=${join(folder, "cert.pem")}`,
      `listeners.stomp.tls.key=${join(folder, "key.pem")}`,
    ]);
    for (const path of ["/readyz", "/readyz?certificates=0", "/readyz?certificates=9"]) {
      expect((await api.get(path, { as: null })).body).toEqual(WELL);
    }
    const { status, body } = await api.get("/readyz?certificates=11", { as: null });
    const reason = expect.stringMatching(/^the certificate of stomp expires at \d{4}-/);
    expect([status, body]).toEqual([503, { ok: false, reasons: [{ name: "certificate", reason }] }]);
    expect((await api.get("/readyz?certificates=11&exclude=certificate")).status).toBe(200);
    expect((await api.get("/readyz?certificates=-1")).status).toBe(400);
  });

  it("says that the broker is stopping while clients are still there", async () => {
    const api = await startManagement(["shutdown.timeout=5s", "stomp.error_close_delay=5s"]);
    using client = await StompWire.connect(api.broker.port);
    const stopped = api.broker.stop();
    await eventually(async () => {
      expect((await api.get("/readyz")).body).toEqual({
        ok: false,
        reasons: [{ name: "stopping", reason: "the broker is stopping" }],
      });
    });
    expect((await api.get("/livez")).status).toBe(200);
    client[Symbol.dispose]();
    await stopped;
  });

  it("says that the broker is starting until its ports are open", () => {
    const health = healthy();
    expect(health.unready).toMatchObject([{ name: "starting", reason: "the broker is starting" }]);
    health.running();
    expect(health.unready).toEqual([]);
  });

  it("is over with the store", () => {
    const health = healthy();
    health.running();
    health.failed(new Error("the disk is gone"));
    const reason = "the store has failed: the broker ends, and its log says why";
    for (const ailments of [health.fatal, health.unready]) {
      expect(ailments).toEqual([{ name: "store", reason, detail: "the disk is gone" }]);
    }
  });
});
