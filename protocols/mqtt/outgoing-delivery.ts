import { copyBytes } from "../../core/memory/bytes.ts";
import type { Message } from "../../core/message.ts";
import { writeU16, writeU32, writeVarint } from "./bytes.ts";
import {
  annotationPairs,
  fieldsAt,
  mqtt5Format,
  mqttFormat,
  propertiesAt,
  propertiesOf,
  storedProperties,
  topicEnd,
} from "./convert.ts";
import type { Outgoing } from "./encode.ts";
import type { Version } from "./errors.ts";
import type { Qos } from "./packet.ts";
import { propertyRule } from "./property-names.ts";
import { encodeProperties, type Pairs } from "./property-writer.ts";

const NOTHING: Buffer = Buffer.alloc(0);
/** Properties that are longer get a buffer of their own. */
const SCRATCH_BYTES = 4096;
/** Bytes of expiry and alias, and of one subscription identifier. */
const NUMBERS_BYTES = 8;
const TAG_BYTES = 5;
const EXPIRY = propertyRule("messageExpiryInterval").id;
const ALIAS = propertyRule("topicAlias").id;
const TAG = propertyRule("subscriptionIdentifier").id;

/** How one message goes to one client. */
export interface Manner {
  readonly qos: Qos;
  readonly packetId: number;
  readonly dup: boolean;
  readonly retain: boolean;
  /** Subscription identifiers. */
  readonly tags: readonly number[];
}

/** A delivery to be written: the same object for all of them, because whoever writes keeps nothing of it. */
export class OutgoingDelivery implements Outgoing {
  version: Version = 4;
  topic: Buffer = NOTHING;
  topicStart = 0;
  topicEnd = 0;
  properties: Buffer = NOTHING;
  propertiesStart = 0;
  propertiesEnd = 0;
  payload: Buffer = NOTHING;
  payloadStart = 0;
  payloadEnd = 0;
  qos: Qos = 0;
  packetId = 0;
  dup = false;
  retain = false;
  readonly #scratch = Buffer.allocUnsafeSlow(SCRATCH_BYTES);

  /** `topic`: that of a message from another protocol. */
  set(message: Message, version: Version, { qos, packetId, dup, retain }: Manner, topic: Buffer | undefined): void {
    this.version = version;
    this.topic = topic ?? message.data;
    this.topicStart = topic === undefined ? fieldsAt(message) + 2 : 0;
    this.topicEnd = topic === undefined ? topicEnd(message) : topic.length;
    this.payload = message.data;
    this.payloadStart = message.bodyStart;
    this.payloadEnd = message.bodyEnd;
    this.qos = qos;
    this.packetId = packetId;
    this.dup = dup;
    this.retain = retain;
  }

  /** The properties of MQTT 5.0: those of the message, and what is said to this client alone; `alias` 0 for none. */
  setProperties(message: Message, tags: readonly number[], alias: number, now: () => number): void {
    const pairs = annotationPairs(message);
    if (pairs.length === 0) this.#setOwnProperties(message);
    else this.#setAnnotated(message, pairs);
    const { expiresAt } = message;
    if (expiresAt === 0 && tags.length === 0 && alias === 0) return;
    const own = this.propertiesEnd - this.propertiesStart;
    const most = own + NUMBERS_BYTES + tags.length * TAG_BYTES;
    const target = most <= SCRATCH_BYTES ? this.#scratch : Buffer.allocUnsafe(most);
    let to = copyBytes(this.properties, this.propertiesStart, this.propertiesEnd, target, 0);
    if (expiresAt !== 0) {
      // [MQTT-3.3.2-6]: what is left of the time, in whole seconds.
      const left = Math.max(1, Math.ceil((expiresAt - now()) / 1000));
      target[to] = EXPIRY;
      to = writeU32(target, to + 1, Math.min(left, 0xffff_ffff));
    }
    if (alias !== 0) {
      target[to] = ALIAS;
      to = writeU16(target, to + 1, alias);
    }
    for (const tag of tags) {
      target[to] = TAG;
      to = writeVarint(target, to + 1, tag);
    }
    this.properties = target;
    this.propertiesStart = 0;
    this.propertiesEnd = to;
  }

  /** With what the broker says; who sent the message cannot forge that, as nothing else of these names goes with it. */
  #setAnnotated(message: Message, annotations: Pairs): void {
    const { format } = message;
    const own = format === mqtt5Format ? storedProperties(message) : format === mqttFormat ? {} : propertiesOf(message);
    const names = new Set(annotations.map(([name]) => name));
    const others = (own.userProperties ?? []).filter(([name]) => !names.has(name));
    this.properties = encodeProperties({ ...own, userProperties: [...others, ...annotations] });
    this.propertiesStart = 0;
    this.propertiesEnd = this.properties.length;
  }

  #setOwnProperties(message: Message): void {
    const { format } = message;
    if (format === mqtt5Format) {
      this.properties = message.data;
      this.propertiesStart = propertiesAt(message);
      this.propertiesEnd = message.bodyStart;
      return;
    }
    this.properties = format === mqttFormat ? NOTHING : encodeProperties(propertiesOf(message));
    this.propertiesStart = 0;
    this.propertiesEnd = this.properties.length;
  }
}
