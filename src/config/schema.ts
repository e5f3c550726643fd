/*
 * Every setting there is: its type, its default and what it does. The editor's schema, the check of what an operator
 * wrote, the defaults, the listing of `delos check` and the type `Config` all come from here.
 *
 * Sizes and durations are numbers (bytes, milliseconds) in `Config`, whatever way they were written.
 * What is `Optional` stays undefined when nobody sets it: its default then only says what happens without it.
 */
import { Type } from "typebox";
import { alarms, metrics } from "./alarms-schema.ts";
import { audit } from "./audit-schema.ts";
import { accessRules } from "./access-schema.ts";
import { diverts, durableSubscriptions, queues, schedule, topics, virtualTopics } from "./destination-schema.ts";
import { CLOSED, choice, count, duration, flag, limited, names, size, text } from "./field.ts";
import { limits } from "./limits-schema.ts";
import { management } from "./management-schema.ts";
import { hostSecurity, security } from "./security-schema.ts";
import { proxyProtocol, trustedProxies } from "./proxy-schema.ts";
import { listenerTls, tls } from "./tls-schema.ts";
import type { Unit } from "./units.ts";

/** What a listener can be told to speak. */
export const PROTOCOLS = ["stomp", "mqtt", "amqp091", "amqp10"] as const;
type ProtocolName = (typeof PROTOCOLS)[number];

/** The listeners of the default that are for whoever has a certificate. */
export const TLS_LISTENERS = ["stomps", "mqtts", "amqps"];

const listener = Type.Object(
  {
    enabled: flag(true, "Whether it listens at all."),
    host: text("127.0.0.1", 'The address to listen on; "0.0.0.0" or "::" is every address of this machine.'),
    port: Type.Integer({
      minimum: 0,
      maximum: 65_535,
      description: "The port to listen on; 0 takes a free one. Has no default for listeners of your own.",
    }),
    protocols: Type.Array(Type.Unsafe<ProtocolName>({ type: "string", enum: PROTOCOLS }), {
      default: [],
      description: "The protocols spoken here; none means all. The first bytes of a connection tell which one it is.",
    }),
    max_connections: count(15_000, "Connections at a time; more of them wait in the system's backlog."),
    connect_rate: count(0, "Connections a second; more of them are refused when they log in. 0 is any number.", 0),
    websocket: Type.Object(
      {
        enabled: flag(true, "Whether WebSocket connections are accepted on the same port."),
        origins: names(
          'Origins that web pages may connect from, such as "https://shop.example"; "*" is any. ' +
            "None: pages of the same host, and clients that send no Origin header.",
        ),
        trusted_proxies: trustedProxies,
      },
      { ...CLOSED, description: "WebSocket on this port." },
    ),
    tls: listenerTls,
    proxy_protocol: proxyProtocol,
  },
  { ...CLOSED, description: "A port to listen on." },
);

const host = Type.Object(
  {
    aliases: names("Other names that clients may call this virtual host by. Case does not count."),
    max_destinations: count(
      100_000,
      "Queues, topics, exchanges and durable subscriptions it may have in all; ten times as many bindings.",
    ),
    security: Type.Optional(hostSecurity),
    access_rules: accessRules("Who may do what in this virtual host; asked before the rules of the broker."),
  },
  { ...CLOSED, description: "A virtual host: a name space of queues and topics of its own." },
);

const stomp = Type.Object(
  {
    max_headers: count(1000, "Headers in one frame."),
    max_header_bytes: size("10k", "Bytes in one header line.", 64),
    max_frame_header_bytes: size("64k", "Bytes in all header lines of one frame.", 256),
    max_body: size("100m", "Bytes in the body of one frame."),
    connect_timeout: duration("10s", "How long a client may take from connecting to its CONNECT frame.", 1),
    heart_beat: Type.Object(
      {
        send: duration("10s", "How often the broker offers to send heart-beats; 0 is never."),
        receive: duration("10s", "How often it asks clients for heart-beats; 0 is never."),
        grace: Type.Number({
          default: 1.5,
          minimum: 1,
          maximum: 100,
          description: "A client is dead after this many times the agreed interval without a byte from it.",
        }),
      },
      { ...CLOSED, description: "Heart-beats, agreed with each client." },
    ),
    credit: Type.Object(
      {
        messages: count(1000, "Messages."),
        bytes: size("640k", "Bytes of messages.", 1),
      },
      {
        ...CLOSED,
        description:
          "What a subscription is sent before it acknowledges, unless its credit header says otherwise. " +
          "More comes while either of the two is not used up.",
      },
    ),
    max_subscriptions: count(1000, "Subscriptions of one connection."),
    max_receipts_waiting: count(1000, "Receipts not yet written to a client before the broker stops reading from it."),
    error_close_delay: duration(
      "1s",
      "How long a client may take to close after an ERROR frame, to be able to read it.",
    ),
  },
  { ...CLOSED, description: "STOMP 1.0, 1.1 and 1.2." },
);

const mqtt = Type.Object(
  {
    max_packet_bytes: size("2m", "Bytes of one packet; told to clients of MQTT 5.0.", 1024),
    max_connect_bytes: size("64k", "Bytes of a CONNECT packet: nobody knows yet who that is.", 256),
    connect_timeout: duration(
      "10s",
      "How long a client may take from connecting to its CONNECT packet, and how long an enhanced authentication may.",
      1,
    ),
    max_inflight: limited(1000, 65_535, "Messages of QoS 1 and 2 under way to one client, unless it wants fewer."),
    receive_maximum: limited(1000, 65_535, "Messages of QoS 1 and 2 that a client of MQTT 5.0 may have under way."),
    topic_alias_maximum: limited(100, 65_535, "The highest topic alias a client may use; 0 for none.", 0),
    client_topic_aliases: limited(
      100,
      65_535,
      "Topics that one client is sent by alias, if it takes aliases; 0 for none.",
      0,
    ),
    max_session_expiry: duration(
      "0",
      "How long sessions may outlive their connections at most; 0 is for ever, which a client of MQTT 3 gets that keeps " +
        "its session.",
    ),
    max_subscriptions: count(10_000, "Filters of one session."),
    max_keep_alive: limited(
      0,
      65_535,
      "The longest keep alive of MQTT 5.0 in seconds: who wants a longer one, or none, is told this one; 0 lets them.",
      0,
    ),
    max_client_id_bytes: limited(256, 500, "Bytes of a client identifier."),
    response_prefix: Type.String({
      default: "responses/",
      pattern: "^[^+#$\\u0000][^+#\\u0000]*$|^$",
      description:
        "What the topic begins with that a client of MQTT 5.0 is told to use for responses to it, if it asks; its client " +
        "identifier follows. Empty: it is told none.",
    }),
    redirect: Type.Object(
      {
        use: choice(
          ["this_server", "use_another_server", "server_moved"],
          "this_server",
          "Whether clients are refused and sent to another server, for now or for good.",
        ),
        reference: Type.String({
          default: "",
          description: 'Where they are sent, such as "other.example:1883"; only MQTT 5.0 can tell them.',
        }),
      },
      { ...CLOSED, description: "Sending all clients elsewhere." },
    ),
    sys_interval: duration(
      "10s",
      "How often the $SYS topics are brought up to date, as every virtual host has them; 0 is no such topics.",
    ),
    max_topic_bytes: limited(1024, 1024, "Bytes of a topic or a filter."),
    max_topic_levels: limited(128, 128, "Levels of a topic or a filter."),
    slow_subscriber_grace: duration(
      "2s",
      "How long a client that reads nothing holds up who publishes to it at QoS 0, where a topic has slow_subscriber: " +
        "block. After that what comes at QoS 0 beyond the topic's subscriber_buffer is dropped until the client reads " +
        "again; 0 has it hold them up until slow_subscriber_deadline ends its connection.",
    ),
    max_acks_waiting: count(1000, "Answers not yet written to a client before the broker stops reading from it."),
  },
  { ...CLOSED, description: "MQTT 3.1, 3.1.1 and 5.0." },
);

const amqp = Type.Object(
  {
    connect_timeout: duration(
      "10s",
      "How long a client may take from connecting until its virtual host is opened, and a login that is renewed.",
      1,
    ),
    heartbeat: duration(
      "60s",
      "How often broker and client are to show that they are alive; 0 leaves it to the client.",
    ),
    channel_max: limited(2047, 65_535, "The highest channel of one connection."),
    frame_max: size("128k", "Bytes of one frame; a larger message comes in several.", 4096),
    max_body: size("128m", "Bytes in the body of one message."),
    max_unfinished: size("256m", "Bytes of all messages together that one connection has begun to send."),
    max_consumers: count(10_000, "Consumers of one connection."),
    credit: Type.Object(
      {
        messages: count(10_000, "Messages."),
        bytes: size("32m", "Bytes of messages."),
      },
      {
        ...CLOSED,
        description:
          "What a consumer without a prefetch count is sent before it acknowledges. More comes while either of the two is " +
          "not used up.",
      },
    ),
    max_unacked: count(
      100_000,
      "Deliveries of one channel that wait to be acknowledged, if its client sets no limit; none can be fetched beyond them.",
    ),
    max_answers_waiting: count(1000, "Answers not yet written to a client before the broker stops reading from it."),
    close_timeout: duration(
      "1s",
      "How long a client may take to agree to the end of its connection, to be able to read why.",
    ),
  },
  { ...CLOSED, description: "AMQP 0-9-1." },
);

const amqp10 = Type.Object(
  {
    connect_timeout: duration("10s", "How long a client may take from connecting to its OPEN.", 1),
    idle_timeout: duration(
      "60s",
      "How long a client may be silent before it is gone, of which it is told the half; 0 is for ever.",
    ),
    max_frame_bytes: size("128k", "Bytes of one frame; a larger message comes in several.", 512),
    max_opening_bytes: size("16k", "Bytes of one frame before a client has logged in.", 512),
    max_message_bytes: size("100m", "Bytes of one message."),
    max_sessions: limited(256, 65_536, "Sessions of one connection."),
    max_links: count(1000, "Links of one session."),
    credit: count(1000, "Messages that one link may send before the broker has taken the first of them."),
    window: limited(2048, 1_000_000, "Frames with messages that one session may send ahead."),
    max_unsettled: count(65_536, "Messages that one session is sent before it settles the first of them."),
    max_answers_waiting: count(1000, "Answers not yet written to a client before the broker stops reading from it."),
    close_timeout: duration("1s", "How long a client may take to agree to the end of its connection."),
    plain_address: choice(
      ["queue", "topic"],
      "queue",
      "What an address is that does not say, neither in itself nor by the capabilities of its link.",
    ),
  },
  { ...CLOSED, description: "AMQP 1.0." },
);

/** The schema of the whole configuration. */
export const ConfigSchema = Type.Object(
  {
    broker: Type.Object(
      { name: text("delos", "The name of this broker, in logs and in what it tells its clients.") },
      { ...CLOSED, description: "The broker itself." },
    ),
    listeners: Type.Record(Type.String(), listener, {
      default: {
        stomp: { port: 61_613 },
        mqtt: { port: 1883 },
        amqp: { port: 5672 },
        openwire: { port: 61_616 },
        stomps: { port: 61_614, tls: { required: true } },
        mqtts: { port: 8883, tls: { required: true } },
        amqps: { port: 5671, tls: { required: true } },
      },
      description:
        "The ports to listen on, by names of your choice. The seven of the default stay unless enabled is false; the " +
        "three that require TLS listen only when there is a certificate.",
    }),
    tls,
    management,
    detection: Type.Object(
      { timeout: duration("5s", "How long a new connection may take to show which protocol it speaks.", 1) },
      { ...CLOSED, description: "Telling protocols apart by the first bytes of a connection." },
    ),
    connection: Type.Object(
      {
        output_high_water: size("256k", "Bytes waiting for a client above which it is given no more messages.", 1024),
        output_low_water: size("64k", "Bytes waiting for a client below which it is given messages again."),
        max_websocket_message: size("16m", "Bytes in one WebSocket message; a larger one ends the connection.", 1024),
        close_timeout: duration(
          "1s",
          "How long a client may take to close after the broker has, before it is cut off.",
        ),
      },
      { ...CLOSED, description: "Limits of every connection, whatever its protocol." },
    ),
    store: Type.Object(
      {
        kind: choice(
          ["lmdb", "memory"],
          "lmdb",
          "Where messages are kept: in files, or only as long as the process lives.",
        ),
        directory: text(
          "./data",
          "The directory of the files. A relative path counts from the directory of the file that says so, otherwise " +
            "from where the broker is started.",
        ),
        max_pending: size("4m", "Bytes not yet on disk above which publishers wait.", 65_536),
      },
      { ...CLOSED, description: "The message store." },
    ),
    hosts: Type.Record(Type.String(), host, {
      default: { default: { aliases: ["localhost", "127.0.0.1", "/"] } },
      description: 'Virtual hosts by name. "default" is always there and takes in clients that name no host.',
    }),
    unknown_host: choice(
      ["default", "refuse"],
      "default",
      "What happens to a client that asks for a virtual host there is not: it gets the default one, or is refused.",
    ),
    auto_create_destinations: flag(true, "Whether sending or subscribing to a queue or topic makes it."),
    queues,
    topics,
    durable_subscriptions: durableSubscriptions,
    diverts,
    virtual_topics: virtualTopics,
    schedule,
    memory: Type.Object(
      { messages: size("256m", "Bytes of messages in memory, of all destinations together.", 1_048_576) },
      { ...CLOSED, description: "Memory of the whole broker." },
    ),
    alarms,
    metrics,
    transactions: Type.Object(
      {
        max_bytes: size("64m", "Bytes of messages one transaction may hold.", 1024),
        max_open: count(1000, "Transactions one connection may have open at a time."),
      },
      { ...CLOSED, description: "Limits of transactions." },
    ),
    stomp,
    mqtt,
    amqp,
    amqp10,
    security,
    access_rules: accessRules(
      "Who may do what, in order: the first rule that applies decides. No rules at all: everybody may do everything. As " +
        "soon as there is one, here or in a virtual host: what no rule allows is refused.",
    ),
    limits,
    audit,
    log: Type.Object(
      {
        level: choice(
          ["trace", "debug", "info", "warn", "error", "fatal"],
          "info",
          "The least important kind of event that is logged.",
        ),
        format: choice(["auto", "json", "pretty"], "auto", '"auto" is pretty on a terminal and JSON elsewhere.'),
        repeats_per_minute: count(
          10,
          "How often the same event is logged in a minute before it is only counted; 0 is without limit.",
          0,
        ),
      },
      { ...CLOSED, description: "The log, on standard error." },
    ),
    shutdown: Type.Object(
      { timeout: duration("10s", "How long clients and the store may take to finish when the broker is stopped.") },
      { ...CLOSED, description: "Stopping the broker." },
    ),
  },
  { ...CLOSED, title: "Delos configuration" },
);

/** The whole configuration, checked and complete: sizes in bytes, durations in milliseconds, paths absolute. */
export type Config = Type.Static<typeof ConfigSchema>;

/** What the code that works on the schema needs to know of one of its nodes; all of it is JSON Schema but `unit`. */
export interface SchemaNode {
  readonly type?: string;
  readonly title?: string;
  readonly description?: string;
  readonly default?: unknown;
  readonly properties?: Readonly<Record<string, SchemaNode>>;
  /** In a map: the schema of its values, whatever their names. */
  readonly patternProperties?: Readonly<Record<string, SchemaNode>>;
  readonly required?: readonly string[];
  readonly items?: SchemaNode;
  readonly enum?: readonly unknown[];
  readonly anyOf?: readonly SchemaNode[];
  readonly unit?: Unit;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly minLength?: number;
  readonly pattern?: string;
  /** A secret: never printed. */
  readonly writeOnly?: boolean;
}

/** The schema as data. */
export const configSchema: SchemaNode = asNode(ConfigSchema);

function asNode(schema: object): SchemaNode {
  return schema;
}

/** The schema of the values of a map; undefined when the node is no map. */
export function mapValues(node: SchemaNode): SchemaNode | undefined {
  return node.patternProperties === undefined ? undefined : Object.values(node.patternProperties)[0];
}

const INDEX = /^(0|[1-9]\d{0,5})$/;

/** The schema of one entry of a group, a map or, by its index, a list. */
export function childOf(node: SchemaNode, key: string): SchemaNode | undefined {
  if (node.items !== undefined) return INDEX.test(key) ? node.items : undefined;
  if (node.properties !== undefined) return Object.hasOwn(node.properties, key) ? node.properties[key] : undefined;
  return mapValues(node);
}
