/*
 * TRANSFER, DISPOSITION and FLOW, and the headers of messages, read without making anything: nearly all frames are these.
 * Any encoding that the specification allows is read; what their tables in `performatives.ts` refuse is refused.
 */
import { type AmqpError, malformed } from "./errors.ts";
import { ABSENT, type DispositionFields, type FlowFields, type TransferFields } from "./frame.ts";
import { ACCEPTED, asComposite, type DeliveryState, isState, MOST_TAG_BYTES, RELEASED } from "./performatives.ts";
import { Reader } from "./reader.ts";
import { CODE } from "./values.ts";

const EMPTY: Buffer = Buffer.alloc(0);
const ACCEPTED_CODE = 0x24;
const RELEASED_CODE = 0x26;

/** The fields of a message's header that the broker looks at. */
export interface HeaderFields {
  durable: boolean;
  /** 0 to 9. */
  priority: number;
  /** Milliseconds, or `ABSENT`. */
  ttl: number;
}

/** A list of fields, read one after the other. Used again for the next one. */
export class FieldList {
  #data: Buffer = EMPTY;
  #at = 0;
  #end = 0;
  /** Fields still to come; those left out at the end are null (amqp10 1.4). */
  #left = 0;
  readonly #reader = new Reader(true);

  /** Reads a TRANSFER (2.7.5) whose list is at `at`; returns where it ends. */
  transfer(into: TransferFields, data: Buffer, at: number, end: number): number {
    this.#open(data, at, end, "transfer", 11);
    into.handle = this.#mandatory(this.#uint("handle"), "The handle of a transfer");
    into.deliveryId = this.#uint("delivery-id");
    this.#tag(into);
    into.messageFormat = this.#uint("message-format");
    const settled = this.#boolean("settled");
    into.settled = settled < 0 ? undefined : settled > 0;
    into.more = this.#boolean("more") > 0;
    into.rcvSettleMode = this.#ubyte("rcv-settle-mode", 1);
    into.state = this.#state();
    into.resume = this.#boolean("resume") > 0;
    into.aborted = this.#boolean("aborted") > 0;
    into.batchable = this.#boolean("batchable") > 0;
    return this.#close("transfer");
  }

  /** Reads a DISPOSITION (2.7.6) whose list is at `at`; returns where it ends. */
  disposition(into: DispositionFields, data: Buffer, at: number, end: number): number {
    this.#open(data, at, end, "disposition", 6);
    into.role = this.#mandatory(this.#boolean("role"), "The role of a disposition") > 0;
    into.first = this.#mandatory(this.#uint("first"), "The first of a disposition");
    const last = this.#uint("last");
    into.last = last === ABSENT ? into.first : last;
    into.settled = this.#boolean("settled") > 0;
    into.state = this.#state();
    into.batchable = this.#boolean("batchable") > 0;
    return this.#close("disposition");
  }

  /** Reads a FLOW (2.7.4) whose list is at `at`; returns where it ends. */
  flow(into: FlowFields, data: Buffer, at: number, end: number): number {
    this.#open(data, at, end, "flow", 11);
    into.nextIncomingId = this.#uint("next-incoming-id");
    into.incomingWindow = this.#mandatory(this.#uint("incoming-window"), "The incoming-window of a flow");
    into.nextOutgoingId = this.#mandatory(this.#uint("next-outgoing-id"), "The next-outgoing-id of a flow");
    into.outgoingWindow = this.#mandatory(this.#uint("outgoing-window"), "The outgoing-window of a flow");
    into.handle = this.#uint("handle");
    into.deliveryCount = this.#uint("delivery-count");
    into.linkCredit = this.#uint("link-credit");
    into.available = this.#uint("available");
    into.drain = this.#boolean("drain") > 0;
    into.echo = this.#boolean("echo") > 0;
    this.#map("properties");
    return this.#close("flow");
  }

  /** Reads the header of a message (3.2.1) whose list is at `at`; returns where it ends. */
  header(into: HeaderFields, data: Buffer, at: number, end: number): number {
    this.#open(data, at, end, "header", 5);
    into.durable = this.#boolean("durable") > 0;
    const priority = this.#ubyte("priority", 0xff);
    // The broker has ten priorities, as JMS has.
    into.priority = priority === ABSENT ? 4 : Math.min(priority, 9);
    into.ttl = this.#uint("ttl");
    this.#boolean("first-acquirer");
    this.#uint("delivery-count");
    return this.#close("header");
  }

  #open(data: Buffer, at: number, end: number, name: string, most: number): void {
    this.#data = data;
    const code = data[at] ?? 0;
    let size = 0;
    if (code === CODE.list8) {
      size = data[at + 1] ?? 0;
      this.#left = data[at + 2] ?? 0;
      this.#end = at + 2 + size;
      this.#at = at + 3;
    } else if (code === CODE.list32) {
      if (end - at < 9) throw cut(name);
      size = data.readUInt32BE(at + 1);
      this.#left = data.readUInt32BE(at + 5);
      this.#end = at + 5 + size;
      this.#at = at + 9;
    } else if (code === CODE.list0) {
      this.#left = 0;
      this.#end = this.#at = at + 1;
    } else {
      throw malformed(`The fields of a ${name} are no list`);
    }
    if (this.#end > end || this.#at > this.#end) throw cut(name);
    if (this.#left > most) throw malformed(`A ${name} has ${this.#left} fields; expected ${most} at most`);
  }

  /** Reading stayed inside the list and used all of it, or else nothing that was read counts. */
  #close(name: string): number {
    if (this.#at !== this.#end || this.#left !== 0) throw cut(name);
    return this.#end;
  }

  #mandatory(value: number, what: string): number {
    if (value === ABSENT) throw malformed(`${what} is missing; it is mandatory`);
    return value;
  }

  /** The code of the next field; that of null when there is none. */
  #next(): number {
    if (this.#left === 0) return CODE.null;
    this.#left--;
    return this.#data[this.#at++] ?? 0;
  }

  #uint(name: string): number {
    const code = this.#next();
    switch (code) {
      case CODE.smallUint:
        return this.#data[this.#at++] ?? 0;
      case CODE.uint0:
        return 0;
      case CODE.null:
        return ABSENT;
      case CODE.uint: {
        const data = this.#data;
        const at = this.#at;
        this.#at = at + 4;
        const high = ((data[at] ?? 0) << 8) | (data[at + 1] ?? 0);
        return high * 0x10000 + (((data[at + 2] ?? 0) << 8) | (data[at + 3] ?? 0));
      }
      default:
        throw wrong(name, "uint", code);
    }
  }

  /** 0, 1 or `ABSENT`. */
  #boolean(name: string): number {
    const code = this.#next();
    if (code === CODE.true) return 1;
    if (code === CODE.false) return 0;
    if (code === CODE.null) return ABSENT;
    const byte = this.#data[this.#at++] ?? 0;
    if (code !== CODE.boolean || byte > 1) throw wrong(name, "boolean", code);
    return byte;
  }

  #ubyte(name: string, most: number): number {
    const code = this.#next();
    if (code === CODE.null) return ABSENT;
    const byte = this.#data[this.#at++] ?? 0;
    if (code !== CODE.ubyte || byte > most) throw wrong(name, `ubyte of at most ${most}`, code);
    return byte;
  }

  #tag(into: TransferFields): void {
    const code = this.#next();
    let length = 0;
    if (code === CODE.binary8) {
      length = this.#data[this.#at++] ?? 0;
    } else if (code === CODE.binary32 && this.#at + 4 <= this.#end) {
      length = this.#data.readUInt32BE(this.#at);
      this.#at += 4;
    } else if (code !== CODE.null) {
      throw wrong("delivery-tag", "binary", code);
    }
    if (length > MOST_TAG_BYTES) {
      throw malformed(`The delivery-tag has ${length} bytes; expected ${MOST_TAG_BYTES} at most`);
    }
    into.tagStart = this.#at;
    this.#at += length;
    into.tagEnd = this.#at;
  }

  #state(): DeliveryState | undefined {
    const code = this.#next();
    if (code === CODE.null) return undefined;
    const data = this.#data;
    const at = this.#at;
    // Nearly always it is one of the outcomes that have no fields.
    if (code === CODE.described && data[at] === CODE.smallUlong && data[at + 2] === CODE.list0) {
      this.#at = at + 3;
      if (data[at + 1] === ACCEPTED_CODE) return ACCEPTED;
      if (data[at + 1] === RELEASED_CODE) return RELEASED;
    }
    const reader = this.#reader.over(data, at - 1, this.#end);
    const state = asComposite(reader.read());
    if (!isState(state)) throw malformed(`A ${state.type} stands where the state of a delivery is expected`);
    this.#at = reader.at;
    if (state.type === "accepted") return ACCEPTED;
    return state.type === "released" ? RELEASED : state;
  }

  #map(name: string): void {
    const code = this.#next();
    if (code === CODE.null) return;
    if (code !== CODE.map8 && code !== CODE.map32) throw wrong(name, "map of symbols", code);
    const reader = this.#reader.over(this.#data, this.#at - 1, this.#end);
    reader.skip();
    this.#at = reader.at;
  }
}

function wrong(name: string, expected: string, code: number): AmqpError {
  return malformed(`The ${name} is no ${expected}: its code is 0x${code.toString(16).padStart(2, "0")}`);
}

function cut(name: string): AmqpError {
  return malformed(`The fields of a ${name} do not end where their list does`);
}
