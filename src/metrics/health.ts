import type { Alarms } from "../../core/alarms.ts";

/** Why a broker is not what it should be. */
export interface Ailment {
  /** For programs: `starting`, `stopping`, `store`, `alarm-memory`, `alarm-disk`. */
  readonly name: string;
  /** For people. */
  readonly reason: string;
}

/** Whether a broker lives and is ready for clients. */
export class Health {
  private readonly alarms: Alarms;
  private state: "starting" | "running" | "stopping" = "starting";
  private failure: Error | undefined = undefined;

  constructor(alarms: Alarms) {
    this.alarms = alarms;
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
    return this.failure === undefined ? [] : [{ name: "store", reason: this.failure.message }];
  }

  /** Why clients are better sent elsewhere; empty for a broker that is ready. */
  get unready(): readonly Ailment[] {
    const ailments = [...this.fatal];
    if (this.state !== "running") ailments.push({ name: this.state, reason: `the broker is ${this.state}` });
    for (const { name, reason } of this.alarms.active) ailments.push({ name: `alarm-${name}`, reason });
    return ailments;
  }
}
