/*
 * What CONNECT asks for and what the broker makes of it, before there is a session and for CONNACK.
 */
import type { Login } from "../../core/access/access.ts";
import type { BrokerError } from "../../core/errors.ts";
import type { Will } from "../../core/sessions/wills.ts";
import { MqttError, REASON, type Version } from "./errors.ts";
import type { Intake } from "./intake.ts";
import type { Connect } from "./packet.ts";
import type { Properties } from "./property-writer.ts";
import type { MqttOptions } from "./protocol.ts";
import { asLevel, parseTarget } from "./topic.ts";

/** On the wire: a session that never expires. */
const NEVER = 0xffff_ffff;

/** Throws `MqttError` when nobody is let in here or not now, or when what CONNECT says cannot be had. */
export function checkConnect(
  { clientId, cleanStart, version }: Connect,
  options: MqttOptions,
  refusal?: BrokerError,
): void {
  const { redirect, maxClientIdBytes } = options;
  if (redirect !== undefined) {
    throw new MqttError(
      redirect.moved ? REASON.serverMoved : REASON.useAnotherServer,
      `This broker sends its clients to ${redirect.reference || "another one"} (mqtt.redirect)`,
    );
  }
  if (refusal !== undefined) throw refusal;
  if (Buffer.byteLength(clientId) > maxClientIdBytes) {
    throw new MqttError(
      REASON.clientIdentifierNotValid,
      `The client identifier has more than ${maxClientIdBytes} bytes (mqtt.max_client_id_bytes)`,
    );
  }
  // mqtt311 [MQTT-3.1.3-8]; 3.1 has no empty one at all.
  if (clientId === "" && (version === 3 || (version === 4 && !cleanStart))) {
    throw new MqttError(
      REASON.clientIdentifierNotValid,
      "The client identifier is empty, and the session is to be kept",
    );
  }
}

/** A CONNECT may have a user name beside its method, but not somebody else's. */
export function checkName({ username }: Connect, { user }: Login): void {
  if (username === undefined || username === user) return;
  throw new MqttError(
    REASON.badUserNameOrPassword,
    `CONNECT has the user name ${username}, and ${user ?? "nobody"} was authenticated; expected the same, or none`,
  );
}

/** How long the session outlives its connection, in milliseconds: 0 not at all, Infinity for ever. */
export function expiryOf({ version, cleanStart, properties }: Connect, options: MqttOptions): number {
  if (version !== 5) return cleanStart ? 0 : options.maxSessionExpiryMs;
  return expiryMs(properties.number("sessionExpiryInterval") ?? 0, options);
}

/** What a session expiry interval in seconds comes to. */
export function expiryMs(seconds: number, { maxSessionExpiryMs }: MqttOptions): number {
  return Math.min(seconds === NEVER ? Number.POSITIVE_INFINITY : seconds * 1000, maxSessionExpiryMs);
}

/** The keep alive that holds, in seconds; 0 for none. */
export function keepAliveOf({ version, keepAlive }: Connect, { maxKeepAlive }: MqttOptions): number {
  // Only MQTT 5.0 can be told that it is another one.
  if (version !== 5 || maxKeepAlive === 0) return keepAlive;
  return keepAlive === 0 ? maxKeepAlive : Math.min(keepAlive, maxKeepAlive);
}

/** Tells a client when its login expires, in milliseconds since 1970, so that it can renew it in time. */
export function expiryOfLogin({ expiresAt }: Login): Properties {
  return expiresAt === undefined ? {} : { userProperties: [["login-expires", String(expiresAt)]] };
}

/** The properties of CONNACK: what the client gets that it did not ask for just so. */
export function offerTo(
  asked: Connect,
  options: MqttOptions,
  { assigned, keepAlive, expiry }: { assigned: string | undefined; keepAlive: number; expiry: number },
): Properties {
  const { receiveMaximum, maxPacketBytes, topicAliasMaximum, responsePrefix } = options;
  const { properties } = asked;
  const seconds = expiry === Number.POSITIVE_INFINITY ? NEVER : expiry / 1000;
  const wantsPrefix = responsePrefix !== "" && properties.number("requestResponseInformation") === 1;
  return {
    sessionExpiryInterval: seconds === (properties.number("sessionExpiryInterval") ?? 0) ? undefined : seconds,
    receiveMaximum: receiveMaximum === 0xffff ? undefined : receiveMaximum,
    maximumPacketSize: maxPacketBytes,
    assignedClientIdentifier: assigned,
    topicAliasMaximum: topicAliasMaximum === 0 ? undefined : topicAliasMaximum,
    // [MQTT-3.1.2-21]
    serverKeepAlive: keepAlive === asked.keepAlive ? undefined : keepAlive,
    // mqtt5 3.1.2.11.6
    responseInformation: wantsPrefix ? `${responsePrefix}${asLevel(assigned ?? asked.clientId)}/` : undefined,
  };
}

/** The will of a CONNECT, taken at a time. Throws `MqttError` when it can never be published. */
export function willOf({ will }: Connect, intake: Intake, options: MqttOptions, now: number): Will | undefined {
  if (will === undefined) return undefined;
  const target = parseTarget(will.topic, options);
  if (target instanceof MqttError) throw target;
  if (target.delayMs > 0) {
    throw new MqttError(REASON.topicNameInvalid, "The topic of a will cannot be delayed; it has a delay of its own");
  }
  const { address, topic } = target;
  const expiry = will.properties.number("messageExpiryInterval");
  const envelope = {
    address,
    durable: will.qos > 0,
    priority: will.properties.priority(),
    expiresAt: 0,
    receivedAt: now,
  };
  return {
    address,
    message: intake.will({ ...will, topic }, envelope),
    delayMs: (will.properties.number("willDelayInterval") ?? 0) * 1000,
    ttlMs: expiry === undefined ? undefined : expiry * 1000,
    // [MQTT-3.1.2-14] [MQTT-3.1.2-15]
    retain: will.retain ? (will.payload.length === 0 ? "remove" : "set") : undefined,
  };
}

/** The version for people. */
export function versionName(version: Version): string {
  return version === 5 ? "5.0" : version === 4 ? "3.1.1" : "3.1";
}
