import type { HostSession } from "../../core/sessions/session.ts";
import { MqttError, REASON, type Version } from "./errors.ts";
import type { Subscribe, SubscriptionRequest, Unsubscribe } from "./packet.ts";
import type { MqttOptions } from "./protocol.ts";
import { refusalOf } from "./refusal.ts";
import { type Filter, parseFilter, parseRequest } from "./topic.ts";

/** Retain handling of a SUBSCRIBE (mqtt5 3.8.3.1) in the core's words. */
const RETAINED = ["always", "if-new", "never"] as const;
/** SUBACK of 3.1 and 3.1.1 has one word for all that is wrong. */
const FAILURE = 0x80;

/** Carries out a SUBSCRIBE; returns the codes of its SUBACK, in order [MQTT-3.8.4-6]. */
export function subscribe(
  { subscriptions, properties }: Subscribe,
  session: HostSession,
  version: Version,
  options: MqttOptions,
): number[] {
  const tag = properties.number("subscriptionIdentifier") ?? 0;
  return subscriptions.map((request) => {
    const code = subscribeOne(request, tag, session, options);
    return code < FAILURE || version === 5 ? code : FAILURE;
  });
}

/** Carries out an UNSUBSCRIBE; returns the codes of its UNSUBACK, in order. */
export function unsubscribe({ filters }: Unsubscribe, session: HostSession): number[] {
  return filters.map((text) => {
    const filter = parseFilter(text);
    if (filter instanceof MqttError) return filter.reasonCode;
    const { group, pattern } = filter;
    const found = group === undefined ? session.remove(pattern) : session.unshare(group, pattern);
    return found ? REASON.success : REASON.noSubscriptionExisted;
  });
}

function subscribeOne(request: SubscriptionRequest, tag: number, session: HostSession, options: MqttOptions): number {
  const filter = parseRequest(request.filter, options);
  if (filter instanceof MqttError) return filter.reasonCode;
  const { qos, noLocal, retainAsPublished, retainHandling } = request;
  const interest = { pattern: filter.pattern, quality: qos, noLocal, retainAsPublished, tag };
  try {
    if (hasAll(filter, session, options)) return REASON.quotaExceeded;
    if (filter.group === undefined) session.add(interest, RETAINED[retainHandling] ?? "always");
    else session.share(filter.group, interest);
    return qos;
  } catch (error) {
    const { reasonCode, fault } = refusalOf(error);
    if (fault) throw error;
    return reasonCode;
  }
}

/** Whether the session may have no more filters than it has. */
function hasAll({ group, pattern }: Filter, { interests, shares }: HostSession, options: MqttOptions): boolean {
  if (interests.size + shares.size < options.maxSubscriptions) return false;
  return group !== undefined || interests.get(pattern) === undefined;
}
