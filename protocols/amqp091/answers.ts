import type { Output } from "../../core/output.ts";
import { type Arguments, type MethodName, writeMethod } from "./methods.ts";

/** What the answers of a channel need of its connection. */
export interface AnswerOwner {
  readonly output: Output;
  /** Answers that wait for others, or for the disk, in all channels. */
  answersWaiting: number;
  /** Calls back, in order, once all that the client has said so far is safe: maybe at once. */
  whenSafe(act: () => void): void;
  /** Something was written that the client asked for. */
  answered(): void;
}

/** One answer that is not written yet. */
interface Waiting {
  ready: boolean;
  readonly write: () => void;
}

/**
 * The answers of one channel, in the order in which they were asked for: clients tell them apart by nothing else. Some may
 * only be said when what they say is on disk, or when the core has found a message; those behind them wait.
 */
export class Answers {
  readonly #owner: AnswerOwner;
  readonly #channel: number;
  #waiting: Waiting[] = [];
  #ended = false;

  constructor(owner: AnswerOwner, channel: number) {
    this.#owner = owner;
    this.#channel = channel;
  }

  /** True when nothing waits to be said. */
  get idle(): boolean {
    return this.#waiting.length === 0;
  }

  /** Says something when everything before was said. */
  say<N extends MethodName>(name: N, args: Arguments<N>): void {
    if (this.idle) this.#write(name, args);
    else this.#add(() => this.#write(name, args), true);
  }

  /** The same, and not before what the client has said so far is safe. */
  sayWhenSafe<N extends MethodName>(name: N, args: Arguments<N>): void {
    const done = this.expect(() => this.#write(name, args));
    this.#owner.whenSafe(done);
  }

  /** Something will be said, once what this returns is called. */
  expect(write: () => void): () => void {
    const waiting = this.#add(write, false);
    return () => {
      waiting.ready = true;
      this.#sayReady();
    };
  }

  /** The channel is gone: nothing more is said. */
  end(): void {
    this.#ended = true;
    this.#owner.answersWaiting -= this.#waiting.length;
    this.#waiting = [];
  }

  #add(write: () => void, ready: boolean): Waiting {
    const waiting = { ready, write };
    if (this.#ended) return waiting;
    this.#waiting.push(waiting);
    this.#owner.answersWaiting++;
    return waiting;
  }

  #sayReady(): void {
    let said = 0;
    for (const { ready, write } of this.#waiting) {
      if (!ready) break;
      said++;
      write();
      // What was said may have ended the channel.
      if (this.#ended) return;
    }
    if (said === 0) return;
    this.#waiting = this.#waiting.slice(said);
    this.#owner.answersWaiting -= said;
  }

  #write<N extends MethodName>(name: N, args: Arguments<N>): void {
    writeMethod(this.#owner.output, this.#channel, name, args);
    this.#owner.answered();
  }
}
