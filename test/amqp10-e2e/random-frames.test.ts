import {
  array,
  type Arbitrary,
  assert,
  asyncProperty,
  boolean,
  constant,
  constantFrom,
  integer,
  nat,
  oneof,
  record,
  uint8Array,
} from "fast-check";
import { describe, expect, it } from "vitest";
import { encodeFrame, encodeHeader } from "../../protocols/amqp10/encode.ts";
import {
  type Declare,
  type DeliveryState,
  type Discharge,
  encodeComposite,
  type Performative,
  type Said,
} from "../../protocols/amqp10/performatives.ts";
import { Amqp10Wire, messageBytes } from "../support/amqp10-wire.ts";
import { startBroker } from "../support/broker.ts";
import { eventually } from "../support/eventually.ts";

const VALUE = Buffer.from([0x00, 0x53, 0x77]);
const COORDINATOR = 5;

/** Bytes of a frame with what follows its performative. */
function bytes(performative: Said<Performative>, payload: Uint8Array = Buffer.alloc(0), channel = 0): Buffer {
  const frame = Buffer.concat([encodeFrame(channel, performative), payload]);
  frame.writeUInt32BE(frame.length);
  return frame;
}

/** Of links that are there at the beginning, one each way, or of others: those end the session, unless they are made before. */
const SENDER = 0;
const RECEIVER = 1;
const handle = oneof({ weight: 40, arbitrary: constantFrom(SENDER, RECEIVER) }, { weight: 1, arbitrary: nat(4) });
const toBroker = oneof({ weight: 60, arbitrary: constantFrom(SENDER, COORDINATOR) }, { weight: 1, arbitrary: handle });
const fresh = integer({ min: 2, max: 4 });
const id = nat(12);
const address = constantFrom("a", "b", "topic://t", "/exchanges/amq.fanout", "dsub://none", "queue://{", undefined);
const txnId = constantFrom(1, 2).map((number) => Buffer.from([0, 0, 0, number]));

const outcome = constantFrom<Said<DeliveryState> & { type: "accepted" | "released" | "rejected" | "modified" }>(
  { type: "accepted" },
  { type: "released" },
  { type: "rejected" },
  { type: "modified", deliveryFailed: true },
  { type: "modified", undeliverableHere: true },
);
const state: Arbitrary<Said<DeliveryState> | undefined> = oneof(
  { weight: 5, arbitrary: outcome },
  { weight: 1, arbitrary: constant(undefined) },
  { weight: 1, arbitrary: constant({ type: "received", sectionNumber: 0, sectionOffset: 0n } as const) },
  {
    weight: 2,
    arbitrary: txnId.map((of) => ({ type: "transactional-state", txnId: of, outcome: { type: "accepted" } }) as const),
  },
);

const payload = oneof(
  {
    weight: 10,
    arbitrary: record({ size: nat(300), durable: boolean() }).map(({ size, durable }) =>
      messageBytes("x".repeat(size), durable),
    ),
  },
  { weight: 1, arbitrary: uint8Array({ maxLength: 30 }) },
  { weight: 1, arbitrary: constant(Buffer.concat([VALUE, encodeComposite<Declare>({ type: "declare" })])) },
  {
    weight: 1,
    arbitrary: record({ txnId, fail: boolean() }).map((said) =>
      Buffer.concat([VALUE, encodeComposite<Discharge>({ type: "discharge", ...said })]),
    ),
  },
);

const source = record({
  address,
  durable: constantFrom(0, 1, 2),
  expiryPolicy: constantFrom("session-end", "never", "link-detach"),
  dynamic: constantFrom(false, false, true),
  distributionMode: constantFrom(undefined, "copy", "move"),
  capabilities: constantFrom(undefined, ["topic"], ["topic", "shared"], ["shared", "global"]),
}).map((said) => ({ type: "source", ...said }) as const);

/** What sensible clients say, in an order that makes no sense. */
const said: Arbitrary<Buffer> = oneof(
  {
    weight: 2,
    arbitrary: record({
      handle: fresh,
      name: constantFrom("s", "t"),
      source,
      sndSettleMode: nat(2),
      rcvSettleMode: nat(1),
    }).map((attach) => bytes({ type: "attach", role: true, target: { type: "target" }, ...attach })),
  },
  {
    weight: 2,
    arbitrary: record({
      handle: fresh,
      name: constantFrom("s", "t"),
      address,
      dynamic: constantFrom(false, false, true),
      rcvSettleMode: nat(1),
    }).map(({ address: to, dynamic, ...attach }) =>
      bytes({
        type: "attach",
        role: false,
        initialDeliveryCount: 0,
        target: { type: "target", address: to, dynamic },
        ...attach,
      }),
    ),
  },
  {
    weight: 1,
    arbitrary: handle.map((on) =>
      bytes({
        type: "attach",
        role: false,
        handle: on,
        name: "tx",
        initialDeliveryCount: 0,
        target: { type: "coordinator" },
      }),
    ),
  },
  { weight: 1, arbitrary: record({ handle, closed: boolean() }).map((detach) => bytes({ type: "detach", ...detach })) },
  {
    weight: 4,
    arbitrary: record({
      handle,
      deliveryCount: nat(20),
      linkCredit: nat(10),
      drain: boolean(),
      echo: boolean(),
      incomingWindow: constantFrom(0, 1, 3, 1000),
    }).map((flow) => bytes({ type: "flow", nextIncomingId: 0, nextOutgoingId: 0, outgoingWindow: 100, ...flow })),
  },
  {
    weight: 10,
    arbitrary: record({
      handle: toBroker,
      deliveryId: id,
      settled: boolean(),
      more: constantFrom(false, false, true),
      aborted: constantFrom(false, false, false, true),
      state,
      payload,
    }).map(({ payload: with_, ...transfer }) =>
      bytes({ type: "transfer", deliveryTag: Buffer.from([transfer.deliveryId]), ...transfer }, with_),
    ),
  },
  {
    weight: 6,
    arbitrary: record({
      role: constantFrom(true, true, true, false),
      first: id,
      last: id,
      settled: boolean(),
      state,
    }).map((disposition) => bytes({ type: "disposition", ...disposition })),
  },
);

/** Frames that are out of order where they come. */
const odd: Arbitrary<Buffer> = oneof(
  constant(bytes({ type: "open", containerId: "again" })),
  constant(bytes({ type: "begin", nextOutgoingId: 0, incomingWindow: 1, outgoingWindow: 1 })),
  constant(bytes({ type: "begin", nextOutgoingId: 0, incomingWindow: 1, outgoingWindow: 1 }, Buffer.alloc(0), 1)),
  constant(bytes({ type: "end" })),
  constant(bytes({ type: "close" })),
  constant(bytes({ type: "sasl-init", mechanism: "PLAIN" })),
  constant(encodeHeader(0)),
  uint8Array({ minLength: 1, maxLength: 12 }).map((each) => Buffer.from(each)),
);

describe("whatever frames a client sends", () => {
  it("the broker answers in the protocol's words, serves others, and lets go of everything", async () => {
    const { port, server, log } = await startBroker([
      "amqp10.close_timeout=20ms",
      "connection.close_timeout=20ms",
      "amqp10.max_message_bytes=1k",
      "amqp10.max_unsettled=5",
    ]);
    using other = await Amqp10Wire.connect(port);
    await other.sender("a");
    await assert(
      asyncProperty(
        array(oneof({ weight: 60, arbitrary: said }, { weight: 1, arbitrary: odd }), { maxLength: 100 }),
        async (frames) => {
          using client = await Amqp10Wire.connect(port, { open: { containerId: "random" } });
          const tx = { name: "tx0", handle: COORDINATOR, target: { type: "coordinator" } } as const;
          await client.sender(undefined, tx);
          await client.sender("a", { handle: SENDER });
          await client.receiver("a", 5, { handle: RECEIVER });
          await client.wire.send(Buffer.concat(frames));
          client.wire.finish();
          await client.wire.closed();
          await other.transfer(messageBytes("x"));
          await other.expect("disposition");
        },
      ),
      { numRuns: 500 },
    );
    const host = server.broker.host(undefined);
    await eventually(() => host?.clients.size === 1);
    expect(log.filter((line) => /the broker failed|TypeError|RangeError/i.test(line))).toEqual([]);
    const [connected] = host?.clients ?? [];
    expect(connected?.subscriptions.size).toBe(0);
    const volatile = [...(host?.durables.keys() ?? [])].filter((name) => name.startsWith("amqp-volatile"));
    expect(volatile).toEqual([]);
  });
});
