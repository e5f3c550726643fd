/*
 * The ports of a broker, and what is spoken on them, from settings to listeners.
 */
import type { Broker } from "../core/broker.ts";
import type { Protocol } from "../core/protocol.ts";
import type { Clock } from "../core/time/clock.ts";
import { createAmqp091 } from "../protocols/amqp091/protocol.ts";
import { createAmqp10 } from "../protocols/amqp10/protocol.ts";
import { createMqtt } from "../protocols/mqtt/protocol.ts";
import { createStomp } from "../protocols/stomp/protocol.ts";
import { listens } from "./config/certificates.ts";
import type { Config } from "./config/schema.ts";
import type { Log } from "./log.ts";
import { AddressSet } from "./net/address-set.ts";
import type { Limits } from "./net/limits.ts";
import { Listener } from "./net/listener.ts";
import type { ListenerOptions } from "./net/listener-options.ts";
import { Network } from "./net/network.ts";
import type { TlsOptions } from "./net/tls.ts";

/** What listeners are made of besides the configuration. */
interface ListenerParts {
  readonly broker: Broker;
  readonly clock: Clock;
  readonly log: Log;
  readonly limits: Limits;
  readonly tls: ReadonlyMap<string, TlsOptions>;
  readonly consolePort: () => number | undefined;
}

/** The listeners that a configuration asks for; none of them listens yet. */
export function createListeners(
  config: Config,
  { broker, clock, log, limits, tls, consolePort }: ListenerParts,
): Listener[] {
  const { connection, detection } = config;
  const network = new Network(clock, log.component("net"), {
    outputHighWaterBytes: connection.output_high_water,
    outputLowWaterBytes: connection.output_low_water,
    closeTimeoutMs: connection.close_timeout,
    detectionTimeoutMs: detection.timeout,
  });
  const protocols = [stompProtocol(config), mqttProtocol(config), amqp10Protocol(config), amqp091Protocol(config)];
  return Object.entries(config.listeners)
    .filter(([name]) => listens(config, name))
    .map(
      ([name, listener]) =>
        new Listener(network, {
          name,
          host: listener.host,
          port: listener.port,
          protocols: protocols.filter(({ name: spoken }) => speaks(listener.protocols, spoken)),
          maxConnections: listener.max_connections,
          connectRate: listener.connect_rate,
          webSocket: listener.websocket.enabled
            ? {
                origins: listener.websocket.origins,
                consolePort,
                maxMessageBytes: connection.max_websocket_message,
                proxies: trusted(listener.websocket.trusted_proxies),
              }
            : undefined,
          limits,
          proxies: proxiesOf(listener.proxy_protocol),
          tls: tls.get(name),
          accept: (protocol, peer) => protocol.accept(peer, broker),
        }),
    );
}

function proxiesOf({
  trusted: networks,
  required,
}: {
  trusted: string[];
  required: boolean;
}): ListenerOptions["proxies"] {
  const set = trusted(networks);
  return set === undefined ? undefined : { trusted: set, required };
}

function trusted(networks: readonly string[]): AddressSet | undefined {
  return networks.length === 0 ? undefined : new AddressSet(networks);
}

function speaks(protocols: readonly string[], name: string): boolean {
  return protocols.length === 0 || protocols.includes(name);
}

function stompProtocol({ stomp, transactions }: Config): Protocol {
  return createStomp({
    maxHeaders: stomp.max_headers,
    maxHeaderBytes: stomp.max_header_bytes,
    maxFrameHeaderBytes: stomp.max_frame_header_bytes,
    maxBody: stomp.max_body,
    connectTimeoutMs: stomp.connect_timeout,
    heartBeatSendMs: stomp.heart_beat.send,
    heartBeatReceiveMs: stomp.heart_beat.receive,
    heartBeatGrace: stomp.heart_beat.grace,
    errorCloseDelayMs: stomp.error_close_delay,
    maxReceiptsWaiting: stomp.max_receipts_waiting,
    creditMessages: stomp.credit.messages,
    creditBytes: stomp.credit.bytes,
    maxSubscriptions: stomp.max_subscriptions,
    maxTransactions: transactions.max_open,
  });
}

function mqttProtocol({ mqtt }: Config): Protocol {
  const { use, reference } = mqtt.redirect;
  return createMqtt({
    maxPacketBytes: mqtt.max_packet_bytes,
    maxConnectBytes: mqtt.max_connect_bytes,
    connectTimeoutMs: mqtt.connect_timeout,
    maxInflight: mqtt.max_inflight,
    receiveMaximum: mqtt.receive_maximum,
    topicAliasMaximum: mqtt.topic_alias_maximum,
    clientTopicAliases: mqtt.client_topic_aliases,
    redirect: use === "this_server" ? undefined : { moved: use === "server_moved", reference },
    responsePrefix: mqtt.response_prefix,
    maxSessionExpiryMs: mqtt.max_session_expiry === 0 ? Number.POSITIVE_INFINITY : mqtt.max_session_expiry,
    maxSubscriptions: mqtt.max_subscriptions,
    maxKeepAlive: mqtt.max_keep_alive,
    maxClientIdBytes: mqtt.max_client_id_bytes,
    maxTopicBytes: mqtt.max_topic_bytes,
    maxTopicLevels: mqtt.max_topic_levels,
    slowSubscriberGraceMs: mqtt.slow_subscriber_grace,
    maxAcksWaiting: mqtt.max_acks_waiting,
  });
}

function amqp091Protocol({ amqp }: Config): Protocol {
  return createAmqp091({
    connectTimeoutMs: amqp.connect_timeout,
    heartbeatMs: amqp.heartbeat,
    channelMax: amqp.channel_max,
    maxFrameBytes: amqp.frame_max,
    maxBodyBytes: amqp.max_body,
    maxUnfinishedBytes: amqp.max_unfinished,
    maxConsumers: amqp.max_consumers,
    creditMessages: amqp.credit.messages,
    creditBytes: amqp.credit.bytes,
    maxUnacked: amqp.max_unacked,
    maxAnswersWaiting: amqp.max_answers_waiting,
    closeTimeoutMs: amqp.close_timeout,
  });
}

function amqp10Protocol({ amqp10, transactions }: Config): Protocol {
  return createAmqp10({
    connectTimeoutMs: amqp10.connect_timeout,
    idleTimeoutMs: amqp10.idle_timeout,
    maxFrameBytes: amqp10.max_frame_bytes,
    maxOpeningBytes: amqp10.max_opening_bytes,
    maxMessageBytes: amqp10.max_message_bytes,
    maxSessions: amqp10.max_sessions,
    maxLinks: amqp10.max_links,
    credit: amqp10.credit,
    window: amqp10.window,
    maxUnsettled: amqp10.max_unsettled,
    maxTransactions: transactions.max_open,
    maxAnswersWaiting: amqp10.max_answers_waiting,
    closeTimeoutMs: amqp10.close_timeout,
    plainAddress: amqp10.plain_address,
  });
}
