import { generate, type IConnackPacket, type Packet as Sent, type UserProperties, writeToStream } from "mqtt-packet";
import type { ReasonCode, Version } from "./errors.ts";
import type { Pairs, Properties } from "./property-writer.ts";

// Otherwise it makes 65,536 little buffers, to save itself making one at a time.
writeToStream.cacheNumbers = false;

/** The packets of a server that are not frequent. */
export type Statement =
  | {
      readonly type: "connack";
      readonly sessionPresent: boolean;
      readonly code: number;
      readonly properties?: Properties;
    }
  | {
      readonly type: "suback" | "unsuback";
      readonly packetId: number;
      readonly codes: readonly number[];
      readonly properties?: Properties;
    }
  | { readonly type: "disconnect" | "auth"; readonly code: ReasonCode; readonly properties?: Properties };

type SentProperties = NonNullable<IConnackPacket["properties"]>;

/**
 * The packet that says this; the code of a CONNACK is a return code in 3.1 and 3.1.1 and a reason code in 5.0. Reason
 * string and user properties are left out where the packet would have more than `maxPacketBytes`; undefined when it has
 * more even so, and may not be sent [MQTT-3.1.2-24].
 */
export function encodeStatement(
  statement: Statement,
  version: Version,
  maxPacketBytes: number = Number.POSITIVE_INFINITY,
): Buffer | undefined {
  const { properties = {} } = statement;
  const bytes = encode(statement, properties, version);
  if (bytes.length <= maxPacketBytes) return bytes;
  // [MQTT-3.2.2-19] [MQTT-3.2.2-20] and their like for the other packets.
  const short = encode(statement, { ...properties, reasonString: undefined, userProperties: undefined }, version);
  return short.length <= maxPacketBytes ? short : undefined;
}

function encode(statement: Statement, properties: Properties, version: Version): Buffer {
  return generate(packetOf(statement, sentProperties(properties)), { protocolVersion: version });
}

function packetOf(statement: Statement, properties: SentProperties): Sent {
  switch (statement.type) {
    case "connack": {
      const { sessionPresent, code } = statement;
      return { cmd: "connack", sessionPresent, returnCode: code, reasonCode: code, properties };
    }
    case "suback":
    case "unsuback":
      return { cmd: statement.type, messageId: statement.packetId, granted: [...statement.codes], properties };
    case "disconnect":
    case "auth":
      return { cmd: statement.type, reasonCode: statement.code, properties };
  }
}

function sentProperties(from: Properties): SentProperties {
  return defined({
    sessionExpiryInterval: from.sessionExpiryInterval,
    receiveMaximum: from.receiveMaximum,
    maximumQoS: from.maximumQoS,
    retainAvailable: flag(from.retainAvailable),
    maximumPacketSize: from.maximumPacketSize,
    assignedClientIdentifier: from.assignedClientIdentifier,
    topicAliasMaximum: from.topicAliasMaximum,
    reasonString: from.reasonString,
    userProperties: grouped(from.userProperties),
    wildcardSubscriptionAvailable: flag(from.wildcardSubscriptionAvailable),
    subscriptionIdentifiersAvailable: flag(from.subscriptionIdentifiersAvailable),
    sharedSubscriptionAvailable: flag(from.sharedSubscriptionAvailable),
    serverKeepAlive: from.serverKeepAlive,
    responseInformation: from.responseInformation,
    serverReference: from.serverReference,
    authenticationMethod: from.authenticationMethod,
    authenticationData: from.authenticationData,
  });
}

/** The same without what is undefined. */
function defined<T extends object>(all: T): { [Name in keyof T]?: Exclude<T[Name], undefined> };
function defined(all: object): object {
  return Object.fromEntries(Object.entries(all).filter(([, value]) => value !== undefined));
}

function flag(value: number | undefined): boolean | undefined {
  return value === undefined ? undefined : value !== 0;
}

/** As `mqtt-packet` wants them: the order is kept only among the values of one name. */
function grouped(pairs: Pairs | undefined): UserProperties | undefined {
  if (pairs === undefined) return undefined;
  const byName = new Map<string, string[]>();
  for (const [name, value] of pairs) {
    const values = byName.get(name);
    if (values === undefined) byName.set(name, [value]);
    else values.push(value);
  }
  return Object.fromEntries(byName);
}
