/*
 * The composite types of AMQP 1.0: performatives, terminuses, outcomes, errors. All are lists of fields, described by a
 * number; one table says which fields, for reading, writing and TypeScript.
 */
import { malformed } from "./errors.ts";
import type { Value } from "./values.ts";

/** A map of symbols. */
export type Fields = ReadonlyMap<string, Value>;

/** amqp10 2.8.14 */
export interface ErrorInfo {
  readonly type: "error";
  readonly condition: string;
  readonly description: string | undefined;
  readonly info: Fields | undefined;
}
/** amqp10 2.7.1 */
export interface Open {
  readonly type: "open";
  readonly containerId: string;
  readonly hostname: string | undefined;
  readonly maxFrameSize: number;
  readonly channelMax: number;
  readonly idleTimeOut: number | undefined;
  readonly outgoingLocales: readonly string[] | undefined;
  readonly incomingLocales: readonly string[] | undefined;
  readonly offeredCapabilities: readonly string[] | undefined;
  readonly desiredCapabilities: readonly string[] | undefined;
  readonly properties: Fields | undefined;
}
/** amqp10 2.7.2 */
export interface Begin {
  readonly type: "begin";
  readonly remoteChannel: number | undefined;
  readonly nextOutgoingId: number;
  readonly incomingWindow: number;
  readonly outgoingWindow: number;
  readonly handleMax: number;
  readonly offeredCapabilities: readonly string[] | undefined;
  readonly desiredCapabilities: readonly string[] | undefined;
  readonly properties: Fields | undefined;
}
/** amqp10 2.7.3 */
export interface Attach {
  readonly type: "attach";
  readonly name: string;
  readonly handle: number;
  /** False for a sender, true for a receiver. */
  readonly role: boolean;
  readonly sndSettleMode: number;
  readonly rcvSettleMode: number;
  readonly source: Source | undefined;
  readonly target: Target | Coordinator | undefined;
  readonly unsettled: ReadonlyMap<Value, Value> | undefined;
  readonly incompleteUnsettled: boolean;
  readonly initialDeliveryCount: number | undefined;
  readonly maxMessageSize: bigint | undefined;
  readonly offeredCapabilities: readonly string[] | undefined;
  readonly desiredCapabilities: readonly string[] | undefined;
  readonly properties: Fields | undefined;
}
/** amqp10 2.7.4 */
export interface Flow {
  readonly type: "flow";
  readonly nextIncomingId: number | undefined;
  readonly incomingWindow: number;
  readonly nextOutgoingId: number;
  readonly outgoingWindow: number;
  readonly handle: number | undefined;
  readonly deliveryCount: number | undefined;
  readonly linkCredit: number | undefined;
  readonly available: number | undefined;
  readonly drain: boolean;
  readonly echo: boolean;
  readonly properties: Fields | undefined;
}
/** amqp10 2.7.5 */
export interface Transfer {
  readonly type: "transfer";
  readonly handle: number;
  readonly deliveryId: number | undefined;
  readonly deliveryTag: Buffer | undefined;
  readonly messageFormat: number | undefined;
  readonly settled: boolean | undefined;
  readonly more: boolean;
  readonly rcvSettleMode: number | undefined;
  readonly state: DeliveryState | undefined;
  readonly resume: boolean;
  readonly aborted: boolean;
  readonly batchable: boolean;
}
/** amqp10 2.7.6 */
export interface Disposition {
  readonly type: "disposition";
  readonly role: boolean;
  readonly first: number;
  readonly last: number | undefined;
  readonly settled: boolean;
  readonly state: DeliveryState | undefined;
  readonly batchable: boolean;
}
/** amqp10 2.7.7 */
export interface Detach {
  readonly type: "detach";
  readonly handle: number;
  readonly closed: boolean;
  readonly error: ErrorInfo | undefined;
}
/** amqp10 2.7.8 */
export interface End {
  readonly type: "end";
  readonly error: ErrorInfo | undefined;
}
/** amqp10 2.7.9 */
export interface Close {
  readonly type: "close";
  readonly error: ErrorInfo | undefined;
}

/** amqp10 3.5.3 */
export interface Source {
  readonly type: "source";
  readonly address: string | undefined;
  readonly durable: number;
  readonly expiryPolicy: string;
  readonly timeout: number;
  readonly dynamic: boolean;
  readonly dynamicNodeProperties: Fields | undefined;
  readonly distributionMode: string | undefined;
  readonly filter: Fields | undefined;
  readonly defaultOutcome: DeliveryState | undefined;
  readonly outcomes: readonly string[] | undefined;
  readonly capabilities: readonly string[] | undefined;
}
/** amqp10 3.5.4 */
export interface Target {
  readonly type: "target";
  readonly address: string | undefined;
  readonly durable: number;
  readonly expiryPolicy: string;
  readonly timeout: number;
  readonly dynamic: boolean;
  readonly dynamicNodeProperties: Fields | undefined;
  readonly capabilities: readonly string[] | undefined;
}
/** amqp10 4.5.1 */
export interface Coordinator {
  readonly type: "coordinator";
  readonly capabilities: readonly string[] | undefined;
}
/** amqp10 4.5.2: the body of a message to a coordinator. */
export interface Declare {
  readonly type: "declare";
  readonly globalId: Value | undefined;
}
/** amqp10 4.5.3: the body of a message to a coordinator. */
export interface Discharge {
  readonly type: "discharge";
  readonly txnId: Buffer;
  readonly fail: boolean;
}

/** What is said of a delivery (3.4, 4.5.5, 4.5.7). */
export type DeliveryState =
  | { readonly type: "received"; readonly sectionNumber: number; readonly sectionOffset: bigint }
  | { readonly type: "accepted" }
  | { readonly type: "rejected"; readonly error: ErrorInfo | undefined }
  | { readonly type: "released" }
  | {
      readonly type: "modified";
      readonly deliveryFailed: boolean;
      readonly undeliverableHere: boolean;
      readonly messageAnnotations: Fields | undefined;
    }
  | { readonly type: "declared"; readonly txnId: Buffer }
  | { readonly type: "transactional-state"; readonly txnId: Buffer; readonly outcome: DeliveryState | undefined };

/** amqp10 5.3.3 */
export interface SaslMechanisms {
  readonly type: "sasl-mechanisms";
  readonly mechanisms: readonly string[];
}
export interface SaslInit {
  readonly type: "sasl-init";
  readonly mechanism: string;
  readonly initialResponse: Buffer | undefined;
  readonly hostname: string | undefined;
}
export interface SaslChallenge {
  readonly type: "sasl-challenge";
  readonly challenge: Buffer;
}
export interface SaslResponse {
  readonly type: "sasl-response";
  readonly response: Buffer;
}
export interface SaslOutcome {
  readonly type: "sasl-outcome";
  readonly code: number;
  readonly additionalData: Buffer | undefined;
}

/** What a frame says. */
export type Performative =
  | Open
  | Begin
  | Attach
  | Flow
  | Transfer
  | Disposition
  | Detach
  | End
  | Close
  | SaslMechanisms
  | SaslInit
  | SaslChallenge
  | SaslResponse
  | SaslOutcome;

/** Everything that the table has. */
export type Composite = Performative | ErrorInfo | Source | Target | Coordinator | Declare | Discharge | DeliveryState;

/** Reads the composite at `at`; `end` may lie behind it. Throws AmqpError(amqp:decode-error). */
export function readComposite(
  _data: Buffer,
  _at: number,
  _end: number,
): { readonly composite: Composite; readonly end: number } {
  throw malformed("not yet");
}

/** A composite without the fields that are undefined or have a default. */
export type Said<T extends Composite> = T extends Composite ? Pick<T, "type"> & Partial<T> : never;

/** The bytes of a composite; fields left out are null. Throws RangeError when a mandatory one is missing. */
export function encodeComposite(_composite: Said<Composite>): Buffer {
  throw malformed("not yet");
}

/** The same objects each time, for what nearly all deliveries end with. */
export const ACCEPTED: DeliveryState = { type: "accepted" };
export const RELEASED: DeliveryState = { type: "released" };
