import type { Broker } from "../../core/broker.ts";
import type { Certificates } from "../config/certificates.ts";
import type { Config } from "../config/schema.ts";
import type { Log } from "../log.ts";
import type { Limits } from "../net/limits.ts";
import type { Listener } from "../net/listener.ts";
import { CertificateExpiries } from "./certificate-expiries.ts";
import { Health } from "./health.ts";
import { HostLooks } from "./host-looks.ts";
import { garbageCollector } from "./memory.ts";
import { Metrics } from "./metrics.ts";
import { type AlarmHeard, type Measure, measureIn, Resources } from "./resources.ts";

/** What the signs of life of a broker are taken from. */
export interface VitalsSources {
  /** As it is now. */
  readonly config: () => Config;
  readonly listeners: readonly Listener[];
  readonly limits: Limits;
  /** As they are now. */
  readonly certificates: () => Certificates;
  /** Where the data is; undefined when it lives in memory only. */
  readonly directory: string | undefined;
  readonly failed: Promise<Error>;
  readonly log: Log;
  readonly heard: AlarmHeard;
  /** If absent, it is measured. */
  readonly measure?: Measure | undefined;
}

/** The signs of life of a broker: its health, its alarms and its metrics. */
export class Vitals {
  readonly health: Health;
  readonly metrics: Metrics;
  readonly looks: HostLooks;
  readonly resources: Resources;

  constructor(broker: Broker, sources: VitalsSources) {
    const { config, listeners, limits, certificates, directory, failed, log, heard, measure } = sources;
    const { alarms } = broker.engine;
    const expiries = new CertificateExpiries(certificates);
    this.health = new Health(alarms, expiries);
    void failed.then((cause) => this.health.failed(cause));
    this.resources = new Resources(alarms, {
      settings: () => config().alarms,
      measure: measure ?? measureIn(directory, () => broker.store.statistics().freeBytes),
      clock: broker.clock,
      log,
      heard,
      collect: garbageCollector(),
    });
    this.looks = new HostLooks(broker.clock);
    const { health, resources, looks } = this;
    const maxObjects = (): number => config().metrics.max_objects;
    this.metrics = new Metrics({ broker, health, resources, looks, listeners, limits, expiries, maxObjects });
  }

  /** Looks at memory and disk from now on; they are known when this is fulfilled. */
  start(): Promise<void> {
    return this.resources.start();
  }

  stop(): void {
    this.resources.stop();
    this.metrics.stop();
  }
}

/** What of a new configuration counts at once. */
export function reloadableVitals(config: Config, { alarms, metrics }: Config): Pick<Config, "alarms" | "metrics"> {
  return { alarms, metrics: { ...config.metrics, max_objects: metrics.max_objects } };
}
