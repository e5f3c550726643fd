/*
 * The settings of queues, topics and durable subscriptions. Every setting of an entry is `Optional`, so that entries can be
 * merged; where "" is allowed it takes back what a more general entry sets.
 */
import { Type } from "typebox";
import { CLOSED, choice, count, duration, flag, size } from "./field.ts";

const MERGING =
  "All entries that match are merged: a more specific pattern overrides a more general one, wherever they stand, and of " +
  "two that are as specific the later one counts. Level by level from the left, a name is more specific than an " +
  'expression, that than "*", and that than "**".';

const SIGNS = '"*" is one level, "**" is the rest, "{...}" a regular expression.';

function pattern(description: string) {
  return Type.String({ default: "**", minLength: 1, description: `${description}: ${SIGNS}` });
}

function optionalName(description: string) {
  return Type.Optional(Type.String({ default: "", description }));
}

const redelivery = Type.Optional(
  Type.Object(
    {
      delay: Type.Optional(duration("0", "How long it waits the first time; 0 is not at all.")),
      multiplier: Type.Optional(
        Type.Number({
          default: 1,
          minimum: 1,
          maximum: 1000,
          description: "What each further delay is multiplied by.",
        }),
      ),
      max_delay: Type.Optional(duration("1h", "The longest delay.", 1)),
      jitter: Type.Optional(
        Type.Number({
          default: 0,
          minimum: 0,
          maximum: 1,
          description: "The part of a delay, 0 to 1, by which it is shortened or lengthened at random.",
        }),
      ),
    },
    { ...CLOSED, description: "How long a message that a consumer failed to handle waits to be delivered again." },
  ),
);

/** What queues and durable subscriptions, which are queues, have in common. */
const holding = {
  persistent: Type.Optional(
    flag(true, "Whether messages may be written to the store; without it they live in memory only."),
  ),
  memory: Type.Optional(
    size(
      "4m",
      "Bytes of messages kept in memory for each message priority in use; the rest is in the store only.",
      1024,
    ),
  ),
  max_messages: Type.Optional(count(0, "Messages it may hold; 0 is any number.", 0)),
  max_bytes: Type.Optional(size("0", "Bytes of messages it may hold; 0 is any number.")),
  count_unacknowledged: Type.Optional(
    flag(true, "Whether messages that consumers have not acknowledged yet count as held."),
  ),
  full: Type.Optional(
    choice(
      ["block", "drop-head", "drop-tail", "reject", "reject-dead-letter"],
      "block",
      "What happens when it holds as much as it may: publishers wait, the oldest message that nobody holds makes room " +
        "(a ring), the new message is dropped, or its sender is refused, the message going to the dead-letter exchange or not.",
    ),
  ),
  max_deliveries: Type.Optional(
    count(0, "How often a message is delivered before it is a dead letter; 0 is without limit.", 0),
  ),
  dead_letter_queue: optionalName(
    'The queue that dead letters go to; "*" in it stands for the name of the queue they leave. "" is none: they are lost.',
  ),
  expiry_queue: optionalName('The queue that expired messages go to, in the same way. "" is none: they are lost.'),
  dead_letter_exchange: optionalName(
    "The exchange that dead letters, what expires and what a full queue drops goes to, instead of those queues. " +
      '"" is none.',
  ),
  dead_letter_routing_key: optionalName('The routing key they have there; "" is the one they came with.'),
  redelivery,
  priorities: Type.Optional(flag(true, "Whether message priorities count; without, all are one.")),
  max_priority: Type.Optional(
    Type.Integer({
      default: 0,
      minimum: 0,
      maximum: 255,
      description:
        "The highest priority, 0 being that of messages that say none, as in RabbitMQ. 0: from 0 to 9, and they have 4.",
    }),
  ),
  distribution: Type.Optional(
    choice(
      ["round-robin", "first-attached"],
      "round-robin",
      "Who is next among consumers that are equal: all in turn, or the first that was attached while it has room.",
    ),
  ),
  single_active_consumer: Type.Optional(
    flag(false, "Whether only one consumer at a time is given messages, and the next one takes over when it goes."),
  ),
  group_rebalance: Type.Optional(
    flag(true, "Whether a consumer that joins gets its part of the message groups that others have."),
  ),
  max_groups: Type.Optional(count(100_000, "Message groups whose consumers are remembered.")),
  last_value_key: optionalName(
    'The property of messages by which only the newest one of each value is kept. "" is none: all are kept.',
  ),
  non_destructive: Type.Optional(
    flag(false, "Whether consumers only read: messages go by expiry, limits, replacement or purge."),
  ),
};

/** What is asked of messages before a queue or topic has them. */
const admission = {
  max_message_size: Type.Optional(size("0", "Bytes one message may have; a larger one is refused. 0 is any number.")),
  default_ttl: Type.Optional(
    duration("0", "How long until a message expires whose sender said nothing; 0 is never, as far as max_ttl allows."),
  ),
  min_ttl: Type.Optional(duration("0", "The least that counts of what a sender says.")),
  max_ttl: Type.Optional(duration("0", "The most that counts; 0 is without limit.")),
  duplicate_window: Type.Optional(
    Type.Integer({
      default: 20_000,
      minimum: 0,
      maximum: 10_000_000,
      description: "Duplicate ids remembered to recognise what is sent again; 0 is none.",
    }),
  ),
};

const autoDeleteAfter = Type.Optional(
  duration("30s", "How long it is kept when nobody uses it and it holds nothing; 0 is for ever."),
);

/** `queues` */
export const queues = Type.Array(
  Type.Object(
    {
      match: pattern("The names of the queues this entry is for"),
      auto_delete_after: autoDeleteAfter,
      ...holding,
      ...admission,
      mirrored: Type.Optional(
        flag(
          false,
          "Whether the queue and the topic of the same name are one: what is sent to either goes to both, so that " +
            "subscribers of the topic see it and the queue keeps it.",
        ),
      ),
    },
    { ...CLOSED, description: "How the queues that match behave." },
  ),
  {
    default: [],
    description: `How queues behave. ${MERGING} A name without wildcards also makes the queue at the start.`,
  },
);

/** `topics` */
export const topics = Type.Array(
  Type.Object(
    {
      match: pattern("The names of the topics this entry is for"),
      auto_delete_after: autoDeleteAfter,
      ...admission,
      slow_subscriber: Type.Optional(
        choice(
          ["block", "drop-oldest", "drop-newest", "spill"],
          "block",
          "What happens when a subscriber does not keep up: its publishers wait, its oldest or newest messages are " +
            "dropped, or they go to a queue of its own.",
        ),
      ),
      slow_subscriber_deadline: Type.Optional(
        duration("30s", 'With "block": how long it may hold up publishers until it is disconnected; 0 is for ever.'),
      ),
      subscriber_buffer: Type.Optional(size("1m", "Bytes of messages that may wait for one subscriber.", 1024)),
    },
    { ...CLOSED, description: "How the topics that match behave." },
  ),
  { default: [], description: "How topics behave, in the same way." },
);

/** `durable_subscriptions` */
export const durableSubscriptions = Type.Array(
  Type.Object(
    {
      match: pattern("The ids this entry is for, each read as a name with levels between dots or slashes"),
      ...holding,
    },
    { ...CLOSED, description: "How the durable subscriptions that match behave." },
  ),
  {
    default: [],
    description:
      "How durable subscriptions behave, in the same way; they are found by their ids, whose levels are between dots or " +
      'slashes. That is also how MQTT sessions behave, as "mqtt/CLIENT", and shared ones, as "share/GROUP/FILTER".',
  },
);

const source = Type.Object(
  {
    queue: Type.Optional(Type.String({ minLength: 1, description: `The names of queues: ${SIGNS}` })),
    topic: Type.Optional(Type.String({ minLength: 1, description: `The names of topics: ${SIGNS}` })),
  },
  { ...CLOSED, description: "What messages are sent to: either queue or topic." },
);

const target = Type.Object(
  {
    queue: Type.Optional(
      Type.String({ minLength: 1, description: 'The name of a queue; "*" in it stands for the name it was sent to.' }),
    ),
    topic: Type.Optional(
      Type.String({ minLength: 1, description: 'The name of a topic; "*" in it stands for the name it was sent to.' }),
    ),
  },
  { ...CLOSED, description: "Where they go: either queue or topic." },
);

/** `diverts` */
export const diverts = Type.Array(
  Type.Object(
    {
      from: source,
      to: Type.Array(target, { description: "Where the messages go; each of these gets every one of them." }),
      selector: Type.String({ default: "", description: 'Which messages, as a selector. "" is all of them.' }),
      exclusive: flag(false, "Whether what is diverted no longer goes to where it was sent, unless to names that too."),
    },
    { ...CLOSED, description: "Messages that go elsewhere too, or instead." },
  ),
  {
    default: [],
    description:
      "What is sent to some queues or topics goes to others too. With several targets and exclusive, a name stands for " +
      "several destinations: a composite destination.",
  },
);

/** `virtual_topics` */
export const virtualTopics = Type.Array(
  Type.Object(
    {
      topics: Type.String({ default: "VirtualTopic.**", minLength: 1, description: `The names of topics: ${SIGNS}` }),
      consumers: Type.String({
        default: "Consumer.*",
        minLength: 1,
        description: 'What the names of their queues begin with, before the name of the topic; "*" is any one level.',
      }),
    },
    { ...CLOSED, description: "Topics that fill queues by their names." },
  ),
  {
    default: [{ topics: "VirtualTopic.**", consumers: "Consumer.*" }],
    description:
      "Topics whose messages also go to queues named after them: by default what is sent to the topic VirtualTopic.X goes " +
      "to every queue Consumer.NAME.VirtualTopic.X, so that each NAME is a group of consumers that share the work.",
  },
);

/** `schedule` */
export const schedule = Type.Object(
  {
    catch_up_rate: count(
      1000,
      "Messages a second at most of those that came due while the broker was down, so that they do not come all at once.",
    ),
    max_messages: count(10_000_000, "Scheduled messages of one virtual host; more of them are refused."),
  },
  { ...CLOSED, description: "Messages that are to be delivered later." },
);
