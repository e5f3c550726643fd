import type { Version } from "./errors.ts";
import { PropertyBlock } from "./properties.ts";

/** Quality of service: at most once, at least once, exactly once. */
export type Qos = 0 | 1 | 2;

/** The four packets that answer a PUBLISH or one another. */
export type AckType = "puback" | "pubrec" | "pubrel" | "pubcomp";

const EMPTY: Buffer = Buffer.alloc(0);

/**
 * One packet from a client, used again for the next one: valid until the decoder is asked for more. Its bytes stay.
 * Which fields mean something depends on `type`.
 */
export class Packet {
  /** `control` stands for all that are not frequent: those are in `control`. */
  type: "publish" | AckType | "pingreq" | "control" = "control";
  control: Control | undefined = undefined;
  data: Buffer = EMPTY;
  start = 0;
  /** Behind the last byte of the packet. */
  end = 0;
  /** 0 in a PUBLISH of QoS 0. */
  packetId = 0;
  /** PUBACK, PUBREC, PUBREL, PUBCOMP. */
  reasonCode = 0;
  qos: Qos = 0;
  dup = false;
  retain = false;
  /** Of no length where a topic alias stands for the topic. */
  topicStart = 0;
  topicEnd = 0;
  /** The properties without their length; of no length in 3.1 and 3.1.1. */
  propertiesStart = 0;
  propertiesEnd = 0;
  payloadStart = 0;
  payloadEnd = 0;
  /** The same properties, checked; empty for packets without any. */
  readonly properties: PropertyBlock = new PropertyBlock();

  /** Lets go of the bytes. */
  forget(): void {
    this.data = EMPTY;
    this.control = undefined;
    this.properties.clear();
  }
}

/** The packets that are not frequent: an object each, on a copy of its bytes, to be kept. */
export type Control = Connect | Subscribe | Unsubscribe | Disconnect | Auth;

/** CONNECT. */
export interface Connect {
  readonly type: "connect";
  readonly version: Version;
  /** Clean Session in 3.1 and 3.1.1. */
  readonly cleanStart: boolean;
  /** Seconds; 0 for none. */
  readonly keepAlive: number;
  /** Empty when the server is to choose one. */
  readonly clientId: string;
  readonly username: string | undefined;
  readonly password: Buffer | undefined;
  readonly will: Will | undefined;
  readonly properties: PropertyBlock;
}

/** What is to be published when the client is lost. */
export interface Will {
  readonly topic: string;
  readonly payload: Buffer;
  readonly qos: Qos;
  readonly retain: boolean;
  readonly properties: PropertyBlock;
}

/** SUBSCRIBE. */
export interface Subscribe {
  readonly type: "subscribe";
  readonly packetId: number;
  readonly subscriptions: readonly SubscriptionRequest[];
  readonly properties: PropertyBlock;
}

/** One filter of a SUBSCRIBE with its options; 3.1 and 3.1.1 have only `qos`. */
export interface SubscriptionRequest {
  /** As it was sent: well-formed text, not yet looked at as a filter. */
  readonly filter: string;
  readonly qos: Qos;
  readonly noLocal: boolean;
  readonly retainAsPublished: boolean;
  /** 0: send what is retained; 1: only for a new subscription; 2: never. */
  readonly retainHandling: number;
}

/** UNSUBSCRIBE. */
export interface Unsubscribe {
  readonly type: "unsubscribe";
  readonly packetId: number;
  readonly filters: readonly string[];
  readonly properties: PropertyBlock;
}

/** DISCONNECT; in 3.1 and 3.1.1 always with reason code 0. */
export interface Disconnect {
  readonly type: "disconnect";
  readonly reasonCode: number;
  readonly properties: PropertyBlock;
}

/** AUTH. */
export interface Auth {
  readonly type: "auth";
  readonly reasonCode: number;
  readonly properties: PropertyBlock;
}
