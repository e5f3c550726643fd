/*
 * Clients of AMQP 0-9-1 and 1.0 and the lives of a broker over one directory, each ended by SIGKILL:
 *
 *     start -> everybody connects, sends, settles, declares -> SIGKILL -> what came before the end is heard -> start -> ...
 *
 *     0-9-1   confirms   crash.topic -> crash.direct -> a     manual acknowledgements
 *             tx         crash.both -> b1, b2                 tx that move from b1 to b.moved
 *     1.0     unsettled  c                                    accepted, and settled by the broker
 *             coordinator  d                                  transactions that move from d to d.moved
 */
import { type BrokerProcess, startBrokerProcess } from "../support/broker.ts";
import type { Random } from "../support/crash-random.ts";
import {
  acknowledge,
  Declarations,
  declareAll,
  drain,
  moveInTransactions,
  publishConfirmed,
  publishInTransactions,
} from "./amqp091-actors.ts";
import { acceptUnsettled, moveBySettling, sendInTransactions, sendUnsettled } from "./amqp10-actors.ts";
import { QueueRecord, Transfers } from "./amqp-record.ts";

const SHORTEST_LIFE_MS = 100;
const LONGEST_LIFE_MS = 800;
/** What clients say of a connection whose other side was killed. */
const ENDED =
  /connection ended|received ""$|ECONN(RESET|REFUSED)|EPIPE|write after|This socket has been ended|destroyed/;

/** What came of many lives. */
export interface AmqpOutcome {
  readonly kills: number;
  readonly confirmed: number;
  readonly settled: number;
  readonly repeated: number;
  readonly transactions: number;
  readonly moved: number;
}

/** The lives of a broker under the load of both protocols. */
export class AmqpLives {
  readonly #directory: string;
  readonly #random: Random;
  readonly #confirms = new QueueRecord("a");
  readonly #unsettled = new QueueRecord("c");
  readonly #tx = new Transfers("tx", 5);
  readonly #coordinated = new Transfers("coordinator", 3);
  readonly #declarations = new Declarations();
  readonly #wrong: string[] = [];
  #kills = 0;
  #killing = false;

  constructor(directory: string, random: Random) {
    this.#directory = directory;
    this.#random = random;
  }

  /** Everything is declared, and answered, before the first end. */
  async prepare(): Promise<void> {
    const broker = await this.#start();
    await declareAll(broker.port);
    await this.#kill(broker, []);
  }

  /** One life under load, up to its end. */
  async live(): Promise<void> {
    const broker = await this.#start();
    const { port } = broker;
    const random = this.#random;
    const actors = [
      publishConfirmed(port, this.#confirms, random),
      acknowledge(port, this.#confirms, random),
      publishInTransactions(port, this.#tx),
      moveInTransactions(port, this.#tx, random),
      sendUnsettled(port, this.#unsettled, random),
      acceptUnsettled(port, this.#unsettled, random),
      sendInTransactions(port, "d", this.#coordinated, random),
      moveBySettling(port, "d", "d.moved", this.#coordinated),
      this.#declarations.live(port),
    ].map((actor) => actor.catch((error: unknown) => this.#left(error)));
    await new Promise((resolve) => {
      setTimeout(resolve, SHORTEST_LIFE_MS + random.below(LONGEST_LIFE_MS - SHORTEST_LIFE_MS));
    });
    await this.#kill(broker, actors);
  }

  /** What is wrong with what a broker has that is not killed any more. */
  async finish(port: number): Promise<string[]> {
    this.#confirms.check(await drain(port, "a"));
    this.#unsettled.check(await drain(port, "c"));
    this.#tx.check(await drain(port, "b1"), await drain(port, "b.moved"), await drain(port, "b2"));
    this.#coordinated.check(await drain(port, "d"), await drain(port, "d.moved"), undefined);
    const all = [this.#confirms, this.#unsettled, this.#tx, this.#coordinated, this.#declarations];
    return [...this.#wrong, ...all.flatMap(({ wrong }) => wrong)];
  }

  get outcome(): AmqpOutcome {
    return {
      kills: this.#kills,
      confirmed: this.#confirms.confirmed.size + this.#unsettled.confirmed.size,
      settled: this.#confirms.settled.size + this.#unsettled.settled.size,
      repeated: this.#confirms.repeated + this.#unsettled.repeated,
      transactions: this.#tx.confirmed.size + this.#coordinated.confirmed.size,
      moved: this.#tx.moved.size + this.#coordinated.moved.size,
    };
  }

  #left(error: unknown): void {
    const text = error instanceof Error ? error.message : String(error);
    if (!this.#killing || !ENDED.test(text)) this.#wrong.push(text);
  }

  /** Every other life keeps next to nothing in memory, so that much has to be read back. */
  #start(): Promise<BrokerProcess> {
    const scarce = this.#random.chance(0.5) ? ['queues=[{match: "**", memory: 64k}]'] : [];
    return startBrokerProcess(this.#directory, scarce);
  }

  async #kill(broker: BrokerProcess, actors: readonly Promise<unknown>[]): Promise<void> {
    if (broker.process.exitCode !== null) throw new Error(`The broker ended by itself: ${broker.output()}`);
    this.#killing = true;
    await broker.end("SIGKILL");
    await Promise.all(actors);
    this.#killing = false;
    this.#kills++;
    // 40 is the level of warnings: whatever was set aside, failed or was given up.
    const worries = broker
      .output()
      .split("\n")
      .filter((line) => /"level":[456]0/.test(line));
    if (worries.length > 0) throw new Error(worries.join("\n"));
  }
}
