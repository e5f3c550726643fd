import { BrokerError, type ErrorCode } from "../../core/errors.ts";
import { MqttError, REASON, type ReasonCode } from "./errors.ts";

/** The reason code of MQTT 5.0 for what the core refuses. */
const CODES: Readonly<Record<ErrorCode, ReasonCode>> = {
  "bad-request": REASON.protocolError,
  "bad-address": REASON.topicNameInvalid,
  "bad-selector": REASON.implementationSpecificError,
  "not-found": REASON.unspecifiedError,
  "not-authenticated": REASON.badUserNameOrPassword,
  "not-authorized": REASON.notAuthorized,
  "in-use": REASON.implementationSpecificError,
  exclusive: REASON.implementationSpecificError,
  limit: REASON.quotaExceeded,
  throttled: REASON.connectionRateExceeded,
  full: REASON.quotaExceeded,
  "too-large": REASON.packetTooLarge,
  conflict: REASON.implementationSpecificError,
  "shutting-down": REASON.serverShuttingDown,
  internal: REASON.unspecifiedError,
};

/** What is to be said of an error, in the words of MQTT 5.0 and for people. */
export interface Refusal {
  readonly reasonCode: ReasonCode;
  readonly text: string;
  /** True for what is neither the peer's fault nor a refusal: a fault of the broker. */
  readonly fault: boolean;
}

/** How an error is to be told to the client. */
export function refusalOf(error: unknown): Refusal {
  if (error instanceof MqttError) return { reasonCode: error.reasonCode, text: error.message, fault: false };
  if (error instanceof BrokerError) return { reasonCode: CODES[error.code], text: error.message, fault: false };
  return { reasonCode: REASON.unspecifiedError, text: "The broker failed; its log says why", fault: true };
}
