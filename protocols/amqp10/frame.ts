import type { DeliveryState, Performative } from "./performatives.ts";

const EMPTY: Buffer = Buffer.alloc(0);

/** A field that was not there, among those that are numbers. */
export const ABSENT = -1;

/** The fields of a TRANSFER (amqp10 2.7.5), read where they lie. Used again for the next one. */
export class TransferFields {
  handle = 0;
  /** `ABSENT` when it is not there, as in all but the first of a delivery. */
  deliveryId = ABSENT;
  /** In the frame's `data`; of no length when it is not there. */
  tagStart = 0;
  tagEnd = 0;
  messageFormat = ABSENT;
  settled: boolean | undefined = undefined;
  more = false;
  rcvSettleMode = ABSENT;
  state: DeliveryState | undefined = undefined;
  resume = false;
  aborted = false;
  batchable = false;
}

/** The fields of a DISPOSITION (amqp10 2.7.6). Used again for the next one. */
export class DispositionFields {
  /** True when a receiver says it. */
  role = false;
  first = 0;
  /** Never absent: `first` where it was not there. */
  last = 0;
  settled = false;
  /** `ACCEPTED` and `RELEASED` are always the same objects. */
  state: DeliveryState | undefined = undefined;
  batchable = false;
}

/** The fields of a FLOW (amqp10 2.7.4); `ABSENT` for what was not there. Used again for the next one. */
export class FlowFields {
  nextIncomingId = ABSENT;
  incomingWindow = 0;
  nextOutgoingId = 0;
  outgoingWindow = 0;
  handle = ABSENT;
  deliveryCount = ABSENT;
  linkCredit = ABSENT;
  available = ABSENT;
  drain = false;
  echo = false;
}

/**
 * One frame from a peer, used again for the next one: valid until the decoder is asked for more. Its bytes stay. Which
 * fields mean something depends on `type`.
 */
export class Frame {
  /**
   * `header`: the eight bytes before the frames. `empty`: only says that the peer is there (amqp10 2.4.5). `performative`
   * stands for all that are not frequent, those of SASL too: they are in `performative`.
   */
  type: "header" | "empty" | "transfer" | "disposition" | "flow" | "performative" = "empty";
  performative: Performative | undefined = undefined;
  data: Buffer = EMPTY;
  start = 0;
  /** Behind the last byte of the frame. */
  end = 0;
  channel = 0;
  /** Whether it is a SASL frame. */
  sasl = false;
  /** What follows a TRANSFER in its frame: a part of a message. */
  payloadStart = 0;
  payloadEnd = 0;
  readonly transfer: TransferFields = new TransferFields();
  readonly disposition: DispositionFields = new DispositionFields();
  readonly flow: FlowFields = new FlowFields();
  /** Of a header: 0 AMQP, 2 TLS, 3 SASL; and its version as one number, 0x010000 for 1.0.0. */
  protocolId = 0;
  version = 0;

  /** Lets go of the bytes. */
  forget(): void {
    this.data = EMPTY;
    this.performative = undefined;
  }
}
