import { sameBytes } from "../../core/memory/bytes.ts";
import type { Client } from "../../core/client.ts";
import { type Envelope, type Timing, TRAIT } from "../../core/message.ts";
import { Address } from "../../core/addresses/address.ts";
import type { Route } from "../../core/routing/route.ts";
import { BrokerError } from "../../core/errors.ts";
import { MqttError, protocolError, REASON, type Version } from "./errors.ts";
import { Intake } from "./intake.ts";
import type { Packet } from "./packet.ts";
import { formatTopic, parseTarget, type TopicLimits } from "./topic.ts";
import type { SharedWire } from "./delivery-writer.ts";

/** Where a topic leads, as this client writes it. */
interface Target {
  readonly bytes: Buffer;
  /** Of the topic that its messages have: another one only after `$delayed/SECONDS/`. */
  readonly topic: Buffer;
  /** How much later what is published there is delivered. */
  readonly delayMs: number;
  readonly address: Address;
  /** Undefined while nothing was published; a refusal is thrown anew each time. */
  route: Route | undefined;
}

/** Places for targets that are found by their bytes alone; a power of two. */
const NEAR_TARGETS = 16;
const NOTHING_NEAR = Array.from<Target | undefined>({ length: NEAR_TARGETS });
/** Targets remembered in all. */
const MOST_TARGETS = 1000;
const NOWHERE = new Address("topic", ["nowhere"]);

/** The messages that one client publishes. */
export class Publisher {
  readonly intake: Intake;
  /** Milliseconds since 1970: when the bytes at hand were received. */
  now = 0;
  readonly #client: Client;
  readonly #near: (Target | undefined)[] = NOTHING_NEAR.slice();
  readonly #targets = new Map<string, Target>();
  readonly #aliases = new Map<number, Target>();
  readonly #mostAliases: number;
  readonly #limits: TopicLimits;
  readonly #envelope = new PublishEnvelope();

  /** `topicAliasMaximum` is the highest alias the client may use; 0 for none. */
  constructor(
    client: Client,
    wire: SharedWire,
    version: Version,
    limits: TopicLimits & { readonly topicAliasMaximum: number },
  ) {
    this.#client = client;
    this.#mostAliases = limits.topicAliasMaximum;
    this.#limits = limits;
    this.intake = new Intake(version, wire.received);
  }

  /** What the client may do has changed: it is asked again where it sends. */
  forgetRoutes(): void {
    for (const target of this.#targets.values()) target.route = undefined;
    for (const target of this.#near) if (target !== undefined) target.route = undefined;
    for (const target of this.#aliases.values()) target.route = undefined;
  }

  /** The ways to the topics it remembers. */
  *routes(): Iterable<Route> {
    for (const targets of [this.#targets, this.#aliases]) {
      for (const { route } of targets.values()) if (route !== undefined) yield route;
    }
  }

  /** PUBLISH. Throws `MqttError` for what MQTT forbids, BrokerError for what the broker refuses. */
  publish(packet: Packet): void {
    const { properties, qos } = packet;
    const target = properties.topicAlias === 0 ? this.#target(packet) : this.#aliased(packet);
    const envelope = this.#envelope;
    envelope.address = target.address;
    envelope.durable = qos > 0;
    envelope.priority = properties.empty ? 4 : properties.priority();
    envelope.receivedAt = this.now;
    envelope.expiresAt = properties.messageExpiry < 0 ? 0 : this.now + properties.messageExpiry * 1000;
    target.route ??= this.#client.route([target.address]);
    if (target.delayMs > 0) {
      this.#publishLater(packet, target, target.route);
      return;
    }
    const aliased = packet.topicStart === packet.topicEnd || target.topic !== target.bytes;
    const message = this.intake.message(packet, envelope, aliased ? target.topic : undefined);
    if (packet.retain) {
      // [MQTT-3.3.1-5] [MQTT-3.3.1-6] [MQTT-3.3.1-7]: an empty payload takes the topic's retained message away.
      const empty = packet.payloadStart === packet.payloadEnd;
      this.#client.retain(target.route, empty ? undefined : message);
    }
    this.#client.publish(target.route, message);
  }

  /** It expires, and is retained, as if it were sent when it is delivered. */
  #publishLater(packet: Packet, { address, topic, delayMs }: Target, route: Route): void {
    if (packet.retain && address.kind !== "topic") {
      throw new BrokerError("bad-request", `Only topics retain a message; ${formatTopic(address)} is none`);
    }
    const { durable, priority, receivedAt, expiresAt } = this.#envelope;
    const timing: Timing = { deliverAt: this.now + delayMs, periodMs: undefined, repeats: 0, cron: undefined };
    const envelope = {
      address,
      durable,
      priority,
      receivedAt,
      expiresAt: expiresAt === 0 ? 0 : expiresAt + delayMs,
      traits: packet.retain ? TRAIT.timed | TRAIT.retaining : TRAIT.timed,
      timing,
    };
    this.#client.publish(route, this.intake.message(packet, envelope, topic));
  }

  #target(packet: Packet): Target {
    const { data, topicStart: start, topicEnd: end } = packet;
    const near = ((data[end - 1] ?? 0) + (data[end - 2] ?? 0) * 3 + (end - start)) & (NEAR_TARGETS - 1);
    const recent = this.#near[near];
    if (recent !== undefined && sameBytes(recent.bytes, data, start, end)) return recent;
    const key = data.toString("latin1", start, end);
    const target = this.#targets.get(key) ?? this.#open(key, data.toString("utf8", start, end));
    this.#near[near] = target;
    return target;
  }

  /** [MQTT-3.3.2-7] to [MQTT-3.3.2-12]: an alias names a topic from the PUBLISH on that has both. */
  #aliased(packet: Packet): Target {
    const { topicAlias } = packet.properties;
    if (topicAlias > this.#mostAliases) {
      throw new MqttError(
        REASON.topicAliasInvalid,
        `Topic alias ${topicAlias}; at most ${this.#mostAliases} is allowed (mqtt.topic_alias_maximum)`,
      );
    }
    if (packet.topicStart < packet.topicEnd) {
      const target = this.#target(packet);
      this.#aliases.set(topicAlias, target);
      return target;
    }
    const target = this.#aliases.get(topicAlias);
    if (target === undefined) throw protocolError(`Topic alias ${topicAlias} was not given to a topic before`);
    return target;
  }

  #open(key: string, text: string): Target {
    const parsed = parseTarget(text, this.#limits);
    if (parsed instanceof MqttError) throw parsed;
    const { address, topic, delayMs } = parsed;
    const bytes = Buffer.from(key, "latin1");
    const target = {
      bytes,
      topic: topic === text ? bytes : Buffer.from(topic),
      delayMs,
      address,
      route: undefined,
    };
    if (this.#targets.size >= MOST_TARGETS) {
      const [oldest] = this.#targets.keys();
      if (oldest !== undefined) this.#targets.delete(oldest);
    }
    this.#targets.set(key, target);
    return target;
  }
}

/** The same object for every PUBLISH: a message copies what it says. */
class PublishEnvelope implements Envelope {
  address: Address = NOWHERE;
  durable = false;
  priority = 4;
  expiresAt = 0;
  receivedAt = 0;
}
