import type { Clock } from "../../core/time/clock.ts";

/** Where connections report what became of them; a pino logger fits. */
export interface Log {
  debug(fields: object, text: string): void;
  info(fields: object, text: string): void;
  warn(fields: object, text: string): void;
  error(fields: object, text: string): void;
}

/** Bounds that hold for every connection of a broker. */
export interface NetworkSettings {
  /** A connection with more than this on its way out is full. */
  readonly outputHighWaterBytes: number;
  /** A full connection takes more again once no more than this is on its way out. */
  readonly outputLowWaterBytes: number;
  /** How long a peer may take to close after it was told to. */
  readonly closeTimeoutMs: number;
  /** How long a peer may take until its protocol is known. */
  readonly detectionTimeoutMs: number;
}

/** Something that holds output until the turn ends. */
export interface Flushable {
  flush(): void;
}

/** What all connections of one broker share. */
export class Network {
  readonly clock: Clock;
  readonly log: Log;
  readonly settings: NetworkSettings;
  #numbers = 0;
  #dirty: Flushable[] = [];

  constructor(clock: Clock, log: Log, settings: NetworkSettings) {
    this.clock = clock;
    this.log = log;
    this.settings = settings;
  }

  /** A number no other connection of this broker has. */
  nextNumber(): number {
    return ++this.#numbers;
  }

  /** Flushes the connection when this turn ends, together with all others that asked for it. */
  flushLater(connection: Flushable): void {
    if (this.#dirty.push(connection) === 1) this.clock.endOfTurn(this.#flush);
  }

  readonly #flush = (): void => {
    const dirty = this.#dirty;
    this.#dirty = [];
    for (const connection of dirty) connection.flush();
  };
}
