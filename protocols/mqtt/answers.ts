import type { Client } from "../../core/client.ts";
import type { Output } from "../../core/output.ts";
import { ackSize, writeAck } from "./encode.ts";
import { REASON, type ReasonCode, type Version } from "./errors.ts";
import type { Inbox } from "./inbox.ts";
import type { AckType } from "./packet.ts";

/** Tokens below the first one that is counted: an answer in this list, and its packet identifier. */
const ANSWERS: readonly AckType[] = ["puback", "pubrec", "pubrel", "pubcomp"];
const ID_BITS = 16;
const MOST_IDS = 0xffff;
const FIRST_TOKEN = ANSWERS.length << ID_BITS;

/** What is said to a client in its turn, once what was said before it is safe. */
export class Answers {
  /** Acknowledgements written since the output was last empty, while it was full. */
  unread = 0;
  readonly #client: Client;
  readonly #output: Output;
  readonly #version: Version;
  readonly #inbox: Inbox;
  /** What is more than an acknowledgement, by token. */
  readonly #others = new Map<number, () => void>();
  #lastToken = FIRST_TOKEN;
  #stopped = false;

  constructor(client: Client, output: Output, version: Version, inbox: Inbox) {
    this.#client = client;
    this.#output = output;
    this.#version = version;
    this.#inbox = inbox;
  }

  /** Acknowledges once what was said so far is safe. */
  acknowledge(type: AckType, id: number, code: ReasonCode): void {
    // For most of them the token says all there is to say.
    if (code === REASON.success) this.#client.confirm((ANSWERS.indexOf(type) << ID_BITS) | id);
    else this.whenSafe(() => this.#write(type, id, code));
  }

  /** Goes on with `then` once what was said so far is safe. */
  whenSafe(then: () => void): void {
    const token = ++this.#lastToken;
    this.#others.set(token, then);
    this.#client.confirm(token);
  }

  /** What was said up to this token is safe. */
  confirmed(token: number): void {
    if (this.#stopped) return;
    if (token < FIRST_TOKEN) {
      const type = ANSWERS[token >>> ID_BITS];
      if (type !== undefined) this.#write(type, token & MOST_IDS, REASON.success);
      return;
    }
    const then = this.#others.get(token);
    this.#others.delete(token);
    then?.();
  }

  /** Nothing is said any more. */
  stop(): void {
    this.#stopped = true;
    this.#others.clear();
  }

  #write(type: AckType, id: number, code: ReasonCode): void {
    if (type === "puback") this.#inbox.end();
    const reasonCode = this.#version === 5 ? code : REASON.success;
    const at = this.#output.reserve(ackSize(reasonCode, this.#version));
    this.#output.advance(writeAck(this.#output.buffer, at, type, id, reasonCode, this.#version));
    if (this.#output.full) this.unread++;
  }
}
