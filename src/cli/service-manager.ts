/*
 * What systemd wants to hear of a service of Type=notify: that it is ready, reloads, stops, and that it still lives. Node
 * has no datagram sockets of the file system, so `systemd-notify` says it, which comes with systemd; the unit lets it
 * (NotifyAccess=all). The watchdog is fed from the event loop: a broker that is stuck there is not fed any more.
 */
import { execFile } from "node:child_process";
import { hrtime } from "node:process";
import type { Clock, Timer } from "../../core/time/clock.ts";
import type { Log } from "../log.ts";

const PROGRAM = "systemd-notify";
const PATIENCE_MS = 5000;

/** The service manager that started this process, if one did that wants to hear of it. */
export class ServiceManager {
  private readonly environment: NodeJS.ProcessEnv;
  private readonly clock: Clock;
  private readonly log: Log;
  private timer: Timer | undefined = undefined;
  private waiting = 0;
  /** What it is being told: one thing after the other, as each has a program of its own. */
  private last: Promise<void> = Promise.resolve();
  private complained = false;

  private constructor(environment: NodeJS.ProcessEnv, clock: Clock, log: Log) {
    this.environment = environment;
    this.clock = clock;
    this.log = log;
  }

  /** Undefined for a process that nobody waits to hear of. */
  static of(environment: NodeJS.ProcessEnv, clock: Clock, log: Log): ServiceManager | undefined {
    return environment["NOTIFY_SOCKET"] ? new ServiceManager(environment, clock, log) : undefined;
  }

  /** Clients are served from now on; the watchdog, if there is one, is fed until the process ends. */
  ready(status: string): void {
    // Once the first word was heard, as the watchdog counts from there.
    void this.tell("READY=1", `STATUS=${status}`).then(() => this.feed());
  }

  /** The configuration is being read again. */
  reloading(): void {
    void this.tell("RELOADING=1", `MONOTONIC_USEC=${hrtime.bigint() / 1000n}`);
  }

  /** It was read, or stays as it was. */
  reloaded(status: string): void {
    void this.tell("READY=1", `STATUS=${status}`);
  }

  /** It ends, and may take a moment for that. */
  async stopping(): Promise<void> {
    await this.tell("STOPPING=1", "STATUS=Says goodbye to its clients");
  }

  private feed(): void {
    const { WATCHDOG_USEC: microseconds = "", WATCHDOG_PID: pid } = this.environment;
    const intervalMs = Number(microseconds) / 1000;
    if (!(intervalMs > 0) || (pid !== undefined && Number(pid) !== process.pid)) return;
    this.timer?.cancel();
    this.timer = this.clock.after(Math.max(1, intervalMs / 3), () => {
      this.feed();
      if (this.waiting === 0) void this.tell("WATCHDOG=1");
    });
  }

  private tell(...words: readonly string[]): Promise<void> {
    this.waiting++;
    this.last = this.last.then(() => this.run(words));
    return this.last;
  }

  private run(words: readonly string[]): Promise<void> {
    return new Promise((resolve) => {
      execFile(PROGRAM, [...words], { env: this.environment, timeout: PATIENCE_MS }, (error) => {
        this.waiting--;
        if (error !== null && !this.complained) {
          this.complained = true;
          this.log.warn({ err: error, program: PROGRAM }, "the service manager could not be told how the broker is");
        }
        resolve();
      });
    });
  }
}
