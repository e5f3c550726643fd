import type { Broker } from "../../core/broker.ts";
import type { Peer } from "../../core/protocol.ts";
import { AmqpError, syntaxError } from "./errors.ts";
import { type FieldTable, type FieldValue, readTable, Typed } from "./field-table.ts";
import type { Arguments } from "./methods.ts";
import type { Amqp091Options } from "./protocol.ts";

/** Who a client says it is; nobody by name, when its certificate says so. */
export interface Claim {
  readonly user: string | undefined;
  readonly password: string | undefined;
}

/** What a client says it understands beyond the specification. */
export interface Capabilities {
  /** connection.blocked and connection.unblocked. */
  readonly blocked: boolean;
  /** basic.cancel from the server. */
  readonly cancelNotify: boolean;
  /** connection.close when its login is refused; others are just cut off (amqp091 connection.start-ok). */
  readonly authenticationClose: boolean;
}

/** What was agreed on: bytes of whole frames, the highest channel, and seconds between heartbeats, 0 for none. */
export interface Tuning {
  readonly channelMax: number;
  readonly maxFrameBytes: number;
  readonly heartbeat: number;
}

const SERVER_CAPABILITIES = [
  "publisher_confirms",
  "exchange_exchange_bindings",
  "basic.nack",
  "consumer_cancel_notify",
  "connection.blocked",
  "consumer_priorities",
  "authentication_failure_close",
  "per_consumer_qos",
  "direct_reply_to",
];

/** The mechanisms a client may log in by; by EXTERNAL if it has shown a certificate. */
const MECHANISMS = ["PLAIN", "AMQPLAIN"];
const WITH_CERTIFICATE = [...MECHANISMS, "EXTERNAL"];
/** The least that a frame may have to hold [4.2.3: frame-min-size]. */
const LEAST_FRAME = 4096;
const MOST_SECONDS = 0xffff;

/** The arguments of connection.start. */
export function startArguments(broker: Broker, peer: Peer): Arguments<"connection.start"> {
  const serverProperties: FieldTable = new Map<string, FieldValue>([
    ["capabilities", new Map(SERVER_CAPABILITIES.map((name) => [name, true]))],
    ["cluster_name", broker.name],
    ["product", "Delos"],
    ["version", broker.version],
    ["platform", "Node.js"],
  ]);
  return {
    versionMajor: 0,
    versionMinor: 9,
    serverProperties,
    mechanisms: Buffer.from(mechanismsFor(peer).join(" ")),
    locales: Buffer.from("en_US"),
  };
}

/** What a client's properties say that it understands. */
export function capabilitiesOf(properties: FieldTable): Capabilities {
  const table = properties.get("capabilities");
  const has = (name: string): boolean => isTable(table) && table.get(name) === true;
  return {
    blocked: has("connection.blocked"),
    cancelNotify: has("consumer_cancel_notify"),
    authenticationClose: has("authentication_failure_close"),
  };
}

/** The name a client gave its connection, if any. */
export function connectionName(properties: FieldTable): string | undefined {
  const name = properties.get("connection_name");
  return typeof name === "string" && name !== "" ? name : undefined;
}

/** Reads the response of connection.start-ok. Throws `AmqpError`. */
export function readClaim(mechanism: string, response: Buffer, peer: Peer): Claim {
  const offered = mechanismsFor(peer);
  if (!offered.includes(mechanism)) {
    throw new AmqpError(
      "COMMAND_INVALID",
      `unknown authentication mechanism '${mechanism}'; expected one of ${offered.join(", ")}`,
    );
  }
  if (mechanism === "EXTERNAL") return { user: undefined, password: undefined };
  return mechanism === "PLAIN" ? readPlain(response) : readAmqplain(response);
}

function mechanismsFor({ certificate }: Peer): readonly string[] {
  return certificate === undefined ? MECHANISMS : WITH_CERTIFICATE;
}

/** RFC 4616: `[authzid] NUL authcid NUL passwd`. */
function readPlain(response: Buffer): Claim {
  const first = response.indexOf(0);
  const second = first < 0 ? -1 : response.indexOf(0, first + 1);
  if (second < 0) throw syntaxError("response of PLAIN is not of the form [identity] NUL user NUL password");
  return { user: response.toString("utf8", first + 1, second), password: response.toString("utf8", second + 1) };
}

/** A field table without its length. */
function readAmqplain(response: Buffer): Claim {
  const whole = Buffer.alloc(4 + response.length);
  whole.writeUInt32BE(response.length);
  response.copy(whole, 4);
  const table = readTable(whole, 0, whole.length);
  const user = textOf(table.get("LOGIN"));
  const password = textOf(table.get("PASSWORD"));
  if (user === undefined || password === undefined) {
    throw syntaxError("response of AMQPLAIN has not both LOGIN and PASSWORD as texts");
  }
  return { user, password };
}

/** The arguments of connection.tune. */
export function tuneArguments({
  channelMax,
  maxFrameBytes,
  heartbeatMs,
}: Amqp091Options): Arguments<"connection.tune"> {
  return { channelMax, frameMax: maxFrameBytes, heartbeat: Math.min(MOST_SECONDS, Math.ceil(heartbeatMs / 1000)) };
}

/** What comes of the client's answer to connection.tune; where it says 0 it leaves it to the server. Throws `AmqpError`. */
export function agreeOn(answer: Arguments<"connection.tune-ok">, options: Amqp091Options): Tuning {
  const channelMax = answer.channelMax === 0 ? options.channelMax : answer.channelMax;
  const maxFrameBytes = answer.frameMax === 0 ? options.maxFrameBytes : answer.frameMax;
  if (channelMax > options.channelMax) {
    throw tooHigh("channel_max", channelMax, options.channelMax);
  }
  if (maxFrameBytes > options.maxFrameBytes) throw tooHigh("frame_max", maxFrameBytes, options.maxFrameBytes);
  if (maxFrameBytes < LEAST_FRAME) {
    throw new AmqpError(
      "NOT_ALLOWED",
      `negotiated frame_max = ${maxFrameBytes} is lower than the minimum allowed value (${LEAST_FRAME})`,
    );
  }
  return { channelMax, maxFrameBytes, heartbeat: answer.heartbeat };
}

function tooHigh(what: string, found: number, limit: number): AmqpError {
  return new AmqpError(
    "NOT_ALLOWED",
    `negotiated ${what} = ${found} is higher than the maximum allowed value (${limit}, amqp.${what})`,
  );
}

function textOf(value: FieldValue | undefined): string | undefined {
  if (typeof value === "string") return value;
  return Buffer.isBuffer(value) ? value.toString() : undefined;
}

function isTable(value: FieldValue | undefined): value is FieldTable {
  return value instanceof Map && !(value instanceof Typed);
}
