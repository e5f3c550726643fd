import { BrokerError } from "../../core/errors.ts";
import type { Operation, OperationResult } from "../../core/operations/operation.ts";
import type { Clock } from "../../core/time/clock.ts";

/** Jobs at a time, of one broker, and jobs that ended and can still be looked at. */
const MOST_RUNNING = 100;
const MOST_ENDED = 1000;

/** What an operator has done to many messages, or does. */
export interface Job {
  readonly id: string;
  readonly host: string;
  readonly kind: "move" | "copy" | "redrive" | "purge";
  readonly source: string;
  readonly target: string | undefined;
  readonly user: string | undefined;
  readonly startedAt: number;
  /** Undefined once it has ended: it would keep the queue, and the places that were asked for. */
  operation: Operation | undefined;
  /** Messages done and passed over when it ended. */
  done: number;
  skipped: number;
  endedAt: number | undefined;
  result: OperationResult | undefined;
  failure: string | undefined;
}

/** What a job is begun with. */
export type NewJob = Pick<Job, "host" | "kind" | "source" | "target" | "user">;

/** The jobs of a broker since it started. */
export class Jobs {
  readonly all = new Map<string, Job>();
  private readonly clock: Clock;
  private running = 0;
  private counter = 0;

  constructor(clock: Clock) {
    this.clock = clock;
  }

  /** Begins one. Throws BrokerError when there are too many. */
  begin(about: NewJob, start: () => Operation): Job {
    if (this.running >= MOST_RUNNING) {
      throw new BrokerError("limit", `${this.running} jobs are under way, the most there may be; wait, or cancel one`);
    }
    const operation = start();
    const job: Job = {
      ...about,
      id: `${++this.counter}`,
      startedAt: this.clock.now(),
      operation,
      done: 0,
      skipped: 0,
      endedAt: undefined,
      result: undefined,
      failure: undefined,
    };
    this.running++;
    this.all.set(job.id, job);
    operation.finished.then(
      (result) => this.end(job, result, undefined),
      (error: unknown) => this.end(job, undefined, error instanceof Error ? error.message : String(error)),
    );
    return job;
  }

  /** Throws BrokerError when it is not there. */
  get(host: string, id: string): Job {
    const job = this.all.get(id);
    if (job !== undefined && job.host === host) return job;
    throw new BrokerError("not-found", `There is no job ${id} of virtual host ${host}`);
  }

  private end(job: Job, result: OperationResult | undefined, failure: string | undefined): void {
    this.running--;
    job.done = job.operation?.moved ?? 0;
    job.skipped = job.operation?.skipped ?? 0;
    job.operation = undefined;
    job.endedAt = this.clock.now();
    job.result = result;
    job.failure = failure;
    let ended = this.all.size - this.running;
    for (const [id, { endedAt }] of this.all) {
      if (ended <= MOST_ENDED) break;
      if (endedAt === undefined) continue;
      this.all.delete(id);
      ended--;
    }
  }
}
