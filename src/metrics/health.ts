import type { Alarms } from "../../core/alarms.ts";
import type { CertificateExpiries } from "./certificate-expiries.ts";

/** Why a broker is not what it should be. */
export interface Ailment {
  /** For programs: `starting`, `stopping`, `store`, `alarm-memory`, `alarm-disk`, `certificate`. */
  readonly name: string;
  /** For anybody. */
  readonly reason: string;
  /** With figures and paths, for who may know. */
  readonly detail: string;
}

const STORE = "the store has failed: the broker ends, and its log says why";
const ALARMS = {
  memory: "the broker is short of memory: publishers wait",
  disk: "the broker is short of room on its disk: publishers wait",
} as const;

/** Whether a broker lives and is ready for clients. */
export class Health {
  private readonly alarms: Alarms;
  private readonly expiries: CertificateExpiries;
  private state: "starting" | "running" | "stopping" = "starting";
  private failure: Error | undefined = undefined;

  constructor(alarms: Alarms, expiries: CertificateExpiries) {
    this.alarms = alarms;
    this.expiries = expiries;
  }

  /** Every port is open. */
  running(): void {
    this.state = "running";
  }

  stopping(): void {
    this.state = "stopping";
  }

  /** Nothing can be promised any more. */
  failed(cause: Error): void {
    this.failure ??= cause;
  }

  /** What only a new start mends; empty for a broker that lives. */
  get fatal(): readonly Ailment[] {
    return this.failure === undefined ? [] : [{ name: "store", reason: STORE, detail: this.failure.message }];
  }

  /** Why clients are better sent elsewhere; empty for a broker that is ready. */
  get unready(): readonly Ailment[] {
    const ailments = [...this.fatal];
    const { state } = this;
    if (state !== "running") ailments.push(plain(state, `the broker is ${state}`));
    for (const { name, reason } of this.alarms.active) {
      ailments.push({ name: `alarm-${name}`, reason: ALARMS[name], detail: reason });
    }
    return ailments;
  }

  /** The certificates that expire before a time, or have expired. */
  expiring(before: number): readonly Ailment[] {
    const soon = [...this.expiries.all()].filter(({ at }) => at < before);
    return soon.map(({ listener, name, at }) => {
      const whose = name === "" ? `of ${listener}` : `of ${listener} for ${name}`;
      return plain("certificate", `the certificate ${whose} expires at ${new Date(at).toISOString()}`);
    });
  }
}

function plain(name: string, reason: string): Ailment {
  return { name, reason, detail: reason };
}
