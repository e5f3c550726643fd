import { ProtocolError } from "../../core/protocol.ts";

/** The version of MQTT that a connection speaks, as CONNECT names it: 3.1, 3.1.1, 5.0. */
export type Version = 3 | 4 | 5;

/** The reason codes of MQTT 5.0 (2.4) by name; those that have several names by the most general one. */
export const REASON = {
  success: 0x00,
  grantedQos1: 0x01,
  grantedQos2: 0x02,
  disconnectWithWill: 0x04,
  noMatchingSubscribers: 0x10,
  noSubscriptionExisted: 0x11,
  continueAuthentication: 0x18,
  reauthenticate: 0x19,
  unspecifiedError: 0x80,
  malformedPacket: 0x81,
  protocolError: 0x82,
  implementationSpecificError: 0x83,
  unsupportedProtocolVersion: 0x84,
  clientIdentifierNotValid: 0x85,
  badUserNameOrPassword: 0x86,
  notAuthorized: 0x87,
  serverUnavailable: 0x88,
  serverBusy: 0x89,
  banned: 0x8a,
  serverShuttingDown: 0x8b,
  badAuthenticationMethod: 0x8c,
  keepAliveTimeout: 0x8d,
  sessionTakenOver: 0x8e,
  topicFilterInvalid: 0x8f,
  topicNameInvalid: 0x90,
  packetIdentifierInUse: 0x91,
  packetIdentifierNotFound: 0x92,
  receiveMaximumExceeded: 0x93,
  topicAliasInvalid: 0x94,
  packetTooLarge: 0x95,
  messageRateTooHigh: 0x96,
  quotaExceeded: 0x97,
  administrativeAction: 0x98,
  payloadFormatInvalid: 0x99,
  retainNotSupported: 0x9a,
  qosNotSupported: 0x9b,
  useAnotherServer: 0x9c,
  serverMoved: 0x9d,
  sharedSubscriptionsNotSupported: 0x9e,
  connectionRateExceeded: 0x9f,
  maximumConnectTime: 0xa0,
  subscriptionIdentifiersNotSupported: 0xa1,
  wildcardSubscriptionsNotSupported: 0xa2,
} as const;

/** A reason code of MQTT 5.0. */
export type ReasonCode = (typeof REASON)[keyof typeof REASON];

/** Breach of MQTT by the peer, with the reason that MQTT 5.0 has for it. */
export class MqttError extends ProtocolError {
  readonly reasonCode: ReasonCode;

  constructor(reasonCode: ReasonCode, text: string) {
    super(text);
    this.name = "MqttError";
    this.reasonCode = reasonCode;
  }
}

/** The packet is not formed as the specification says. */
export function malformed(text: string): MqttError {
  return new MqttError(REASON.malformedPacket, text);
}

/** The packet is well formed, but may not be or not say this here. */
export function protocolError(text: string): MqttError {
  return new MqttError(REASON.protocolError, text);
}

/** What CONNACK of 3.1 and 3.1.1 can say (mqtt311 3.2.2.3). */
const RETURN_CODES: ReadonlyMap<ReasonCode, number> = new Map<ReasonCode, number>([
  [REASON.unsupportedProtocolVersion, 1],
  [REASON.clientIdentifierNotValid, 2],
  [REASON.serverUnavailable, 3],
  [REASON.serverBusy, 3],
  [REASON.serverShuttingDown, 3],
  [REASON.connectionRateExceeded, 3],
  [REASON.quotaExceeded, 3],
  [REASON.useAnotherServer, 3],
  [REASON.serverMoved, 3],
  [REASON.unspecifiedError, 3],
  [REASON.badUserNameOrPassword, 4],
  [REASON.notAuthorized, 5],
  [REASON.banned, 5],
]);

/**
 * The return code of CONNACK in 3.1 and 3.1.1 for a refused CONNECT. Undefined: these versions have no word for it, and
 * the connection is closed without one. After CONNACK they have words for nothing.
 */
export function connackReturnCode(reasonCode: ReasonCode): number | undefined {
  return RETURN_CODES.get(reasonCode);
}

/** Those that a CONNACK of 5.0 can have (mqtt5 3.2.2.2), with which a client is refused. */
const CONNACK_CODES: ReadonlySet<ReasonCode> = new Set<ReasonCode>([
  REASON.unspecifiedError,
  REASON.malformedPacket,
  REASON.protocolError,
  REASON.implementationSpecificError,
  REASON.unsupportedProtocolVersion,
  REASON.clientIdentifierNotValid,
  REASON.badUserNameOrPassword,
  REASON.notAuthorized,
  REASON.serverUnavailable,
  REASON.serverBusy,
  REASON.banned,
  REASON.badAuthenticationMethod,
  REASON.topicNameInvalid,
  REASON.packetTooLarge,
  REASON.quotaExceeded,
  REASON.payloadFormatInvalid,
  REASON.retainNotSupported,
  REASON.qosNotSupported,
  REASON.useAnotherServer,
  REASON.serverMoved,
  REASON.connectionRateExceeded,
]);

/** The reason code of CONNACK in 5.0 for a refused CONNECT [MQTT-3.2.2-8]: not all that DISCONNECT has are there. */
export function connackReasonCode(reasonCode: ReasonCode): ReasonCode {
  return CONNACK_CODES.has(reasonCode) ? reasonCode : REASON.serverUnavailable;
}
