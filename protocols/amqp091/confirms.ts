import type { Output } from "../../core/output.ts";
import { writeAck, writeNack } from "./encode.ts";

/** The sends of one channel since its last turn that are to be confirmed together. */
export interface ConfirmedSends {
  /** The last of them. */
  readonly tag: number;
  /** Whether there are others before it. */
  readonly multiple: boolean;
}

/** The publisher confirms of one channel (confirm.select): sends are numbered from 1. */
export class Confirms {
  readonly #output: Output;
  readonly #channel: number;
  /** The channel is gone. */
  ended = false;
  #published = 0;
  #taken = 0;
  #lastTaken = 0;

  constructor(output: Output, channel: number) {
    this.#output = output;
    this.#channel = channel;
  }

  /** The broker took the next send; true when it is the first since `gather`. */
  took(): boolean {
    this.#lastTaken = ++this.#published;
    return ++this.#taken === 1;
  }

  /** The broker did not take the next send: said at once, so that no basic.ack for later ones speaks for it too. */
  refused(): void {
    writeNack(this.#output, this.#channel, ++this.#published, false);
  }

  /** What was taken since the last call; undefined if nothing. */
  gather(): ConfirmedSends | undefined {
    if (this.#taken === 0) return undefined;
    const sends = { tag: this.#lastTaken, multiple: this.#taken > 1 };
    this.#taken = 0;
    return sends;
  }

  /** These are safe. */
  confirm({ tag, multiple }: ConfirmedSends): void {
    writeAck(this.#output, this.#channel, tag, multiple);
  }
}
