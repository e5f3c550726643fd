import type { Client } from "../../core/client.ts";
import type { Output } from "../../core/output.ts";
import { writeDisposition } from "./encode.ts";
import type { DeliveryState } from "./performatives.ts";

/** The AMQP session whose deliveries are answered. */
export interface Answerer {
  readonly channel: number;
  /** Its END was written: whatever came behind it would be taken for another session's (amqp10 2.5.5). */
  readonly over: boolean;
}

/** What is said once all that was done before is safe. */
interface Answer {
  /** 0 while the chunk at hand is still being handled. */
  token: number;
  readonly carryOut: () => void;
}

/** Deliveries of one AMQP session, one behind the other, with one answer. */
class DispositionRange {
  token = 0;
  readonly answerer: Answerer;
  readonly role: boolean;
  readonly first: number;
  last: number;
  readonly settled: boolean;
  readonly state: DeliveryState;

  constructor(answerer: Answerer, role: boolean, id: number, settled: boolean, state: DeliveryState) {
    this.answerer = answerer;
    this.role = role;
    this.first = id;
    this.last = id;
    this.settled = settled;
    this.state = state;
  }

  /** Takes one more delivery in; false when its answer is another or it does not follow. */
  extend(answerer: Answerer, role: boolean, id: number, settled: boolean, state: DeliveryState): boolean {
    if (id !== (this.last + 1) >>> 0 || this.answerer !== answerer || this.role !== role) return false;
    if (this.settled !== settled || this.state !== state) return false;
    this.last = id;
    return true;
  }
}

/**
 * The answers of one connection that wait until what they are about is safe, in order. All that one chunk of input asks for
 * waits for one confirmation of the core, and deliveries that follow each other are answered together.
 */
export class Answers {
  /** Answers written while the output was full. */
  unread = 0;
  readonly #client: Client;
  readonly #output: Output;
  #waiting: (Answer | DispositionRange)[] = [];
  #waitingFrom = 0;
  /** Where in `#waiting` the answers begin that the chunk at hand asked for. */
  #fresh = 0;
  #range: DispositionRange | undefined = undefined;
  #lastToken = 0;
  #stopped = false;

  constructor(client: Client, output: Output) {
    this.#client = client;
    this.#output = output;
  }

  /** Answers a delivery. `role`: true when it came from the peer. */
  settle(answerer: Answerer, role: boolean, id: number, settled: boolean, state: DeliveryState): void {
    if (this.#range?.extend(answerer, role, id, settled, state) === true) return;
    this.#range = new DispositionRange(answerer, role, id, settled, state);
    this.#waiting.push(this.#range);
  }

  /** Does something else in its turn. */
  afterwards(task: () => void): void {
    this.#range = undefined;
    this.#waiting.push({ token: 0, carryOut: task });
  }

  /** The chunk is handled: asks the core to confirm it. */
  flush(): void {
    const { length } = this.#waiting;
    if (this.#fresh === length || this.#stopped) return;
    const token = ++this.#lastToken;
    for (let i = this.#fresh; i < length; i++) {
      const answer = this.#waiting[i];
      if (answer !== undefined) answer.token = token;
    }
    this.#fresh = length;
    this.#range = undefined;
    this.#client.confirm(token);
  }

  /** Everything up to the token is safe. */
  confirmed(token: number): void {
    while (this.#waitingFrom < this.#fresh && !this.#stopped) {
      const answer = this.#waiting[this.#waitingFrom];
      if (answer === undefined || answer.token > token) break;
      this.#waitingFrom++;
      if (answer instanceof DispositionRange) this.#write(answer);
      else answer.carryOut();
    }
    if (this.#waitingFrom === this.#waiting.length) this.#cut();
    else if (this.#waitingFrom > 1024 && this.#waitingFrom * 2 > this.#waiting.length) this.#cut();
  }

  /** Nothing is said any more. */
  stop(): void {
    this.#stopped = true;
    this.#waiting = [];
    this.#waitingFrom = this.#fresh = 0;
  }

  #cut(): void {
    this.#waiting = this.#waiting.slice(this.#waitingFrom);
    this.#fresh -= this.#waitingFrom;
    this.#waitingFrom = 0;
  }

  #write({ answerer, role, first, last, settled, state }: DispositionRange): void {
    if (answerer.over) return;
    writeDisposition(this.#output, answerer.channel, role, first, last, settled, state);
    if (this.#output.full) this.unread++;
  }
}
