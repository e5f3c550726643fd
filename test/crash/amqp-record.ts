/** Numbers that went into one queue in ascending order, and what is known of them. */
export class QueueRecord {
  readonly queue: string;
  /** The highest number that was sent. */
  sent = 0;
  /** What the broker said it has. */
  readonly confirmed: Set<number> = new Set();
  /** What the consumer has, or had, to settle; what it settled; and what the broker said, or must, have kept of that. */
  readonly given: Set<number> = new Set();
  readonly released: Set<number> = new Set();
  readonly settled: Set<number> = new Set();
  /** How often it was given what it had been given before. */
  repeated = 0;
  readonly wrong: string[] = [];
  #last = 0;

  constructor(queue: string) {
    this.queue = queue;
  }

  /** A consumer begins anew, at the head of the queue. */
  begin(): void {
    this.#last = 0;
  }

  /** The consumer is given a number. */
  give(number: number): void {
    if (number <= this.#last) this.wrong.push(`${this.queue}: ${number} came after ${this.#last}`);
    if (this.settled.has(number)) this.wrong.push(`${this.queue}: ${number} came again after it was settled for good`);
    if (number > this.sent) this.wrong.push(`${this.queue}: ${number} came, which nobody sent`);
    this.#last = number;
    if (this.given.has(number)) this.repeated++;
    this.given.add(number);
  }

  /** Says what is wrong with the queue at the end, when it has these. */
  check(left: readonly number[]): void {
    expectAscending(this.queue, left, this.wrong);
    const there = new Set(left);
    for (const number of this.confirmed) {
      if (!there.has(number) && !this.released.has(number)) this.wrong.push(`${this.queue}: ${number} is lost`);
    }
    for (const number of left) {
      if (this.settled.has(number))
        this.wrong.push(`${this.queue}: ${number} is there, though it was settled for good`);
    }
  }
}

/** Numbers that went into queues in transactions of a size, and on from the first of them to another one. */
export class Transfers {
  readonly name: string;
  readonly size: number;
  /** Transactions that were begun, and that were answered. */
  sent = 0;
  readonly confirmed: Set<number> = new Set();
  /** What the mover has moved, for all the broker said. */
  readonly moved: Set<number> = new Set();
  readonly wrong: string[] = [];

  constructor(name: string, size: number) {
    this.name = name;
    this.size = size;
  }

  /** The numbers of a transaction. */
  numbersOf(transaction: number): number[] {
    return Array.from({ length: this.size }, (_, index) => (transaction - 1) * this.size + index + 1);
  }

  /** Says what is wrong when these are in the queue, were moved, and are in another queue that got all. */
  check(left: readonly number[], moved: readonly number[], copies: readonly number[] | undefined): void {
    const { name, wrong } = this;
    expectAscending(name, left, wrong);
    expectAscending(`${name}, moved`, moved, wrong);
    const there = new Set(moved);
    const both = left.filter((number) => there.has(number));
    if (both.length > 0) wrong.push(`${name}: moved and still there: ${both.slice(0, 10).join(" ")}`);
    const lost = [...this.moved].filter((number) => !there.has(number));
    if (lost.length > 0) wrong.push(`${name}: moved and lost: ${lost.slice(0, 10).join(" ")}`);
    this.#checkWhole(new Set([...left, ...moved]), "here");
    if (copies === undefined) return;
    expectAscending(`${name}, copies`, copies, wrong);
    this.#checkWhole(new Set(copies), "in the other queue");
  }

  #checkWhole(found: ReadonlySet<number>, where: string): void {
    for (let transaction = 1; transaction <= this.sent; transaction++) {
      const count = this.numbersOf(transaction).filter((number) => found.has(number)).length;
      if (count !== this.size && (count > 0 || this.confirmed.has(transaction))) {
        this.wrong.push(`${this.name}: of transaction ${transaction} ${count} of ${this.size} are ${where}`);
      }
    }
  }
}

function expectAscending(what: string, numbers: readonly number[], wrong: string[]): void {
  const at = numbers.findIndex((number, index) => index > 0 && number <= (numbers[index - 1] ?? 0));
  if (at > 0) wrong.push(`${what}: ${numbers[at]} is behind ${numbers[at - 1]}`);
}
