/*
 * What Prometheus is told. Nothing is counted for it: each scrape looks at the accounts that are kept anyway, and sums that
 * only grow stay when what they were counted of has gone (core/totals.ts).
 */
import process from "node:process";
import { ALARMS } from "../../core/alarms.ts";
import type { Broker } from "../../core/broker.ts";
import type { Limits } from "../net/limits.ts";
import type { Listener } from "../net/listener.ts";
import { REFUSALS } from "../net/refusal.ts";
import { turnsOf } from "../turns.ts";
import type { CertificateExpiries } from "./certificate-expiries.ts";
import { Exposition, type Format } from "./exposition.ts";
import type { Health } from "./health.ts";
import type { HostLooks } from "./host-looks.ts";
import { type Told, writeHosts } from "./host-families.ts";
import { writeObjects } from "./object-families.ts";
import { ProcessFamilies } from "./process-families.ts";
import type { Resources } from "./resources.ts";

/** Where metrics come from. */
export interface MetricsSources {
  readonly broker: Broker;
  readonly health: Health;
  readonly resources: Resources;
  readonly looks: HostLooks;
  readonly listeners: readonly Listener[];
  readonly limits: Limits;
  readonly expiries: CertificateExpiries;
  readonly maxObjects: () => number;
}

const MS_PER_SECOND = 1000;

/** Tells what a broker does and how it is, as Prometheus wants it. */
export class Metrics {
  private readonly sources: MetricsSources;
  private readonly process = new ProcessFamilies();

  constructor(sources: MetricsSources) {
    this.sources = sources;
  }

  /** Nothing is measured any more. */
  stop(): void {
    this.process.stop();
  }

  /** The broker as a whole and its virtual hosts. */
  async text(format: Format): Promise<string> {
    const { broker, looks } = this.sources;
    const told = await Promise.all(
      Array.from(broker.hosts, async ([name, host]): Promise<Told> => ({ name, host, totals: await looks.of(host) })),
    );
    const to = new Exposition(format);
    to.gauge("delos_build_info", "1; which broker this is.", (sample) =>
      sample(1, { name: broker.name, version: broker.version, node: process.versions.node }),
    );
    this.writeHealth(to);
    this.writeResources(to);
    writeHosts(to, told);
    this.writeStore(to);
    this.writeListeners(to);
    this.writeLimits(to);
    this.writeCertificates(to);
    const { latency, commits } = broker.engine.traffic;
    to.histogram(
      "delos_delivery_latency_seconds",
      "How long messages were in the broker until they were delivered for the first time; of some hundred a second.",
      latency,
    );
    to.histogram(
      "delos_commit_wait_seconds",
      "How long clients waited for what they sent to be on disk; one wait at a time is measured.",
      commits,
    );
    this.process.write(to);
    return to.end();
  }

  /** Queues, topics and durable subscriptions one by one, as many as are allowed. */
  async *objects(format: Format): AsyncGenerator<string, void, undefined> {
    const to = new Exposition(format);
    const { broker, maxObjects } = this.sources;
    for await (const _ of turnsOf(writeObjects(to, broker.hosts, maxObjects()))) yield to.take();
    yield to.end();
  }

  private writeHealth(to: Exposition): void {
    const { health, broker } = this.sources;
    to.gauge("delos_ready", "1 if the broker is ready for clients, else 0.", (sample) =>
      sample(health.unready.length === 0 ? 1 : 0),
    );
    const { alarms, memoryGate, storeGate } = broker.engine;
    to.gauge("delos_alarm", "1 if publishers have to wait because this runs short, else 0.", (sample) => {
      for (const alarm of ALARMS) sample(alarms.active.some(({ name }) => name === alarm) ? 1 : 0, { alarm });
    });
    to.gauge(
      "delos_publishers_waiting",
      "Clients that are held up by something that is full for all of them.",
      (sample) => {
        sample(alarms.waiting, { for: "alarm" });
        sample(memoryGate.waiting, { for: "memory" });
        sample(storeGate.waiting, { for: "store" });
      },
    );
  }

  private writeResources(to: Exposition): void {
    const { resources, broker } = this.sources;
    const { engine } = broker;
    const { levels, memoryLimit, diskLimit } = resources;
    to.gauge("delos_message_memory_bytes", "Bytes of messages in memory.", (sample) => sample(engine.memoryBytes));
    to.gauge(
      "delos_message_memory_limit_bytes",
      "Bytes of messages that may be in memory (memory.messages).",
      (sample) => sample(engine.memoryLimitBytes),
    );
    to.gauge("delos_memory_limit_bytes", "Above so much memory there is an alarm.", (sample) => sample(memoryLimit));
    to.gauge("delos_disk_free_limit_bytes", "Below so much free disk there is an alarm; 0 for none.", (sample) =>
      sample(diskLimit),
    );
    if (levels === undefined) return;
    const { memoryUsed, diskFree } = levels;
    to.gauge(
      "delos_memory_used_bytes",
      "Memory that the process needs: without mirrors of files, and without what it has given back.",
      (sample) => sample(memoryUsed),
    );
    if (diskFree === undefined) return;
    to.gauge("delos_disk_free_bytes", "Bytes free on the disk of the store.", (sample) => sample(diskFree));
  }

  private writeStore(to: Exposition): void {
    const { diskBytes, freeBytes, batches, enqueued, cancelled, dequeued, loaded, pendingBytes } =
      this.sources.broker.store.statistics();
    const counters: readonly [name: string, help: string, value: number][] = [
      ["delos_store_batches_total", "Batches written.", batches],
      ["delos_store_enqueued_total", "Messages given to the store, once for each queue.", enqueued],
      ["delos_store_cancelled_total", "Of these, those consumed before they were written.", cancelled],
      ["delos_store_dequeued_total", "Messages taken out of the store.", dequeued],
      ["delos_store_loaded_total", "Messages read back.", loaded],
    ];
    for (const [name, help, value] of counters) to.counter(name, help, (sample) => sample(value));
    to.gauge("delos_store_disk_bytes", "Bytes of the store's files.", (sample) => sample(diskBytes));
    to.gauge("delos_store_free_bytes", "Of these, bytes that are written again before the files grow.", (sample) =>
      sample(freeBytes),
    );
    to.gauge("delos_store_pending_bytes", "Bytes that are still to be written.", (sample) => sample(pendingBytes));
  }

  private writeListeners(to: Exposition): void {
    const { listeners } = this.sources;
    to.counter("delos_listener_accepted_total", "Connections accepted.", (sample) => {
      for (const { name: listener, accepted } of listeners) sample(accepted, { listener });
    });
    to.gauge("delos_listener_connections", "Connections whose protocol is known.", (sample) => {
      for (const { name: listener, connections } of listeners) sample(connections.size, { listener });
    });
    to.counter("delos_listener_failed_handshakes_total", "TLS handshakes that failed.", (sample) => {
      for (const { name: listener, failedHandshakes } of listeners) sample(failedHandshakes, { listener });
    });
    to.counter("delos_listener_refused_total", "Connections refused before their protocol had its say.", (sample) => {
      for (const { name: listener, refused } of listeners) {
        for (const cause of REFUSALS) sample(refused[cause], { listener, cause });
      }
    });
  }

  private writeLimits(to: Exposition): void {
    const tallies = this.sources.limits.tallies();
    to.counter("delos_limit_refused_total", "Connections refused by limits.", (sample) => {
      for (const { per, refused } of tallies) sample(refused, { per });
    });
    to.counter("delos_limit_waits_total", "Times that a connection had to wait for a limit.", (sample) => {
      for (const { per, waits } of tallies) sample(waits, { per });
    });
    to.gauge("delos_limit_waiting_connections", "Connections that wait for a limit now.", (sample) => {
      for (const { per, waiting } of tallies) sample(waiting, { per });
    });
  }

  private writeCertificates(to: Exposition): void {
    const expiries = [...this.sources.expiries.all()];
    to.gauge("delos_certificate_expiry_timestamp_seconds", "When a certificate expires, since 1970.", (sample) => {
      for (const { listener, name, at } of expiries) sample(at / MS_PER_SECOND, { listener, name });
    });
  }
}
