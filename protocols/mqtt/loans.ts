import type { Message } from "../../core/message.ts";
import type { Delivery } from "../../core/protocol.ts";
import { Entry } from "../../core/queue/entry.ts";

const SEQUENCE_BYTES = 6;
const HEAD_BYTES = SEQUENCE_BYTES + 8;

/** A message of a queue that is not the session's own, under way at QoS 2. */
export interface Loan {
  readonly subject: string;
  readonly sequence: number;
  /** Tells it from the message that has its place after the queue was made anew. */
  readonly receivedAt: number;
}

interface Lent extends Loan {
  readonly id: number;
}

/** What connections before had on loan and did not release, with its packet identifiers. */
export class Loans {
  /** By queue, in the queue's order once one was looked for. */
  readonly #byQueue = new Map<string, Lent[]>();
  readonly #unsorted = new Set<string>();

  add(id: number, loan: Loan): void {
    const { subject } = loan;
    const lent = this.#byQueue.get(subject);
    if (lent === undefined) this.#byQueue.set(subject, [{ ...loan, id }]);
    else lent.push({ ...loan, id });
    this.#unsorted.add(subject);
  }

  /** The identifier that a message had, which is forgotten here; those before it in its queue went to somebody else. */
  take(loan: Loan, wentElsewhere: (id: number) => void): number | undefined {
    const { subject } = loan;
    const lent = this.#byQueue.get(subject);
    if (lent === undefined) return undefined;
    // The last one is the first of the queue.
    if (this.#unsorted.delete(subject)) lent.sort((a, b) => compare(b, a));
    for (let next = lent.at(-1); next !== undefined; next = lent.at(-1)) {
      const order = compare(next, loan);
      if (order > 0) return undefined;
      lent.pop();
      if (lent.length === 0) this.#byQueue.delete(subject);
      if (order === 0) return next.id;
      wentElsewhere(next.id);
    }
    return undefined;
  }

  /** Forgets an identifier, whatever had it. */
  delete(id: number): void {
    for (const [subject, lent] of this.#byQueue) {
      const at = lent.findIndex((one) => one.id === id);
      if (at < 0) continue;
      lent.splice(at, 1);
      if (lent.length === 0) this.#byQueue.delete(subject);
      return;
    }
  }
}

/** The loan that a delivery is; undefined of what comes from a topic. */
export function loanOf(delivery: Delivery, { receivedAt }: Message): Loan | undefined {
  if (!(delivery instanceof Entry) || delivery.holder === undefined) return undefined;
  return { subject: delivery.holder.queue.subject, sequence: delivery.sequence, receivedAt };
}

/** A loan as a session keeps it. */
export function writeLoan({ subject, sequence, receivedAt }: Loan): Buffer {
  const head = Buffer.alloc(HEAD_BYTES);
  head.writeUIntBE(sequence, 0, SEQUENCE_BYTES);
  head.writeDoubleBE(receivedAt, SEQUENCE_BYTES);
  return Buffer.concat([head, Buffer.from(subject)]);
}

/** Reads what `writeLoan` wrote. */
export function readLoan(value: Buffer): Loan {
  return {
    subject: value.toString("utf8", HEAD_BYTES),
    sequence: value.readUIntBE(0, SEQUENCE_BYTES),
    receivedAt: value.readDoubleBE(SEQUENCE_BYTES),
  };
}

/** In the order of their queue; a queue that was made anew counts from the beginning. */
function compare(a: Loan, b: Loan): number {
  return a.receivedAt - b.receivedAt || a.sequence - b.sequence;
}
