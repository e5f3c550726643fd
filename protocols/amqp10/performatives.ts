/*
 * The composite types of AMQP 1.0: performatives, terminuses, outcomes, errors. Each is a list of fields, described by a
 * number or by its name. The tables say which, in their order on the wire; readers, writers and types are made from them.
 */
import {
  anything,
  binary,
  boolean,
  describes,
  either,
  fields,
  manySymbols,
  map,
  oneSymbol,
  type ReadOf,
  readAs,
  schema,
  string,
  toValue,
  ubyte,
  uint,
  ulong,
  unsigned,
  ushort,
  type WrittenOf,
} from "./composites.ts";
import { malformed } from "./errors.ts";
import { Reader } from "./reader.ts";
import { Described, Scalar, type Value } from "./values.ts";
import { encodeValue } from "./writer.ts";

export type { Fields } from "./composites.ts";

const MOST_UINT = 0xffff_ffff;
const MOST_USHORT = 0xffff;

/** The most bytes of a delivery tag (amqp10 2.8.7). */
export const MOST_TAG_BYTES = 32;

/** amqp10 2.8.14 */
const ERROR = schema("error", 0x1d, { condition: oneSymbol.mandatory, description: string, info: fields });

/** amqp10 3.4.1 to 3.4.5 */
const RECEIVED = schema("received", 0x23, { sectionNumber: uint.mandatory, sectionOffset: ulong.mandatory });
const ACCEPTED_SCHEMA = schema("accepted", 0x24, {});
const REJECTED = schema("rejected", 0x25, { error: either(ERROR) });
const RELEASED_SCHEMA = schema("released", 0x26, {});
const MODIFIED = schema("modified", 0x27, {
  deliveryFailed: boolean.or(false),
  undeliverableHere: boolean.or(false),
  messageAnnotations: fields,
});
/** amqp10 4.5.5 */
const DECLARED = schema("declared", 0x33, { txnId: binary(MOST_TAG_BYTES).mandatory });
const anyOutcome = either(ACCEPTED_SCHEMA, REJECTED, RELEASED_SCHEMA, MODIFIED, DECLARED);
/** amqp10 4.5.6 */
const TRANSACTIONAL = schema("transactional-state", 0x34, {
  txnId: binary(MOST_TAG_BYTES).mandatory,
  outcome: anyOutcome,
});
const anyState = either(ACCEPTED_SCHEMA, REJECTED, RELEASED_SCHEMA, MODIFIED, DECLARED, RECEIVED, TRANSACTIONAL);

/** amqp10 3.5.3 */
const SOURCE = schema("source", 0x28, {
  address: string,
  durable: unsigned("uint", 2).or(0),
  expiryPolicy: oneSymbol.or("session-end"),
  timeout: uint.or(0),
  dynamic: boolean.or(false),
  dynamicNodeProperties: fields,
  distributionMode: oneSymbol,
  filter: fields,
  defaultOutcome: anyOutcome,
  outcomes: manySymbols,
  capabilities: manySymbols,
});
/** amqp10 3.5.4 */
const TARGET = schema("target", 0x29, {
  address: string,
  durable: unsigned("uint", 2).or(0),
  expiryPolicy: oneSymbol.or("session-end"),
  timeout: uint.or(0),
  dynamic: boolean.or(false),
  dynamicNodeProperties: fields,
  capabilities: manySymbols,
});
/** amqp10 4.5.1 to 4.5.4 */
const COORDINATOR = schema("coordinator", 0x30, { capabilities: manySymbols });
const DECLARE = schema("declare", 0x31, { globalId: anything });
const DISCHARGE = schema("discharge", 0x32, { txnId: binary(MOST_TAG_BYTES).mandatory, fail: boolean.or(false) });

/** amqp10 2.7.1 */
const OPEN = schema("open", 0x10, {
  containerId: string.mandatory,
  hostname: string,
  maxFrameSize: uint.or(MOST_UINT),
  channelMax: ushort.or(MOST_USHORT),
  idleTimeOut: uint,
  outgoingLocales: manySymbols,
  incomingLocales: manySymbols,
  offeredCapabilities: manySymbols,
  desiredCapabilities: manySymbols,
  properties: fields,
});
/** amqp10 2.7.2 */
const BEGIN = schema("begin", 0x11, {
  remoteChannel: ushort,
  nextOutgoingId: uint.mandatory,
  incomingWindow: uint.mandatory,
  outgoingWindow: uint.mandatory,
  handleMax: uint.or(MOST_UINT),
  offeredCapabilities: manySymbols,
  desiredCapabilities: manySymbols,
  properties: fields,
});
/** amqp10 2.7.3. The role is false for a sender, true for a receiver. */
const ATTACH = schema("attach", 0x12, {
  name: string.mandatory,
  handle: uint.mandatory,
  role: boolean.mandatory,
  sndSettleMode: unsigned("ubyte", 2).or(2),
  rcvSettleMode: unsigned("ubyte", 1).or(0),
  source: either(SOURCE),
  target: either(TARGET, COORDINATOR),
  unsettled: map,
  incompleteUnsettled: boolean.or(false),
  initialDeliveryCount: uint,
  maxMessageSize: ulong,
  offeredCapabilities: manySymbols,
  desiredCapabilities: manySymbols,
  properties: fields,
});
/** amqp10 2.7.4 */
const FLOW = schema("flow", 0x13, {
  nextIncomingId: uint,
  incomingWindow: uint.mandatory,
  nextOutgoingId: uint.mandatory,
  outgoingWindow: uint.mandatory,
  handle: uint,
  deliveryCount: uint,
  linkCredit: uint,
  available: uint,
  drain: boolean.or(false),
  echo: boolean.or(false),
  properties: fields,
});
/** amqp10 2.7.5 */
const TRANSFER = schema("transfer", 0x14, {
  handle: uint.mandatory,
  deliveryId: uint,
  deliveryTag: binary(MOST_TAG_BYTES),
  messageFormat: uint,
  settled: boolean,
  more: boolean.or(false),
  rcvSettleMode: unsigned("ubyte", 1),
  state: anyState,
  resume: boolean.or(false),
  aborted: boolean.or(false),
  batchable: boolean.or(false),
});
/** amqp10 2.7.6 */
const DISPOSITION = schema("disposition", 0x15, {
  role: boolean.mandatory,
  first: uint.mandatory,
  last: uint,
  settled: boolean.or(false),
  state: anyState,
  batchable: boolean.or(false),
});
/** amqp10 2.7.7 to 2.7.9 */
const DETACH = schema("detach", 0x16, { handle: uint.mandatory, closed: boolean.or(false), error: either(ERROR) });
const END = schema("end", 0x17, { error: either(ERROR) });
const CLOSE = schema("close", 0x18, { error: either(ERROR) });

/** amqp10 5.3.3 */
const SASL_MECHANISMS = schema("sasl-mechanisms", 0x40, { mechanisms: manySymbols.mandatory });
const SASL_INIT = schema("sasl-init", 0x41, {
  mechanism: oneSymbol.mandatory,
  initialResponse: binary(),
  hostname: string,
});
const SASL_CHALLENGE = schema("sasl-challenge", 0x42, { challenge: binary().mandatory });
const SASL_RESPONSE = schema("sasl-response", 0x43, { response: binary().mandatory });
const SASL_OUTCOME = schema("sasl-outcome", 0x44, { code: ubyte.mandatory, additionalData: binary() });

const PERFORMATIVES = [OPEN, BEGIN, ATTACH, FLOW, TRANSFER, DISPOSITION, DETACH, END, CLOSE] as const;
const SASL = [SASL_MECHANISMS, SASL_INIT, SASL_CHALLENGE, SASL_RESPONSE, SASL_OUTCOME] as const;
const STATES = [RECEIVED, ACCEPTED_SCHEMA, REJECTED, RELEASED_SCHEMA, MODIFIED, DECLARED, TRANSACTIONAL] as const;
const OTHERS = [ERROR, SOURCE, TARGET, COORDINATOR, DECLARE, DISCHARGE] as const;
const ALL = [...PERFORMATIVES, ...SASL, ...STATES, ...OTHERS] as const;

/** The first frame of a connection. */
export type Open = ReadOf<typeof OPEN>;
/** The first frame of a session. */
export type Begin = ReadOf<typeof BEGIN>;
/** The first frame of a link. */
export type Attach = ReadOf<typeof ATTACH>;
/** The last frame of a link. */
export type Detach = ReadOf<typeof DETACH>;
/** The mechanism that a client chose. */
export type SaslInit = ReadOf<typeof SASL_INIT>;
/** What a client answers. */
export type SaslResponse = ReadOf<typeof SASL_RESPONSE>;
/** Where the messages of a link come from. */
export type Source = ReadOf<typeof SOURCE>;
/** Where the messages of a link go to. */
export type Target = ReadOf<typeof TARGET>;
/** Asks a coordinator for a transaction: the body of a message. */
export type Declare = ReadOf<typeof DECLARE>;
/** Ends a transaction: the body of a message. */
export type Discharge = ReadOf<typeof DISCHARGE>;
/** What is said of a delivery: its outcome, how far it came, or what it is in a transaction. */
export type DeliveryState = ReadOf<(typeof STATES)[number]>;
/** What a frame of AMQP or of SASL says. */
export type Performative = ReadOf<(typeof PERFORMATIVES)[number] | (typeof SASL)[number]>;
/** Everything that the tables have. */
export type Composite = ReadOf<(typeof ALL)[number]>;
/** A composite to be written: mandatory fields, and of the others those that are to be said. */
export type Said<T extends Composite> = WrittenOf<Extract<(typeof ALL)[number], { readonly name: T["type"] }>>;

/** The same object for all deliveries that end so. */
export const ACCEPTED: DeliveryState = { type: "accepted" };
/** The same object for all deliveries that end so. */
export const RELEASED: DeliveryState = { type: "released" };

type AnySchema = (typeof ALL)[number];

const BY_NAME: ReadonlyMap<string, AnySchema> = new Map(ALL.map((known) => [known.name, known]));
const BY_CODE: ReadonlyMap<bigint, AnySchema> = new Map(ALL.map((known) => [BigInt(known.code), known]));
const BY_SYMBOL: ReadonlyMap<string, AnySchema> = new Map(ALL.map((known) => [`amqp:${known.name}:list`, known]));

/** The composite that a value is. Throws AmqpError(amqp:decode-error). */
export function asComposite(value: Value): Composite {
  const descriptor =
    value instanceof Described && value.descriptor instanceof Scalar ? value.descriptor.value : undefined;
  const known =
    typeof descriptor === "bigint"
      ? BY_CODE.get(descriptor)
      : typeof descriptor === "string"
        ? BY_SYMBOL.get(descriptor)
        : undefined;
  if (known !== undefined && describes(value, known)) return readAs(known, value);
  const found = descriptor === undefined ? "without a descriptor" : `described by ${shown(descriptor)}`;
  throw malformed(`A value ${found} stands where a composite of AMQP is expected`);
}

/** Reads the composite at `at`, and says where it ends. Throws AmqpError(amqp:decode-error). */
export function readComposite(
  data: Buffer,
  at: number,
  end: number,
): { readonly composite: Composite; readonly end: number } {
  const reader = new Reader(true).over(data, at, end);
  const composite = asComposite(reader.read());
  return { composite, end: reader.at };
}

const PERFORMATIVE_NAMES: ReadonlySet<string> = new Set([...PERFORMATIVES, ...SASL].map(({ name }) => name));

/** Whether a composite is one that a frame can begin with. */
export function isPerformative(composite: Composite): composite is Performative {
  return PERFORMATIVE_NAMES.has(composite.type);
}

const STATE_NAMES: ReadonlySet<string> = new Set(STATES.map(({ name }) => name));

/** Whether a composite is said of deliveries. */
export function isState(composite: Composite): composite is DeliveryState {
  return STATE_NAMES.has(composite.type);
}

/** A composite as a value; throws RangeError when a mandatory field is missing. */
export function compositeValue<T extends Composite>(composite: Said<T>): Described {
  const known = BY_NAME.get(composite.type);
  if (known === undefined) throw new RangeError(`there is no composite ${composite.type}`);
  return toValue(known, composite as never);
}

/** The bytes of a composite; throws RangeError when a mandatory field is missing. */
export function encodeComposite<T extends Composite>(composite: Said<T>): Buffer {
  return encodeValue(compositeValue(composite));
}

function shown(descriptor: Scalar["value"]): string {
  return typeof descriptor === "bigint" ? `0x${descriptor.toString(16)}` : `"${String(descriptor).slice(0, 100)}"`;
}
