import { describe, expect, it } from "vitest";
import { startManagement } from "../support/management.ts";
import { eventually } from "../support/eventually.ts";
import { StompWire } from "../support/stomp-wire.ts";
import { Health } from "../../src/metrics/health.ts";
import { Alarms } from "../../core/alarms.ts";

function nothing(): void {}

function healthy(): Health {
  return new Health(new Alarms(nothing, nothing));
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
    const ailment = { name: "alarm-disk", reason: "too little" };
    const { status, body } = await api.get("/readyz");
    expect([status, body]).toEqual([503, { ok: false, reasons: [ailment] }]);
    for (const path of ["/livez", "/readyz?exclude=alarms", "/readyz?exclude=alarm-memory,alarm-disk"]) {
      expect((await api.get(path)).status).toBe(200);
    }
    expect((await api.get("/readyz?exclude=alarm-memory")).status).toBe(503);
    alarms.clear("disk");
    expect((await api.get("/readyz")).body).toEqual(WELL);
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
    expect(health.unready).toEqual([{ name: "starting", reason: "the broker is starting" }]);
    health.running();
    expect(health.unready).toEqual([]);
  });

  it("is over with the store", () => {
    const health = healthy();
    health.running();
    health.failed(new Error("the disk is gone"));
    expect([health.fatal, health.unready]).toEqual(
      Array.from({ length: 2 }, () => [{ name: "store", reason: "the disk is gone" }]),
    );
  });
});
