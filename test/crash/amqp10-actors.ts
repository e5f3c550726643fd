/* Clients of AMQP 1.0 that work until the broker is killed. */
import {
  type Declare,
  type Discharge,
  encodeComposite,
  type Performative,
} from "../../protocols/amqp10/performatives.ts";
import { Amqp10Wire, bodyOf, messageBytes } from "../support/amqp10-wire.ts";
import type { Random } from "../support/crash-random.ts";
import type { QueueRecord, Transfers } from "./amqp-record.ts";

type Disposition = Extract<Performative, { readonly type: "disposition" }>;

const WINDOW = 30;
const MOST = 300;
const COORDINATOR = 9;
const RECEIVED = 900;
const VALUE = Buffer.from([0x00, 0x53, 0x77]);
const ACCEPTED = { type: "accepted" } as const;

/** A message that came and is not settled. */
interface Held {
  readonly id: number;
  readonly number: number;
}

/** Sends numbers that the broker has to settle. */
export async function sendUnsettled(port: number, record: QueueRecord, random: Random): Promise<void> {
  using wire = await Amqp10Wire.connect(port);
  await wire.sender(`queue://${record.queue}`, { sndSettleMode: 0 });
  const first = record.sent + 1;
  for (let settled = 0; settled < MOST; ) {
    const most = Math.min(settled + 1 + random.below(WINDOW), MOST);
    const sends: Promise<number>[] = [];
    while (record.sent - first + 1 < most) sends.push(wire.transfer(messageBytes(`${++record.sent}`, true)));
    await Promise.all(sends);
    const { performative } = await wire.expect("disposition");
    const { first: from, last = from, state } = performative;
    if (state?.type !== "accepted") throw new Error(`Not accepted: ${JSON.stringify(performative)}`);
    for (let id = from; id <= last; id++) record.confirmed.add(first + id);
    settled = last + 1;
  }
}

/** Accepts, not always in order, and waits for the broker to settle. */
export async function acceptUnsettled(port: number, record: QueueRecord, random: Random): Promise<void> {
  using wire = await Amqp10Wire.connect(port);
  record.begin();
  await wire.receiver(`queue://${record.queue}`, RECEIVED, { rcvSettleMode: 1 });
  const held: Held[] = [];
  const accepted = new Map<number, number>();
  for (;;) {
    const { performative, payload } = await wire.next();
    if (performative.type === "disposition") {
      for (const number of settledBy(performative, accepted)) record.settled.add(number);
    } else if (performative.type === "transfer") {
      const number = Number(bodyOf(payload));
      record.give(number);
      held.push({ id: performative.deliveryId ?? 0, number });
      if (held.length < WINDOW / 2 && random.chance(0.7)) continue;
      const at = random.below(held.length);
      const [one] = held.splice(at, 1);
      if (one === undefined) continue;
      record.released.add(one.number);
      accepted.set(one.id, one.number);
      await wire.say({ type: "disposition", role: true, first: one.id, settled: false, state: ACCEPTED });
    }
  }
}

function settledBy({ first, last = first, settled }: Disposition, accepted: ReadonlyMap<number, number>): number[] {
  const numbers: number[] = [];
  if (!settled) return numbers;
  for (let id = first; id <= last; id++) {
    const number = accepted.get(id);
    if (number !== undefined) numbers.push(number);
  }
  return numbers;
}

/** A connection with transactions, which may receive too. */
class Transacting implements Disposable {
  readonly wire: Amqp10Wire;
  readonly held: Held[] = [];

  private constructor(wire: Amqp10Wire) {
    this.wire = wire;
  }

  static async connect(port: number, target: string): Promise<Transacting> {
    const wire = await Amqp10Wire.connect(port);
    await wire.sender(undefined, { name: "tx", handle: COORDINATOR, target: { type: "coordinator" } });
    await wire.sender(`queue://${target}`);
    return new Transacting(wire);
  }

  async declare(): Promise<Buffer> {
    const body = encodeComposite<Declare>({ type: "declare" });
    const { state } = await this.#ask(body);
    if (state?.type !== "declared") throw new Error(`Not declared: ${JSON.stringify(state)}`);
    return state.txnId;
  }

  async discharge(txnId: Buffer, fail: boolean): Promise<void> {
    const { state } = await this.#ask(encodeComposite<Discharge>({ type: "discharge", txnId, fail }));
    if (state?.type !== "accepted") throw new Error(`Not discharged: ${JSON.stringify(state)}`);
  }

  async send(number: number, txnId: Buffer): Promise<void> {
    const state = { type: "transactional-state", txnId } as const;
    await this.wire.transfer(messageBytes(`${number}`, true), { settled: true, state });
  }

  /** Waits for the next message, unless one has come. */
  async receive(): Promise<void> {
    while (this.held.length === 0) await this.#next();
  }

  [Symbol.dispose](): void {
    this.wire[Symbol.dispose]();
  }

  async #ask(body: Buffer): Promise<Disposition> {
    const id = await this.wire.transfer(Buffer.concat([VALUE, body]), { handle: COORDINATOR });
    for (;;) {
      const disposition = await this.#next();
      if (disposition?.first === id) return disposition;
    }
  }

  async #next(): Promise<Disposition | undefined> {
    const { performative, payload } = await this.wire.next();
    if (performative.type === "disposition") return performative;
    if (performative.type === "transfer") {
      this.held.push({ id: performative.deliveryId ?? 0, number: Number(bodyOf(payload)) });
    } else if (performative.type !== "flow") {
      throw new Error(`Expected a transfer or a disposition, received ${JSON.stringify(performative)}`);
    }
    return undefined;
  }
}

/** Sends in transactions, some of which it rolls back. */
export async function sendInTransactions(
  port: number,
  queue: string,
  transfers: Transfers,
  random: Random,
): Promise<void> {
  using client = await Transacting.connect(port, queue);
  for (let count = 0; count < MOST / transfers.size; count++) {
    const fail = random.chance(0.2);
    const txnId = await client.declare();
    const transaction = fail ? transfers.sent + 1 : ++transfers.sent;
    for (const number of transfers.numbersOf(transaction)) await client.send(number, txnId);
    await client.discharge(txnId, fail);
    if (!fail) transfers.confirmed.add(transaction);
  }
}

/** Moves from one queue to another, in transactions of settlements and sends. */
export async function moveBySettling(port: number, from: string, to: string, transfers: Transfers): Promise<void> {
  using client = await Transacting.connect(port, to);
  await client.wire.receiver(`queue://${from}`, RECEIVED);
  for (;;) {
    await client.receive();
    const txnId = await client.declare();
    const now = client.held.splice(0, WINDOW);
    const state = { type: "transactional-state", txnId, outcome: ACCEPTED } as const;
    for (const { id, number } of now) {
      await client.send(number, txnId);
      await client.wire.say({ type: "disposition", role: true, first: id, settled: true, state });
    }
    await client.discharge(txnId, false);
    for (const { number } of now) transfers.moved.add(number);
  }
}
